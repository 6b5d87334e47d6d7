import numpy as np
import pytest

from braggscope.models.background import median_background, radial_background


def spots(shape, seed, n=40, height=3000):
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    image = np.zeros(shape)
    for cx, cy in rng.uniform(0, min(shape), (n, 2)):
        image += height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 2 / 1.5**2)
    return image


@pytest.mark.parametrize("centre", [(100.0, 80.0), (-300.0, 700.0)])
def test_rings_are_found_under_spots_and_beside_masks(centre):
    shape = (160, 200)
    y, x = np.indices(shape)
    truth = 50 + 40 * np.sin(np.hypot(x - centre[0], y - centre[1]) / 15)
    image = (truth + spots(shape, 1)).astype(np.float32)
    mask = np.zeros(shape, bool)
    mask[:, 60:66] = True
    image[mask] = 1e9
    found = radial_background(image, mask, centre)
    assert found.dtype == np.float32
    error = abs(found - truth)[~mask]
    assert np.median(error) < 0.7
    assert np.percentile(error, 95) < 6


def test_a_slope_is_found_under_spots():
    shape = (150, 170)
    y, x = np.indices(shape)
    truth = 20 + 0.5 * x + 0.2 * y
    image = truth + spots(shape, 2, n=12)
    mask = np.zeros(shape, bool)
    mask[40:90, 30:80] = True
    image[mask] = -1e9
    error = abs(median_background(image, mask, 31) - truth)
    inner = np.zeros(shape, bool)
    inner[16:-16, 16:-16] = True
    inner[24:106, 14:96] = False  # windows that reach over the hole lean to one side
    assert np.median(error[inner]) < 1.0
    assert np.percentile(error[inner], 95) < 4
    assert error[~mask].max() < 20


@pytest.mark.parametrize("window", [5, 31, 501])
def test_a_constant_stays_one(window):
    image = np.full((64, 33), 7.0, np.float32)
    np.testing.assert_allclose(median_background(image, None, window), 7, rtol=1e-6)
    np.testing.assert_allclose(radial_background(image), 7, rtol=1e-6)


def test_nothing_known_gives_zero():
    image, mask = np.ones((40, 40)), np.ones((40, 40), bool)
    assert not median_background(image, mask).any()
    assert not radial_background(image, mask).any()
