import os
from pathlib import Path

import numpy as np
import pytest

from braggscope.models.cdi.alignment import twin_of
from braggscope.models.cdi.crystals import (
    SURFACE_CONTRACTION,
    Polyhedron,
    clipped,
    lattice,
    random_rotation,
    relax,
)
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.fourier import diffract

SMALL = {"shape": (32, 32, 32), "oversampling": (2.5, 2.5, 2.5)}


@pytest.mark.parametrize("planes", [4, 12, 20])
def test_polyhedra_are_closed_and_convex(planes):
    shape = clipped(np.random.default_rng(planes), planes)
    assert len(shape.distances) == planes + 6
    points = np.random.default_rng(0).uniform(-1.5, 1.5, (4000, 3))
    inside = points[shape.inside(points)]
    assert np.abs(inside).max() <= 1
    assert len(inside) > 50
    assert shape.inside((inside[::2][:20] + inside[1::2][:20]) / 2).all()


def test_density_is_the_share_of_a_voxel():
    half_space = Polyhedron(np.array([[1.0, 0, 0]]), np.array([0.0]))
    points = np.array([[-1.0, 0, 0], [-0.125, 0, 0], [0.0, 0, 0], [0.125, 0, 0], [1.0, 0, 0]])
    np.testing.assert_allclose(half_space.density(points, 0.5), [1, 0.75, 0.5, 0.25, 0])


def test_rotations_are_rotations():
    for seed in range(5):
        turn = random_rotation(np.random.default_rng(seed))
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)


def test_surface_stress_presses_a_crystal_together():
    sites = lattice([clipped(np.random.default_rng(0), 8), clipped(np.random.default_rng(1), 14)], 14)
    u = relax(sites)
    for displacement, here in zip(u, sites, strict=True):
        where = np.argwhere(here) - np.argwhere(here).mean(axis=0)
        values = displacement[:, here].T
        assert (displacement[:, ~here] == 0).all()
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-5)
        turning = np.cross(where, values).sum(axis=0)
        np.testing.assert_allclose(turning, 0, atol=1e-3 * np.abs(where).sum() * np.abs(values).max())
        assert (where * values).sum() < 0
    np.testing.assert_allclose(relax(sites, 2 * SURFACE_CONTRACTION), 2 * u, atol=2e-3)
    assert not relax(sites, 0.0).any()


def test_displacements_fit_relaxed_gold():
    """Displacements of atoms relaxed with an embedded-atom potential: the same size, and the same pattern."""
    folder = os.environ.get("BRAGGSCOPE_TEST_DATA")
    path = Path(folder or ".") / "cdi" / "lammps_relaxed_gold_6nm_6718atoms.npz"
    if not path.exists():
        pytest.skip("needs cdi/lammps_relaxed_gold_6nm_6718atoms.npz in the folder BRAGGSCOPE_TEST_DATA")
    with np.load(path) as file:
        reference, relaxed = file["ref"], file["x"]
    index = np.rint(reference / 2.04).astype(int)
    index -= index.min(axis=0) - 1
    sites = np.zeros((1, *(index.max(axis=0) + 2)), np.bool_)
    sites[0][tuple(index.T)] = True
    ours = relax(sites)[0][(slice(None), *index.T)].T * 2.04
    moved = relaxed - reference
    moved -= moved.mean(axis=0)
    assert (moved * ours).sum() / (ours**2).sum() == pytest.approx(1, abs=0.1)
    assert (moved * ours).sum() / np.linalg.norm(moved) / np.linalg.norm(ours) > 0.8


def test_the_same_seed_gives_the_same_pattern():
    a, b, other = (CoherentSpec(seed=seed, **SMALL) for seed in (4, 4, 5))
    np.testing.assert_array_equal(grow(a).obj, grow(b).obj)
    np.testing.assert_array_equal(measure(grow(a), a).counts, measure(grow(b), b).counts)
    assert (measure(grow(a), a).counts != measure(grow(other), other).counts).any()


def test_what_is_asked_for_is_there():
    spec = CoherentSpec(
        seed=2, shape=(32, 32, 40), oversampling=(2.0, 2.5, 3.0), peak_counts=1e5, background=2.0, gap_px=2
    )
    crystal = grow(spec)
    pattern = measure(crystal, spec)
    extent = np.ptp(np.argwhere(crystal.support), axis=0) + 1
    np.testing.assert_allclose(np.array(spec.shape) / extent, spec.oversampling, rtol=0.15)
    np.testing.assert_allclose((extent * crystal.voxel_nm).max(), spec.size_nm, rtol=0.15)
    assert pattern.expected.max() == pytest.approx(1e5, rel=1e-3)
    assert pattern.expected.min() >= 2.0
    assert np.unravel_index(pattern.expected.argmax(), spec.shape) == (16, 16, 20)
    assert (pattern.counts[pattern.mask] == -1).all()
    assert pattern.mask.any(axis=0).sum() == 2 * 32 + 2 * 40 - 4
    pull = (pattern.counts - pattern.expected)[~pattern.mask] / np.sqrt(pattern.expected[~pattern.mask])
    assert pull.std() == pytest.approx(1, abs=0.02)
    assert np.linalg.norm(crystal.q_inv_angstrom) == pytest.approx(2.6677)


