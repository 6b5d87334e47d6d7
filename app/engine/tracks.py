"""Tracks of an analysed series for the window: linked, edited, with strain; and strips of one spot."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import read_raw
from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.jobs import Context
from braggscope.app.sources.protocol import SourceError
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.peak_directions import with_directions
from braggscope.models.peaks.patches import cut_patches
from braggscope.models.results import PeakTable, in_frame_pixels
from braggscope.models.tracks.quantities import Spacings, spacings, summary
from braggscope.models.tracks.table import Edit, PeakIndex, Tracks, TrackSettings

Floats = NDArray[np.float64]
MOST = 3_000_000  # peaks linked in the window: about 1 GB
FRAMES = 240  # of a strip; longer tracks are sampled
MARGIN = 8  # px around a spot's way
WIDEST = 96  # px, side of a strip


class TracksError(Exception):
    """A series cannot be linked here. One sentence says why."""

    expected = True


@dataclass(frozen=True, slots=True)
class Base:
    """Peaks in pixels of the whole frame and their tracks, before anything was changed by hand."""

    table: PeakTable
    tracks: Tracks


@dataclass(frozen=True, slots=True)
class Linked:
    """Peaks and tracks as shown: edited, with strain where it is known, and one row per track.

    ``lost``: edits by hand that do not apply any more. ``index`` finds peaks in the table.
    """

    table: PeakTable
    tracks: Tracks
    spacings: Spacings | None
    summary: dict[str, NDArray]
    lost: int = 0
    index: PeakIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", PeakIndex(self.table))


def link_series(
    tables: Iterable[tuple[int, PeakTable]], binning: int, context: Context,
    settings: TrackSettings | None = None,
) -> Base:  # fmt: skip
    """Link the tables of a run, given in pixels of the prepared image. Raises TracksError."""
    from braggscope.models.tracks.link import link  # late: compiled kernels

    parts, peaks = [], 0
    for _, part in tables:
        parts.append(part)
        peaks += len(part)
        if peaks > MOST:
            raise TracksError(
                f"There are over {MOST:,} peaks; export the table and link it with `braggscope tracks`."
            )
    table = in_frame_pixels(PeakTable.concatenate(parts), binning)
    context.check()
    tracks = link(table, settings)
    context.check()
    return Base(table, tracks)


def finished(base: Base, edits: Sequence[Edit], instrument: Instrument | None) -> Linked:
    """The tracks after all edits by hand, with the strain that an instrument gives them."""
    from braggscope.models.tracks.edits import edited

    table, (tracks, lost) = base.table, edited(base.table, base.tracks, edits)
    found = None
    if instrument is not None:
        table = with_directions(table, instrument)
        found = spacings(table, tracks, instrument)
    return Linked(table, tracks, found, summary(table, tracks, found), lost)


@dataclass(frozen=True, slots=True)
class Strip:
    """One spot through time: ``patches`` (n, S, S) float32 counts, NaN where bad, all cut at one place.

    ``frames`` (n,) rising; ``corner`` (x, y) px of the whole frame: centre of the first pixel; ``pixel`` px:
    side of a pixel, more than 1 where frames are binned.
    """

    frames: NDArray[np.int64]
    patches: NDArray[np.float32]
    corner: tuple[float, float]
    pixel: int = 1


def strip(
    engine: FrameEngine, parameters: Parameters, frames: NDArray[np.int64], x: Floats, y: Floats,
    context: Context,
) -> Strip:  # fmt: skip
    """Cut the same window out of all frames from the first to the last of a track, at most 240 of them.

    ``x``, ``y``: its positions in px of the whole frame. Frames that cannot be read are left out.
    """
    binning = parameters.prepare.binning
    first, last = max(int(frames.min()) - MARGIN, 0), min(int(frames.max()) + MARGIN, engine.info.frames - 1)
    wanted = np.unique(np.linspace(first, last, min(FRAMES, last - first + 1)).round().astype(np.int64))
    middle = [(float(np.min(v)) + float(np.max(v))) / 2 for v in (x, y)]
    reach = max(float(np.ptp(x)), float(np.ptp(y))) / 2 + MARGIN
    size = 2 * int(min(np.ceil(reach / binning), WIDEST // 2)) + 1
    col, row = (round((v + 0.5) / binning - 0.5) for v in middle)
    preparer = engine.preparer(parameters)
    seen, patches = [], []
    for done, frame in enumerate(wanted.tolist()):
        context.progress(done, len(wanted))
        try:
            raw = read_raw(
                engine.reader, engine.info, frame, parameters.prepare.sum_frames, context.cancelled
            )
        except SourceError:
            continue
        prepared = preparer.apply(raw)
        cut, valid = cut_patches(prepared.image, prepared.mask, [row], [col], size)
        seen.append(frame)
        patches.append(np.where(valid[0], cut[0], np.float32(np.nan)))
    corner = ((col - size // 2 + 0.5) * binning - 0.5, (row - size // 2 + 0.5) * binning - 0.5)
    stack = np.array(patches, np.float32).reshape(-1, size, size)
    return Strip(np.array(seen, np.int64), stack, corner, binning)
