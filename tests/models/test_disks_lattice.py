"""Lattices: found in the data, indexed, fitted with errors; and where there is none, it is said."""

from dataclasses import replace

import numpy as np
import pytest
from disks_scene import EDGE, RADIUS, A, B, draw
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.disks.bragg_map import bragg_map
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.lattice import fit_lattices, index, propose
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.results import Disks, Lattice

SHAPE = (192, 192)


def points(n=40, sigma=0.05, seed=0, a=A, b=B, reach=3, wander=1.0, extra=0.0, known=True):
    """Disks of n patterns with lattices (n, 6); ``extra`` px of scatter that no error states."""
    rng = np.random.default_rng(seed)
    h, k = (v.ravel() for v in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    shape = np.concatenate(([96.0, 96.0], a, b))
    lattices = shape + rng.normal(0, 1, (n, 6)) * [wander, wander, 0.3, 0.3, 0.3, 0.3]
    err = sigma * rng.uniform(0.3, 2, (n, len(h)))
    place = lattices[:, None, :2] + h[:, None] * lattices[:, None, 2:4] + k[:, None] * lattices[:, None, 4:]
    scatter = np.hypot(err, extra)[..., None]
    place = place + rng.normal(0, 1, place.shape) * scatter
    light = np.tile(np.where((h == 0) & (k == 0), 50.0, 5.0), n)
    said = err.ravel() if known else np.full(err.size, np.nan)
    pattern = np.repeat(np.arange(n), len(h))
    return Disks(pattern, *place.reshape(-1, 2).T, said, said.copy(), light, light.copy()), lattices


def as_lattice(six):
    return Lattice(tuple(six[:2]), tuple(six[2:4]), tuple(six[4:]))


@given(
    length=st.floats(12, 30),
    ratio=st.floats(1, 1.7),
    between=st.floats(1.0, np.pi / 2),
    turn=st.floats(0, 2 * np.pi),
)
def test_any_lattice_is_proposed_reduced_and_oriented(length, ratio, between, turn):
    a = length * np.array([np.cos(turn), np.sin(turn)])
    b = ratio * length * np.array([np.cos(turn + between), np.sin(turn + between)])
    disks, _ = points(30, a=a, b=b)
    found = propose(disks, SHAPE)
    whole = np.linalg.solve(np.column_stack((a, b)), found.matrix)
    np.testing.assert_allclose(whole, np.round(whole), atol=0.03)
    assert np.linalg.det(found.matrix) == pytest.approx(abs(np.linalg.det(np.column_stack((a, b)))), rel=0.03)
    assert abs(np.arctan2(found.a[1], found.a[0])) <= np.pi / 2
    assert np.hypot(found.origin[0] - 96, found.origin[1] - 96) < 1.0


def test_found_disks_propose_the_lattice_and_noise_among_them_does_not_matter():
    scene = draw(12, dose=1e5)
    probe = synthetic_probe(RADIUS, EDGE, 31)
    disks = Correlator(probe, SHAPE, Strain()).find(scene.patterns)
    found = propose(disks, SHAPE)
    np.testing.assert_allclose(found.matrix, np.column_stack((A, B)), atol=0.4)
    rng = np.random.default_rng(0)
    third = rng.random(len(disks)) < 0.25
    x, y = (np.where(third, rng.uniform(0, 192, len(disks)), v) for v in (disks.x, disks.y))
    np.testing.assert_allclose(propose(replace(disks, x=x, y=y), SHAPE).matrix, found.matrix, atol=0.4)


def test_no_lattice_is_said():
    disks, _ = points()
    single = disks.take(np.unique(disks.pattern, return_index=True)[1])
    for few in (single, Disks.empty()):
        with pytest.raises(ValueError, match="one disk or none"):
            propose(few, SHAPE)
    rng = np.random.default_rng(0)
    random = replace(disks, x=rng.uniform(0, 192, len(disks)), y=rng.uniform(0, 192, len(disks)))
    with pytest.raises(ValueError, match="no two directions"):
        propose(random, SHAPE)
    row = disks.take(np.tile(np.repeat([True, False], [7, 42]), 40))
    with pytest.raises(ValueError, match="one line"):
        propose(row, SHAPE)


def test_indices_are_whole_and_strangers_are_left_out():
    disks, lattices = points(1)
    disks.x[5] += 0.4 * A[0]
    h, k, used = index(disks, as_lattice(lattices[0]), 0.25)
    np.testing.assert_array_equal(h, np.mgrid[-3:4, -3:4][0].ravel())
    assert list(np.flatnonzero(~used)) == [5]
    assert k.dtype == np.int64
    assert len(index(Disks.empty(), as_lattice(lattices[0]), 0.25)[0]) == 0


@pytest.mark.parametrize("weights", ["uniform", "variance", "robust"])
@pytest.mark.parametrize("extra", [0.0, 0.1])
def test_fits_find_the_lattices_with_honest_errors(weights, extra):
    disks, truth = points(300, extra=extra)
    found = fit_lattices(disks, 300, Lattice((96, 96), tuple(A), tuple(B)), Strain(weights=weights))
    assert found.valid.all()
    pull = (found.values - truth) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert 0.92 < np.std(pull) < (1.1 if weights != "robust" else 1.15)
    assert (found.count == 49).all()


def test_errors_that_the_disks_of_a_pattern_share_are_in_the_covariance():
    part, count = 0.08, 49
    disks, truth = points(300, sigma=0.0)
    rng = np.random.default_rng(4)
    h, k = (v.ravel() / 2.0 for v in np.mgrid[-3:4, -3:4])  # rms 1
    moved = []
    for _ in "xy":
        common = rng.normal(0, 1, (3, 300, 1))
        own = rng.normal(0, np.sqrt(1 - 3 * part), (300, count))
        moved.append(0.05 * (own + np.sqrt(part) * (common[0] + h * common[1] + k * common[2])).ravel())
    said = np.full(len(disks), 0.05)
    some = replace(disks, x=disks.x + moved[0], y=disks.y + moved[1], x_err=said, y_err=said)
    start = Lattice((96, 96), tuple(A), tuple(B))
    pulls = []
    for shared in (0.0, part):
        found = fit_lattices(some, 300, start, Strain(weights="variance"), shared=shared)
        pulls.append(
            float(np.std((found.values - truth) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))))
        )
    assert pulls[0] > 2
    assert 0.9 < pulls[1] < 1.15


