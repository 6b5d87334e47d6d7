"""Thresholds for a first look at a frame."""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggscope.models.peaks.persistence import find_candidates

_MANTISSAS = np.array([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8])
_CONSIDERED = 20_000  # candidates by score, and as many by birth: more peaks nobody wants at first sight
_RADII = (5, 7)
_RING = tuple((dy * r, dx * r) for r in _RADII for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
_FALSE_COST = 1.0  # evident spots that a noise maximum outweighs
_NEARLY = 0.98  # of the best value: the middle of such choices is taken
_MANY, _SLOW = 0.1, 0.9  # a minval that leaves more than this part of the pixels is worth less by this factor
_FEW = 3  # spots that make no pattern


def suggest_thresholds(image: ArrayLike, mask: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Propose (minval, minscore), counts, friendly numbers, that show the evident spots and little noise.

    ``image`` (H, W) counts, ``mask`` (H, W) bool, True = bad. A candidate is evident when its 3 x 3 pixels,
    and also the 8 around its maximum, stand out of the ring of pixels around it; the noise is taken from
    those rings. Every pair on a grid is then judged by what it would select. Without an evident spot about
    ten of the strongest candidates are left. (0, 0) for a frame without counts. About 0.1 s per megapixel.
    """
    frame = np.asarray(image)
    candidates = find_candidates(frame, mask)
    if not len(candidates):
        return 0.0, 0.0
    score = candidates.birth - candidates.death
    strongest = np.zeros(len(score), np.bool_)
    strongest[:_CONSIDERED] = True
    strongest[np.argsort(-candidates.birth, kind="stable")[:_CONSIDERED]] = True
    good = np.isfinite(frame) if mask is None else np.isfinite(frame) & ~np.asarray(mask, np.bool_)
    counts = np.where(good, frame, np.nan).astype(np.float32)
    sample = np.sort(candidates.index)[:: max(1, len(score) // 4000)]
    level, spread, _, _ = _surroundings(counts, sample)
    lit = level > 0
    # Variance per count; where most rings are dark, what is lit is spots and not background.
    gain = float(np.median(spread[lit] ** 2 / level[lit])) if 2 * lit.sum() > len(lit) else 1.0
    birth, death = candidates.birth[strongest], candidates.death[strongest]
    level, spread, whole, around = _surroundings(counts, candidates.index[strongest])
    # Counts that were cut off below leave rings of zeros: the cut is taken for three times the noise.
    positive = np.sort(counts[counts > 0])
    least = float(positive[len(positive) // 100]) / 3
    sigma = np.sqrt(np.maximum(np.maximum(spread**2, gain * level), least**2))
    evident = (whole > 6 * 3 * sigma) & (around > 4 * np.sqrt(8) * sigma)
    evident &= birth - death > 5 * np.sqrt(gain * birth)  # not the noise on top of another spot
    grid = _friendly(float(np.min(birth)), float(np.max(birth)))
    minvals = np.concatenate([[0.0], grid[grid >= positive[0]]])
    part = 1 - np.searchsorted(positive, minvals) / np.count_nonzero(good)
    return _best_pair(minvals, grid, part, birth, death, evident)


def _best_pair(
    minvals: NDArray, minscores: NDArray, part: NDArray, birth: NDArray, death: NDArray, evident: NDArray
) -> tuple[float, float]:
    """The pair that selects most evident candidates and fewest others; ``part`` of pixels per minval."""
    value = np.empty((len(minvals), len(minscores)))
    for i, minval in enumerate(minvals):
        keep = birth >= minval
        score = np.where(death < minval, birth, birth - death)
        true, false = np.sort(score[keep & evident]), np.sort(score[keep & ~evident])
        hits = len(true) - np.searchsorted(true, minscores)
        value[i] = hits - _FALSE_COST * (len(false) - np.searchsorted(false, minscores))
    value[part > _MANY] *= _SLOW
    if value.max() < _FEW:
        return _strongest_pair(minscores, birth, death)
    nearly = np.argwhere(value >= _NEARLY * value.max())
    row, col = nearly[np.argmin(np.sum((nearly - nearly.mean(axis=0)) ** 2, axis=1))]
    return float(minvals[row]), float(minscores[col])


def _strongest_pair(grid: NDArray, birth: NDArray, death: NDArray) -> tuple[float, float]:
    """Thresholds that leave about a hundred maxima by height, and of these about ten by score."""
    minval = _round_up(grid, float(np.sort(birth)[-min(len(birth), 100)]))
    score = np.sort(np.where(death < minval, birth, birth - death)[birth >= minval])
    return minval, _round_up(grid, float(score[-min(len(score), 10)]) if len(score) else minval)


def _friendly(low: float, high: float) -> NDArray[np.float64]:
    """Numbers of few digits from about low to high."""
    powers = np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 1)
    numbers = np.array([float(f"{m:g}e{int(p)}") for p in powers for m in _MANTISSAS])
    return numbers[(numbers <= high) | (np.arange(len(numbers)) == 0)]


def _round_up(grid: NDArray[np.float64], value: float) -> float:
    return float(grid[min(int(np.searchsorted(grid, value)), len(grid) - 1)])


@njit(cache=True, nogil=True)
def _surroundings(counts: NDArray, index: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Level and spread of the ring around each pixel; excess of its 3 x 3 and of its 8 neighbours."""
    height, width = counts.shape
    n = len(index)
    level, spread, whole, around = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    ring = np.empty(len(_RING))
    for i in range(n):
        row, col = index[i] // width, index[i] % width
        m = 0
        for dy, dx in _RING:
            r, c = row + dy, col + dx
            if 0 <= r < height and 0 <= c < width and np.isfinite(counts[r, c]):
                ring[m] = max(counts[r, c], np.float32(0))
                m += 1
        if m < 6:
            continue
        values = np.sort(ring[:m])
        level[i] = max(values[m // 2], values[: (3 * m) // 4].mean())
        spread[i] = (values[(3 * m) // 4] - values[m // 4]) / 1.349
        for r in range(max(0, row - 1), min(height, row + 2)):
            for c in range(max(0, col - 1), min(width, col + 2)):
                if np.isfinite(counts[r, c]):
                    whole[i] += counts[r, c] - level[i]
        around[i] = whole[i] - (counts[row, col] - level[i])
    return level, spread, whole, around
