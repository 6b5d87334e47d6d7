"""From candidates to peaks: thresholds as column arithmetic, and the findpeaks package as reference."""

import logging
import warnings
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggscope.models.peaks.radix import order_falling
from braggscope.models.peaks.suggest import suggest_thresholds
from braggscope.models.results import Candidates, Selection

__all__ = ["log_histogram", "reference_peaks", "select", "suggest_thresholds"]


def select(candidates: Candidates, minval: float, minscore: float) -> Selection:
    """Peaks under two thresholds, exactly as if the frame had been thresholded at ``minval`` and searched.

    A candidate is a peak if birth >= ``minval`` and score >= ``minscore`` (both in counts); its score is
    birth - death, where a death below ``minval`` counts as 0: ranking pixels from the top down, what
    happens from ``minval`` up does not depend on the pixels below it, and a merge below it no longer takes
    place. Falling score; equal scores by falling pixel index, as findpeaks ranks equal pixels. Raises
    ValueError for ``minval`` below the floor of the candidates.
    """
    if not minval >= candidates.floor:
        raise ValueError(
            f"minval {minval:g} is below the floor {candidates.floor:g} of the candidates: search down to it"
        )
    chosen, order = _select(
        candidates.index, candidates.birth, candidates.death, float(minval), float(minscore)
    )
    chosen = chosen[order]
    death = np.where(candidates.death[chosen] < minval, 0.0, candidates.death[chosen])
    return Selection(chosen, death, candidates.birth[chosen] - death)


@njit(cache=True, nogil=True)
def _select(
    index: NDArray, birth: NDArray, death: NDArray, minval: float, minscore: float
) -> tuple[NDArray, NDArray]:
    chosen = np.empty(len(index), np.int64)
    score = np.empty(len(index), np.float64)
    m = 0
    for i in range(len(index)):
        chosen[m] = i
        score[m] = birth[i] - death[i] if death[i] >= minval else birth[i]
        m += (birth[i] >= minval) & (score[m] >= minscore)
    chosen, score = chosen[:m], score[:m]
    rising = order_falling(index[chosen].view(np.uint64))[::-1]
    chosen, score = chosen[rising], score[rising]
    return chosen, order_falling(score.view(np.uint64))


def log_histogram(values: ArrayLike, bins: int = 64) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Histogram over logarithmic bins: (bins,) counts and (bins + 1,) edges that enclose all positive values.

    Values that are not positive or not finite are left out. Without any, edges run from 1 to 10.
    """
    array = np.asarray(values, np.float64).ravel()
    array = array[np.isfinite(array) & (array > 0)]
    low, high = (array.min(), array.max()) if array.size else (1.0, 10.0)
    if high <= low * (1 + 1e-9):
        low, high = low / 2, high * 2
    edges = np.geomspace(low, high, bins + 1)
    counts, _ = np.histogram(array, edges)
    return counts.astype(np.int64), edges


def reference_peaks(
    image: ArrayLike, mask: NDArray[np.bool_] | None = None, minval: float = 0.0, minscore: float = 0.0
) -> Candidates:
    """Peaks of a frame from the findpeaks package itself: slow (20 s at 1024 x 1024), for comparison.

    ``image`` (H, W) counts, ``mask`` (H, W) bool, True = bad. Same result as :func:`select` on
    :func:`~braggscope.models.peaks.persistence.find_candidates`: births and deaths are read from the frame at
    the pixels that findpeaks names, which frees them from the index it adds to break ties.
    """
    frame = np.array(image, np.float64)
    keep = np.isfinite(frame) & (frame >= minval) & (frame > 0)
    if mask is not None:
        keep &= ~np.asarray(mask, np.bool_)
    frame[~keep] = 0
    width = frame.shape[1]
    if width < 3:  # findpeaks breaks ties the other way round in frames of one or two columns
        frame = np.pad(frame, ((0, 0), (0, 3 - width)))
    groups: list[Any] = []  # (pixel of birth, birth, score, pixel of death or None)
    if frame.any():
        finder = _finder()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = finder.peaks2d(frame, method="topology")["groups0"]
    index = np.array([row * width + col for (row, col), *_ in groups], np.int64)
    birth = np.array([frame[top] for top, *_ in groups], np.float64)
    death = np.array([0.0 if saddle is None else frame[saddle] for *_, saddle in groups], np.float64)
    order = np.lexsort((-index, death - birth))
    order = order[(birth[order] > 0) & (birth[order] - death[order] >= minscore)]
    return Candidates((frame.shape[0], width), float(minval), index[order], birth[order], death[order])


def _finder() -> Any:
    """A findpeaks object for counts.

    Imported late (it takes seconds), and kept from what it does on the way: it installs log handlers and
    sets the level of the root logger. When silent it prints nothing; the output is never taken from it, since
    that would take it from all other threads.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from findpeaks import findpeaks

            plain = {"limit": -1, "imsize": None, "scale": False, "togray": False, "denoise": None}
            finder = findpeaks(method="topology", whitelist="peak", verbose="silent", **plain)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    logging.getLogger("findpeaks").setLevel(logging.CRITICAL + 10)
    return finder
