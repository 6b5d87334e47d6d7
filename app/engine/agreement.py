"""How the answers of several methods agree over a run, in bounded memory, and beside another list."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import Context
from braggscope.models.compare import (
    GATE_PX,
    POSITIONS,
    QUANTITIES,
    Differences,
    Positions,
    match,
    places,
    quantities,
)
from braggscope.models.results import PeakTable, Status, in_frame_pixels

ROWS = 20_000  # peaks kept for the plots of one run
OTHER = "other"  # method name of the list that is compared with
METHODS = (*POSITIONS, OTHER)
_FIRST, _SECOND = np.triu_indices(len(METHODS), 1)
_BATCH = 5000  # peaks matched at a time


class AgreementSample:
    """A bounded, uniform sample of the answers of all methods; what is left out is counted exactly."""

    def __init__(self, capacity: int = ROWS) -> None:
        self._positions = np.empty((capacity, len(METHODS), 2))
        self._columns = np.empty((capacity, 1 + len(QUANTITIES)))  # peak, then the quantities
        self._random = np.random.default_rng(0)
        self.seen = 0  # peaks in total
        self.unmatched = Positions.concatenate([])  # of the other list
        self._pairs, self._far, self._silent = np.zeros((3, len(_FIRST)), np.int64)

    def add(self, table: PeakTable, other: NDArray[np.float64] | None = None) -> None:
        """Take in peaks (reservoir sampling, Vitter 1985, algorithm R); ``other`` (N, 2) x, y px or NaN.

        Peaks rejected by hand do not count, those that were not detected only where ``other`` has them.
        """
        nothing = np.full((len(table), 2), np.nan)
        answers = [np.stack([table[x], table[y]], axis=1) for x, y in POSITIONS.values()]
        positions = np.stack([*answers, nothing if other is None else other], axis=1)
        against = quantities(table)
        columns = np.stack([table["peak"], *(against[name] for name in QUANTITIES)], axis=1)
        kept = table.detected if other is None else table.detected | np.isfinite(other[:, 0])
        kept = kept & (table["status"] != Status.REJECTED)
        positions, columns = positions[kept], columns[kept]
        self._count(positions)
        order = self.seen + np.arange(len(columns))
        capacity = len(self._columns)
        slots = np.where(order < capacity, order, self._random.integers(order + 1))
        chosen = slots < capacity
        self._positions[slots[chosen]] = positions[chosen]
        self._columns[slots[chosen]] = columns[chosen]
        self.seen += len(columns)

    def _count(self, positions: NDArray[np.float64]) -> None:
        apart = positions[:, _FIRST] - positions[:, _SECOND]
        distance = np.hypot(apart[..., 0], apart[..., 1])
        known = np.isfinite(positions[..., 0])
        self._pairs += (distance <= GATE_PX).sum(axis=0)
        self._far += (distance > GATE_PX).sum(axis=0)
        self._silent += (known[:, _FIRST] ^ known[:, _SECOND]).sum(axis=0)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that have answered at least once."""
        known = np.isfinite(self._positions[: min(self.seen, len(self._columns)), :, 0]).any(axis=0)
        return tuple(METHODS[k] for k in np.flatnonzero(known))

    def differences(self, first: str, second: str) -> Differences:
        """First minus second method of the pairs in the sample, and the counts of all peaks."""
        one, two = METHODS.index(first), METHODS.index(second)
        n = min(self.seen, len(self._columns))
        apart = self._positions[:n, one] - self._positions[:n, two]
        paired = np.hypot(*apart.T) <= GATE_PX
        columns = self._columns[:n][paired]
        entry = np.flatnonzero((min(one, two) == _FIRST) & (max(one, two) == _SECOND))
        against = dict(zip(QUANTITIES, columns[:, 1:].T, strict=True))
        return Differences(
            dx=apart[paired, 0],
            dy=apart[paired, 1],
            frame=against["frame"].astype(np.int64),
            peak=columns[:, 0].astype(np.int64),
            against=against,
            pairs=int(self._pairs[entry].sum()),
            silent=int(self._silent[entry].sum()),
            far=int(self._far[entry].sum()),
            only_second=len(self.unmatched.x) if OTHER in (first, second) else 0,
        )


def compare(
    tables: Iterable[tuple[int, PeakTable]], frames: int, binning: int, other: Positions, context: Context
) -> AgreementSample:
    """Pair the peaks of a run with another list, frame by frame, each peak at most once.

    ``tables``: (frame, table in pixels of the prepared image) by rising frame, ``frames`` in total.
    ``other``: pixels of the whole frame, as is the sample; entries of frames that ``tables`` lacks do not
    count as unmatched.
    """
    other = other.take(np.argsort(other.frame, kind="stable"))
    sample = AgreementSample()
    alone: list[Positions] = []
    waiting: list[tuple[int, PeakTable]] = []

    def flush() -> None:
        done = np.array([frame for frame, _ in waiting], np.int64)
        part = _of_frames(other, done)
        table = PeakTable.concatenate(in_frame_pixels(table, binning) for _, table in waiting)
        table = table.take(table["status"] != Status.REJECTED)
        found = match(places(table), part)
        partner = np.full((len(table), 2), np.nan)
        partner[found.first] = np.stack((part.x, part.y), axis=1)[found.second]
        sample.add(table, partner)
        alone.append(part.take(found.only_second))
        waiting.clear()

    for count, (frame, table) in enumerate(tables):
        context.progress(count, frames)
        waiting.append((frame, table))
        if sum(len(table) for _, table in waiting) >= _BATCH:
            flush()
    if waiting:
        flush()
    sample.unmatched = Positions.concatenate(alone)
    return sample


def _of_frames(positions: Positions, frames: NDArray[np.int64]) -> Positions:
    """Entries of some frames; ``positions`` by rising frame."""
    low, high = (np.searchsorted(positions.frame, frames, side) for side in ("left", "right"))
    rows = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
    return positions.take(rows.astype(np.int64))
