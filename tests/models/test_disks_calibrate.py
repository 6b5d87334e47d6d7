"""Origins, ellipse, pixel size and rotation of simulated scans come out as put in."""

import numpy as np
import pytest

from braggscope.models.disks.calibrate import (
    correct_ellipse,
    lattice_ellipse,
    origins,
    pixel_size,
    scan_rotation,
)
from braggscope.models.disks.results import Disks, Lattice

SCAN = (8, 10)


def wandering(scan=SCAN, curve=0.0):
    row, col = np.indices(scan)
    x = 64.3 + 0.25 * col - 0.1 * row + curve * col**2
    y = 61.7 - 0.15 * col + 0.2 * row
    return np.column_stack((x.ravel(), y.ravel()))


def disks_at(places, patterns, intensity=None):
    n = len(places)
    err = np.full(n, 0.05)
    light = np.ones(n) if intensity is None else np.asarray(intensity, float)
    return Disks(np.asarray(patterns, np.int64), places[:, 0], places[:, 1], err, err, light, light)


def lattice_disks(centres, seed=0, direct=True, noise=0.03):
    rng = np.random.default_rng(seed)
    h, k = (v.ravel() for v in np.mgrid[-2:3, -2:3])
    if not direct:
        h, k = h[(h != 0) | (k != 0)], k[(h != 0) | (k != 0)]
    steps = np.outer(h, (20.0, 2.0)) + np.outer(k, (-3.0, 22.0))
    places = (centres[:, None] + steps).reshape(-1, 2)
    light = np.tile(100 * np.exp(-np.hypot(*steps.T) / 20), len(centres))
    places = places + rng.normal(0, noise, places.shape)
    return disks_at(places, np.repeat(np.arange(len(centres)), len(h)), light)


def direct_patterns(centres, seed=0):
    y, x = np.mgrid[:128, :128]
    distance = np.hypot(x - centres[:, 0, None, None], y - centres[:, 1, None, None])
    return np.random.default_rng(seed).poisson(80 * np.clip(8.5 - distance, 0, 1) + 0.2).astype(np.uint16)


@pytest.mark.parametrize("kind", ["plane", "parabola", "measured"])
@pytest.mark.parametrize("direct", [True, False])
def test_origins_follow_the_scan_though_the_direct_disk_may_be_hidden(kind, direct):
    truth = wandering()
    found = origins(lattice_disks(truth, direct=direct), SCAN, kind)
    assert np.abs(found - truth).max() < 0.12


def test_empty_patterns_and_wrong_disks_spoil_no_origin():
    truth = wandering(curve=0.01)
    disks = lattice_disks(truth)
    kept = (disks.pattern != 7) & (disks.pattern != 44)
    disks = disks.take(kept)
    wrong = disks.pattern == 20
    disks.x[wrong] += 4
    found = origins(disks, SCAN, "parabola")
    assert np.abs(found - truth).max() < 0.05
    assert np.isfinite(origins(disks, SCAN, "measured")).all()


def test_an_empty_pattern_and_a_beam_stop_spoil_no_origin_from_patterns():
    truth = wandering()
    patterns = direct_patterns(truth)
    patterns[13] = 0
    mask = np.zeros((128, 128), np.bool_)
    mask[:55] = True  # cuts the rim of the disk
    patterns[:, mask] = 0
    clean = origins(direct_patterns(truth), SCAN, "plane")
    assert np.abs(clean - truth).max() < 0.1
    found = origins(patterns, SCAN, "plane", mask)
    assert np.abs(found - truth).max() < 0.25


def test_a_constant_origin_is_one_for_all():
    found = origins(lattice_disks(wandering()), SCAN, "constant")
    assert (found == found[0]).all()


def test_origins_say_what_is_wrong():
    with pytest.raises(ValueError, match="no pattern shows an origin"):
        origins(Disks.empty(), SCAN, "plane")
    with pytest.raises(ValueError, match="scan has 80 positions"):
        origins(np.zeros((3, 16, 16)), SCAN, "plane")
    with pytest.raises(ValueError, match="scan has 4 positions"):
        origins(lattice_disks(wandering()), (2, 2), "plane")


@pytest.mark.parametrize(("ratio", "angle"), [(1.05, 0.4), (1.15, -1.2), (1.02, 1.5)])
def test_a_ring_is_made_round(ratio, angle):
    turn = np.linspace(0, 2 * np.pi, 80, endpoint=False)
    circle = 45 * np.stack((np.cos(turn), np.sin(turn)))
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, -s], [s, c]])
    x, y = axes @ np.diag([ratio**0.5, ratio**-0.5]) @ axes.T @ circle + 64
    back = correct_ellipse(disks_at(np.column_stack((x, y)), np.zeros(80)), ratio, angle, (64, 64))
    np.testing.assert_allclose(np.hypot(back.x - 64, back.y - 64), 45, rtol=1e-9)


def test_a_known_lattice_shows_the_ellipse():
    square = np.array([[20 * np.cos(0.3), -20 * np.sin(0.3)], [20 * np.sin(0.3), 20 * np.cos(0.3)]])
    c, s = np.cos(-0.5), np.sin(-0.5)
    axes = np.array([[c, -s], [s, c]])
    a, b = (axes @ np.diag([1.04, 1.0]) @ axes.T @ square).T
    ratio, angle = lattice_ellipse(Lattice((0, 0), tuple(a), tuple(b)), 1.0, np.pi / 2)
    assert ratio == pytest.approx(1.04)
    assert angle == pytest.approx(-0.5)


def test_pixel_size_from_a_spacing():
    lattice = Lattice((0, 0), (20.0, 0.0), (0.0, 30.0))
    assert pixel_size(lattice, 2.0, 1, 0) == pytest.approx(0.025)
    assert pixel_size(lattice, 1.0, 1, 1) == pytest.approx(1 / np.hypot(20, 30))
    with pytest.raises(ValueError, match="direct one"):
        pixel_size(lattice, 2.0, 0, 0)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.5, -1.1])
def test_the_rotation_is_the_one_without_curl(angle, transpose):
    y, x = np.mgrid[:40, :50] / 6.0
    potential = np.sin(x) * np.cos(0.7 * y) + 0.3 * np.cos(1.3 * x + y)
    down, along = np.gradient(potential)
    c, s = np.cos(angle), np.sin(angle)
    # along the scan's axes: (c vx + s vy, -s vx + c vy); the pattern's own components v:
    vx, vy = c * along - s * down, s * along + c * down
    com = np.stack((vy, vx) if transpose else (vx, vy), axis=-1) + 64
    com += np.random.default_rng(0).normal(0, 0.01, com.shape)
    found, turned = scan_rotation(com)
    assert turned == transpose
    assert found == pytest.approx(angle, abs=0.02)
