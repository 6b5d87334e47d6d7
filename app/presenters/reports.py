"""The report of a run, written from the window."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from braggscope.app.engine.batch import SeriesJob
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.localizers import weights_in_use
from braggscope.app.files import check_not_input
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.exports import ExportPresenter
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.runs import RunPresenter
from braggscope.app.presenters.views import watched

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

FILTER = "HTML page (*.html)"


class ReportPresenter:
    """Asks for a name, then writes on the export lane."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, runs: RunPresenter, exports: ExportPresenter
    ) -> None:
        self._desk = desk
        self._jobs = jobs
        self._runs = runs
        self._exports = exports
        window.export_panel.report_requested.connect(self.ask)

    def ask(self) -> None:
        """Choose a file for the report."""
        if self._runs.record() is None:
            self._desk.say("warning", "There is nothing to report yet; analyse the series first (Ctrl+R).")
            return
        path = self._exports.ask_name("Write report", "report.html", FILTER)
        if path is not None:
            self.write(path)

    def write(self, path: Path) -> None:
        """Write the report of the active set's run."""
        desk, state, record = self._desk, self._desk.store.state, self._runs.record()
        info = desk.info
        if info is None or record is None:
            return
        parameters, rejected, problems = state.parameters, state.rejected, dict(record.problems)
        frames = np.flatnonzero(record.curves.done).tolist()
        hashes = record.key.inputs.split(" ")[: len(weights_in_use(parameters.localize))]
        provenance = replace(
            self._exports.provenance(parameters, f"{len(frames)} frames"), weights_sha256=", ".join(hashes)
        )
        job = SeriesJob(info.location, frames, parameters, state.frame_axis, desk.device)
        inputs = self._exports.inputs()

        def run(context: Context) -> None:
            from braggscope.app.engine.reporting import make_report

            check_not_input(path, inputs)
            tables = watched(record.key.tables(), frames, rejected, context)
            make_report(path, job, tables, frames, problems, provenance, context)

        def done(_: None) -> str:
            desk.say("info", f"Report of {len(frames):,} frames written to {path.name}.")
            return path.name

        self._jobs.submit(desk.lanes.export, f"Report {path.name}", run, done, about=path)
