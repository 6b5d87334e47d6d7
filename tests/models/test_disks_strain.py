"""Finite strain: exact for known deformations, errors by Monte Carlo, frames, references, differences."""

import numpy as np
import pytest
from disks_scene import EDGE, RADIUS, deformation, draw
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.lattice import fit_lattices, propose
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.results import Lattice, LatticeMap
from braggscope.models.disks.strain import difference, reference_lattice, rotate_frame, strain_map

REFERENCE = Lattice((64.0, 64.0), (20.0, 2.0), (-5.0, 24.0))
NAMES = ("exx", "eyy", "exy", "theta")
small = st.floats(-0.08, 0.08)


def lattices(g, sigma=0.01):
    """A map of lattices with reciprocal vectors (N, 2, 2) as columns."""
    g = np.asarray(g).reshape(-1, 2, 2)
    n = len(g)
    values = np.column_stack((np.full((n, 2), 64.0), g[:, :, 0], g[:, :, 1]))
    covariance = np.broadcast_to(np.eye(6) * sigma**2, (n, 6, 6)).copy()
    return LatticeMap(values, covariance, np.zeros(n), np.full(n, 20), np.ones(n, np.bool_))


def deformed(exx, eyy, exy, theta):
    return np.linalg.inv(deformation(exx, eyy, exy, theta)).T @ REFERENCE.matrix


@given(exx=small, eyy=small, exy=small, theta=st.floats(-0.3, 0.3))
def test_known_deformations_come_out_exactly(exx, eyy, exy, theta):
    found = strain_map(lattices(deformed(exx, eyy, exy, theta)), (1, 1), REFERENCE)
    got = [float(getattr(found, name)[0, 0]) for name in NAMES]
    np.testing.assert_allclose(got, (exx, eyy, exy, theta), atol=2e-7)


def test_signs_are_those_of_real_space():
    """Longer along x in real space: shorter in reciprocal space; a turn from x to y is positive."""
    wide = np.diag([0.98, 1.0]) @ REFERENCE.matrix
    assert strain_map(lattices(wide), (1, 1), REFERENCE).exx[0, 0] == pytest.approx(1 / 0.98 - 1, abs=1e-6)
    c, s = np.cos(0.1), np.sin(0.1)
    turned = np.array([[c, -s], [s, c]]) @ REFERENCE.matrix
    assert strain_map(lattices(turned), (1, 1), REFERENCE).theta[0, 0] == pytest.approx(0.1, abs=1e-6)


@given(exx=small, eyy=small, exy=small, frame=st.floats(-3, 3))
def test_a_frame_turns_the_axes(exx, eyy, exy, frame):
    found = strain_map(lattices(deformed(exx, eyy, exy, 0.05)), (1, 1), REFERENCE, frame)
    along = np.array([np.cos(frame), np.sin(frame)])
    across = np.array([-along[1], along[0]])
    tensor = np.array([[exx, exy], [exy, eyy]])
    assert found.exx[0, 0] == pytest.approx(along @ tensor @ along, abs=2e-7)
    assert found.exy[0, 0] == pytest.approx(along @ tensor @ across, abs=2e-7)
    plain = strain_map(lattices(deformed(exx, eyy, exy, 0.05)), (1, 1), REFERENCE)
    other = rotate_frame(plain, frame)
    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name), getattr(found, name), atol=2e-7)
    assert other.frame == found.frame


@pytest.mark.parametrize("frame", [0.0, 0.8])
def test_errors_are_those_of_a_monte_carlo(frame):
    rng = np.random.default_rng(0)
    root = rng.normal(0, 0.03, (6, 6))
    covariance = root @ root.T
    values = np.concatenate(([64, 64], deformed(0.03, -0.02, 0.015, 0.1).T.ravel()))
    one = LatticeMap(values[None], covariance[None], np.zeros(1), np.full(1, 9), np.ones(1, np.bool_))
    said = strain_map(one, (1, 1), REFERENCE, frame)
    drawn_g = rng.multivariate_normal(values, covariance, 20000)[:, 2:].reshape(-1, 2, 2).transpose(0, 2, 1)
    many = strain_map(lattices(drawn_g), (100, 200), REFERENCE, frame)
    for name in NAMES:
        spread = float(np.std(getattr(many, name)))
        assert float(getattr(said, f"{name}_err")[0, 0]) == pytest.approx(spread, rel=0.04)


