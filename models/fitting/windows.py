"""Cutting the windows of the peaks out of a frame, and finding each peak's neighbours."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

SIDES = (11, 15, 21)  # px, the windows to choose from
MAX_NEIGHBOURS = 2
CORE = 2  # px around a neighbour that are fitted with the window
MARGIN = 3  # px by which such a core can stand out of the window


class Pixels(NamedTuple):
    """A frame and what is wrong with it."""

    image: NDArray  # (H, W) counts
    mask: NDArray[np.bool_] | None  # (H, W) True = bad
    saturation: float | None  # counts
    saturated: NDArray[np.bool_] | None  # (H, W) True = saturated, whatever the counts
    subtracted: NDArray | None = None  # (H, W) counts that were taken off beforehand


class Windows(NamedTuple):
    """Windows of N peaks. Pixels are flattened row by row; the peak's pixel is the middle one."""

    values: NDArray[np.float64]  # (N, window²) counts; NaN off the frame, masked, saturated or not finite
    on_frame: NDArray[np.int64]  # (N,) pixels of the window that lie on the frame
    valid: NDArray[np.int64]  # (N,) pixels that can be fitted
    core_bad: NDArray[np.int64]  # (N,) masked or non-finite pixels among the 3 x 3 around the peak
    core_saturated: NDArray[np.bool_]  # (N,) one of the 3 x 3 is saturated


@njit(cache=True, nogil=True)
def _gather(image, mask, full, rows, cols, half, saturation, out):
    values, on_frame, valid, core_bad, core_saturated = out
    height, width = image.shape
    masked, marked = mask.shape[0] > 0, full.shape[0] > 0
    side = 2 * half + 1
    for k in range(rows.size):
        for i in range(-half, half + 1):
            for j in range(-half, half + 1):
                row, col = rows[k] + i, cols[k] + j
                pixel = (i + half) * side + j + half
                values[k, pixel] = np.nan
                if row < 0 or col < 0 or row >= height or col >= width:
                    continue
                on_frame[k] += 1
                value = float(image[row, col])
                core = abs(i) <= 1 and abs(j) <= 1
                if (masked and mask[row, col]) or not np.isfinite(value):
                    core_bad[k] += core
                elif value >= saturation or (marked and full[row, col]):
                    core_saturated[k] |= core
                else:
                    values[k, pixel] = value
                    valid[k] += 1


def cut_windows(pixels: Pixels, rows: NDArray[np.int64], cols: NDArray[np.int64], window: int) -> Windows:
    """Windows of ``window``² pixels around (rows, cols) of a frame whose image is of floats."""
    n = len(rows)
    result = Windows(
        np.empty((n, window * window)),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros(n, np.bool_),
    )
    nothing = np.zeros((0, 0), np.bool_)
    bad, full = (nothing if array is None else array for array in (pixels.mask, pixels.saturated))
    limit = np.inf if pixels.saturation is None else float(pixels.saturation)
    _gather(pixels.image, bad, full, rows, cols, window // 2, limit, tuple(result))
    return result


def taken_off(pixels: Pixels, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) counts, 0 or more, that were subtracted at each pixel; 0 off the frame.

    Added to a window again they change nothing but what its counts say of their noise.
    """
    if pixels.subtracted is None:
        return np.zeros(len(rows))
    height, width = pixels.subtracted.shape
    known = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    level = pixels.subtracted[np.where(known, rows, 0), np.where(known, cols, 0)].astype(np.float64)
    return np.where(known & np.isfinite(level), np.maximum(level, 0.0), 0.0)


def add_cores(values: NDArray[np.float64], starts: NDArray[np.float64]) -> None:
    """Leave of wide windows, cut ``MARGIN`` px too large, the window itself and its neighbours' cores.

    A neighbour on the border would otherwise be fitted to half its core, and hardly determined.
    ``values`` (N, (window + 2 MARGIN)²), changed in place; ``starts`` (N, 3, 2) x, y of the peaks or NaN.
    """
    half = math.isqrt(values.shape[1]) // 2
    y, x = np.indices((2 * half + 1, 2 * half + 1)).reshape(2, -1) - half
    keep = np.broadcast_to(np.maximum(abs(x), abs(y)) <= half - MARGIN, values.shape).copy()
    for k in range(1, starts.shape[1]):
        keep |= (abs(x - starts[:, k, 0, None]) <= CORE) & (abs(y - starts[:, k, 1, None]) <= CORE)
    values[~keep] = np.nan


@njit(cache=True, nogil=True)
def _neighbours(rows, cols, height, reach, order, cell_of, first, across, chosen, inner):
    for k in range(rows.size):
        best0, best1 = -np.inf, -np.inf
        for down in range(-1, 2):
            for right in range(-1, 2):
                cell = cell_of[k] + down * across + right
                for at in range(first[cell], first[cell + 1]):
                    other = order[at]
                    far = max(abs(rows[other] - rows[k]), abs(cols[other] - cols[k]))
                    if far == 0 or far > reach:
                        continue
                    inner[k] += far <= reach // 2
                    if height[other] > best0:
                        best1, chosen[k, 1] = best0, chosen[k, 0]
                        best0, chosen[k, 0] = height[other], other
                    elif height[other] > best1:
                        best1, chosen[k, 1] = height[other], other


def find_neighbours(
    rows: NDArray[np.int64], cols: NDArray[np.int64], height: NDArray[np.float64], window: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The strongest neighbours of each peak, and how many crowd it.

    A neighbour lies within ``window // 2 + 1`` px (the larger of the row and column distances) on another
    pixel. ``height`` (N,) counts, -inf for what is no neighbour to anybody. Returns (N, 2) int64 indices,
    strongest first, -1 where there is none, and (N,) int64: the neighbours within half that distance.
    """
    reach = window // 2 + 1
    chosen = np.full((len(rows), MAX_NEIGHBOURS), -1, np.int64)
    inner = np.zeros(len(rows), np.int64)
    if len(rows) < 2:
        return chosen, inner
    # A cell is as wide as the reach, so that neighbours are in the 3 x 3 cells around; one empty cell of rim.
    down = (rows - rows.min()) // reach + 1
    right = (cols - cols.min()) // reach + 1
    across = int(right.max()) + 2
    cell_of = down * across + right
    order = np.argsort(cell_of, kind="stable")
    cells = (int(down.max()) + 2) * across
    first = np.concatenate(([0], np.cumsum(np.bincount(cell_of, minlength=cells))))
    _neighbours(rows, cols, height, reach, order, cell_of, first, across, chosen, inner)
    return chosen, inner
