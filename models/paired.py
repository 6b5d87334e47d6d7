"""Whether one localiser is better than another on the same peaks, told from luck by a paired bootstrap."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 400
FEWEST_GROUPS = 10  # fewer frames are not drawn again: single peaks are
LEVELS = (2.5, 97.5)  # percent of the resamples


class Change(NamedTuple):
    """Median and 95th percentile of the error, px, before and after.

    ``median_range``, ``p95_range``: 95 % interval of after minus before.
    """

    peaks: int
    before: tuple[float, float]
    after: tuple[float, float]
    median_range: tuple[float, float]
    p95_range: tuple[float, float]

    @property
    def better(self) -> bool:
        """The median fell, and that is no luck."""
        return self.median_range[1] < 0

    @property
    def worse(self) -> bool:
        """The median or the 95th percentile rose, and that is no luck."""
        return self.median_range[0] > 0 or self.p95_range[0] > 0


def paired_change(
    before: Floats,
    after: Floats,
    group: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Change:
    """Compare errors (N,) px of two localisers on the same N peaks.

    Percentile bootstrap (Efron 1979) of the difference, 400 resamples. Where the peaks belong to 10 or more
    ``group`` (frames), whole groups are drawn, because peaks of one frame are alike; else single peaks.
    ``check`` is called between resamples. Raises ValueError for no peaks or unequal lengths.
    """
    if before.shape != after.shape or before.ndim != 1 or not len(before):
        raise ValueError("errors before and after must be lists of one length, and not empty")
    random = np.random.default_rng(seed)
    members = _members(group, len(before))
    change = np.empty((RESAMPLES, 2))
    for k in range(RESAMPLES):
        check()
        if members is None:
            rows = random.integers(len(before), size=len(before))
        else:
            rows = np.concatenate([members[g] for g in random.integers(len(members), size=len(members))])
        change[k] = np.subtract(_summary(after[rows]), _summary(before[rows]))
    low, high = np.percentile(change, LEVELS, axis=0)
    return Change(
        len(before), _summary(before), _summary(after),
        (float(low[0]), float(high[0])), (float(low[1]), float(high[1])),
    )  # fmt: skip


def _members(group: NDArray[np.int64] | None, count: int) -> list[NDArray[np.int64]] | None:
    if group is None:
        return None
    _, index = np.unique(group, return_inverse=True)
    if index.max() + 1 < FEWEST_GROUPS:
        return None
    return np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])


def _summary(errors: Floats) -> tuple[float, float]:
    """Median and 95th percentile."""
    median, high = np.quantile(errors, [0.5, 0.95])
    return float(median), float(high)
