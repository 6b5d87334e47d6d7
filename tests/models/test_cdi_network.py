"""The network of coherent imaging: its inputs, its loss, what it may and may not depend on."""

import copy

import numpy as np
import pytest
import torch

from braggscope.models.cdi.alignment import twin_of
from braggscope.models.cdi.dataset import BOX, SIDE, Samples, block, in_middle
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.fourier import diffract, fit_centre, forward, to_corner
from braggscope.models.cdi.network import inputs
from braggscope.models.cdi.network.build import build_cdi
from braggscope.models.cdi.network.evaluate import unexplained
from braggscope.models.cdi.network.improve import Improver
from braggscope.models.cdi.network.loss import forward_misfit, overlap, twin_overlap
from braggscope.models.cdi.network.network import CdiConfig, CdiNet, initialise, to_depth, to_space
from braggscope.models.cdi.network.published import PublishedNet
from braggscope.models.cdi.network.train import SYMMETRIES, CdiSettings, CdiTrainer, Pool, tensors, turned

SMALL = CdiConfig((8, 8, 16), (1, 1, 1))


@pytest.fixture(scope="module")
def samples():
    return block(3, crystals=2, views=3)


@pytest.fixture(scope="module")
def network():
    net = CdiNet(SMALL)
    initialise(net, 1)
    torch.nn.init.normal_(net.head_turn.weight, std=0.05, generator=torch.Generator().manual_seed(2))
    return net.eval()


def complex_(values, k):
    parts = values[k].astype(np.float32)
    return parts[..., 0, :, :, :] + 1j * parts[..., 1, :, :, :]


def test_samples_are_patterns_of_their_truth(samples):
    assert samples.amplitude.shape == (6, SIDE, SIDE, SIDE)
    assert samples.truth.shape == (6, 2, 2, BOX, BOX, BOX)
    for k in range(6):
        obj, twin = complex_(samples.truth, k)
        amplitude = torch.from_numpy(samples.amplitude[k : k + 1].astype(np.float32))
        for one in (obj, twin):
            assert forward_misfit(torch.from_numpy(one)[None], amplitude).sqrt() < 0.3
    again = block(3, crystals=2, views=3)
    assert all(np.array_equal(a, b) for a, b in zip(samples, again, strict=True))
    assert not np.array_equal(block(4, 1, 1).amplitude[0], samples.amplitude[0])


def test_symmetries_act_alike_on_object_and_pattern(samples):
    obj = fit_centre(complex_(samples.truth, 0)[0], (SIDE,) * 3)
    modulus = np.abs(diffract(obj))
    for axes, flips in SYMMETRIES[::5]:
        np.testing.assert_allclose(
            np.abs(diffract(turned(obj, axes, flips))), turned(modulus, axes, flips), atol=1e-3
        )
    assert len({turned(modulus, *one).tobytes() for one in SYMMETRIES}) == 48


def test_autocorrelations_are_those_of_the_formula(samples):
    intensity = np.maximum(samples.amplitude[:2].astype(np.float32), 0) ** 2
    found = inputs.autocorrelation(torch.from_numpy(intensity)).numpy()
    for one, lags in zip(intensity, found, strict=True):
        spectrum = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(one)))
        np.testing.assert_allclose(lags, spectrum / spectrum[16, 16, 16], atol=1e-5)
    obj = fit_centre(complex_(samples.truth, 0)[0], (SIDE,) * 3)
    lags = inputs.autocorrelation(torch.from_numpy(np.abs(diffract(obj)) ** 2)[None].float())[0].numpy()
    step = (0, 1, -2)
    direct = np.vdot(obj, np.roll(obj, step, (0, 1, 2))) / np.vdot(obj, obj)  # sum of o*(x) o(x - step)
    assert lags[16, 17, 14] == pytest.approx(np.conj(direct), abs=1e-4)


