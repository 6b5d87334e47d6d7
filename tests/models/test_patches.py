"""Windows hold the right pixels and the right scale."""

import numpy as np
import pytest

from braggscope.models.peaks.patches import cut_patches, normalise


def naive(image, mask, row, col, size):
    padded = np.pad(image.astype(np.float32), size)
    good = np.pad(np.isfinite(image) & ~mask, size)
    window = np.s_[row - size // 2 + size :, col - size // 2 + size :]
    return np.where(good, padded, 0)[window][:size, :size], good[window][:size, :size]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int32])
@pytest.mark.parametrize("size", [1, 5, 11, 15])
def test_equals_slicing(dtype, size):
    rng = np.random.default_rng(size)
    image = rng.poisson(30, (20, 33)).astype(dtype)
    mask = rng.random(image.shape) < 0.1
    rows, cols = rng.integers(0, 20, 40), rng.integers(0, 33, 40)
    patches, valid = cut_patches(image, mask, rows, cols, size)
    assert patches.shape == valid.shape == (40, size, size)
    assert (patches.dtype, valid.dtype) == (np.float32, np.bool_)
    for k in range(40):
        values, good = naive(image, mask, rows[k], cols[k], size)
        np.testing.assert_array_equal(patches[k], values)
        np.testing.assert_array_equal(valid[k], good)


def test_outside_and_nan_are_invalid():
    image = np.ones((4, 4), np.float32)
    image[1, 1] = np.nan
    patches, valid = cut_patches(image, None, [0, -20], [0, 900], 3)
    np.testing.assert_array_equal(valid[0], [[0, 0, 0], [0, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(patches[0], valid[0])
    assert not valid[1].any()
    assert not patches[1].any()


def test_no_peaks():
    patches, valid = cut_patches(np.ones((4, 4)), None, np.zeros(0, int), np.zeros(0, int), 11)
    assert patches.shape == valid.shape == (0, 11, 11)
    assert normalise(patches, valid).shape == (0, 11, 11)


def test_wrong_windows_are_refused():
    with pytest.raises(ValueError, match="odd"):
        cut_patches(np.ones((4, 4)), None, [1], [1], 4)
    with pytest.raises(ValueError, match="as many rows"):
        cut_patches(np.ones((4, 4)), None, [1, 2], [1], 3)
    with pytest.raises(ValueError, match="one shape"):
        cut_patches(np.ones((4, 4)), np.zeros((3, 4), np.bool_), [1], [1], 3)


def test_normalised_over_valid_pixels():
    patches = np.array([[[2, 4], [10, 99]], [[5, 5], [5, 5]]], np.float32)
    valid = np.array([[[1, 1], [1, 0]], [[1, 1], [1, 1]]], np.bool_)
    result = normalise(patches, valid)
    np.testing.assert_array_equal(result, [[[0, 0.25], [1, 0]], [[0, 0], [0, 0]]])
    assert result.dtype == np.float32
    assert patches[0, 1, 1] == 99


def test_threshold_comes_before_the_scale():
    patches = np.array([[[2, 4], [10, 8]]], np.float32)
    result = normalise(patches, np.ones((1, 2, 2), np.bool_), threshold=8)
    np.testing.assert_array_equal(result, np.array([[[0, 0], [1, 0.8]]], np.float32))
    assert not normalise(patches, np.ones((1, 2, 2), np.bool_), threshold=11).any()


def test_nothing_valid_gives_zeros():
    assert not normalise(np.ones((1, 3, 3), np.float32), np.zeros((1, 3, 3), np.bool_)).any()
