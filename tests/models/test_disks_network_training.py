import numpy as np
import pytest
import torch

from braggscope.models.disks.network.adapt import (
    Statistics,
    drawing_like,
    scene_like,
    statistics_of,
    through,
)
from braggscope.models.disks.network.build import new_network
from braggscope.models.disks.network.calibrate import calibrate, errors_of
from braggscope.models.disks.network.evaluate import find, match, outputs, score
from braggscope.models.disks.network.fcunet import FCUNetConfig
from braggscope.models.disks.network.peaks import Found
from braggscope.models.disks.network.pool import Pool, Scenes
from braggscope.models.disks.network.scenes import drawing, masked
from braggscope.models.disks.network.train import DiskSettings, DiskTrainer
from braggscope.models.disks.network.unet import UNetConfig
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.results import Disks
from braggscope.models.disks.simulation.optics import Optics, aperture

torch.set_num_threads(1)
UNET, FCUNET = UNetConfig((8, 12, 16, 16), (1, 1, 1, 1)), FCUNetConfig((3, 4, 5, 6), 8, 1)


@pytest.fixture(scope="module")
def draw():
    """Groups of 16 small patterns, each drawn once."""
    kept, real = {}, drawing(3, 16, size=64)

    def cached(number):
        if number not in kept:
            kept[number] = real(number)
        return kept[number]

    return cached


def settings(config, steps):
    return DiskSettings(steps, seed=1, network=config, batch=4, groups=2, group=16, warm_up=4, average=0.9)


@pytest.mark.parametrize("config", [UNET, FCUNET])
def test_training_lowers_the_loss(draw, config):
    trainer = DiskTrainer(settings(config, 30), draw)
    losses = [trainer.advance() for _ in range(30)]
    assert np.mean(losses[-6:]) < np.mean(losses[:6]) - 0.4


def test_the_same_seed_gives_the_same_weights_also_after_an_interruption(draw):
    whole, cut = (DiskTrainer(settings(UNET, 6), draw) for _ in range(2))
    for _ in range(6):
        whole.advance()
    for _ in range(3):
        cut.advance()
    resumed = DiskTrainer(settings(UNET, 6), draw)
    resumed.restore(cut.state())
    for _ in range(3):
        resumed.advance()
    states = whole.average.state_dict(), resumed.average.state_dict()
    assert all(torch.equal(array, states[1][name]) for name, array in states[0].items())


def test_groups_are_drawn_once_and_only_when_wanted():
    drawn = []
    pool = Pool(lambda number: drawn.append(number) or drawing(3, 8, size=64)(number))
    rng = np.random.default_rng(0)
    for _ in range(3):
        pool.batch(8, 2, rng)
    assert sorted(drawn) == [0, 1]


def test_turned_patterns_keep_their_disks(draw):
    scenes = draw(0)
    brightest = scenes.truth.amplitude.masked_fill(~scenes.truth.present, -1).argmax(1)
    rows = torch.arange(16)
    for way in range(8):
        turned = scenes.turned(way)
        ordered = (values.flatten(1).sort(dim=1).values for values in (turned.counts, scenes.counts))
        assert torch.equal(*ordered)
        x, y = (turned.truth.xy[rows, brightest, k].round().long() for k in (0, 1))
        before = scenes.truth.xy[rows, brightest].round().long()
        assert torch.equal(turned.counts[rows, y, x], scenes.counts[rows, before[:, 1], before[:, 0]])


def test_hidden_disks_are_not_asked_for(draw):
    scenes = draw(0)
    hidden = masked(scenes, np.random.default_rng(1), 1.0)
    assert (~hidden.valid).flatten(1).any(1).all()
    assert int(hidden.truth.present.sum()) <= int(scenes.truth.present.sum())
    pattern, disk = torch.nonzero(hidden.truth.present, as_tuple=True)
    x, y = hidden.truth.xy[pattern, disk].round().long().clamp(0, 63).T
    assert hidden.valid[pattern, y, x].all()
    assert masked(scenes, np.random.default_rng(1), 0.0).valid.all()


def test_a_perfect_answer_scores_full_marks_and_a_shifted_one_its_shift(draw):
    scenes = draw(1)
    pattern, disk = (v.numpy() for v in torch.nonzero(scenes.truth.present, as_tuple=True))
    xy = scenes.truth.xy[pattern, disk].double().numpy() + (0.3, 0.4)
    ones = np.ones(len(xy))
    found = Found(pattern, xy, np.ones((len(xy), 2)), ones, ones)
    got = score(found, scenes)
    assert got.median == pytest.approx(0.5, abs=1e-5)
    assert (got.recall, got.precision) == (1.0, 1.0)
    wrong = Found(pattern, xy + 1000, np.ones((len(xy), 2)), ones, ones)
    assert score(wrong, scenes).precision == 0.0
    assert score(wrong, scenes).recall == 0.0


