"""Peaks of a series to learn from: a bounded, seeded sample of its frames, found and fitted."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import Gate, read_raw
from braggscope.app.engine.checkpoint import TrainingError
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.peaks import blank_table, find, localize
from braggscope.app.engine.setup import make_preparer
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.finetune import (
    FEWEST_FRAMES,
    LABEL_ERROR_PX,
    Distribution,
    hold_out,
    measure,
    select_labels,
)
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import select
from braggscope.models.peaks.patches import cut_patches
from braggscope.models.peaks.persistence import Workspace
from braggscope.models.results import PeakTable, Status

if TYPE_CHECKING:
    from braggscope.models.braggnn.measured import Measured

MOST_PEAKS = 6000
MOST_OF_FRAME = 600  # peaks of one frame that are fitted
MOST_FRAMES = 400
MOST_PIXELS = 4e8  # of all frames together
FEWEST = 100  # labels


@dataclass(frozen=True)
class Lessons:
    """Fitted peaks and the patches around them. ``labels`` (N,) bool; ``held`` (N,) bool: to judge by.

    ``low``: counts below which networks see 0, where patches are thresholded. ``distribution``: of the peaks
    that are not held out.
    """

    table: PeakTable
    counts: NDArray[np.float32]
    valid: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    held: NDArray[np.bool_]
    low: float | None
    distribution: Distribution
    frames: tuple[int, ...]
    frames_held_out: tuple[int, ...]

    def patches(self, held: bool) -> "tuple[Measured, PeakTable]":
        """Labelled patches to train on, or those held out, and their rows."""
        from braggscope.models.braggnn.measured import Measured

        rows = np.flatnonzero(self.labels & (self.held == held))
        table, middle = self.table.take(rows), self.counts.shape[1] // 2
        centre = np.stack([table["x_fit"] - table["col"], table["y_fit"] - table["row"]], axis=1) + middle
        counts = self.counts[rows]
        if self.low is not None:
            counts[counts < self.low] = 0
        return Measured.from_arrays(counts, self.valid[rows], centre), table


def collect(
    reader: Reader,
    info: SourceInfo,
    parameters: Parameters,
    size: int,
    seed: int,
    context: Context,
    gate: Gate | None = None,
) -> Lessons:
    """Fit the peaks of frames drawn by ``seed`` until there are enough, and part them by frames.

    ``size``: side of the patches, px. At most 400 frames are read, and no two share a raw frame. Raises
    TrainingError if there is too little to learn from, SourceError if no frame can be read.
    """
    sampler = _Sampler(reader, info, parameters, size, seed)
    order = _order(info, parameters, seed)
    pieces: list[_Piece] = []
    problem: SourceError | None = None
    for done, frame in enumerate(order):
        context.progress(done, len(order), "reading frames")
        if gate is not None:
            gate.wait()
        try:
            pieces.append(sampler.fitted(int(frame), context))
        except SourceError as error:
            problem = problem or error
        if sum(len(piece.table) for piece in pieces) >= MOST_PEAKS:
            break
    if not pieces and problem is not None:
        raise problem
    return _sorted_out(info, parameters, pieces, seed)


def _order(info: SourceInfo, parameters: Parameters, seed: int) -> NDArray[np.int64]:
    """Frames in the order in which they are taken."""
    first = np.arange(0, info.frames, parameters.prepare.sum_frames)
    most = int(np.clip(MOST_PIXELS // (info.shape[0] * info.shape[1]), 20, MOST_FRAMES))
    return np.random.default_rng(seed).permutation(first)[:most]


class _Piece(NamedTuple):
    table: PeakTable
    counts: NDArray[np.float32]
    valid: NDArray[np.bool_]


class _Sampler:
    """Finds and fits the peaks of one frame after another."""

    def __init__(
        self, reader: Reader, info: SourceInfo, parameters: Parameters, size: int, seed: int
    ) -> None:
        self._reader, self._info, self._size, self._seed = reader, info, size, seed
        self._parameters = parameters.with_localize(methods=("fit",))
        self._preparer = make_preparer(parameters.prepare, info, reader)
        self._workspace = Workspace()

    def fitted(self, frame: int, context: Context) -> _Piece:
        """At most 600 peaks of a frame, whatever became of them, with their patches."""
        parameters = self._parameters
        raw = read_raw(self._reader, self._info, frame, parameters.prepare.sum_frames, context.cancelled)
        prepared = self._preparer.apply(raw)
        context.check()
        candidates = find(prepared, parameters, self._workspace)
        selection = select(candidates, parameters.detect.minval, parameters.detect.minscore)
        table = blank_table(candidates, selection, frame)
        shuffled = np.random.default_rng([self._seed, frame]).permutation(len(table))  # not the highest only
        table, _ = localize(
            prepared, table.take(shuffled), parameters, None, check=context.check, limit=MOST_OF_FRAME
        )
        table = table.take(table.detected & (table["status"] != Status.PENDING))
        return _Piece(
            table, *cut_patches(prepared.image, prepared.mask, table["row"], table["col"], self._size)
        )


def _sorted_out(
    info: SourceInfo,
    parameters: Parameters,
    pieces: list[_Piece],
    seed: int,
) -> Lessons:
    """Choose labels, hold out frames, measure."""
    table = PeakTable.concatenate(piece.table for piece in pieces)
    where = f"{len(pieces)} frames of {info.location}"
    detect = parameters.detect
    if not len(table):
        raise TrainingError(
            f"There is no peak in {where} with minval {detect.minval:g} and minscore {detect.minscore:g};"
            " lower the thresholds."
        )
    labels = select_labels(table)
    if labels.sum() < FEWEST:
        raise TrainingError(
            f"Only {int(labels.sum())} of {len(table)} peaks in {where} have a fit to learn from (a lone"
            f" peak, known to {LABEL_ERROR_PX:g} px); at least {FEWEST} are needed: change the thresholds, or"
            " take a longer series."
        )
    counts = np.concatenate([piece.counts for piece in pieces])
    valid = np.concatenate([piece.valid for piece in pieces])
    frame = table["frame"]
    try:
        held = np.isin(frame, np.unique(frame[labels][hold_out(frame[labels], seed)]))
    except ValueError:
        raise TrainingError(
            f"The fits to learn from lie in {len(np.unique(frame[labels]))} of {where}; whole frames are held"
            f" out to judge by, which needs at least {FEWEST_FRAMES}: take a longer series."
        ) from None
    low = detect.minval if parameters.localize.patch == "thresholded" else None
    frames = np.unique(frame)
    like = measure(table.take(~held), counts[~held], valid[~held], low)
    return Lessons(
        table, counts, valid, labels, held, low, like,
        tuple(int(f) for f in frames), tuple(int(f) for f in np.unique(frame[held])),
    )  # fmt: skip
