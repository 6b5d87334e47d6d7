"""How noisy counts are: units per electron and the noise of the readout, from the patterns themselves."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

KERNEL = np.outer((1, -2, 1), (1, -2, 1)).astype(np.float64)  # its noise has 36 times the variance
BINS = 10
ENOUGH = 200  # pixels in a bin
SAME = 1.4  # whole numbers whose variance is their mean within this factor are counts
HALF = 0.4549364  # median of chi^2 of one degree of freedom


def measure_noise(patterns: NDArray, good: NDArray[np.bool_]) -> tuple[float, float]:
    """Gain and readout variance of patterns (B, H, W), ``good`` alike: variance = gain · mean + readout.

    From second differences, which a smooth pattern does not have (Immerkær, 1996), in pixels sorted by the
    mean of their surroundings: structure can only add to what is seen, so the least counts. 1 and 0
    where the patterns are too dark to tell.
    """
    level, noise = [], []
    for pattern, use in zip(patterns, good, strict=True):
        values = np.where(use, pattern, 0.0).astype(np.float64)
        share = ndimage.uniform_filter(use.astype(np.float64), 9)
        mean = ndimage.uniform_filter(values, 9) / np.maximum(share, 1e-6)
        sure = ndimage.binary_erosion(use, np.ones((3, 3)))
        level.append(mean[sure])
        noise.append(ndimage.convolve(values, KERNEL)[sure] ** 2 / 36)
    mean, variance = np.concatenate(level), np.concatenate(noise)
    order = np.argsort(mean)
    parts = np.array_split(order, BINS)
    dark = _ratios(mean, variance, parts[: BINS // 2], median=False)
    ratios = dark if len(dark) else _ratios(mean, variance, parts[BINS // 2 :], median=True)
    if not len(ratios):
        return 1.0, 0.0
    least = float(ratios[:, 1].min())
    whole = bool(np.all(np.mod(patterns[good], 1) == 0))
    if len(dark) and not whole:
        bright = _ratios(mean, variance, parts[-1:], median=True)
        least = min(least, float(bright[:, 1].min(initial=np.inf)))
    gain = 1.0 if whole and 1 / SAME < least < SAME else least
    middle, ratio = ratios[0]
    excess = (ratio - gain) * middle
    return gain, float(excess) if ratio > SAME * gain else 0.0


def _ratios(mean: NDArray, variance: NDArray, parts: list[NDArray], median: bool) -> NDArray:
    """(K, 2): mean, and variance over mean, of the bins that are bright enough."""
    out = []
    for part in parts:
        middle = float(mean[part].mean()) if len(part) >= ENOUGH else 0.0
        spread = np.median(variance[part]) / HALF if median else variance[part].mean()
        if middle > 0 and spread > 0:
            out.append((middle, float(spread) / middle))
    return np.array(out).reshape(-1, 2)
