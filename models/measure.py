"""What a region, a line or the rings of an image hold. Masked pixels never count."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.background import middle
from braggscope.models.mask import Mask, rasterise
from braggscope.models.regions import Region


@dataclass(frozen=True, slots=True)
class RegionStatistics:
    """Numbers of the good pixels of a region, in the image's unit; NaN (sum: 0) where ``n`` is 0.

    ``n``: good pixels, ``masked``: bad ones. ``std``: of the population.
    """

    n: int
    masked: int
    sum: float
    mean: float
    std: float
    minimum: float
    maximum: float
    median: float


class LineProfile(NamedTuple):
    """(N,) float64: distance px from the start, and value, NaN where masked or off the frame."""

    distance: NDArray[np.float64]
    value: NDArray[np.float64]


class RadialProfile(NamedTuple):
    """(R,) each: mean radius px of the ring's good pixels, their mean value, their number (int64)."""

    radius: NDArray[np.float64]
    mean: NDArray[np.float64]
    pixels: NDArray[np.int64]


def region_statistics(image: NDArray, mask: Mask | None, region: Region) -> RegionStatistics:
    """Statistics of the pixels whose centre lies in ``region``; ``image`` (H, W)."""
    inside = rasterise(region, (image.shape[0], image.shape[1]))
    bad = np.zeros(image.shape, np.bool_) if mask is None else mask
    values = image[inside & ~bad].astype(np.float64)
    masked = int(np.count_nonzero(inside & bad))
    if not len(values):
        nan = float("nan")
        return RegionStatistics(0, masked, 0.0, nan, nan, nan, nan, nan)
    return RegionStatistics(
        len(values), masked, float(values.sum()), float(values.mean()), float(values.std()),
        float(values.min()), float(values.max()), float(np.median(values)),
    )  # fmt: skip


def line_profile(
    image: NDArray, mask: Mask | None, start: tuple[float, float], end: tuple[float, float]
) -> LineProfile:
    """Values along a line from ``start`` to ``end`` (x, y) px, about one sample a pixel, bilinear.

    A sample is NaN if any pixel that it draws on is bad or off the frame.
    """
    (x0, y0), (x1, y1) = start, end
    length = float(np.hypot(x1 - x0, y1 - y0))
    share = np.linspace(0.0, 1.0, max(2, int(np.ceil(length)) + 1))
    bad = np.zeros((0, 0), np.bool_) if mask is None else mask
    values = _bilinear(image, bad, x0 + share * (x1 - x0), y0 + share * (y1 - y0))
    return LineProfile(share * length, values)


def radial_profile(
    image: NDArray, mask: Mask | None = None, centre: tuple[float, float] | None = None
) -> RadialProfile:
    """Mean over rings 1 px wide around ``centre`` (x, y) px, the middle of the frame if None.

    Rings without a good pixel are left out.
    """
    x, y = middle(image.shape) if centre is None else centre
    bad = np.zeros((0, 0), np.bool_) if mask is None else mask
    radius, total, count = _rings(image, bad, float(x), float(y))
    kept = count > 0
    return RadialProfile(radius[kept] / count[kept], total[kept] / count[kept], count[kept])


@njit(cache=True, nogil=True)
def _bilinear(
    image: NDArray, mask: Mask, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    height, width = image.shape
    values = np.full(len(x), np.nan)
    for i in range(len(x)):
        col, row = int(np.floor(x[i])), int(np.floor(y[i]))
        dx, dy = x[i] - col, y[i] - row
        total = 0.0
        for r, wy in ((row, 1.0 - dy), (row + 1, dy)):
            for c, wx in ((col, 1.0 - dx), (col + 1, dx)):
                weight = wx * wy
                if weight == 0.0:
                    continue
                if r < 0 or r >= height or c < 0 or c >= width or (mask.size > 0 and mask[r, c]):
                    total = np.nan
                else:
                    total += weight * image[r, c]
        values[i] = total
    return values


@njit(cache=True, nogil=True)
def _rings(
    image: NDArray, mask: Mask, x: float, y: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Sums of radius and value, and numbers, per nearest integer radius from the one closest to the frame."""
    height, width = image.shape
    near = int(np.hypot(max(-x, x - width + 1, 0.0), max(-y, y - height + 1, 0.0)))
    reach = int(np.hypot(max(x, width - 1 - x), max(y, height - 1 - y))) + 3 - near
    radius, total, count = np.zeros(reach), np.zeros(reach), np.zeros(reach, np.int64)
    for row in range(height):
        for col in range(width):
            if mask.size == 0 or not mask[row, col]:
                r = np.hypot(col - x, row - y)
                ring = int(r + 0.5) - near
                radius[ring] += r
                total[ring] += image[row, col]
                count[ring] += 1
    return radius, total, count
