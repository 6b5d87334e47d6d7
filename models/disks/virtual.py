"""Images of a scan by virtual detectors: sums over pixels of every pattern, centres of mass."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.float32]


def annulus(shape: tuple[int, int], centre: tuple[float, float], r0: float, r1: float) -> Image:
    """(H, W) float32: share of each pixel with r0 <= distance from ``centre`` (x, y) < r1; r0 = 0: a disk.

    The rims are one pixel wide, so an image changes smoothly as a detector is dragged. Raises ValueError
    unless 0 <= r0 < r1.
    """
    if not 0 <= r0 < r1:
        raise ValueError(f"a ring needs an outer radius larger than the inner one, not {r0:g} and {r1:g} px")
    y, x = np.ogrid[: shape[0], : shape[1]]
    distance = np.hypot(x - centre[0], y - centre[1])
    outer = np.clip(r1 + 0.5 - distance, 0, 1)
    inner = np.clip(r0 + 0.5 - distance, 0, 1) if r0 > 0 else 0.0
    return np.asarray(outer - inner, np.float32)


@njit(cache=True, nogil=True)
def _weighted(patterns: NDArray, rows: NDArray[np.int64], cols: NDArray[np.int64], weights: Image) -> Floats:
    out = np.empty(len(patterns))
    for n in range(len(patterns)):
        total = 0.0
        for k in range(len(rows)):
            value = float(patterns[n, rows[k], cols[k]])
            if np.isfinite(value):
                total += value * weights[k]
        out[n] = total
    return out


@njit(cache=True, nogil=True)
def _moments(patterns: NDArray, bad: Bools) -> Floats:
    out = np.empty((len(patterns), 2))
    for n in range(len(patterns)):
        total = sx = sy = 0.0
        for r in range(patterns.shape[1]):
            row = line = 0.0
            for c in range(patterns.shape[2]):
                value = float(patterns[n, r, c])
                if not bad[r, c] and np.isfinite(value):
                    row += value
                    line += value * c
            total += row
            sx += line
            sy += row * r
        out[n, 0] = sx / total if total > 0 else np.nan
        out[n, 1] = sy / total if total > 0 else np.nan
    return out


@njit(cache=True, nogil=True)
def _largest(patterns: NDArray, bad: Bools) -> Floats:
    out = np.full(len(patterns), np.nan)
    for n in range(len(patterns)):
        for r in range(patterns.shape[1]):
            for c in range(patterns.shape[2]):
                value = float(patterns[n, r, c])
                if not bad[r, c] and np.isfinite(value) and not out[n] >= value:
                    out[n] = value
    return out


def virtual_image(patterns: NDArray, detector: NDArray, mask: Bools | None = None) -> Floats:
    """(B,) counts of patterns (B, H, W) on a detector: weights (H, W), as of :func:`annulus`, or bool.

    Masked pixels (True = bad) and values that are no numbers add nothing.
    """
    weights = np.asarray(detector, np.float32)
    if weights.shape != patterns.shape[1:]:
        raise ValueError(f"the detector is {weights.shape}, but the patterns are {patterns.shape[1:]} pixels")
    if mask is not None:
        weights = np.where(mask, np.float32(0), weights)
    rows, cols = np.nonzero(weights)
    return _weighted(patterns, rows, cols, weights[rows, cols])


def total(patterns: NDArray, mask: Bools | None = None) -> Floats:
    """(B,) sums over all good pixels."""
    return virtual_image(patterns, np.ones(patterns.shape[1:], np.float32), mask)


def largest(patterns: NDArray, mask: Bools | None = None) -> Floats:
    """(B,) highest values of good pixels, NaN where there is none."""
    return _largest(patterns, _bad(patterns, mask))


def centre_of_mass(patterns: NDArray, mask: Bools | None = None) -> Floats:
    """(B, 2) x, y px of the centres of mass of good pixels, NaN where a pattern is empty."""
    return _moments(patterns, _bad(patterns, mask))


def _bad(patterns: NDArray, mask: Bools | None) -> Bools:
    return np.zeros(patterns.shape[1:], np.bool_) if mask is None else np.asarray(mask, np.bool_)
