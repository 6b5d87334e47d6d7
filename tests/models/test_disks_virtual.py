"""Virtual detectors add what lies on them, and nothing that is masked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.disks.virtual import annulus, centre_of_mass, largest, total, virtual_image


def cube(dtype=np.uint16, seed=0):
    return np.random.default_rng(seed).poisson(5, (6, 24, 30)).astype(dtype)


@given(
    x=st.floats(5, 25),
    y=st.floats(5, 18),
    inner=st.floats(0, 6),
    width=st.floats(0.5, 8),
    seed=st.integers(0, 9),
)
def test_a_detector_is_a_weighted_sum(x, y, inner, width, seed):
    patterns = cube(seed=seed)
    ring = annulus((24, 30), (x, y), inner, inner + width)
    expected = np.tensordot(patterns.astype(float), ring.astype(float), 2)
    np.testing.assert_allclose(virtual_image(patterns, ring), expected, rtol=1e-6)


def test_rings_that_touch_add_up_to_the_disk():
    parts = [annulus((40, 40), (20.3, 19.1), r, r + 3) for r in (0, 3, 6)]
    np.testing.assert_allclose(sum(parts), annulus((40, 40), (20.3, 19.1), 0, 9), atol=1e-6)
    assert annulus((64, 64), (32, 32), 0, 10).sum() == pytest.approx(np.pi * 100, rel=0.01)


def test_masked_pixels_and_nan_add_nothing():
    patterns = cube(np.float32)
    mask = np.zeros((24, 30), np.bool_)
    mask[3, 4] = True
    patterns[:, 3, 4] = 1e9
    patterns[2, 5, 6] = np.nan
    expected = np.nansum(np.where(mask, 0, patterns), axis=(1, 2))
    np.testing.assert_allclose(total(patterns, mask), expected, rtol=1e-6)
    assert largest(patterns, mask).max() < 1e3
    assert np.isfinite(centre_of_mass(patterns, mask)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
def test_the_centre_of_mass_is_in_pixels_x_first(dtype):
    patterns = np.zeros((3, 12, 16), dtype)
    patterns[0, 4, 9] = 7
    patterns[1, 2:5, 3:6] = 1
    np.testing.assert_allclose(centre_of_mass(patterns), [[9, 4], [4, 3], [np.nan, np.nan]])


def test_nonsense_is_said():
    with pytest.raises(ValueError, match="outer radius"):
        annulus((8, 8), (4, 4), 3, 3)
    with pytest.raises(ValueError, match="detector is"):
        virtual_image(cube(), np.ones((8, 8)))