def test_phase_is_minus_q_times_displacement():
    crystal = grow(CoherentSpec(seed=1, **SMALL))
    q = np.linalg.norm(crystal.q_inv_angstrom)
    phasor = crystal.obj[crystal.support] * np.exp(1j * q * crystal.displacement_angstrom[crystal.support])
    assert np.isnan(crystal.displacement_angstrom[~crystal.support]).all()
    # what is left is the ramp that puts the peak on the middle voxel, less than a voxel of the pattern
    places = np.argwhere(crystal.support)
    design = np.column_stack([places - places.mean(axis=0), np.ones(len(places))])
    turn = np.unwrap(np.angle(phasor / phasor.mean()))
    fit = np.linalg.lstsq(design, turn, rcond=None)[0]
    assert np.abs(turn - design @ fit).max() < 1e-3
    assert np.abs(fit[:3] * 32 / (2 * np.pi)).max() < 1.01


def test_strain_is_the_slope_of_the_displacement():
    crystal = grow(CoherentSpec(seed=3, strain_rms=1e-3, **SMALL))
    direction = crystal.q_inv_angstrom / np.linalg.norm(crystal.q_inv_angstrom)
    slopes = np.gradient(crystal.displacement_angstrom, *(10 * crystal.voxel_nm))
    slope = sum(d * s for d, s in zip(direction, slopes, strict=True))
    inner = np.isfinite(slope)
    difference = (slope - crystal.strain)[inner]
    assert difference.std() < 1e-6
    assert crystal.strain[inner].std() > 3e-4


def test_a_stretched_crystal_scatters_at_a_smaller_q():
    crystal = grow(CoherentSpec(seed=3, **SMALL))
    direction = crystal.q_inv_angstrom / np.linalg.norm(crystal.q_inv_angstrom)
    places = np.indices(crystal.obj.shape) - 16
    along = sum(10 * v * d * axis for v, d, axis in zip(crystal.voxel_nm, direction, places, strict=True))
    stretched = np.abs(crystal.obj) * np.exp(-1j * np.linalg.norm(crystal.q_inv_angstrom) * 2e-3 * along)
    intensity = np.abs(diffract(stretched)) ** 2
    middle = np.array([(intensity * axis).sum() for axis in places]) / intensity.sum()
    per_voxel = 2 * np.pi / (32 * 10 * crystal.voxel_nm)  # 1/angstrom
    moved = float((middle * per_voxel) @ direction)
    assert moved == pytest.approx(-2e-3 * np.linalg.norm(crystal.q_inv_angstrom), rel=0.2)


@pytest.mark.parametrize(
    "extra", [{"inclusion": 2e-3}, {"dislocation": True}, {"coherence": (0.6, 0.6, 0.6)}]
)
def test_defects_and_coherence_change_the_pattern(extra):
    plain = CoherentSpec(seed=6, **SMALL)
    changed = CoherentSpec(seed=6, **SMALL, **extra)
    a, b = grow(plain), grow(changed)
    if "coherence" in extra:
        np.testing.assert_array_equal(a.obj, b.obj)
        darkest = [np.quantile(measure(c, s).expected, 0.01) for c, s in ((a, plain), (b, changed))]
        assert darkest[1] > 2 * darkest[0]
    else:
        np.testing.assert_array_equal(a.support, b.support)
        assert np.nanstd(b.displacement_angstrom) > 1.3 * np.nanstd(a.displacement_angstrom)
    change = measure(b, changed).expected - measure(a, plain).expected
    assert np.linalg.norm(change) > 0.02 * np.linalg.norm(measure(a, plain).expected)


def test_twins_cannot_be_told_apart_by_the_pattern():
    crystal = grow(CoherentSpec(seed=7, **SMALL))
    np.testing.assert_allclose(
        np.abs(diffract(twin_of(crystal.obj))), np.abs(diffract(crystal.obj)), atol=1e-3
    )


def test_impossible_specs_are_refused():
    for wrong in ({"shape": (8, 8, 8)}, {"oversampling": (1.0, 2, 2)}, {"peak_counts": 0.0}):
        with pytest.raises(ValueError, match="coherent pattern"):
            CoherentSpec(**wrong)
