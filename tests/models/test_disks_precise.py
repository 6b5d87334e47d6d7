"""The precise lattice fit against simulated truth, the bound, and bad input."""

import numpy as np
import pytest
from scipy import special

from braggscope.models.disks import precise
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.precise import LatticeFit
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.disks.results import Lattice

SIZE, RADIUS, SIGMA = 128, 5.0, 0.6
BASE = np.array([63.3, 64.2, 21.0, 2.0, -3.0, 22.0])
COMMON = Lattice((63.3, 64.2), (21.0, 2.0), (-3.0, 22.0))
PROBE = synthetic_probe(RADIUS, SIGMA * 2.563, 25)


def height(lattice, size=SIZE, slopes=None, radius=RADIUS, fall=35.0):
    """Counts of one electron: disks whose insides slope as told, brightness falling outwards."""
    y, x = np.mgrid[:size, :size].astype(float)
    out = np.full((size, size), 1e-3)
    for h in range(-4, 5):
        for k in range(-4, 5):
            cx, cy = lattice[:2] + h * lattice[2:4] + k * lattice[4:6]
            far = np.hypot(x - cx, y - cy)
            inside = np.exp(-np.hypot(cx - lattice[0], cy - lattice[1]) / fall)
            if slopes is not None:
                u, v = slopes[h + 4, k + 4]
                inside = inside * np.clip(1 + u * (x - cx) / radius + v * (y - cy) / radius, 0, None)
            out += inside * 0.5 * special.erfc((far - radius) / (np.sqrt(2) * SIGMA))
    return out / out.sum()


def scene(count, dose=2e5, modulation=0.0, strain=0.01, seed=0, **kw):
    rng = np.random.default_rng(seed)
    lattices, patterns = [], []
    for _ in range(count):
        lattice = BASE.copy()
        matrix = np.eye(2) + rng.uniform(-strain, strain, (2, 2))
        lattice[2:4], lattice[4:6] = matrix @ BASE[2:4], matrix @ BASE[4:6]
        lattice[:2] += rng.uniform(-0.5, 0.5, 2)
        slopes = rng.uniform(-1, 1, (9, 9, 2)) * modulation if modulation else None
        patterns.append(rng.poisson(dose * height(lattice, slopes=slopes, **kw)))
        lattices.append(lattice)
    return np.array(patterns, np.float32), np.array(lattices)


def fit_of(mask=None, probe=PROBE, shape=(SIZE, SIZE), **kw):
    return LatticeFit(probe, shape, Strain(**kw), mask)


def bound(lattice, dose):
    """(6, 6) least covariance for flat disks of known edge; heights and background unknown."""
    step, flat = 1e-3, height(lattice)
    rows = []
    for k in range(6):
        more, less = lattice.copy(), lattice.copy()
        more[k] += step
        less[k] -= step
        rows.append((height(more) - height(less)).ravel() / (2 * step))
    y, x = np.mgrid[:SIZE, :SIZE]
    for h in range(-4, 5):
        for k in range(-4, 5):
            cx, cy = lattice[:2] + h * lattice[2:4] + k * lattice[4:6]
            if 0 < cx < SIZE and 0 < cy < SIZE:
                far = np.hypot(x - cx, y - cy)
                rows.append(0.5 * special.erfc((far - RADIUS) / (np.sqrt(2) * SIGMA)).ravel())
    rows.append(np.ones(SIZE * SIZE))
    jacobian = np.array(rows)
    fisher = dose * jacobian / flat.ravel() @ jacobian.T
    fisher[:6, 6:] /= dose
    fisher[6:, :6] /= dose
    fisher[6:, 6:] /= dose**2
    scale = 1 / np.sqrt(np.diag(fisher))
    return (np.linalg.inv(fisher * scale[:, None] * scale) * scale[:, None] * scale)[:6, :6]


def pulls(found, truth):
    off = found.values - truth
    return np.sqrt(np.mean(np.einsum("ni,nij,nj->n", off, np.linalg.inv(found.covariance), off) / 6))


def test_reaches_the_bound_on_flat_disks():
    patterns, truth = scene(32)
    found = fit_of().fit(patterns, COMMON)
    assert found.valid.all()
    least = np.sqrt(np.mean([np.diag(bound(one, 2e5)) for one in truth[:4]], axis=0))
    rms = np.sqrt(np.mean((found.values - truth) ** 2, axis=0))
    assert np.sqrt(np.mean((rms / least) ** 2)) < 1.7
    assert 0.8 < pulls(found, truth) < 1.25


def test_slopes_inside_the_disks_do_not_move_the_lattice():
    patterns, truth = scene(24, modulation=0.8)
    found = fit_of().fit(patterns, COMMON)
    assert np.sqrt(np.mean((found.values - truth)[:, 2:] ** 2)) < 0.02
    assert pulls(found, truth) < 1.6


def test_finds_strained_lattices_from_a_common_start():
    patterns, truth = scene(12, strain=0.05, seed=3)
    found = fit_of().fit(patterns, COMMON)
    assert np.abs(found.values - truth).max() < 0.1


