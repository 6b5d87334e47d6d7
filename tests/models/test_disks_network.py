import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.disks.network.build import build_network, new_network
from braggscope.models.disks.network.complex import ComplexConv, cardioid, join, stack, unstack
from braggscope.models.disks.network.fcunet import FCUNetConfig
from braggscope.models.disks.network.infer import DiskNetwork, resampling
from braggscope.models.disks.network.inputs import CHANNELS, CONDITION, condition_of, kernel_of, prepare
from braggscope.models.disks.network.peaks import find_peaks
from braggscope.models.disks.network.photometry import disk_counts, is_empty
from braggscope.models.disks.network.targets import SPOT_PX, Truth, target_of
from braggscope.models.disks.network.unet import Output, UNetConfig
from braggscope.models.disks.probe import synthetic_probe

torch.set_num_threads(1)
CONFIGS = [UNetConfig((8, 8, 8, 8), (1, 1, 1, 1)), FCUNetConfig((2, 3, 4, 5), 8, 1)]


def pattern(seed=0, size=(64, 64), radius=4.0, dose=2e4, shift=(0, 0)):
    """Flat disks on a grid, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    expected = np.full(size, 0.1)
    for row in range(12, size[0] - 8, 20):
        for column in range(14, size[1] - 8, 20):
            distance = np.hypot(x - column - shift[0], y - row - shift[1])
            expected += rng.uniform(1, 5) / (1 + np.exp((distance - radius) / 0.3))
    return rng.poisson(expected * dose / expected.sum()).astype(np.float32)


def inputs_of(counts, radius=4.0, *, edge=1.0):
    probe = synthetic_probe(radius, edge, 33)
    counts = torch.as_tensor(counts)
    counts = counts[None] if counts.ndim == 2 else counts
    valid = torch.ones(counts.shape, dtype=torch.bool)
    return prepare(counts, valid, kernel_of(probe.image, probe.radius))


def complex_map(shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.complex(*(torch.randn(shape, generator=generator) for _ in range(2)))


@pytest.mark.parametrize("size", [1, 3])
def test_complex_convolution_is_the_sum_over_complex_products_on_a_torus(size):
    z = complex_map((2, 3, 6, 5), 0)
    layer = ComplexConv(3, 4, size)
    layer.initialise(torch.Generator().manual_seed(1))
    weight = torch.complex(layer.real, layer.imaginary).detach()
    expected = torch.zeros(2, 4, 6, 5, dtype=torch.complex64)
    for dy in range(size):
        for dx in range(size):
            moved = torch.roll(z, (size // 2 - dy, size // 2 - dx), (2, 3))
            expected += torch.einsum("oc,bchw->bohw", weight[:, :, dy, dx], moved)
    assert torch.allclose(unstack(layer(stack(z))), expected, atol=1e-5)


def test_joined_channels_are_those_of_all_parts_in_order():
    a, b = complex_map((1, 2, 3, 3), 2), complex_map((1, 3, 3, 3), 3)
    assert torch.equal(unstack(join(stack(a), stack(b))), torch.cat([a, b], dim=1))


def test_the_activation_keeps_phases_and_is_the_relu_on_the_real_axis():
    z = complex_map((1, 2, 9, 9), 4)
    out = unstack(cardioid(stack(z)))
    assert torch.allclose(torch.angle(out), torch.angle(z), atol=2e-3)
    assert (out.abs() <= z.abs() + 1e-6).all()
    real = torch.complex(z.real, torch.zeros_like(z.real))
    assert torch.allclose(unstack(cardioid(stack(real))).real, F.relu(z.real), atol=2e-3)


@given(gain=st.floats(0.01, 1000), seed=st.integers(0, 50))
def test_inputs_do_not_depend_on_the_gain(gain, seed):
    counts = pattern(seed)
    first, second = inputs_of(counts), inputs_of(counts * np.float32(gain))
    assert torch.allclose(first.maps, second.maps, atol=2e-3)
    assert torch.allclose(first.spectrum, second.spectrum, atol=2e-2)


def test_what_is_masked_has_no_influence():
    counts = torch.from_numpy(pattern())[None]
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    valid[:, 20:30, :25] = False
    kernel = kernel_of(synthetic_probe(4.0, 1.0, 33).image, 4.0)
    spoilt = torch.where(valid, counts, 1e6)
    first, second = prepare(counts, valid, kernel), prepare(spoilt, valid, kernel)
    assert torch.equal(first.maps, second.maps)
    assert torch.equal(first.spectrum, second.spectrum)


def test_an_empty_pattern_gives_finite_inputs():
    found = inputs_of(np.zeros((32, 48), np.float32))
    assert found.maps.shape == (1, CHANNELS, 32, 48)
    assert torch.isfinite(found.maps).all()
    assert torch.isfinite(torch.view_as_real(found.spectrum)).all()


def test_correlation_peaks_on_a_disk_and_the_spectrum_brings_it_back():
    y, x = np.mgrid[:64, :64]
    counts = 100.0 * (np.hypot(x - 37, y - 22) < 4) + 1.0
    found = inputs_of(counts.astype(np.float32))
    for channel in (2, 3, 4):
        assert divmod(int(found.maps[0, channel].argmax()), 64) == (22, 37)
    image = torch.fft.ifft2(torch.fft.ifftshift(found.spectrum, dim=(1, 2)))[0].real
    row, column = divmod(int(image.argmax()), 32)
    assert abs(2 * row + 0.5 - 22) <= 1
    assert abs(2 * column + 0.5 - 37) <= 1


def test_the_condition_tells_probes_apart():
    soft, hard, large = (
        condition_of(kernel_of(synthetic_probe(r, e, 41).image, r)) for r, e in ((5, 4.0), (5, 0.5), (8, 0.8))
    )
    assert soft.shape == (1, CONDITION)
    assert (soft[:, :-1] - hard[:, :-1]).abs().max() > 0.1
    assert (large[:, :-1] - hard[:, :-1]).abs().max() < 0.15  # the same shape
    assert float(large[0, -1]) == pytest.approx(2 * math.log(8 / 5), abs=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("size", [(48, 80), (50, 61)])
def test_any_size_gives_cells_of_two_pixels(config, size):
    network = new_network(config, 0).eval()
    with torch.no_grad():
        output = network(inputs_of(pattern(size=size)))
    padded = tuple(-(-n // 16) * 8 for n in size)
    assert output.visibility.shape == (1, *padded)
    assert output.offset.shape == (1, 2, *padded)
    assert all(torch.isfinite(part).all() for part in output)


def test_the_unet_moves_with_the_pattern():
    network = new_network(UNetConfig((8, 8), (1, 1)), 1).eval()
    inputs = inputs_of(pattern(size=(96, 96)))
    moved = inputs._replace(maps=torch.roll(inputs.maps, (8, 16), (2, 3)))
    with torch.no_grad():
        first, second = network(inputs).visibility, network(moved).visibility
    inner = torch.roll(first, (4, 8), (1, 2))[:, 20:32, 24:32]
    assert inner.std() > 1e-3
    assert torch.allclose(inner, second[:, 20:32, 24:32], atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_probe_changes_what_a_network_says(config):
    network = new_network(config, 2).eval()
    inputs = inputs_of(pattern())
    other = inputs_of(pattern(), edge=4.0)
    with torch.no_grad():
        first = network(inputs)
        second = network(inputs._replace(condition=other.condition))
        again = network(inputs)
    assert not torch.allclose(first.image, second.image, atol=1e-5)
    assert torch.equal(first.image, again.image)


@pytest.mark.parametrize("config", CONFIGS)
def test_a_state_dict_is_enough_to_build_the_network(config):
    network = new_network(config, 3)
    built = build_network({name: array.half() for name, array in network.state_dict().items()})
    assert built.config == config
    with pytest.raises(ValueError, match="not a disk network's"):
        build_network({k: v for k, v in network.state_dict().items() if k != "head.bias"})
    spoilt = network.state_dict() | {"head.bias": torch.full((6,), math.nan)}
    with pytest.raises(ValueError, match="not finite"):
        build_network(spoilt)


def test_other_arrays_are_no_disk_network():
    with pytest.raises(ValueError, match="holds no disk network"):
        build_network({"weight": torch.zeros(3)})


def perfect(truth, grid):
    """The output of a network that knows the truth."""
    target = target_of(truth, grid)
    logit = torch.logit(target.visibility.clamp(1e-4, 1 - 1e-4))
    return Output(target.image, logit, target.offset, torch.full_like(target.offset, -3.0))


@given(x=st.floats(6, 57), y=st.floats(6, 41), gap=st.floats(5.5, 12))
def test_peaks_of_the_target_are_the_truth(x, y, gap):
    xy = torch.tensor([[[x, y], [x + gap, y + 1], [3.0, 3.0]]])
    truth = Truth(xy, torch.tensor([[1.0, 0.5, 1.0]]), torch.tensor([[True, x + gap < 62, False]]),
                  torch.zeros(1, 3, dtype=torch.bool))  # fmt: skip
    found = find_peaks(perfect(truth, (24, 32)), 0.3, 10, 4.0)
    wanted = xy[0][truth.present[0]].double().numpy()
    order = np.argsort(found.xy[:, 0])
    assert np.allclose(found.xy[order], wanted[np.argsort(wanted[:, 0])], atol=1e-3)
    assert (found.visibility > 0.75).all()


def test_targets_are_spots_around_disks_that_are_asked_for():
    xy = torch.tensor([[[10.5, 20.5], [40.2, 30.1]]])
    truth = Truth(xy, torch.ones(1, 2), torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    target = target_of(truth, (24, 32))
    assert float(target.visibility[0, 10, 5]) == 1.0
    assert float(target.visibility[0, 10, 6]) == pytest.approx(math.exp(-4 / (2 * SPOT_PX**2)), rel=1e-5)
    assert target.offset[0, :, 10, 6].tolist() == [-2.0, 0.0]
    assert float(target.asked[0, 15, 20]) == 0.0
    assert float(target.asked[0, 10, 5]) == 1.0
    assert float(target.weight[0, 0, 0]) == 0.0


def test_of_two_near_peaks_the_more_visible_stays_and_no_more_than_asked_for():
    output = perfect(
        Truth(torch.tensor([[[10.5, 10.5], [18.5, 10.5], [40.5, 30.5]]]), torch.ones(1, 3),
              torch.ones(1, 3, dtype=torch.bool), torch.zeros(1, 3, dtype=torch.bool)),
        (24, 32),
    )  # fmt: skip
    output.visibility[0, 5, 9] -= 1.0
    assert len(find_peaks(output, 0.2, 10, 4.0).xy) == 3
    apart = find_peaks(output, 0.2, 10, 10.0)
    assert np.allclose(np.sort(apart.xy[:, 0]), [10.5, 40.5], atol=0.05)
    assert len(find_peaks(output, 0.2, 1, 4.0).xy) == 1


def test_counts_of_a_disk_are_those_above_its_ring():
    y, x = np.mgrid[:40, :40]
    counts = torch.from_numpy((7.0 * (np.hypot(x - 20.3, y - 15.8) < 5) + 3.0)[None])
    valid = torch.ones(1, 40, 40, dtype=torch.bool)
    places = torch.tensor([[20.3, 15.8], [35.0, 35.0], [-20.0, 5.0]], dtype=torch.float64)
    found = disk_counts(counts, valid, torch.zeros(3, dtype=torch.long), places, 5.0, 1.0)
    inside = float((counts > 5).sum()) * 7
    assert float(found[0]) == pytest.approx(inside, rel=0.02)
    assert found[1:].tolist() == [0.0, 0.0]


def emptiness(expected, gain=1.0, seed=0, valid=None):
    """Share of 300 noisy copies whose place (20.3, 15.8) is called empty."""
    counts = torch.poisson(torch.from_numpy(expected), generator=torch.Generator().manual_seed(seed)) * gain
    good = torch.ones(1, 40, 40, dtype=torch.bool) if valid is None else valid
    places = torch.tensor([[20.3, 15.8]], dtype=torch.float64).expand(300, 2)
    return float(is_empty(counts, good, torch.arange(300), places, 5.0, 1.0).double().mean())


@pytest.mark.parametrize("gain", [1.0, 1e-3, 500.0])
def test_noise_alone_is_called_empty_and_weak_disks_are_not(gain):
    y, x = np.mgrid[:40, :40]
    disk = np.hypot(x - 20.3, y - 15.8) < 5
    for level in (0.2, 5.0, 300.0):
        flat = np.full((300, 40, 40), level)
        assert emptiness(flat, gain) > 0.94
        counts = 18 + 6 * math.sqrt(level * disk.sum())  # six sigma
        assert emptiness(flat + counts / disk.sum() * disk, gain) < 0.08
    assert emptiness(np.zeros((300, 40, 40)), gain) == 1.0


def test_dark_disks_between_brighter_ones_and_hidden_places_are_not_called_empty():
    y, x = np.mgrid[:40, :40]
    around = sum(
        np.hypot(x - 20.3 - 8 * np.cos(a), y - 15.8 - 8 * np.sin(a)) < 5 for a in np.arange(6) * np.pi / 3
    )
    overlapping = 10.0 * around + 4.0 * (np.hypot(x - 20.3, y - 15.8) < 5) + 1.0
    assert emptiness(np.repeat(overlapping[None], 300, 0)) < 0.05
    hidden = torch.ones(1, 40, 40, dtype=torch.bool)
    hidden[:, 12:20] = False
    assert emptiness(np.full((300, 40, 40), 5.0), valid=hidden) == 0.0


@pytest.mark.parametrize("config", CONFIGS)
def test_a_probe_larger_than_the_pattern_is_one_sentence(config):
    network = DiskNetwork(new_network(config, 0))
    with pytest.raises(ValueError, match="larger than a pattern of 32 x 32 px"):
        network.find(np.ones((1, 32, 32), np.float32), None, synthetic_probe(16.5, 1.0, 64))
    with pytest.raises(ValueError, match="a mask"):
        network.find(np.ones((1, 64, 64), np.float32), np.zeros((3, 3), bool), synthetic_probe(4.0, 1.0, 33))
    with pytest.raises(ValueError, match="no intensity"):
        kernel_of(np.zeros((9, 9), np.float32), 3.0)


@pytest.mark.parametrize("radius", [1.0, 2.3, 5.0, 7.0, 30.0])
def test_resampling_brings_the_probe_into_the_trained_range(radius):
    assert 2.3 <= radius * resampling(radius) <= 7.0
    assert resampling(5.0) == 1.0
