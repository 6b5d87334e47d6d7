import numpy as np
import pytest

from braggscope.models.measure import line_profile, radial_profile, region_statistics
from braggscope.models.regions import Region


def test_region_statistics_are_those_of_the_good_pixels():
    rng = np.random.default_rng(0)
    image = rng.normal(10, 3, (30, 40)).astype(np.float32)
    mask = rng.random(image.shape) < 0.2
    image[mask] = np.nan
    found = region_statistics(image, mask, Region(kind="rectangle", points=((5, 4), (20, 25))))
    cut, bad = image[4:26, 5:21], mask[4:26, 5:21]
    good = cut[~bad].astype(float)
    assert (found.n, found.masked) == (good.size, bad.sum())
    wanted = (good.sum(), good.mean(), good.std(), good.min(), good.max(), np.median(good))
    numbers = (found.sum, found.mean, found.std, found.minimum, found.maximum, found.median)
    assert numbers == pytest.approx(wanted)


def test_an_empty_region_has_no_mean():
    found = region_statistics(np.ones((5, 5)), None, Region(kind="rectangle", points=((8, 8), (9, 9))))
    assert (found.n, found.masked, found.sum) == (0, 0, 0)
    assert np.isnan(found.mean)


def test_a_line_samples_a_plane_exactly():
    y, x = np.indices((20, 30))
    image = (2.0 * x - 3.0 * y).astype(np.float32)
    distance, value = line_profile(image, None, (1.5, 2.25), (25.0, 17.0))
    assert distance[-1] == pytest.approx(np.hypot(23.5, 14.75))
    share = distance / distance[-1]
    np.testing.assert_allclose(value, 2 * (1.5 + share * 23.5) - 3 * (2.25 + share * 14.75), atol=1e-5)


def test_a_line_breaks_at_masks_and_edges():
    mask = np.zeros((10, 10), bool)
    mask[4, 5] = True
    value = line_profile(np.ones((10, 10)), mask, (0, 4), (12, 4)).value
    np.testing.assert_array_equal(np.isnan(value), [False] * 5 + [True] + [False] * 4 + [True] * 3)
    assert len(line_profile(np.ones((5, 5)), None, (2, 2), (2, 2)).value) == 2


@pytest.mark.parametrize("centre", [(20.0, 30.5), (-500.0, 90.0)])
def test_radial_profile_counts_every_good_pixel_once(centre):
    y, x = np.indices((60, 50))
    radius = np.hypot(x - centre[0], y - centre[1])
    mask = (x + y) % 7 == 0
    found = radial_profile(3 * radius, mask, centre)
    assert found.pixels.sum() == (~mask).sum()
    np.testing.assert_allclose(found.mean, 3 * found.radius)
    assert (np.diff(found.radius) > 0).all()
