"""From a peak table to tracks: link, learn how spots move, link again, smooth, find splits and merges."""

import numpy as np
from numpy.typing import NDArray

from braggscope.models.results import PeakTable, Status
from braggscope.models.tracks.events import Lines, returns, splits
from braggscope.models.tracks.linking import Motion, Spots, follow
from braggscope.models.tracks.motion import P_XX, POSITION, SPEED
from braggscope.models.tracks.smoothing import LADDER, smooth_tracks
from braggscope.models.tracks.table import Tracks, TrackSettings, names

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
FLOOR_PX = 0.01  # no position is better known than this
COARSE_PX = 1.0  # error of a position that is but the pixel of the maximum
FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))  # in sigma
NEW = 0.01  # chance that a peak at a given place begins a track, beside the density of peaks
ENOUGH = 1000  # tracks from which the motion is learnt
_USED = (
    "frame", "x", "y", "x_err", "y_err", "col", "row", "amplitude", "birth", "background", "fwhm_major",
    "fwhm_minor",
)  # fmt: skip
DEFAULT = Motion(q=1e-2, speed=0.3, bright=0.5, width=0.3, alone=0.0)  # before anything is learnt


def link(table: PeakTable, settings: TrackSettings | None = None) -> Tracks:
    """Tracks through a peak table. The order of its rows does not matter; rejected peaks have no track.

    Positions are the combined answer with its error; where there is none, the pixel of the maximum. A step
    is the smallest distance of analysed frames, so every n-th frame links like every frame.
    """
    settings = settings or TrackSettings()
    order = _canonical(table)
    spots, frames = _spots(table, order)
    track = _pruned(_two_passes(spots, settings), spots, settings)
    return _followed(len(table), order, track, spots, frames, settings)


def relink(table: PeakTable, track: Integers, settings: TrackSettings | None = None) -> Tracks:
    """Tracks of given peaks: ``track`` (N,) any number per row, -1 for none, each at most once a frame.

    They are smoothed, and their splits, merges and reappearances are found, as :func:`link` does.
    """
    order = _canonical(table)
    spots, frames = _spots(table, order)
    given = track[order]
    _, first, number = np.unique(given[given >= 0], return_index=True, return_inverse=True)
    ranked = np.full(len(order), -1, np.int64)
    ranked[given >= 0] = np.argsort(np.argsort(first))[number]  # numbers rise with the first peak
    return _followed(len(table), order, ranked, spots, frames, settings or TrackSettings())


def _followed(
    n: int, order: Integers, track: Integers, spots: Spots, frames: Integers, settings: TrackSettings
) -> Tracks:
    rows = np.flatnonzero(track >= 0)
    rows = rows[np.argsort(track[rows], kind="stable")]  # by track, then by frame
    lines, q = _lines(rows, track, spots)
    return _assembled(n, order[rows], lines, q, frames[rows], settings)


def _canonical(table: PeakTable) -> Integers:
    """Rows to link in an order that depends on nothing but the peaks."""
    rows = np.flatnonzero(table["status"] != Status.REJECTED)
    keys = [table[name][rows] for name in ("component", "col", "row", "frame")]
    return rows[np.lexsort(keys)]


def _spots(table: PeakTable, order: Integers) -> tuple[Spots, Integers]:
    """The peaks as the linker wants them, and the frame of each."""
    column = {name: table[name][order] for name in _USED}
    known = np.isfinite(column["x"]) & np.isfinite(column["y"])
    x, y = (np.where(known, column[a], column[b]).astype(np.float64) for a, b in (("x", "col"), ("y", "row")))
    var_x, var_y = (
        np.where(known & np.isfinite(column[name]), column[name], COARSE_PX) ** 2 + FLOOR_PX**2
        for name in ("x_err", "y_err")
    )
    height = np.where(column["amplitude"] > 0, column["amplitude"], column["birth"])
    with np.errstate(divide="ignore", invalid="ignore"):
        bright = np.log(height)
        width = 0.5 * np.log(column["fwhm_major"] * column["fwhm_minor"])
        snr = column["amplitude"] / np.sqrt(np.maximum(column["background"], 1.0))
    bright[~np.isfinite(bright)] = width[~np.isfinite(width)] = np.nan
    frames, start = np.unique(column["frame"], return_index=True)
    stride = int(np.gcd.reduce(np.diff(frames))) if len(frames) > 1 else 1
    step = (frames - frames[:1]) // stride
    ends = np.append(start, len(order)).astype(np.int64)
    return Spots(ends, step.astype(np.int64), x, y, var_x, var_y, bright, width, snr), column["frame"]


def _steps(spots: Spots) -> Integers:
    """(N,) step of every row."""
    return np.repeat(spots.step, np.diff(spots.start))


