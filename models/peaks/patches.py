"""Square windows around candidates, as the localisers want them."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Patches = tuple[NDArray[np.float32], NDArray[np.bool_]]


def cut_patches(
    image: NDArray, mask: NDArray[np.bool_] | None, rows: ArrayLike, cols: ArrayLike, size: int
) -> Patches:
    """Windows of ``size`` x ``size`` pixels (odd) centred on integer (row, column) positions.

    ``image`` (H, W), ``mask`` (H, W) bool, True = bad. Returns patches (N, S, S) float32, counts, and
    valid (N, S, S) bool; axes: patch, row, column. Pixels that are bad, not finite or outside the frame
    are 0 and not valid. Raises ValueError for an even size or unequal shapes.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a window has an odd number of pixels as its side, not {size}")
    frame = np.ascontiguousarray(image)
    bad = np.zeros((0, 0), np.bool_) if mask is None else np.ascontiguousarray(mask, np.bool_)
    if frame.ndim != 2 or (mask is not None and bad.shape != frame.shape):
        raise ValueError(f"frame {frame.shape} and mask {bad.shape} must be two-dimensional and of one shape")
    row, col = (np.ascontiguousarray(positions, np.int64) for positions in (rows, cols))
    if row.ndim != 1 or row.shape != col.shape:
        raise ValueError(f"there must be as many rows as columns, not {row.shape} and {col.shape}")
    patches = np.zeros((len(row), size, size), np.float32)
    valid = np.zeros(patches.shape, np.bool_)
    _cut(frame, bad, row, col, patches, valid)
    return patches, valid


@njit(cache=True, nogil=True)
def _cut(
    frame: NDArray, bad: NDArray, rows: NDArray, cols: NDArray, patches: NDArray, valid: NDArray
) -> None:
    height, width = frame.shape
    size = patches.shape[1]
    for i in range(len(rows)):
        top, left = rows[i] - size // 2, cols[i] - size // 2
        for r in range(max(0, top), min(height, top + size)):
            for c in range(max(0, left), min(width, left + size)):
                value = np.float32(frame[r, c])
                if np.isfinite(value) and not (bad.size and bad[r, c]):
                    patches[i, r - top, c - left] = value
                    valid[i, r - top, c - left] = True


def normalise(
    patches: NDArray[np.float32], valid: NDArray[np.bool_], threshold: float | None = None
) -> NDArray[np.float32]:
    """(N, S, S) float32 patches mapped to 0..1 by the least and largest of their valid pixels.

    Pixels below ``threshold`` (counts) are set to 0 first, where one is given; BraggNN as published was
    trained on such patches. A constant patch becomes zeros; pixels that are not valid become 0.
    """
    if patches.shape != valid.shape or patches.ndim != 3:
        raise ValueError(f"patches {patches.shape} and valid {valid.shape} must have one shape (N, S, S)")
    values = np.ascontiguousarray(patches, np.float32)
    low = -np.inf if threshold is None else float(threshold)
    return _normalise(values, np.ascontiguousarray(valid, np.bool_), low)


@njit(cache=True, nogil=True)
def _normalise(patches: NDArray, valid: NDArray, threshold: float) -> NDArray:
    result = np.zeros_like(patches)
    n, size, _ = patches.shape
    for i in range(n):
        least, largest = np.float32(np.inf), np.float32(-np.inf)
        for r in range(size):
            for c in range(size):
                if valid[i, r, c]:
                    value = patches[i, r, c] if patches[i, r, c] >= threshold else np.float32(0)
                    result[i, r, c] = value
                    least, largest = min(least, value), max(largest, value)
        span = largest - least
        for r in range(size):
            for c in range(size):
                inside = valid[i, r, c] and span > 0
                result[i, r, c] = (result[i, r, c] - least) / span if inside else np.float32(0)
    return result
