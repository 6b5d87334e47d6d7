"""The agreement of any two methods, of two parameter sets, and with a list of peaks from a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.agreement import OTHER, AgreementSample, compare
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.runs import RunRecord
from braggscope.app.export.peaklists import FILTER, read_positions
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.peaks import PeakPresenter
from braggscope.app.state.session import ParameterSet, Session
from braggscope.models.compare import NO_DIFFERENCES, Positions, places
from braggscope.models.results import PeakTable, in_frame_pixels
from braggscope.widgets.agreement_plot import METHODS

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

SCATTER_S = 1.5  # between two looks at the differences of a running series
OWN = ("fit", "braggnn")  # the pair that is shown first
Records = Callable[[ParameterSet | None], RunRecord | None]


class Reference(NamedTuple):
    """Another list of peaks: of a file, or of the run of another parameter set."""

    key: str  # in the choices of the plot
    name: str
    load: Callable[[Context], Positions]
    holds: object = None  # a run that has grown, or was made anew, holds something else


class AgreementPresenter:
    """Shows how two methods agree; a reference is paired with the run of the active set in the background."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, peaks: PeakPresenter, records: Records
    ) -> None:
        self._desk, self._window, self._jobs, self._records = desk, window, jobs, records
        self._plot = window.agreement_plot
        self._pair = OWN
        self._file: Reference | None = None
        self._wanted: object = None  # what the sample beside a reference should belong to
        self._sample: AgreementSample | None = None  # beside the reference
        self._drawn_at = 0.0
        self._plot.peak_clicked.connect(peaks.select_peak)
        self._plot.pair_changed.connect(self._choose)
        self._plot.list_requested.connect(self.ask_list)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._restart)
        desk.peaks_shown.connect(self._frame_measured)

    # -- what is compared -----------------------------------------------------------------------

    def ask_list(self) -> None:
        """Choose a list of peaks and compare with it."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Compare with a peak list", "", FILTER)
        if name:
            self.open_list(Path(name))

    def open_list(self, path: Path) -> None:
        """Read a list of peaks in the background, then show how the fit agrees with it."""

        def done(positions: Positions) -> None:
            if not len(positions.x):
                self._desk.say("warning", f"{path.name} holds no peaks.")
                return
            self._file = Reference(f"file:{path}", path.name, lambda _: positions)
            self._window.show_panel("agreement")
            self._choose("fit", self._file.key)

        self._desk.lanes.small.submit(lambda _: read_positions(path), done, on_error=self._desk.fail)

    def _restart(self) -> None:
        self._file = None
        self._pair = OWN
        self._forget()

    def _forget(self) -> None:
        self._wanted = self._sample = None
        self._mark()

    def _choose(self, first: str, second: str) -> None:
        known = {reference.key for reference in self._references()}
        if first in known and second in known:  # one of them is our own
            first, second = (first, "fit") if second == self._pair[1] else ("fit", second)
        self._pair = (first, second)
        self._forget()
        self.show()

    def _references(self) -> list[Reference]:
        state = self._desk.store.state
        found = [] if self._file is None else [self._file]
        for entry in state.sets:
            record = self._records(entry)
            if entry.key != state.current.key and record is not None and record.done:
                key, holds = f"set:{entry.key}", (record.key, record.done)
                found.append(Reference(key, f"set {entry.name}", _loader(entry, record), holds))
        return found

    # -- showing --------------------------------------------------------------------------------

    def show(self, running: bool = False) -> None:
        """Bring the plot up to date; while a series is analysed only now and then."""
        state = self._desk.store.state
        references = self._references()
        if not set(self._pair) <= {*METHODS, *(r.key for r in references)}:
            self._pair = OWN
        record = self._records(None)
        answered = METHODS if record is None or not record.peaks else record.sample.methods
        own = [(key, name) for key, name in METHODS.items() if key in answered or key in self._pair]
        choices = [*own, *((r.key, r.name) for r in references)]
        self._plot.set_methods(choices, self._pair)
        if running and time.monotonic() - self._drawn_at < SCATTER_S:  # thousands of points take a while
            return
        self._drawn_at = time.monotonic()
        reference = next((r for r in references if r.key in self._pair), None)
        if reference is not None:
            self._show_reference(reference, record, running)
            return
        if self._wanted is not None:
            self._forget()
        differences = NO_DIFFERENCES if record is None else record.sample.differences(*self._pair)
        self._plot.set_differences(differences, state.current.colour)

    def _show_reference(self, reference: Reference, record: RunRecord | None, running: bool) -> None:
        """Show the sample beside a reference if it is there and fresh, else have it made."""
        desk = self._desk
        parameters = desk.store.state.parameters
        binning = parameters.prepare.binning
        if record is not None and record.done:
            wanted: object = (reference.key, reference.holds, record.key, record.done)
        else:
            shown = (desk.key(), id(desk.found))
            wanted = (reference.key, reference.holds, *shown) if desk.table is not None else None
        if wanted is not None and wanted == self._wanted:
            self._show_sample(record is None or not record.done)
            return
        if running and self._wanted is not None:  # once, and at the end
            return
        self._wanted, self._sample = wanted, None
        self._plot.set_differences(NO_DIFFERENCES, note=f"pairing with {reference.name} …")
        if record is not None and record.done:
            self._submit(wanted, reference, f"Compare with {reference.name}", record.key.tables(),
                         record.done, binning)  # fmt: skip
        elif desk.table is not None:
            frame = desk.store.state.frame
            self._submit(wanted, reference, "", [(frame, desk.table)], 1, binning)

    def _submit(
        self, wanted: object, reference: Reference, title: str,
        tables: Iterable[tuple[int, PeakTable]], frames: int, binning: int,
    ) -> None:  # fmt: skip
        def run(context: Context) -> AgreementSample:
            return compare(tables, frames, binning, reference.load(context), context)

        def show(sample: AgreementSample) -> None:
            if wanted == self._wanted:
                self._sample = sample
                self._show_sample(not title)

        def done(sample: AgreementSample) -> str:
            show(sample)
            return f"{sample.seen:,} peaks, {len(sample.unmatched.x):,} only in the list"

        if title:
            self._jobs.submit(self._desk.lanes.export, title, run, done, about=reference.key)
        else:
            self._desk.lanes.small.submit(run, show, on_error=self._desk.fail)

    def _show_sample(self, one_frame: bool) -> None:
        if self._sample is None:
            return
        pair = [key if key in METHODS else OTHER for key in self._pair]
        note = "this frame only" if one_frame else ""
        self._plot.set_differences(
            self._sample.differences(pair[0], pair[1]), self._desk.store.state.current.colour, note
        )
        self._mark()

    def _mark(self) -> None:
        """Cross the peaks of the list on screen that ours lacks."""
        state = self._desk.store.state
        points = np.zeros((0, 2))
        if self._sample is not None:
            missed = self._sample.unmatched
            here = missed.frame == state.frame
            points = np.stack((missed.x, missed.y), axis=1)[here]
            binning = state.parameters.prepare.binning
            points = (points + 0.5) / binning - 0.5
        self._window.frame_view.set_missed(points)

    # -- listening ------------------------------------------------------------------------------

    def _on_state(self, old: Session, new: Session) -> None:
        if old.frame != new.frame and self._sample is not None:
            self._mark()
        key, table = new.selected, self._desk.table
        if old.selected != key and key is not None and table is not None:
            row = key.index_in(table)
            if row is not None:
                self._plot.highlight(key.frame, int(table["peak"][row]))

    def _frame_measured(self) -> None:
        if not set(self._pair) <= set(METHODS) and self._records(None) is None:
            self.show()


def _loader(entry: ParameterSet, record: RunRecord) -> Callable[[Context], Positions]:
    """Reads the positions that the run of another set has found, px of the whole frame."""
    binning = entry.parameters.prepare.binning

    def load(context: Context) -> Positions:
        parts = []
        for _, table in record.key.tables():
            context.check()
            parts.append(places(in_frame_pixels(table, binning)))
        return Positions.concatenate(parts)

    return load