def _two_passes(spots: Spots, settings: TrackSettings) -> Integers:
    """Link with a wide idea of how spots move, learn from the result, link again."""
    if not len(spots.x):
        return np.zeros(0, np.int64)
    area = max(np.ptp(spots.x) * np.ptp(spots.y), (10 * settings.gate_px) ** 2)
    density = len(spots.x) / len(spots.step) / area
    wide = DEFAULT._replace(speed=settings.gate_px / 10, alone=-np.log(2 * np.pi * NEW * density))
    first = follow(spots, wide, settings.gate_px, settings.gap)
    learnt = _learn(first, spots, wide)
    return np.asarray(follow(spots, learnt, settings.gate_px, settings.gap))


def _learn(track: Integers, spots: Spots, wide: Motion) -> Motion:
    """How the spots of this series move and change, from tracks of at least ten peaks."""
    long = np.bincount(track) >= 10
    long[np.flatnonzero(long)[ENOUGH:]] = False
    rows = np.flatnonzero(long[track])
    rows = rows[np.argsort(track[rows], kind="stable")]
    if len(rows) < 50:
        return wide
    lines, q = _lines(rows, track, spots)
    inner = np.diff(track[rows]) == 0
    speed = np.sqrt(np.mean(lines.along[:, SPEED] ** 2 + lines.down[:, SPEED] ** 2) / 2)
    weights = np.repeat(q.max(axis=1), np.diff(lines.start))
    return wide._replace(
        q=float(np.clip(np.quantile(weights, 0.75), 1e-6, wide.q)),
        speed=float(np.clip(2 * speed, 0.02, wide.speed)),
        bright=_spread(spots.bright[rows], inner, 0.1, 1.0),
        width=_spread(spots.width[rows], inner, 0.05, 0.5),
    )


def _spread(values: Floats, inner: NDArray[np.bool_], low: float, high: float) -> float:
    """Robust spread of the change from one peak of a track to the next."""
    change = np.abs(np.diff(values)[inner])
    change = change[np.isfinite(change)]
    return float(np.clip(np.quantile(change, 0.68), low, high)) if len(change) else high


def _pruned(track: Integers, spots: Spots, settings: TrackSettings) -> Integers:
    """Tracks that are too short or too sparse dissolve; the others are numbered by their first peak."""
    if not len(track):
        return track
    counts, step = np.bincount(track), _steps(spots)
    first, last = np.full(len(counts), step.max()), np.zeros(len(counts), np.int64)
    np.minimum.at(first, track, step)
    np.maximum.at(last, track, step)
    kept = (counts >= settings.shortest) & (counts >= settings.occupancy * (last - first + 1))
    number = np.where(kept, np.cumsum(kept) - 1, -1)  # numbers rise with the first row already
    return np.asarray(number[track])


def _lines(rows: Integers, track: Integers, spots: Spots) -> tuple[Lines, Floats]:
    """Smoothed tracks from rows sorted by track and step, and how restless each is along x and y."""
    start = np.append(np.flatnonzero(np.diff(track[rows], prepend=-1)), len(rows)).astype(np.int64)
    step = _steps(spots)[rows]
    columns = (spots.x[rows], spots.y[rows], spots.var_x[rows], spots.var_y[rows])
    along, down, q = smooth_tracks(start, step, *columns, LADDER)
    sigma = np.exp(spots.width[rows]) / FWHM
    flux = np.exp(spots.bright[rows] + 2 * spots.width[rows])
    return Lines(start, step, along, down, sigma, flux, spots.snr[rows]), q


def _assembled(
    n: int, rows: Integers, lines: Lines, q: Floats, frame: Integers, settings: TrackSettings
) -> Tracks:
    """The tracks of a table of n rows; ``rows`` (sorted by track and frame) are those that belong to one."""
    begins, ends = lines.start[:-1], lines.start[1:] - 1
    count = len(begins)
    stride, origin = _clock(frame, lines.step)
    split_from, split_step = splits(lines)
    merged, merge_step = splits(lines.reversed(), kin=False) if count else (split_from, split_step)
    merged_into = np.where(merged >= 0, count - 1 - merged, -1)[::-1]
    continues = returns(lines, q, split_from, settings.gap, settings.again, settings.gate_px)
    position = {name: np.full(n, np.nan) for name in ("x", "y", "x_err", "y_err")}
    for name, axis in (("x", lines.along), ("y", lines.down)):
        position[name][rows] = axis[:, POSITION]
        position[f"{name}_err"][rows] = np.sqrt(axis[:, P_XX])
    track = np.full(n, -1, np.int64)
    track[rows] = np.repeat(np.arange(count), np.diff(lines.start))
    return Tracks(
        track, **position, first=frame[begins], last=frame[ends], length=np.diff(lines.start),
        split_from=split_from, merged_into=merged_into, continues=continues,
        split_frame=origin + stride * split_step, merge_frame=origin - stride * merge_step[::-1],
        name=names(split_from, continues),
    )  # fmt: skip


def _clock(frame: Integers, step: Integers) -> tuple[float, float]:
    """Frames per step, and the frame of step 0."""
    if not len(step) or step.max() == step.min():
        return 1.0, float(frame[0] - step[0]) if len(step) else 0.0
    a, b = int(np.argmin(step)), int(np.argmax(step))
    stride = (frame[b] - frame[a]) / (step[b] - step[a])
    return float(stride), float(frame[a] - stride * step[a])