def test_oversampling_of_a_bar():
    bar = np.zeros((SIDE,) * 3, np.complex64)
    bar[10:22, 12:20, 14:18] = 1
    lags = inputs.autocorrelation(torch.from_numpy(np.abs(diffract(bar)) ** 2)[None].float())
    np.testing.assert_allclose(inputs.oversampling(lags)[0], [32 / 12, 32 / 8, 32 / 4], rtol=0.05)


def test_inputs_do_not_know_scale_and_phase_offset(samples):
    amplitude, guess, _ = tensors(samples)
    one = inputs.prepare(amplitude, guess)
    turn = torch.polar(torch.tensor(7.0), torch.tensor(1.3))
    other = inputs.prepare(amplitude, guess * turn)
    torch.testing.assert_close(one.features, other.features, atol=2e-4, rtol=1e-3)
    assert one.features.shape == (6, inputs.CHANNELS, SIDE, SIDE, SIDE)
    assert torch.isfinite(one.features).all()


def test_the_asked_change_leads_to_the_measured_modulus(samples):
    amplitude, guess, _ = tensors(samples)
    amplitude, guess = amplitude[:1], guess[:1]
    made = inputs.prepare(amplitude, guess)
    change = torch.complex(made.features[:, 2], made.features[:, 3]) / inputs.CHANGE
    modulus, known = inputs.forward(made.guess + change).abs(), amplitude[0] >= 0
    scale = float(modulus[0][known].norm() / amplitude[0][known].norm())
    torch.testing.assert_close(modulus[0][known], scale * amplitude[0][known], atol=1e-3, rtol=1e-3)


def test_the_loss_is_blind_for_what_the_data_do_not_tell(samples):
    _, _, truth = tensors(samples)
    obj = truth[:, 0] + 0.3 * torch.flip(truth[:, 1], (1,))
    turn = torch.polar(torch.tensor(0.3), torch.tensor(2.0))
    torch.testing.assert_close(twin_overlap(obj * turn, truth), twin_overlap(obj, truth))
    torch.testing.assert_close(twin_overlap(obj, truth.flip(1)), twin_overlap(obj, truth))
    assert torch.all(twin_overlap(truth[:, 1], truth) > 0.999)
    assert torch.all(overlap(truth[:, 0], truth[:, 1]) < 0.99)


def test_the_forward_misfit_is_that_of_chi(samples):
    amplitude, _, truth = tensors(samples)
    obj = np.asarray(truth[0, 0])
    modulus = np.abs(diffract(fit_centre(obj, (SIDE,) * 3)))
    known, seen = amplitude[0].numpy(), amplitude[0].numpy() >= 0
    scale = (modulus[seen] * known[seen]).sum() / (modulus[seen] ** 2).sum()
    chi = np.linalg.norm(known[seen] - scale * modulus[seen]) / np.linalg.norm(known[seen])
    found = float(forward_misfit(truth[:1, 0], amplitude[:1])[0])
    assert found == pytest.approx(chi**2, rel=1e-2, abs=1e-5)


def test_space_and_depth_are_inverse():
    x = torch.arange(2 * 3 * 8**3, dtype=torch.float32).reshape(2, 3, 8, 8, 8)
    assert torch.equal(to_space(to_depth(x)), x)
    assert to_depth(x).shape == (2, 24, 4, 4, 4)


def test_an_untrained_network_hands_the_guess_on(samples):
    fresh = CdiNet(SMALL)
    initialise(fresh, 0)
    np.testing.assert_allclose(unexplained(fresh, samples), unexplained(None, samples), atol=1e-3)


def test_the_answer_moves_with_nothing_and_fits_any_size(network):
    spec = CoherentSpec(seed=5, shape=(64, 48, 40))
    amplitude = np.sqrt(measure(grow(spec), spec).counts)
    target, improve = to_corner(amplitude), Improver(network)
    rng = np.random.default_rng(0)
    obj = to_corner(fit_centre(rng.random((14, 14, 14)) + 0.3j, spec.shape)).astype(np.complex64)
    found = improve(target, obj)
    assert found.shape == spec.shape
    assert found.dtype == np.complex64
    np.testing.assert_allclose(found, improve(target, obj * np.exp(1j)), atol=1e-2 * np.abs(found).max())
    moved = np.roll(obj, (4, -6, 10), (0, 1, 2))  # whole voxels of 32 x 32 x 32
    np.testing.assert_allclose(improve(target, moved), found, atol=1e-2 * np.abs(found).max())
    inner = fit_centre(np.fft.fftshift(np.abs(forward(found))), (32,) * 3)
    known = fit_centre(amplitude, (32,) * 3)
    assert (inner * known).sum() / (inner**2).sum() == pytest.approx(1.0, rel=1e-3)


