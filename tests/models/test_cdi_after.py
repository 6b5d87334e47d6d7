import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.cdi.after import bring_into_order, strain_along
from braggscope.models.cdi.alignment import twin_of
from braggscope.models.cdi.unwrap import unwrap

SHAPE = (24, 26, 28)
Z, Y, X = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) // 2
SUPPORT = (np.abs(Z) < 6) & (np.abs(Y) < 7) & (np.abs(X) < 7) & (Z + Y + X < 8) & (Z - X < 7)


@given(st.tuples(*(st.floats(-2.5, 2.5) for _ in range(3))), st.floats(-0.15, 0.15))
def test_ramps_of_many_turns_are_unwrapped(slope, bend):
    phase = slope[0] * Z + slope[1] * Y + slope[2] * X + bend * Z * X / 3
    found = unwrap(np.angle(np.exp(1j * phase)), SUPPORT)
    assert np.isnan(found[~SUPPORT]).all()
    difference = (found - phase)[SUPPORT]
    assert np.ptp(difference) < 1e-3
    turns = difference / (2 * np.pi)
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-3)


def test_noise_outside_the_support_does_no_harm():
    rng = np.random.default_rng(0)
    phase = np.where(SUPPORT, 1.2 * Z, rng.uniform(-np.pi, np.pi, SHAPE))
    assert np.ptp((unwrap(np.angle(np.exp(1j * phase)), SUPPORT) - phase)[SUPPORT]) < 1e-3


def test_separate_parts_are_unwrapped_on_their_own():
    two = np.zeros(SHAPE, np.bool_)
    two[2:8, 5:20, 5:20] = two[14:20, 5:20, 5:20] = True
    phase = 2.0 * Y
    found = unwrap(np.angle(np.exp(1j * phase)), two)
    for part in (slice(2, 8), slice(14, 20)):
        assert np.ptp((found - phase)[part, 5:20, 5:20]) < 1e-3


def test_order_takes_out_shift_twin_ramp_and_offset():
    weak = 0.02 * Z * X
    clean = (SUPPORT * np.exp(1j * weak)).astype(np.complex64)
    reference = bring_into_order(clean, SUPPORT)
    tilted = clean * np.exp(1j * (0.9 * Y - 0.4 * Z + 1.3)).astype(np.complex64)
    for obj, support in (
        (np.roll(tilted, (3, -11, 9), (0, 1, 2)), np.roll(SUPPORT, (3, -11, 9), (0, 1, 2))),
        (twin_of(tilted), twin_of(SUPPORT).astype(bool)),
    ):
        found = bring_into_order(obj, support)
        np.testing.assert_array_equal(found.support, reference.support)
        inside = found.support
        np.testing.assert_allclose(found.phase[inside], reference.phase[inside], atol=2e-3)
        np.testing.assert_allclose(found.obj[inside], reference.obj[inside], atol=2e-3)
    assert bring_into_order(twin_of(tilted), twin_of(SUPPORT).astype(bool)).twin != reference.twin


def test_small_islands_are_left_out():
    support = SUPPORT.copy()
    support[0, 0, 0] = True
    assert bring_into_order(support.astype(np.complex64), support).support.sum() == SUPPORT.sum()


def crystal(strain, q, voxel):
    """Homogeneously strained along q: u = strain (r . q) q / |q|^2 along q, phase = -Q . u."""
    q = np.array(q)
    along = sum(10 * v * c * axis for v, c, axis in zip(voxel, q / np.linalg.norm(q), (Z, Y, X), strict=True))
    return (SUPPORT * np.exp(-1j * np.linalg.norm(q) * strain * along)).astype(np.complex64)


@pytest.mark.parametrize("q", [(2.6, 0.0, 0.0), (1.0, -2.0, 1.5)])
def test_strain_of_a_stretched_crystal_is_positive_everywhere(q):
    from braggscope.models.cdi.after import Shape

    voxel, strain = (6.0, 7.0, 8.0), 3e-3  # several turns over the crystal
    obj = crystal(strain, q, voxel)
    shape = Shape(obj, SUPPORT, unwrap(np.angle(obj), SUPPORT), False, (0, 0, 0))
    found = strain_along(shape, q, voxel)
    known = np.isfinite(found.strain)
    assert np.count_nonzero(SUPPORT & ~known) < 5  # corners without a neighbour along an axis
    np.testing.assert_allclose(found.strain[known], strain, rtol=1e-3)
    assert np.isnan(found.strain[~SUPPORT]).all()
    assert (found.surface & ~SUPPORT).sum() == 0
    assert 0.3 < found.surface.sum() / SUPPORT.sum() < 0.7
    direction = np.array(q) / np.linalg.norm(q)
    slopes = np.gradient(found.displacement_angstrom, *(10 * np.array(voxel)))
    slope = sum(d * s for d, s in zip(direction, slopes, strict=True))
    np.testing.assert_allclose(slope[12, 13, 14], strain, rtol=1e-3)


def test_strain_survives_the_jump_behind_a_dislocation():
    from braggscope.models.cdi.after import Shape

    angle = np.arctan2(Y + 0.5, X + 0.5)
    obj = (SUPPORT * np.exp(1j * angle)).astype(np.complex64)
    shape = Shape(obj, SUPPORT, unwrap(angle, SUPPORT), False, (0, 0, 0))
    found = strain_along(shape, (0.0, 2.0, 0.0), (5.0, 5.0, 5.0))
    far = SUPPORT & (np.hypot(Y + 0.5, X + 0.5) > 3)
    expected = -((X + 0.5) / ((X + 0.5) ** 2 + (Y + 0.5) ** 2)) / (50 * 2.0)
    assert np.abs((found.strain - expected)[far & ~found.surface]).max() < 2e-3 / 10
    assert np.nanmax(np.abs(found.strain[far])) < np.pi / (50 * 2.0) / 4  # no turn was taken for strain


def test_a_scattering_vector_is_needed():
    shape = bring_into_order(SUPPORT.astype(np.complex64), SUPPORT)
    with pytest.raises(ValueError, match="scattering vector"):
        strain_along(shape, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def test_bringing_into_order_can_be_stopped_at_every_step():
    calls = []
    bring_into_order(SUPPORT.astype(np.complex64), SUPPORT, lambda: calls.append(1))
    assert len(calls) >= 6
    for last in range(1, len(calls) + 1):
        left = iter(range(last - 1))
        with pytest.raises(StopIteration):
            bring_into_order(SUPPORT.astype(np.complex64), SUPPORT, lambda left=left: next(left))
