"""Whole-series runs and the comparison of parameter sets."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PyQt6.QtCore import QTimer

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.runs import RunKey, RunRecord, prune, recall
from braggscope.app.engine.summary import Curves
from braggscope.app.presenters.agreement import AgreementPresenter
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.peaks import PeakPresenter
from braggscope.app.presenters.records import RunRecords
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.plan import Request
from braggscope.app.state.session import ParameterSet, Session
from braggscope.models.parameters import Parameters
from braggscope.widgets.error_plot import Curve
from braggscope.widgets.parameter_sets import SetEntry
from braggscope.widgets.theme import SERIES_COLOURS

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

SETTLE_MS = 120
PROGRESS_MS = 300  # between two looks at the curves of a running series


class RunPresenter:
    """Starts, shows and remembers runs. A set shows the run that belongs to its present parameters."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, shelf: WeightShelf, peaks: PeakPresenter
    ) -> None:
        self._desk = desk
        self._window = window
        self._jobs = jobs
        self._shelf = shelf
        self._records = RunRecords(desk, self.grown)
        self._job = ""  # key of the running job
        self._current: RunRecord | None = None  # what it has found
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._settle)
        self._progress = QTimer(window)
        self._progress.setSingleShot(True)
        self._progress.setInterval(PROGRESS_MS)
        self._progress.timeout.connect(self.show)
        self.agreement = AgreementPresenter(desk, window, jobs, peaks, self.record)
        panel = window.sets_panel
        panel.add_requested.connect(self.add_set)
        panel.remove_requested.connect(self.remove_set)
        panel.renamed.connect(lambda key, name: self._set(key, name=name))
        panel.colour_changed.connect(lambda key, colour: self._set(key, colour=colour))
        panel.visibility_changed.connect(lambda key, on: self._set(key, visible=on))
        panel.activated.connect(lambda key: desk.store.update(active=key))
        panel.run_requested.connect(self.run)
        panel.cancel_requested.connect(self.cancel)
        window.error_plot.frame_clicked.connect(lambda frame: desk.store.update(frame=frame))
        window.error_plot.quantity_changed.connect(lambda _: self.show())
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._restart)
        desk.grown.connect(self.show)

    # -- records ------------------------------------------------------------------------------

    def record(self, entry: ParameterSet | None = None) -> RunRecord | None:
        """The run that belongs to a set (default: the active one), as far as there is one."""
        return self._records.find(entry or self._desk.store.state.current)

    def take_batch(self, record: RunRecord, parameters: Parameters, name: str) -> None:
        """Give what a batch elsewhere has found a set: its own, or the active one if that has no run."""
        store = self._desk.store
        known = (e for e in store.state.sets if (r := self.record(e)) is not None and r.key == record.key)
        if (mine := next(known, None)) is not None:  # opened before
            store.update(active=mine.key)
        elif self.record() is not None:
            self.add_set()
        active = store.state.active
        store.replace(store.state.with_parameters(parameters).with_set(active, name=name))
        self._records.bind(record, active)

    def grown(self) -> None:
        """A record has grown."""
        self.show()
        self._desk.runs_changed.emit()

    def _restart(self) -> None:
        self._records.clear()
        self._settle()

    def _settle(self) -> None:
        for entry in self._desk.store.state.sets:
            self._records.look_up(entry.parameters)
        self.show()

    # -- running ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a series is being analysed."""
        return bool(self._job)

    def run(self) -> None:
        """Analyse the whole series with the active set; frames in the journal are not done again.

        The run goes on if another source is opened meanwhile; its results are in its journal.
        """
        desk, engine = self._desk, self._desk.engine
        if engine is None or self.running:
            return
        state, info = desk.store.state, engine.info
        self._records.release(state.active)  # the run holds the frames of its batch, too
        job = SeriesJob(
            info.location, range(info.frames), state.parameters, state.frame_axis, desk.device, desk.workers,
            seen=engine.seen(state.follow),
        )  # fmt: skip
        self._job = self._jobs.submit(
            desk.lanes.scan,
            f"Whole series · {state.current.name}",
            partial(self._work, job, info, self.record()),
            self._done,
            on_progress=self._progressed,
            on_end=self._ended,
        )
        self.show()

    def _work(
        self, job: SeriesJob, info: SourceInfo, known: RunRecord | None, context: Context
    ) -> dict[int, str]:
        """The job itself; its first report is the record of what the journal knows already."""
        key = RunKey.of(info, job.parameters)
        if known is None or known.key != key or known.done + len(known.problems) < info.frames:
            known = recall(key, info.frames, context) or RunRecord(key, Curves(info.frames))
        context.progress(known.done, info.frames, payload=known)
        prune({key.folder})
        networks = self._shelf.blocking(job.parameters, context)
        with contextlib.closing(Journal.resume(key.folder, key.journal_key())) as journal:
            return run_series(job, networks, context, journal=journal, gate=self._desk.gate)

    def _progressed(self, progress: Progress) -> None:
        if isinstance(progress.payload, RunRecord):
            self._current = progress.payload
            self._records.put(self._current)
        elif progress.payload and self._current is not None:
            self._current.add(progress.payload)
            self._records.put(self._current)
        if not self._progress.isActive():
            self._progress.start()

    def _done(self, problems: dict[int, str]) -> str:
        found = "0 peaks" if self._current is None else self._current.counted
        if not problems:
            return found
        first = min(problems)
        self._desk.say("warning", f"{len(problems)} frames failed; the first is {first}: {problems[first]}")
        return f"{found}, {len(problems)} frames failed"

    def cancel(self) -> None:
        """Stop the run; what is done stays."""
        if self._job:
            self._jobs.cancel(self._job)

    def _ended(self) -> None:
        self._job = ""
        self.show()
        self._desk.runs_changed.emit()

    # -- sets ---------------------------------------------------------------------------------

    def add_set(self) -> None:
        """Keep the present thresholds and go on with a copy under a new name."""
        state = self._desk.store.state
        used = {s.key for s in state.sets}
        key = next(k for k in map(_letters, range(len(used) + 1)) if k not in used)
        taken = {s.colour for s in state.sets}
        colour = next((c for c in SERIES_COLOURS if c not in taken), SERIES_COLOURS[len(used) % 8])
        entry = ParameterSet(key=key, name=key, colour=colour, parameters=state.parameters)
        self._desk.store.update(sets=(*state.sets, entry), active=key)

    def remove_set(self, key: str = "") -> None:
        """Remove a set (default: the active one); the last one stays."""
        state = self._desk.store.state
        key = key or state.current.key
        sets = tuple(s for s in state.sets if s.key != key)
        if sets:
            active = state.active if state.active != key else sets[-1].key
            self._records.release(key)
            self._desk.store.update(sets=sets, active=active)

    def _set(self, key: str, **changes: object) -> None:
        store = self._desk.store
        store.replace(store.state.with_set(key, **changes))

    # -- showing ------------------------------------------------------------------------------

    def on_plan(self, requests: frozenset[Request]) -> None:
        """Do what a change of state asks of this presenter."""
        if Request.SETS in requests:  # once a gesture, not at every step of a slider
            self._timer.start()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.frame != new.frame:
            self._window.error_plot.set_frame(new.frame)

    def show(self) -> None:
        """Bring sets, curves, agreement and timeline up to date."""
        state, info = self._desk.store.state, self._desk.info
        frames = 0 if info is None else info.frames
        entries, curves = [], []
        quantity = self._window.error_plot.quantity.currentData()
        for entry in state.sets:
            record = self.record(entry)
            entries.append(self._entry(entry, record, frames))
            if record is not None and entry.visible:
                values = record.curves.values[quantity]
                at = np.flatnonzero(record.curves.done)
                curves.append(Curve(entry.name, entry.colour, at.astype(float), values[at]))
        self._window.sets_panel.set_sets(entries)
        self._window.sets_panel.set_running(self.running)
        self._window.error_plot.set_curves(curves)
        self._show_active(frames)
        self.agreement.show(self.running)

    def _show_active(self, frames: int) -> None:
        record, colour = self.record(), self._desk.store.state.current.colour
        timeline = self._window.timeline
        if record is None:
            timeline.set_curve(np.full(frames, np.nan), colour, "peaks")
            timeline.set_done(np.zeros(frames, bool))
            return
        timeline.set_curve(record.curves.values["count"][:frames], colour, "peaks")
        timeline.set_done(record.curves.done[:frames])

    def _entry(self, entry: ParameterSet, record: RunRecord | None, frames: int) -> SetEntry:
        detect = entry.parameters.detect
        state = "not run"
        if record is not None:
            state = "done" if record.done == frames else f"{record.done:,} of {frames:,}"
            if record.problems:
                state += f", {len(record.problems)} failed"
        summary = f"minval {detect.minval:g} · minscore {detect.minscore:g}"
        active = entry.key == self._desk.store.state.current.key
        return SetEntry(entry.key, entry.name, entry.colour, summary, state, entry.visible, active)


def _letters(number: int) -> str:
    """A, B, … Z, A1, B1, …"""
    return chr(ord("A") + number % 26) + (str(number // 26) if number >= 26 else "")