def test_weights_by_variance_beat_uniform_ones_and_robust_ones_bear_strangers():
    disks, truth = points(200)
    start = Lattice((96, 96), tuple(A), tuple(B))

    def rms(some, weights):
        fitted = fit_lattices(some, 200, start, Strain(weights=weights)).values
        return np.sqrt(np.mean((fitted - truth)[:, 2:] ** 2))

    assert rms(disks, "variance") < 0.75 * rms(disks, "uniform")
    rng = np.random.default_rng(1)
    off = np.where(rng.random(len(disks)) < 0.1, 2.5, 0.0)
    shifted = replace(disks, x=disks.x + off * rng.choice([-1, 1], len(disks)))
    assert rms(shifted, "robust") < 0.4 * rms(shifted, "variance")
    assert rms(shifted, "robust") < 1.3 * rms(disks, "robust")


def test_methods_without_errors_are_fitted_too():
    disks, truth = points(100, known=False)
    found = fit_lattices(disks, 100, Lattice((96, 96), tuple(A), tuple(B)), Strain())
    pull = (found.values - truth) / np.sqrt(np.diagonal(found.covariance, axis1=1, axis2=2))
    assert 0.8 < np.std(pull) < 1.3


def test_an_origin_that_wanders_is_followed():
    disks, truth = points(50, wander=4.0)
    found = fit_lattices(disks, 50, Lattice((96, 96), tuple(A), tuple(B)), Strain())
    np.testing.assert_allclose(found.values[:, :2], truth[:, :2], atol=0.1)
    shifted = replace(disks, x=disks.x + 30.0)
    begin = truth[:, :2] + (30.0, 0.0)
    again = fit_lattices(shifted, 50, Lattice((96, 96), tuple(A), tuple(B)), Strain(), begin)
    np.testing.assert_allclose(again.values[:, 0] - 30, found.values[:, 0], atol=1e-6)


def test_few_disks_or_disks_on_one_line_are_no_lattice():
    disks, _ = points(4)
    per = 49
    keep = np.ones(4 * per, np.bool_)
    keep[per + 4 : 2 * per] = False  # four disks
    keep[2 * per : 3 * per] = np.arange(per) % 7 == 3  # one line
    keep[3 * per :] = False  # none
    found = fit_lattices(disks.take(keep), 4, Lattice((96, 96), tuple(A), tuple(B)), Strain())
    assert list(found.valid) == [True, False, False, False]
    assert np.isfinite(found.values[0]).all()
    for array in (found.values, found.covariance, found.residual):
        assert np.isnan(array[1:]).all()
    assert list(found.count) == [49, 4, 7, 0]


def test_two_disks_of_one_index_count_once():
    disks, truth = points(1)
    twin = Disks.join([disks, replace(disks.take(slice(10, 11)), x=disks.x[10:11] + 3.0)])
    found = fit_lattices(twin, 1, Lattice((96, 96), tuple(A), tuple(B)), Strain(weights="uniform"))
    assert found.count[0] == 49
    np.testing.assert_allclose(found.values[0], truth[0], atol=0.1)


def test_the_map_adds_disks_at_their_places_and_undoes_a_wandering_origin():
    disks, truth = points(60, wander=3.0, reach=2)
    image = bragg_map(disks, SHAPE)
    assert image.sum() == pytest.approx(disks.intensity.sum(), rel=1e-5)
    sharp = bragg_map(disks, SHAPE, truth[:, :2], np.ones(len(disks)))
    blurred = bragg_map(disks, SHAPE, weights=np.ones(len(disks)))
    assert sharp.max() > 3 * blurred.max()
    found = fit_lattices(disks, 60, Lattice((96, 96), tuple(A), tuple(B)), Strain())
    assert bragg_map(disks, SHAPE, found).max() > 3 * image.max() / 2