def test_centring_leaves_a_centred_object(samples):
    obj = fit_centre(complex_(samples.guess, 0), (SIDE,) * 3)
    once = in_middle(np.roll(obj, (5, -3, 9), (0, 1, 2)))
    np.testing.assert_array_equal(in_middle(once), once)
    np.testing.assert_array_equal(once, in_middle(obj))


def test_the_twin_of_the_guess_leads_to_the_twin_of_the_truth(samples):
    _, guess, truth = tensors(samples)
    _, turned_guess, turned_truth = tensors(samples, seed=1)
    for k in range(len(guess)):
        if torch.equal(guess[k], turned_guess[k]):
            continue
        assert np.allclose(turned_guess[k].numpy(), twin_of(guess[k].numpy()))
        before = overlap(inputs.middle(guess[k : k + 1]), truth[k : k + 1, 0])
        after = overlap(inputs.middle(turned_guess[k : k + 1]), turned_truth[k : k + 1, 0])
        assert float(after) == pytest.approx(float(before), abs=0.02)


def test_a_short_training_learns_and_can_be_resumed(samples):
    settings = CdiSettings(
        12, network=SMALL, batch=4, rate=4e-3, warm_up=2, first_blocks=1, blocks=1, half=False, average=0.5
    )
    trainer = CdiTrainer(settings, pool=Pool(lambda seed: samples))
    for _ in range(6):
        trainer.advance()
    again = CdiTrainer(settings, pool=Pool(lambda seed: samples))
    again.restore(copy.deepcopy(trainer.state()))
    before = unexplained(None, samples).mean()
    losses = [trainer.advance() for _ in range(6)]
    assert [again.advance() for _ in range(6)] == losses
    assert unexplained(trainer.average, samples).mean() < before


def test_a_pool_grows_and_repeats():
    asked = []

    def source(seed):
        asked.append(seed)
        values = np.full((2, 1, 1, 1), seed, np.float16)
        return Samples(values, values, values)

    pool = Pool(source)
    first = pool.draw(np.random.default_rng(0), 20, 1).guess
    assert (first == 0).all()
    later = pool.draw(np.random.default_rng(0), 50, 3).guess
    assert asked == [0, 1, 2]
    assert set(later.ravel()) == {0, 1, 2}


def test_weights_become_the_network_again(network):
    half = {name: values.half() for name, values in network.state_dict().items()}
    built = build_cdi(half)
    assert built.config == SMALL
    for values in built.state_dict().values():
        assert values.dtype == torch.float32
    with pytest.raises(ValueError, match="no layers called stem"):
        build_cdi({"a": torch.zeros(2)})
    broken = dict(half)
    broken.pop("head_shape.bias")
    with pytest.raises(ValueError, match=r"head_shape\.bias is missing"):
        build_cdi(broken)
    with pytest.raises(ValueError, match="not finite"):
        build_cdi(half | {"head_turn.bias": torch.full((16,), torch.nan)})


def test_the_published_network_has_its_size():
    net = PublishedNet()
    count = sum(values.numel() for values in net.parameters())
    assert count == pytest.approx(3.5e6, rel=0.02)
    with torch.no_grad():
        shape, phase = net(torch.rand(1, 1, 32, 32, 32))
    assert shape.shape == phase.shape == (1, 32, 32, 32)
    assert phase.abs().max() <= np.pi
    net.load_state_dict(PublishedNet().state_dict())
    with pytest.raises(ValueError, match="wants"):
        net(torch.rand(1, 1, 16, 16, 16))
