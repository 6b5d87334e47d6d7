"""Tracks as a value: which track every peak belongs to, and what became of every track."""

from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import PeakTable

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
KEYS = ("frame", "row", "col", "component")  # columns of a peak table that name a peak
Peak = tuple[int, int, int] | tuple[int, int, int, int]  # values of these; component 0 may be left out


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How peaks are linked.

    ``gate_px``: farthest a peak may be from where its track is expected. ``gap``: analysed frames that a
    track may miss. ``shortest``: peaks that make a track. ``occupancy``: share of the frames between first
    and last in which a track must have a peak. ``again``: frames after which a spot that comes back is no
    longer taken for the same.
    """

    gate_px: float = 3.0
    gap: int = 10
    shortest: int = 3
    occupancy: float = 0.5
    again: int = 100

    def __post_init__(self) -> None:
        if not (np.isfinite(self.gate_px) and self.gate_px > 0):
            raise ValueError(f"The gate must be a positive number of pixels, not {self.gate_px:g}.")
        if self.gap < 0 or self.shortest < 1 or self.again < 0:
            raise ValueError("Gaps and waits cannot be negative, and a track has at least one peak.")
        if not 0 <= self.occupancy <= 1:
            raise ValueError(f"The occupancy is a share between 0 and 1, not {self.occupancy:g}.")


@dataclass(frozen=True, slots=True)
class Tracks:
    """Tracks through a peak table, as structures of arrays: one entry per peak, then one per track.

    Per row of the table (N,): ``track`` int64, -1 for none; ``x y x_err y_err`` px: smoothed position with
    1 sigma, NaN without a track. Per track (K,), numbered by first peak: ``first last`` frames, ``length``
    peaks; ``split_from merged_into continues`` int64 tracks or -1; ``split_frame merge_frame`` float64: when
    the two are seen 2.5 sigma apart, NaN where nothing splits or merges; ``name``: as shown.
    """

    track: Integers
    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats
    first: Integers
    last: Integers
    length: Integers
    split_from: Integers
    merged_into: Integers
    continues: Integers
    split_frame: Floats
    merge_frame: Floats
    name: tuple[str, ...]
    _order: Integers = field(init=False, repr=False, compare=False)  # rows by track, -1 first, then by row
    _start: Integers = field(init=False, repr=False, compare=False)  # (K + 2,) where -1, 0, 1 … begin in it

    def __post_init__(self) -> None:
        n = len(self.track)
        places = np.sort((self.track + 1) * n + np.arange(n))  # a quarter of the time of a stable argsort
        object.__setattr__(self, "_order", places % n)
        object.__setattr__(self, "_start", np.searchsorted(places, n * np.arange(len(self.first) + 2)))

    def __len__(self) -> int:
        return len(self.first)

    def rows(self, track: int) -> Integers:
        """(n,) rows of the peak table that belong to a track (-1: to none), in the order of the table."""
        return self._order[self._start[track + 1] : self._start[track + 2]]

    def ancestor(self, track: int) -> int:
        """The track from which this one came, through all splits and reappearances."""
        while True:
            before = self.split_from[track] if self.split_from[track] >= 0 else self.continues[track]
            if before < 0:
                return track
            track = int(before)

    def renamed(self, track: int, name: str) -> Self:
        """The same with another name for one track."""
        return replace(self, name=(*self.name[:track], name, *self.name[track + 1 :]))


class Edit(NamedTuple):
    """One change.

    ``split``: the track of ``peak`` ends before it, and a new one begins with it. ``join``: the tracks of
    ``peak`` and ``other`` become one; where both have a peak in a frame, the first keeps its own.
    ``delete``: its peaks have no track. ``rename``: it is called ``name``.
    """

    kind: Literal["split", "join", "delete", "rename"]
    peak: Peak
    other: Peak | None = None
    name: str = ""


def names(split_from: Integers, continues: Integers) -> tuple[str, ...]:
    """Numbers for new tracks, ``4.1`` for the first that splits from 4, ``4+`` for 4 seen again."""
    given: dict[int, str] = {}
    children: dict[int, int] = {}
    roots = 0
    for k in range(len(split_from)):  # a parent begins earlier and so has its name already
        if split_from[k] >= 0:
            parent = int(split_from[k])
            children[parent] = children.get(parent, 0) + 1
            given[k] = f"{given[parent]}.{children[parent]}"
        elif continues[k] >= 0:
            given[k] = f"{given[int(continues[k])]}+"
        else:
            roots += 1
            given[k] = str(roots)
    return tuple(given[k] for k in range(len(split_from)))


class PeakIndex:
    """Finds the rows of peaks in a table of many frames, which it sorts by frame once."""

    def __init__(self, table: PeakTable) -> None:
        self._table = table
        self._order = np.argsort(table["frame"], kind="stable")
        self._frame = table["frame"][self._order]

    def row_of(self, peak: Peak) -> int | None:
        """Row of a peak, the first if there are several, or None."""
        frame, *whole = (*peak, 0)[: len(KEYS)]
        begin, end = (int(np.searchsorted(self._frame, frame, side)) for side in ("left", "right"))
        rows = self._order[begin:end]
        same = [self._table[name][rows] == value for name, value in zip(KEYS[1:], whole, strict=True)]
        at = np.flatnonzero(np.all(same, axis=0))
        return int(rows[at[0]]) if len(at) else None
