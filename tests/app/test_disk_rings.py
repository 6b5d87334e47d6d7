"""The ellipse of the camera from a ring of disks: told where it can be, refused where it cannot."""

import numpy as np
import pytest

from braggscope.app.engine.disk_rings import measure_ring
from braggscope.models.disks.results import Disks

MIDDLE, HALF, NOISE = 64.0, 60.0, 0.05
SQUARE, HEXAGONAL = ((20.0, 2.0), (-2.0, 20.0)), ((20.0, 0.0), (10.0, 17.3205))
ALONG_110, OBLIQUE = ((20.0, 0.0), (20 / 3, 18.856)), ((15.0, 2.0), (-3.0, 14.0))


def disks_of(vectors, ratio=1.0, angle=0.0, strain=0.0, count=48):
    """Disks of a crystal whose patterns are stretched by up to ``strain``, seen through an ellipse."""
    rng = np.random.default_rng(2)
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, -s], [s, c]])
    camera = axes @ np.diag([ratio**0.5, ratio**-0.5]) @ axes.T
    indices = np.stack(np.meshgrid(np.arange(-6, 7), np.arange(-6, 7))).reshape(2, -1)
    strains = strain * rng.permutation(np.linspace(-1, 1, count))
    numbers, places = [], []
    for k in range(count):
        stretch = np.diag([1 + strains[k], 1])
        at = camera @ stretch @ np.array(vectors).T @ indices
        at = at[:, np.abs(at).max(axis=0) < HALF]
        places.append(at + rng.normal(0, NOISE, at.shape) + MIDDLE)
        numbers.append(np.full(at.shape[1], k))
    x, y = np.concatenate(places, axis=1)
    one = np.ones(len(x))
    return Disks(np.concatenate(numbers), x, y, NOISE * one, NOISE * one, one, one)


@pytest.mark.parametrize("vectors", [SQUARE, HEXAGONAL])
@pytest.mark.parametrize("strain", [0.0, 0.02])
def test_round_data_are_found_round_within_the_error(vectors, strain):
    found = measure_ring(disks_of(vectors, strain=strain))
    assert found.ratio - 1 < 3 * found.error
    assert found.error < 0.003
    assert found.centre == pytest.approx((MIDDLE, MIDDLE), abs=0.2)


@pytest.mark.parametrize("vectors", [SQUARE, HEXAGONAL])
def test_an_ellipse_is_found_with_its_direction(vectors):
    found = measure_ring(disks_of(vectors, 1.03, 0.4))
    assert found.ratio == pytest.approx(1.03, abs=4 * found.error + 1e-3)
    assert found.angle == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("vectors", [ALONG_110, OBLIQUE])
@pytest.mark.parametrize("strain", [0.0, 0.02])
def test_orders_are_not_mixed_into_an_ellipse(vectors, strain):
    with pytest.raises(ValueError, match="No ring of disks stands by itself"):
        measure_ring(disks_of(vectors, strain=strain))


def test_typed_radii_are_taken_at_their_word_where_they_hold_a_ring():
    disks = disks_of(SQUARE, 1.03, 0.4)
    assert measure_ring(disks, 42.0, 48.0).ratio == pytest.approx(1.03, abs=2e-3)
    with pytest.raises(ValueError, match="hold no ring that shows three directions"):
        measure_ring(disks, 18.0, 22.0)


def test_no_disks_are_one_sentence():
    none = np.empty(0)
    with pytest.raises(ValueError, match="no pattern shows an origin"):
        measure_ring(Disks(none.astype(np.int64), none, none, none, none, none, none))
