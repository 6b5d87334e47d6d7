"""Smooth background of a frame: per ring, or per neighbourhood. Medians, so that spots do not count."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.mask import Mask

_PER_RING = 512  # samples that settle the median of one ring to 5 % of its scatter
_PER_SIDE = 15  # samples along one side of a window


def middle(shape: tuple[int, int]) -> tuple[float, float]:
    """(x, y) px of the middle of a frame of (rows, columns)."""
    return (shape[1] - 1) / 2, (shape[0] - 1) / 2


def radial_background(
    image: NDArray, mask: Mask | None = None, centre: tuple[float, float] | None = None
) -> NDArray[np.float32]:
    """(H, W) float32: median of rings 1 px wide around ``centre`` (x, y), linear between their radii.

    Masked pixels do not count; rings without a good pixel take the values of their neighbours. Spots are
    ignored as long as they cover less than half of a ring. ``centre`` None: the middle of the frame.
    """
    x, y = middle(image.shape) if centre is None else centre
    bad = np.zeros((0, 0), np.bool_) if mask is None else mask
    near = int(_nearest_radius(x, y, image.shape))
    return _paint_rings(x, y, near, _filled(_ring_medians(image, bad, x, y, near)), *image.shape)


def median_background(image: NDArray, mask: Mask | None = None, window: int = 31) -> NDArray[np.float32]:
    """(H, W) float32: median of a square ``window`` (px) on a grid of half its side, bilinear between.

    Each median takes at most 15 x 15 evenly spaced good pixels. Grid points with fewer than a quarter of
    their pixels good take the value of the nearest point that has one. On a slope, windows cut by an edge
    lean towards their inner half.
    """
    height, width = image.shape
    spacing = max(window // 2, 1)
    rows, cols = _nodes(height, spacing), _nodes(width, spacing)
    bad = np.zeros((0, 0), np.bool_) if mask is None else mask
    grid = _fill_nearest(_window_medians(image, bad, rows, cols, window // 2))
    return _interpolate(grid, rows, cols, height, width)


def _nearest_radius(x: float, y: float, shape: tuple[int, ...]) -> float:
    """Distance px from a centre, which may lie off the frame, to the frame."""
    return float(np.hypot(max(-x, x - shape[1] + 1, 0.0), max(-y, y - shape[0] + 1, 0.0)))


def _nodes(size: int, spacing: int) -> NDArray[np.int64]:
    count = max(2, int(np.ceil(size / spacing)) + 1)
    return np.rint(np.linspace(0, size - 1, count)).astype(np.int64)


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """NaN replaced by linear interpolation, zeros if nothing is known."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros_like(values)
    places = np.arange(len(values))
    return np.interp(places, places[known], values[known])


def _fill_nearest(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(grid)
    if known.all():
        return grid
    if not known.any():
        return np.zeros_like(grid)
    from scipy.ndimage import distance_transform_edt  # late: rarely needed, slow to import

    nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
    filled: NDArray[np.float64] = grid[tuple(nearest)]
    return filled


@njit(cache=True, nogil=True)
def _ring_medians(image: NDArray, mask: Mask, x: float, y: float, near: int) -> NDArray[np.float64]:
    """(R,) median per integer radius from ``near``, NaN where no pixel is good; rings thinned evenly."""
    height, width = image.shape
    reach = int(np.ceil(np.hypot(max(x, width - 1 - x), max(y, height - 1 - y)))) + 2 - near
    total = np.zeros(reach, np.int64)
    for row in range(height):
        for col in range(width):
            if mask.size == 0 or not mask[row, col]:
                total[int(np.sqrt((col - x) ** 2 + (row - y) ** 2) + 0.5) - near] += 1
    samples = np.empty((reach, 2 * _PER_RING))
    seen = np.zeros(reach, np.int64)
    taken = np.zeros(reach, np.int64)
    for row in range(height):
        for col in range(width):
            if mask.size == 0 or not mask[row, col]:
                ring = int(np.sqrt((col - x) ** 2 + (row - y) ** 2) + 0.5) - near
                step = max(total[ring] // _PER_RING, 1)
                if seen[ring] % step == 0 and taken[ring] < 2 * _PER_RING:
                    samples[ring, taken[ring]] = image[row, col]
                    taken[ring] += 1
                seen[ring] += 1
    medians = np.full(reach, np.nan)
    for ring in range(reach):
        if taken[ring] > 0:
            medians[ring] = np.median(samples[ring, : taken[ring]])
    return medians


@njit(cache=True, nogil=True)
def _paint_rings(
    x: float, y: float, near: int, medians: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    out = np.empty((height, width), np.float32)
    last = len(medians) - 2
    for row in range(height):
        for col in range(width):
            radius = np.sqrt((col - x) ** 2 + (row - y) ** 2) - near
            ring = min(int(radius), last)
            share = radius - ring
            out[row, col] = medians[ring] * (1.0 - share) + medians[ring + 1] * share
    return out


@njit(cache=True, nogil=True)
def _window_medians(
    image: NDArray, mask: Mask, rows: NDArray[np.int64], cols: NDArray[np.int64], half: int
) -> NDArray[np.float64]:
    height, width = image.shape
    step = max((2 * half + 1) // _PER_SIDE, 1)
    samples = np.empty((2 * half // step + 1) ** 2)
    grid = np.full((len(rows), len(cols)), np.nan)
    for i in range(len(rows)):
        for j in range(len(cols)):
            n = 0
            looked = 0
            for row in range(rows[i] - half, rows[i] + half + 1, step):
                for col in range(cols[j] - half, cols[j] + half + 1, step):
                    if row < 0 or row >= height or col < 0 or col >= width:
                        continue
                    looked += 1
                    if mask.size == 0 or not mask[row, col]:
                        samples[n] = image[row, col]
                        n += 1
            if n > 0 and 4 * n >= looked:
                grid[i, j] = np.median(samples[:n])
    return grid


@njit(cache=True, nogil=True)
def _interpolate(
    grid: NDArray[np.float64], rows: NDArray[np.int64], cols: NDArray[np.int64], height: int, width: int
) -> NDArray[np.float32]:
    out = np.empty((height, width), np.float32)
    line = np.empty(len(cols))
    i = 0
    for row in range(height):
        while i < len(rows) - 2 and row > rows[i + 1]:
            i += 1
        share = (row - rows[i]) / max(rows[i + 1] - rows[i], 1)
        line[:] = grid[i] * (1.0 - share) + grid[i + 1] * share
        j = 0
        for col in range(width):
            while j < len(cols) - 2 and col > cols[j + 1]:
                j += 1
            part = (col - cols[j]) / max(cols[j + 1] - cols[j], 1)
            out[row, col] = line[j] * (1.0 - part) + line[j + 1] * part
    return out
