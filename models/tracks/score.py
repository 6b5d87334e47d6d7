"""How good tracks are, where the truth is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from braggscope.models.results import PeakTable
from braggscope.models.tracks.table import Tracks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
GATE_PX = 2.5  # between a peak and the truth it belongs to
FALSE_PX = 5.0  # a peak farther than this from everything is false


@dataclass(frozen=True, slots=True)
class Truth:
    """What moves through the frames: (F, G) columns and rows in px, whether it can be seen; (G,) parent."""

    x: Floats
    y: Floats
    visible: NDArray[np.bool_]
    present: NDArray[np.bool_]  # visible or not, strong enough to leave a trace
    parent: Integers


@dataclass(frozen=True, slots=True)
class Split:
    """One split of the truth: entries, the frame in which both can be told apart, and what was found of it.

    ``lag`` frames from then to the first frame whose table holds both, NaN if there is none. ``error``
    frames between the estimate and the truth, NaN where the split was not found.
    """

    parent: int
    child: int
    frame: int
    lag: float
    error: float


@dataclass(frozen=True, slots=True)
class Score:
    """Links of consecutive peaks of one entry.

    ``right``: share of the links made between peaks of known entries that join one entry; ``found``: share of
    the true links, at most the longest gap apart, that were made. ``false``: lengths of tracks most of whose
    peaks belong to nothing. ``invented``: splits between known entries that are not parent and child.
    """

    right: float
    found: float
    links: int
    false: tuple[int, ...]
    splits: tuple[Split, ...]
    invented: int


def owners(table: PeakTable, truth: Truth, visible: NDArray[np.bool_] | None = None) -> Integers:
    """(N,) entry of every peak, -1 for none: one to one within 2.5 px, at the least total distance."""
    seen = truth.visible if visible is None else visible
    owner = np.full(len(table), -1, np.int64)
    x, y = positions(table)
    for frame in np.unique(table["frame"]):
        rows, entries = np.flatnonzero(table["frame"] == frame), np.flatnonzero(seen[frame])
        apart = np.hypot(x[rows, None] - truth.x[frame, entries], y[rows, None] - truth.y[frame, entries])
        i, j = linear_sum_assignment(np.minimum(apart, 2 * GATE_PX))
        near = apart[i, j] <= GATE_PX
        owner[rows[i[near]]] = entries[j[near]]
    return owner


def positions(table: PeakTable) -> tuple[Floats, Floats]:
    """(N,) x and y px: the combined answer, or the pixel of the maximum."""
    known = np.isfinite(table["x"]) & np.isfinite(table["y"])
    return np.where(known, table["x"], table["col"]), np.where(known, table["y"], table["row"])


def score(table: PeakTable, tracks: Tracks, truth: Truth, splits: Integers, gap: int) -> Score:
    """Compare. ``splits`` (S, 3): parent, child, first frame in which both can be told apart."""
    owner = owners(table, truth)
    a, b = _links(table["frame"], tracks.track)
    known = (owner[a] >= 0) & (owner[b] >= 0)
    c, d = _links(table["frame"], owner)
    close = table["frame"][d] - table["frame"][c] <= gap + 1
    follower = np.full(len(table), -1)
    follower[a] = b
    main = np.array([_commonest(owner[tracks.rows(k)]) for k in range(len(tracks))], np.int64)
    parents = np.where(tracks.split_from >= 0, main[tracks.split_from], -1)
    claimed = (parents >= 0) & (main >= 0)
    return Score(
        float(np.mean(owner[a][known] == owner[b][known])) if known.any() else 1.0,
        float(np.mean(follower[c][close] == d[close])) if close.any() else 1.0,
        int(close.sum()),
        _false(table, tracks, truth, owner),
        tuple(_split(table, tracks, owner, main, *map(int, split)) for split in splits),
        int(np.count_nonzero(truth.parent[main[claimed]] != parents[claimed])),
    )


def _links(frame: Integers, label: Integers) -> tuple[Integers, Integers]:
    """Consecutive rows of one label, labels below 0 left out."""
    order = np.lexsort((frame, label))
    order = order[label[order] >= 0]
    same = np.diff(label[order]) == 0
    return order[:-1][same], order[1:][same]


def _commonest(values: Integers) -> int:
    """The commonest value of at least 0; -1 where there is none."""
    values = values[values >= 0]
    return int(np.bincount(values).argmax()) if len(values) else -1


def _false(table: PeakTable, tracks: Tracks, truth: Truth, owner: Integers) -> tuple[int, ...]:
    """A located peak is false without an entry of its own, another (beside bad pixels) far from all."""
    traced = owners(table, truth, truth.present)
    x, y = positions(table)
    frame = table["frame"]
    apart = np.hypot(x[:, None] - truth.x[frame], y[:, None] - truth.y[frame])
    far = ~((apart < FALSE_PX) & truth.present[frame]).any(axis=1)
    false = np.where(np.isfinite(table["x"]), (owner < 0) & (traced < 0), far)
    lengths = [len(rows) for k in range(len(tracks)) if false[rows := tracks.rows(k)].mean() > 0.5]
    return tuple(sorted(lengths))


def _split(
    table: PeakTable, tracks: Tracks, owner: Integers, main: Integers, parent: int, child: int, frame: int
) -> Split:
    seen = np.intersect1d(table["frame"][owner == parent], table["frame"][owner == child])
    lag = float(seen[0] - frame) if len(seen) else np.nan
    found = [
        tracks.split_frame[k] - frame
        for k in range(len(tracks))
        if main[k] == child and tracks.split_from[k] >= 0 and main[tracks.split_from[k]] == parent
    ]
    return Split(parent, child, frame, lag, float(min(found, key=abs)) if found else np.nan)