def test_does_not_depend_on_the_start():
    patterns, truth = scene(6)
    fit = fit_of()
    shifts = np.random.default_rng(1).normal(size=(6, 6)) * (0.3, 0.3, 0.08, 0.08, 0.08, 0.08)
    near, common = fit.fit(patterns, truth + shifts), fit.fit(patterns, COMMON)
    sigma = np.sqrt(np.diagonal(common.covariance, axis1=1, axis2=2))
    assert (np.abs(near.values - common.values) < 0.7 * sigma).all()


@pytest.mark.parametrize("scale", [0.02, 37.0])
def test_the_unit_of_intensity_does_not_matter(scale):
    patterns, truth = scene(8)
    one, other = fit_of().fit(patterns, COMMON), fit_of().fit(patterns * np.float32(scale), COMMON)
    sigma = np.sqrt(np.diagonal(one.covariance, axis1=1, axis2=2))
    assert (np.abs(one.values - other.values) < 0.7 * sigma).all()
    assert 0.8 < np.median(np.sqrt(np.diagonal(other.covariance, axis1=1, axis2=2)) / sigma) < 1.25
    assert pulls(other, truth) < 1.5


def test_masked_and_missing_pixels_do_not_count():
    patterns, truth = scene(6, seed=2)
    mask = np.random.default_rng(0).random((SIZE, SIZE)) < 0.05
    mask[60:68] = True
    bad = np.where(mask, np.float32(1e6), patterns)
    bad[:, 30:33, 40:50] = np.nan
    found = fit_of(mask).fit(bad, COMMON)
    assert found.valid.all()
    assert np.sqrt(np.mean((found.values - truth)[:, 2:] ** 2)) < 0.02


def test_overlapping_disks_keep_their_free_edges():
    base, radius = np.array([63.3, 64.2, 12.0, 0.5, -0.8, 12.5]), 7.0
    rng, patterns, truth = np.random.default_rng(4), [], []
    for _ in range(4):
        lattice = base + np.r_[rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.1, 0.1, 4)]
        patterns.append(rng.poisson(1e6 * height(lattice, radius=radius)))
        truth.append(lattice)
    fit = LatticeFit(synthetic_probe(radius, SIGMA * 2.563, 31), (SIZE, SIZE), Strain())
    found = fit.fit(np.array(patterns, np.float32), np.array(truth) + 0.1)
    assert found.valid.all()
    assert np.sqrt(np.mean((found.values - truth)[:, 2:] ** 2)) < 0.05


def test_empty_patterns_are_not_valid():
    patterns, _ = scene(4)
    patterns[1] = 0
    patterns[2] = np.nan
    found = fit_of().fit(patterns, COMMON)
    assert found.valid.tolist() == [True, False, False, True]
    assert np.isnan(found.values[1:3]).all()
    assert np.isnan(found.covariance[1:3]).all()
    assert found.count[1] == 0
    assert len(fit_of().disks(patterns[1:3], COMMON)) == 0
    assert not fit_of().fit(np.zeros((1, SIZE, SIZE), np.float32), COMMON).valid.any()


def test_starts_without_a_lattice_are_not_valid():
    patterns, truth = scene(3)
    starts = truth.copy()
    starts[0] = np.nan
    starts[1, 4:6] = starts[1, 2:4]
    assert fit_of().fit(patterns, starts).valid.tolist() == [False, False, True]


def test_disks_lie_on_the_lattice_within_their_errors():
    patterns, truth = scene(4)
    disks = fit_of().disks(patterns, COMMON)
    index = (np.stack([disks.x, disks.y], 1) - truth[disks.pattern, :2])[:, None] @ np.linalg.inv(
        truth[disks.pattern, 2:].reshape(-1, 2, 2)
    )
    off = (index - np.rint(index)) @ truth[disks.pattern, 2:].reshape(-1, 2, 2)
    z = off[:, 0] / np.stack([disks.x_err, disks.y_err], 1)
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.3
    assert (np.diff(disks.pattern) >= 0).all()
    assert (disks.intensity > 0).all()


def test_learns_an_edge_that_the_probe_has_wrong():
    patterns, truth = scene(24)
    wrong = synthetic_probe(RADIUS + 0.25, 2.4, 25)
    fit = fit_of(probe=wrong)
    found = fit.fit(patterns, COMMON)
    assert fit.edge.radius == pytest.approx(RADIUS, abs=0.1)
    assert np.sqrt(np.mean((found.values - truth)[:, 2:] ** 2)) < 0.015


def test_an_edge_with_which_no_lattice_is_possible_is_not_learned(monkeypatch):
    patterns, _ = scene(4)
    probe = synthetic_probe(RADIUS + 0.25, 2.4, 25)
    monkeypatch.setattr(precise, "_lowest", lambda evidence, now: now * (10, 1, 1, 1, 1))
    fit = fit_of(probe=probe)
    assert fit.fit(patterns, COMMON).valid.all()
    assert fit.edge.radius == pytest.approx(probe.radius)


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="too large for 20 x 20 pixels"):
        fit_of(probe=synthetic_probe(9.5, 1.0, 31), shape=(20, 20))
    with pytest.raises(ValueError, match="mask"):
        fit_of(np.zeros((3, 3), bool))
    with pytest.raises(ValueError, match="patterns are"):
        fit_of().fit(np.zeros((2, 64, 64), np.float32), COMMON)
    with pytest.raises(ValueError, match="start"):
        fit_of().fit(np.zeros((2, SIZE, SIZE), np.float32), np.zeros((1, 6)))
