"""How noisy counts are: units per electron and the noise of the readout, from the patterns themselves."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]

KERNEL = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float64)  # its noise has 36 times the variance
WIDE, INNER = 9, 3  # px: sides of the squares between which the surroundings of a pixel lie
BINS = 10
ENOUGH = 300  # electrons in a bin
SAME = 2.0  # whole numbers whose variance is their mean within this factor are counts
BRIGHT = 5.0  # electrons from which on a median of squares can be used
HALF = 0.4549364  # median of chi^2 of one degree of freedom


def measure_noise(patterns: NDArray, good: NDArray[np.bool_]) -> tuple[float, float]:
    """Gain and readout variance of patterns (B, H, W), ``good`` alike: variance = gain · mean + readout.

    From second differences, which a smooth pattern does not have (Immerkær, 1996), in pixels sorted by
    their surroundings, which are independent of them: structure can only add to what is seen, so the least
    counts. Gain 1 and no readout where the patterns are too dark to tell.
    """
    rows = [_pixels(pattern, use) for pattern, use in zip(patterns, good, strict=True)]
    around, mean, variance = np.concatenate(rows, axis=1)
    parts = np.array_split(np.argsort(around), BINS)
    dark = np.array([_ratio(mean[part], variance[part]) for part in parts[: BINS // 2]])
    bright = _typical(mean[parts[-1]], variance[parts[-1]])
    least = np.nanmin(np.r_[dark, bright], initial=np.inf)
    if not np.isfinite(least):
        return 1.0, 0.0
    whole = bool(np.all(np.mod(patterns[good], 1) == 0))
    gain = 1.0 if whole and 1 / SAME < least < SAME else float(least)
    lowest = float(mean[parts[0]].mean())
    return gain, (dark[0] - gain) * lowest if dark[0] > SAME * gain else 0.0


def _pixels(pattern: NDArray, use: NDArray[np.bool_]) -> Floats:
    """(3, n): mean of the surroundings, of 3 x 3 pixels, and variance, of pixels among good ones."""
    values, share = np.where(use, pattern, 0.0).astype(np.float64), use.astype(np.float64)
    near, near_share = (ndimage.uniform_filter(a, INNER) * INNER**2 for a in (values, share))
    wide, wide_share = (ndimage.uniform_filter(a, WIDE) * WIDE**2 for a in (values, share))
    sure = ndimage.binary_erosion(use, np.ones((3, 3)))
    around = (wide - near)[sure] / np.maximum(wide_share - near_share, 1)[sure]
    return np.stack([around, near[sure] / INNER**2, ndimage.convolve(values, KERNEL)[sure] ** 2 / 36])


def _ratio(mean: Floats, variance: Floats) -> float:
    """Variance over mean, NaN where there are too few electrons to tell."""
    if not (len(mean) and mean.mean() > 0 and variance.mean() > 0):
        return np.nan
    ratio = float(variance.mean() / mean.mean())
    return ratio if mean.sum() > ENOUGH * ratio else np.nan


def _typical(mean: Floats, variance: Floats) -> float:
    """The same of bright pixels, not heeding the edges of disks; NaN where they are not bright."""
    bright = mean > 0
    if bright.sum() < ENOUGH:
        return np.nan
    ratio = float(np.median(variance[bright] / mean[bright])) / HALF
    return ratio if ratio > 0 and np.median(mean[bright]) > BRIGHT * ratio else np.nan
