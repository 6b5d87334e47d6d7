"""A batch that runs elsewhere, or has ended, seen in the window: its curves grow like those of a run here."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.batch import Outcome
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.runs import RunRecord
from braggscope.app.engine.watching import MOST, Batch, Watch, read_batch, whole_record
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.runs import RunPresenter
from braggscope.app.presenters.sources import SourcePresenter

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

LOOK_MS = 1000
log = logging.getLogger(__name__)


class WatchPresenter:
    """Opens the source of a batch with a parameter set of its own, and looks every second for new frames."""

    def __init__(self, desk: Desk, window: MainWindow, sources: SourcePresenter, runs: RunPresenter) -> None:
        self._desk = desk
        self._window = window
        self._sources = sources
        self._runs = runs
        self._waiting: Batch | None = None  # for its source
        self._watch: Watch | None = None
        self._record: RunRecord | None = None
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        desk.opened.connect(self._opened)

    def ask(self) -> None:
        """Choose the journal of a batch."""
        folder = self._desk.settings.last_folder
        name = QFileDialog.getExistingDirectory(self._window, "Open a batch: choose OUT.journal", folder)
        if name:
            self._desk.settings.last_folder = str(Path(name).parent)
            self.open(Path(name))

    def open(self, path: Path) -> None:
        """Watch the batch of ``OUT.journal`` or ``OUT``."""
        self._desk.lanes.small.submit(lambda _: read_batch(path), self._found, on_error=self._desk.fail)

    def _found(self, batch: Batch) -> None:
        info = self._desk.info
        self._waiting = batch
        if info is not None and info.identity == batch.key.identity:
            self._begin(batch)
        else:
            self._sources.open(batch.location, batch.frame_axis)

    def _opened(self) -> None:
        self._timer.stop()
        self._watch = self._record = None
        batch, info = self._waiting, self._desk.info
        if batch is None or info is None:
            return
        if info.identity == batch.key.identity:
            self._begin(batch)
        else:
            self._waiting = None
            self._desk.say("warning", f"The batch {batch.output.name} has analysed another {info.location}.")

    def _begin(self, batch: Batch) -> None:
        info = self._desk.info
        assert info is not None
        self._waiting = None
        watch = self._watch = Watch(batch)

        def run(context: Context) -> RunRecord:
            return whole_record(watch, info.frames, context.check)

        def done(record: RunRecord) -> None:
            if self._watch is watch:
                self._record = record
                self._runs.take_batch(record, batch.parameters, batch.output.name)
                self._taken(watch, record, [])

        self._desk.lanes.small.submit(run, done, on_error=self._desk.fail)

    def _look(self) -> None:
        watch, record = self._watch, self._record
        if watch is None or record is None:
            return

        def run(context: Context) -> list[Outcome]:
            return watch.poll(context.check)

        def done(found: list[Outcome]) -> None:
            if self._watch is watch:
                record.add(found)
                self._taken(watch, record, found)

        self._desk.lanes.small.submit(run, done, on_error=self._desk.fail)

    def _taken(self, watch: Watch, record: RunRecord, found: list[Outcome]) -> None:
        """Show what has come, and look again unless that was all."""
        self._runs.grown()
        if found or not watch.finished:
            self._timer.start(LOOK_MS // 4 if len(found) == MOST else LOOK_MS)
            return
        what = f"The batch {watch.batch.output.name} is finished: {record.counted}"
        self._desk.say("info", f"{what} in {record.done:,} frames.")
