import numpy as np
import pytest

from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.prepare import PreparationError, memory_bytes, oversampling, prepare


@pytest.fixture(scope="module")
def counts():
    spec = CoherentSpec(seed=1, shape=(32, 32, 32), oversampling=(2.5, 2.5, 2.5), peak_counts=1e5)
    return measure(grow(spec), spec).counts


def fails(stack, match, parameters=None, **options):
    with pytest.raises(PreparationError, match=match) as error:
        prepare(stack, parameters or Phasing(), **options)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_a_clean_stack_is_taken_as_it_is(counts):
    pattern = prepare(counts, Phasing())
    np.testing.assert_array_equal(pattern.amplitude, np.sqrt(counts))
    assert not pattern.mask.any()
    assert pattern.scale == (1, 1, 1)
    assert pattern.notes == ()
    np.testing.assert_allclose(
        prepare(np.sqrt(counts), Phasing(input="amplitude")).amplitude, np.sqrt(counts)
    )


def test_what_is_not_measured_is_masked(counts):
    stack = counts.copy()
    stack[3, 4, 5], stack[6, 7, 8] = np.nan, -1
    drawn = np.zeros((32, 32), np.bool_)
    drawn[20] = True
    pattern = prepare(stack, Phasing(), drawn)
    assert pattern.mask[3, 4, 5]
    assert pattern.mask[6, 7, 8]
    assert pattern.mask[:, 20].all()
    assert pattern.mask.sum() == 2 + 32 * 32
    assert (pattern.amplitude[pattern.mask] == 0).all()


def test_hot_voxels_are_masked_and_said(counts):
    stack = counts.copy()
    stack[4, 25, 9] += 9000
    pattern = prepare(stack, Phasing())
    assert np.argwhere(pattern.mask).tolist() == [[4, 25, 9]]
    assert "1 hot" in pattern.notes[0]


def test_dark_and_flat(counts):
    flat = np.full((32, 32), 2.0)
    flat[:, 16:] = 1.0
    flat[3, 3] = 0
    dark = np.full((32, 32), 5.0)
    measured = counts * (flat / flat[flat > 0].mean()) + 5
    pattern = prepare(measured, Phasing(), dark=dark, flat=flat)
    good = ~pattern.mask
    assert pattern.mask[:, 3, 3].all()
    np.testing.assert_allclose(pattern.amplitude[good], np.sqrt(counts)[good], atol=0.02, rtol=1e-4)
    fails(counts, "dark is", dark=dark[:5])
    fails(counts, "flat field has no positive", flat=np.zeros((32, 32)))


def test_a_peak_off_the_middle_is_moved_there(counts):
    moved = np.zeros((40, 44, 32), np.float32)
    moved[0:32, 10:42, :] = counts
    pattern = prepare(moved, Phasing(crop=32))
    assert pattern.amplitude.shape == (32, 32, 32)
    np.testing.assert_array_equal(pattern.amplitude, np.sqrt(counts))
    assert pattern.scale == (40 / 32, 44 / 32, 1)  # a smaller piece of reciprocal space: larger voxels
    assert len(pattern.notes) == 2
    whole = prepare(moved, Phasing())
    assert np.unravel_index(whole.amplitude.argmax(), whole.amplitude.shape) == (20, 20, 16)
    assert whole.mask.mean() > 0.1  # what lies beyond the stack was not measured


def test_lengths_that_transform_slowly_are_cut(counts):
    odd = np.pad(counts, ((1, 0), (0, 2), (0, 1)))
    assert prepare(odd, Phasing()).amplitude.shape == (32, 32, 32)


def test_binning_sums_around_the_middle():
    spec = CoherentSpec(seed=1, shape=(32, 64, 32), oversampling=(2.5, 5.0, 2.5), peak_counts=1e5)
    counts = measure(grow(spec), spec).counts
    pattern = prepare(counts, Phasing(binning=(1, 2, 1)))
    assert pattern.amplitude.shape == (32, 32, 32)
    assert pattern.scale == (1, 1, 1)
    assert (pattern.amplitude**2).sum(dtype=float) == pytest.approx(counts.sum(dtype=float), rel=1e-5)
    assert np.unravel_index(pattern.amplitude.argmax(), (32, 32, 32)) == (16, 16, 16)
    counts[:, 10, :] = -1
    half = prepare(counts, Phasing(binning=(1, 2, 1)))
    assert half.mask.any(axis=(0, 2)).sum() == 1
    fails(counts, "leaves too few", Phasing(binning=(1, 16, 1)))


@pytest.mark.parametrize("factor", [1.8, 2.5, 4.0])
def test_oversampling_is_estimated(factor):
    found = []
    for seed in range(3):
        spec = CoherentSpec(seed=seed, shape=(48, 48, 48), oversampling=(factor,) * 3)
        found.append(oversampling(np.sqrt(measure(grow(spec), spec).counts)))
    np.testing.assert_allclose(np.mean(found, axis=0), factor, rtol=0.1)


def test_too_little_oversampling():
    spec = CoherentSpec(seed=0, shape=(48, 48, 48), oversampling=(2.5, 2.5, 1.3))
    fails(measure(grow(spec), spec).counts, r"oversampled only 1\.\d times along x")


def test_stacks_that_are_no_bragg_peak(counts):
    rng = np.random.default_rng(0)
    fails(counts[0], "3-D stack")
    fails(counts[:4], "3-D stack")
    fails(rng.poisson(100.0, (32, 32, 32)), "no Bragg peak")
    fails(np.zeros((32, 32, 32)), "no counts")
    fails(np.full((32, 32, 32), np.nan), "no counts")
    fails(np.roll(counts, 15, axis=0), "too near the end")


def test_saturated_middles(counts):
    fails(np.minimum(counts, 0.5 * counts.max()), "saturated")
    fails(counts, "saturated", Phasing(saturation=float(counts.max())))
    fails(np.sqrt(counts), "saturated", Phasing(input="amplitude", saturation=float(np.sqrt(counts.max()))))


def test_memory_grows_with_the_stack():
    assert memory_bytes((128, 128, 128)) < 1 << 30
    assert memory_bytes((4096, 4096, 4096)) > 1 << 40