def test_what_is_not_valid_is_nan():
    two = lattices(np.stack((deformed(0.01, 0, 0, 0), np.full((2, 2), np.nan))))
    two.valid[1] = False
    found = strain_map(two, (1, 2), REFERENCE)
    assert list(found.valid[0]) == [True, False]
    for name in (*NAMES, *(f"{n}_err" for n in NAMES)):
        assert list(np.isfinite(getattr(found, name)[0])) == [True, False]
        assert getattr(found, name).dtype == np.float32


def test_the_reference_is_the_median_of_a_region():
    strains = np.zeros((12, 4))
    strains[6:, 0] = 0.05
    scan = lattices(np.stack([deformed(*s) for s in strains]))
    scan.valid[0] = False
    scan.values[0] = np.nan
    first = reference_lattice(scan, (4, 3), (0, 2, 0, 3))
    np.testing.assert_allclose(first.matrix, REFERENCE.matrix)
    found = strain_map(scan, (4, 3), first)
    np.testing.assert_allclose(found.exx[2:], 0.05, atol=1e-6)
    with pytest.raises(ValueError, match="in the reference region"):
        reference_lattice(scan, (4, 3), (0, 1, 0, 1))
    scan.valid[:] = False
    with pytest.raises(ValueError, match="in the scan"):
        reference_lattice(scan, (4, 3))


def test_differences_are_taken_in_one_frame():
    first = strain_map(lattices(deformed(0.03, 0.01, 0.002, 0.02)), (1, 1), REFERENCE)
    second = strain_map(lattices(deformed(0.01, 0.02, 0.001, 0.01)), (1, 1), REFERENCE, 0.4)
    gap = difference(first, second)
    np.testing.assert_allclose(
        [gap.exx[0, 0], gap.eyy[0, 0], gap.exy[0, 0], gap.theta[0, 0]], [0.02, -0.01, 0.001, 0.01], atol=1e-6
    )
    assert gap.exx_err[0, 0] > first.exx_err[0, 0]
    with pytest.raises(ValueError, match="one scan"):
        difference(first, strain_map(lattices(np.stack([REFERENCE.matrix] * 2)), (1, 2), REFERENCE))


def test_nonsense_is_said():
    scan = lattices(np.stack([REFERENCE.matrix] * 4))
    with pytest.raises(ValueError, match="3 x 2 positions"):
        strain_map(scan, (3, 2), REFERENCE)
    with pytest.raises(ValueError, match="parallel"):
        strain_map(scan, (2, 2), Lattice((0, 0), (1.0, 2.0), (2.0, 4.0)))


@pytest.mark.parametrize(
    ("modulation", "dose", "limit"), [(0.0, 3e5, 3e-4), (0.5, 3e5, 4e-4), (0.0, 2e4, 1.2e-3)]
)
def test_from_patterns_to_strain_with_honest_errors(modulation, dose, limit):
    scene = draw(30, modulation, dose, seed=3)
    disks = Correlator(synthetic_probe(RADIUS, EDGE, 31), (192, 192), Strain()).find(scene.patterns)
    lattice = propose(disks, (192, 192))
    found = fit_lattices(disks, 30, lattice, Strain())
    whole = np.round(np.linalg.solve(scene.reference.matrix, lattice.matrix))
    a, b = (scene.reference.matrix @ whole).T
    strain = strain_map(found, (5, 6), Lattice(lattice.origin, tuple(a), tuple(b)))
    assert strain.valid.all()
    pulls = []
    for name, truth in zip(NAMES, scene.strain.T, strict=True):
        off = getattr(strain, name).ravel() - truth
        assert np.sqrt(np.mean(off**2)) < limit
        pulls.append(off / getattr(strain, f"{name}_err").ravel())
    assert 0.75 < np.std(pulls) < 1.3
