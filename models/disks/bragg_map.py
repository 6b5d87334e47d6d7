"""Maps over all disks of a scan: where they lie, and how they lie to each other."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.results import Disks, Floats, LatticeMap


@njit(cache=True, nogil=True)
def _deposit(image: Floats, x: float, y: float, value: float) -> None:
    """Add a value at a place, shared among its four pixels."""
    j, i = int(np.floor(x)), int(np.floor(y))
    if 0 <= i < image.shape[0] - 1 and 0 <= j < image.shape[1] - 1:
        u, v = y - i, x - j
        image[i, j] += value * (1 - u) * (1 - v)
        image[i, j + 1] += value * (1 - u) * v
        image[i + 1, j] += value * u * (1 - v)
        image[i + 1, j + 1] += value * u * v


@njit(cache=True, nogil=True)
def _deposit_all(image: Floats, x: Floats, y: Floats, values: Floats) -> None:
    for k in range(len(x)):
        _deposit(image, x[k], y[k], values[k])


@njit(cache=True, nogil=True)
def _pairs(image: Floats, pattern: NDArray[np.int64], x: Floats, y: Floats) -> None:
    """Count the vectors between all disks of a pattern, from the middle of the image."""
    row, col = image.shape[0] // 2, image.shape[1] // 2
    first = 0
    while first < len(pattern):
        last = first
        while last < len(pattern) and pattern[last] == pattern[first]:
            last += 1
        for i in range(first, last):
            for j in range(i + 1, last):
                dx, dy = x[j] - x[i], y[j] - y[i]
                _deposit(image, col + dx, row + dy, 1.0)
                _deposit(image, col - dx, row - dy, 1.0)
        first = last


def bragg_map(
    disks: Disks,
    shape: tuple[int, int],
    origins: LatticeMap | Floats | None = None,
    weights: Floats | None = None,
) -> NDArray[np.float32]:
    """Bragg vector map (H, W) float32: the sum of all disks at their places, of weight ``intensity``.

    ``origins``: (N, 2) x, y px of each pattern, or its lattices: every disk is shifted by its origin's
    distance from the median of all; disks of patterns without one are left out. ``weights`` (M,): others
    than the intensities, ones for a count.
    """
    x, y = disks.x, disks.y
    values = np.asarray(disks.intensity if weights is None else weights, np.float64)
    if origins is not None:
        places = origins.values[:, :2] if isinstance(origins, LatticeMap) else np.asarray(origins, np.float64)
        middle = np.nanmedian(places, axis=0) if np.isfinite(places).any() else np.zeros(2)
        shift = places[disks.pattern] - middle
        x, y = x - shift[:, 0], y - shift[:, 1]
    image = np.zeros(shape)
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(values)
    _deposit_all(image, x[known], y[known], values[known])
    return image.astype(np.float32)


def difference_map(disks: Disks, shape: tuple[int, int]) -> Floats:
    """(2H + 1, 2W + 1) counts of vectors between the disks of each pattern, 0 in the middle.

    The autocorrelation of the Bragg vector map, but pattern by pattern: a wandering origin does not blur it.
    """
    image = np.zeros((2 * shape[0] + 1, 2 * shape[1] + 1))
    _pairs(image, disks.pattern, disks.x, disks.y)
    return image