def test_calibration_makes_the_stated_errors_right(draw, monkeypatch):
    module = "braggscope.models.disks.network.calibrate"
    rng = np.random.default_rng(2)

    def noisy(network, scenes):
        """Errors three times what is stated where the amplitude is small, half of it elsewhere."""
        pattern, disk = (v.numpy() for v in torch.nonzero(scenes.truth.present, as_tuple=True))
        xy = scenes.truth.xy[pattern, disk].double().numpy()
        amplitude = scenes.truth.amplitude[pattern, disk].double().numpy()
        scale = np.exp(rng.uniform(-3.5, -2.5, xy.shape))
        factor = np.where(amplitude < 0.5, 3.0, 0.5)[:, None]
        return Found(pattern, xy + rng.laplace(0, scale * factor), scale, np.ones(len(xy)), amplitude)

    monkeypatch.setattr(f"{module}.find", noisy)
    network = new_network(UNET, 0)
    monkeypatch.setattr(f"{module}.STEPS", 500)
    calibrate(network, 96, draw)
    scenes = Scenes.join([draw(number) for number in range(6)])
    found = noisy(network, scenes)  # with other noise
    pairs = match(found, scenes)
    inside = np.abs(pairs.error) < errors_of(network, found, scenes.radius.double().numpy())[pairs.rows]
    small = found.amplitude[pairs.rows] < 0.5
    assert 0.6 < inside[small].mean() < 0.76
    assert 0.6 < inside[~small].mean() < 0.76


def test_outputs_do_not_depend_on_the_batch(draw):
    network, scenes = new_network(UNET, 5), draw(0)
    whole, parts = outputs(network, scenes, 16), outputs(network, scenes, 3)
    assert torch.allclose(whole.visibility, parts.visibility, atol=0.15)  # steps of bfloat16
    assert len(find(network, scenes, 0.9).xy) == 0


def test_statistics_are_those_of_the_scan():
    rng = np.random.default_rng(0)
    place = np.array([[20.0, 20.0], [38.0, 20.0], [20.0, 38.0], [38.0, 38.0]])
    patterns = rng.poisson(2.0, (5, 64, 64)).astype(np.float32)
    pattern = np.repeat(np.arange(5), 4)
    xy = np.tile(place, (5, 1))
    total = patterns.sum((1, 2))
    share = np.repeat(0.2 * total, 4)
    disks = Disks(pattern, xy[:, 0], xy[:, 1], *[np.ones(20)] * 2, share, np.ones(20))
    found = statistics_of(patterns, disks)
    assert found.background == pytest.approx(0.2, abs=0.01)
    assert found.spacing == pytest.approx((0.85 * 18, 1.15 * 18))
    assert found.dose[0] < total.min() < total.max() < found.dose[1]
    with pytest.raises(ValueError, match="Only 4 disks were found"):
        statistics_of(patterns, disks.take(slice(0, 4)))


@pytest.mark.parametrize("radius", [1.5, 4.0, 14.0])
def test_simulation_like_a_scan_has_its_probe_and_dose(radius):
    probe = synthetic_probe(radius, 0.2 * radius, 96)
    like = Statistics((1e4, 2e4), 0.1, (2.6 * radius, 3.4 * radius), 128)
    scenes = drawing_like(probe, like, 1, 8)(0)
    seen = probe.radius * float(np.clip(radius, 2.3, 7.0) / radius)
    assert (scenes.radius < 1.1 * seen).all()
    assert (scenes.radius > 0.7 * seen).all()
    totals = scenes.counts.clamp(min=0).sum((1, 2))
    assert float(totals.median()) < 3e4
    assert scene_like(probe, like).dose == like.dose
    assert int(scenes.truth.present.sum()) > 8


def test_light_passes_through_the_measured_probe():
    probe, optics = synthetic_probe(5.0, 0.8, 33), Optics(5.0, 0.3)
    radius = torch.tensor([5.0, 4.0])
    measured, simulated = through(probe)(optics, radius), aperture(optics, radius)
    assert measured.shape == simulated.shape
    assert torch.allclose(measured.sum((1, 2)), torch.ones(2), atol=1e-5)
    middle = measured.shape[-1] // 2
    wide = (measured > 0.5 * measured[:, middle : middle + 1, middle : middle + 1]).sum((1, 2))
    assert torch.allclose(wide.double(), (np.pi * radius.double() ** 2) / 0.25, rtol=0.08)
