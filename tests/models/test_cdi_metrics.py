import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.cdi.alignment import aligned, shifted, twin_of
from braggscope.models.cdi.average import ensemble
from braggscope.models.cdi.fourier import diffract
from braggscope.models.cdi.metrics import (
    against_truth,
    agreement,
    compare_amplitudes,
    free_log_likelihood,
    transfer,
)
from braggscope.models.cdi.withheld import free_voxels, photon_unit

SHAPE = (20, 22, 24)
SHIFTS = st.tuples(*(st.integers(-5, 5) for _ in SHAPE))


def crystal(seed=0):
    """A lopsided block with a smooth phase."""
    z, y, x = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) // 2
    inside = (np.abs(z) < 4) & (np.abs(y) < 5) & (np.abs(x) < 5) & (z + y + x < 6) & (x - 2 * y < 8)
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(scale=0.02, size=3)
    return (inside * np.exp(1j * (a * z * y + b * x * x + c * x * z))).astype(np.complex64)


@given(shift=SHIFTS, offset=st.floats(-3, 3), twin=st.booleans(), scale=st.floats(0.1, 50))
def test_nothing_that_the_pattern_does_not_show_counts(shift, offset, twin, scale):
    truth = crystal()
    found = shifted(twin_of(truth) if twin else truth, shift) * np.complex64(scale * np.exp(1j * offset))
    amplitude = np.abs(diffract(truth))
    assert agreement(found, amplitude).chi < 1e-5
    assert agreement(found, amplitude).R < 1e-4
    result = against_truth(found, truth)
    assert result.phase_rms < 1e-3
    assert result.iou == 1
    assert result.twin == twin


@given(st.tuples(*(st.floats(-2, 2) for _ in SHAPE)))
def test_shifts_by_parts_of_a_voxel_are_taken_back(shift):
    z, y, x = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) // 2
    smooth = (np.exp(-(z**2 + y**2 + 1.5 * x**2) / 18) * np.exp(0.1j * x)).astype(np.complex64)
    back, _ = aligned(shifted(smooth, shift), smooth)
    assert np.linalg.norm(back - smooth) < 0.05 * np.linalg.norm(smooth)


def test_chi_and_R_by_their_formula():
    rng = np.random.default_rng(0)
    measured, computed = rng.random(SHAPE), rng.random(SHAPE)
    mask = rng.random(SHAPE) < 0.2
    fit = compare_amplitudes(computed, measured, mask)
    f, a = computed[~mask], measured[~mask]
    scale = (f @ a) / (f @ f)
    assert fit.scale == pytest.approx(scale)
    assert fit.chi == pytest.approx(np.linalg.norm(a - scale * f) / np.linalg.norm(a))
    assert pytest.approx(np.abs(a - scale * f).sum() / a.sum()) == fit.R
    for other in (0.9, 1.1):
        assert fit.chi < np.linalg.norm(a - other * scale * f) / np.linalg.norm(a)


def test_twin_has_the_same_pattern_and_is_its_own_inverse():
    obj = crystal(3)
    np.testing.assert_allclose(np.abs(diffract(twin_of(obj))), np.abs(diffract(obj)), atol=1e-4)
    np.testing.assert_array_equal(twin_of(twin_of(obj)), obj)


def test_free_likelihood_is_largest_for_the_truth():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 50, SHAPE)
    counts, free = rng.poisson(truth), rng.random(SHAPE) < 0.3
    right = free_log_likelihood(truth, counts, free)
    assert right == pytest.approx(-0.5, abs=0.1)  # half a degree of freedom per voxel
    for wrong in (1.2 * truth, 0.8 * truth, truth[::-1]):
        assert free_log_likelihood(wrong, counts, free) < right
    assert free_log_likelihood(counts, counts, free) == pytest.approx(0, abs=1e-3)


def test_transfer_function_falls_where_runs_disagree():
    obj = crystal()
    amplitude = np.abs(diffract(obj))
    whole = transfer(obj, amplitude)
    assert not whole.reached
    np.testing.assert_allclose(whole.prtf, 1, atol=1e-3)
    axes = np.meshgrid(*((np.arange(n) - n // 2) / n for n in SHAPE), indexing="ij")
    low = np.sqrt(sum(axis**2 for axis in axes)) < 0.25
    damped = np.fft.fftshift(np.fft.ifftn(np.fft.ifftshift(diffract(obj) * low), norm="ortho"))
    curve = transfer(damped, amplitude)
    assert curve.reached
    assert curve.resolution == pytest.approx(4.0, abs=0.3)


def test_an_ensemble_is_its_members_aligned():
    obj = crystal()
    members = [obj, shifted(obj, (2, -1, 3)) * np.complex64(1j), twin_of(obj) * np.complex64(3)]
    found = ensemble(members)
    np.testing.assert_allclose(np.abs(found.average), np.abs(obj), atol=1e-3)
    np.testing.assert_allclose(found.mode, obj, atol=1e-3)
    assert found.weight == pytest.approx(1, abs=1e-4)
    assert found.modulus_spread.max() < 1e-3
    noisy = ensemble([obj, obj * np.exp(0.2j * np.sign(np.indices(SHAPE)[2] - 12)).astype(np.complex64)])
    assert noisy.weight < 0.999
    assert noisy.phase_spread[np.abs(obj) > 0.5].mean() == pytest.approx(0.1, abs=0.03)
    assert (found.members, noisy.members) == (3, 2)
    another = ensemble([obj, np.roll(obj, 1, 0), np.abs(obj) * np.exp(1j * np.indices(SHAPE)[2] ** 2)])
    assert another.kept == (0, 1)  # the one that does not agree is left out
    np.testing.assert_allclose(np.abs(another.average), np.abs(obj), atol=1e-3)
    with pytest.raises(ValueError, match="no reconstruction"):
        ensemble([])


def test_withheld_voxels():
    rng = np.random.default_rng(0)
    amplitude = rng.random((40, 40, 40)).astype(np.float32)
    amplitude[20, 20, 20] = 1000
    mask = rng.random(amplitude.shape) < 0.1
    free = free_voxels(amplitude, 0.05, 3, mask)
    assert 0.03 < free.mean() < 0.06
    assert not (free & mask).any()
    assert not free[20, 20, 20]
    np.testing.assert_array_equal(free, free_voxels(amplitude, 0.05, 3, mask))
    assert (free != free_voxels(amplitude, 0.05, 4, mask)).any()
    assert not free_voxels(amplitude, 0.0, 0).any()


@pytest.mark.parametrize("scale", [1.0, 1e-6, 37.0])
def test_photons_are_found_in_scaled_counts(scale):
    counts = np.random.default_rng(0).poisson(3.0, 5000)
    assert photon_unit(counts * scale) == pytest.approx(scale)


def test_no_photons_in_continuous_values():
    values = np.random.default_rng(0).random(5000)
    assert photon_unit(values) == pytest.approx(1e-6 * values.max())
    assert photon_unit(1e5 * values) == 1.0
