import math
from dataclasses import replace

import pytest
import torch

from braggscope.models.localizer.calibrate import calibrate, coverage
from braggscope.models.localizer.evaluate import accuracy, accuracy_table, plain_crowd
from braggscope.models.localizer.network import LocalizerNet, initialise, prepare
from braggscope.models.localizer.simulate import BROAD, REGIMES, simulate, simulate_mixture
from braggscope.models.localizer.train import SHARE, LocalizerSettings, LocalizerTrainer, loss_of
from braggscope.models.weights import build_localizer
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)


def test_the_loss_starts_where_guessing_does_and_errors_fall():
    trainer = LocalizerTrainer(LocalizerSettings(40, batch=128, warm_up=5))
    truth = simulate_mixture(1000, 2**40)
    guess = accuracy(trainer.network, truth).median_px
    first = trainer.advance()
    assert first == pytest.approx(
        2.0, abs=1.0
    )  # 1 for the position, 0.35 for entropies, 0.5 for second peaks
    for _ in range(39):
        trainer.advance()
    assert accuracy(trainer.network, truth).median_px < 0.8 * guess


def test_a_restored_training_goes_on_exactly():
    settings = LocalizerSettings(6, seed=3, batch=32)
    whole = LocalizerTrainer(settings)
    for _ in range(6):
        whole.advance()
    first = LocalizerTrainer(settings)
    for _ in range(3):
        first.advance()
    second = LocalizerTrainer(settings)
    second.restore(first.state())
    for _ in range(3):
        second.advance()
    states = whole.average.state_dict(), second.average.state_dict()
    assert all(torch.equal(a, b) for a, b in zip(states[0].values(), states[1].values(), strict=True))


def test_the_scale_loss_is_least_at_the_quantile():
    """Where all errors follow one distribution, the best constant scale holds 68.3 % of them."""
    truth = simulate_mixture(4000, 0)
    network = LocalizerNet()
    initialise(network, 0)
    with torch.no_grad():
        output = network(prepare(truth.counts, truth.valid))
    error = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    scales = torch.linspace(-0.6, 0.6, 25)
    losses = [
        float(loss_of(output._replace(offset=truth.centre, log_scale=torch.full((4000, 2), float(s))),
                      truth._replace(centre=truth.centre + error)))
        - _position(error, float(s))
        for s in scales
    ]  # fmt: skip
    best = float(scales[min(range(25), key=losses.__getitem__)])
    inside = float((error.abs() < math.exp(best)).float().mean())
    assert inside == pytest.approx(SHARE, abs=0.02)


def _position(error, scale):
    distance = torch.sqrt(error.square().sum(1) + 1e-4) - 0.01
    return float((distance / (0.04 + math.sqrt(2) * math.exp(scale))).mean())


def test_calibration_rights_a_wrong_scale_and_nothing_else():
    network = build_localizer(load_weights("net")[0])
    network.requires_grad_(False).head[-1].bias[2:4] += 0.8  # all scales 2.2 times too large
    truth = simulate_mixture(4000, 2**43, REGIMES)
    before = coverage(network, truth)
    with torch.no_grad():
        place = network(prepare(truth.counts, truth.valid)).offset
    calibrate(network, 10_000)
    with torch.no_grad():
        torch.testing.assert_close(network(prepare(truth.counts, truth.valid)).offset, place)
    assert before > 0.85
    assert coverage(network, truth) == pytest.approx(SHARE, abs=0.03)
    assert not any(parameter.requires_grad for parameter in network.calibration.parameters())


@pytest.fixture(scope="module")
def shipped():
    return build_localizer(load_weights("net")[0]).requires_grad_(False)


def test_the_shipped_network_is_calibrated_on_what_it_has_not_seen(shipped):
    assert coverage(shipped, simulate_mixture(20_000, 2**43 + 1, REGIMES)) == pytest.approx(SHARE, abs=0.015)
    for low, high in ((4, 10), (10, 30), (30, 100)):
        drawn = simulate(6000, 2**43 + low, replace(BROAD, snr=(low, high)))
        assert 0.62 < coverage(shipped, drawn) < 0.74


def test_the_shipped_network_keeps_the_accuracy_of_the_manifest(shipped):
    table = {(case, kind): found for case, kind, found in accuracy_table(shipped, count=1500, seed=7)}
    assert table["round, SNR 10", "raw"].median_px < 0.11
    weak = table["second peak 2.5-5 px, SNR 10", "raw"]
    assert weak.median_px < 0.136
    assert weak.p95_px < 0.33


def test_plain_crowds_add_nothing(shipped):
    from braggscope.models.braggnn.simulate import benchmark_scenes

    drawn = simulate(500, 3, plain_crowd(benchmark_scenes()["round, SNR 100"], 0.0))
    assert drawn.valid.all()
    assert not drawn.paired.any()
    found = accuracy(shipped, drawn)
    assert found.median_px < found.p95_px < 0.05
