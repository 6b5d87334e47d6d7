"""Measuring the whole scan: live maps, cancel, resume, export; one result for every method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QTimer, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.engine.strain_result import StrainResult
from braggscope.app.engine.strain_runs import StrainJob, renewable, renewed
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.strain_export import write_maps
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.state.session import Session
from braggscope.models.parameters import Parameters
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.strain_methods import METHODS

if TYPE_CHECKING:
    from braggscope.models.disks.parameters import Method

SETTLE_MS = 150
DOUBTS_KEY = "strain doubts"  # of notices
FILTERS = {
    "h5": "NeXus HDF5 (*.h5)", "tif": "TIFF (*.tif)", "csv": "CSV (*.csv)", "png": "PNG (*.png)",
    "pdf": "PDF (*.pdf)",
}  # fmt: skip
UNFINISHED = "Measure the whole scan first; then its maps can be exported."


class StrainRuns(QObject):
    """``results``: by method, also partial ones. ``changed``: one of them, or their state."""

    changed = pyqtSignal()
    finished = pyqtSignal(object)  # a complete StrainResult

    def __init__(self, room: StrainRoom, jobs: JobBoard) -> None:
        super().__init__(room)
        self._room = room
        self._jobs = jobs
        self._job = ""
        self.results: dict[Method, StrainResult] = {}
        self._resumable = False
        self._refined: Method | None = None  # whose maps the lattice fit is to be compared with
        self._tried: StrainJob | None = None  # was started by itself, from the journal
        self._timer = QTimer(room.window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._settle)
        panel = room.panels.maps
        panel.run_requested.connect(self.run)
        panel.cancel_requested.connect(self.cancel)
        panel.export_requested.connect(self.ask_export)
        panel.copy_requested.connect(self.copy)
        room.changed.connect(self._restart)
        room.entered.connect(self._timer.start)
        room.desk.store.subscribe(self._on_state)

    # -- what there is ------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a scan is being measured."""
        return bool(self._job)

    def result(self, method: Method | None = None) -> StrainResult | None:
        """The result of a method, by default of the chosen one."""
        return self.results.get(method or self._room.strain.method)

    def is_current(self, result: StrainResult) -> bool:
        """Whether its disks are those that the present parameters would give."""
        return result.parameters.fingerprint("disks") == self._parameters_of(result).fingerprint("disks")

    def agrees(self, result: StrainResult) -> bool:
        """Whether its strain is that which the present parameters would give."""
        return result.parameters.fingerprint("strain") == self._parameters_of(result).fingerprint("strain")

    def _parameters_of(self, result: StrainResult) -> Parameters:
        """The present parameters with the method of a result."""
        present = self._room.desk.store.state.parameters
        return present.with_strain(method=result.parameters.strain.method)

    def _restart(self) -> None:
        if self.running:
            self.cancel()
        self.results, self._resumable = {}, False
        self.show()
        self._timer.start()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.parameters != new.parameters or old.workspace != new.workspace:
            self._timer.start()

    def _settle(self) -> None:
        """Renew results whose disks still hold, and see what the journal has of the chosen method."""
        room = self._room
        if not room.active or room.scan is None or self.running:
            return
        for method, result in self.results.items():
            if result.complete and self.is_current(result) and not self.agrees(result):
                wanted = self._parameters_of(result)
                if renewable(result, wanted):
                    self._renew(method, result, wanted)
                elif method == room.strain.method:
                    self.run()  # from the journal
                    return
        self._look_up()

    def _renew(self, method: Method, result: StrainResult, wanted: Parameters) -> None:
        def done(new: StrainResult) -> None:
            if self.results.get(method) is result:
                self.results[method] = new
                if new.doubts != result.doubts:
                    self._say_doubts(new)
                self._timer.start()  # more may have changed meanwhile
                self.changed.emit()

        lane = self._room.desk.lanes.calibrate
        lane.submit(lambda _: renewed(result, wanted), done, on_error=self._room.desk.fail)

    def _look_up(self) -> None:
        """What the journal holds: all of a scan is shown, a part can be resumed."""
        room, job = self._room, self._make_job()
        known = self.result()
        if job is None or (known is not None and known.complete and self.is_current(known)):
            self._resumable = False
            self.show()
            return

        def done(count: int) -> None:
            now = self._make_job()
            if now is None or now != job or self.running:
                return
            self._resumable = 0 < count < job.scan.positions
            self.show()
            if count >= job.scan.positions and self.result() is None and job != self._tried:
                self._tried = job
                self.run()

        room.desk.lanes.small.submit(lambda _: job.done(), done, on_error=lambda _: self.show())

    # -- running ------------------------------------------------------------------------------

    def _make_job(self, method: Method | None = None) -> StrainJob | None:
        room, desk = self._room, self._room.desk
        if room.scan is None:
            return None
        parameters = desk.store.state.parameters
        if method is not None:
            parameters = parameters.with_strain(method=method)
        return StrainJob(room.scan, parameters, desk.device, desk.workers)

    def refine(self) -> None:
        """Measure the scan by the lattice fit, too, and show both results and their difference."""
        room, before = self._room, self._room.strain.method
        if self.running or before == "lattice":
            return
        self._refined = before
        room.show(beside=before)
        room.change(method="lattice")
        self.run()

    def _stopped(self) -> None:
        """Where no lattice could be fitted at all, the maps that were there come back."""
        before, self._refined = self._refined, None
        if before is not None and "lattice" not in self.results:
            self._room.show(beside="")
            self._room.change(method=before)

    def run(self, method: Method | None = None) -> None:
        """Measure the scan, by default with the chosen method, but for what the journal holds."""
        room, job = self._room, self._make_job(method)
        if job is None:
            room.desk.say("info", room.problem)
            return
        if self.running:
            return
        self._tried = job
        method, gate = job.parameters.strain.method, room.desk.gate

        def run(context: Context) -> StrainResult:
            return job.run(context, gate)

        def done(result: StrainResult) -> str:
            self._take(method, result)
            self._refined = None
            if room.scan is job.scan:
                self.finished.emit(result)
            for note in result.notes:
                room.desk.say("info", note)
            self._say_doubts(result)
            if result.problems:
                first = min(result.problems)
                text = f"{len(result.problems):,} patterns failed; position {first}: {result.problems[first]}"
                room.desk.say("warning", text)
            return f"{int(result.strain.valid.sum()):,} of {result.strain.valid.size:,} positions"

        title = f"Strain · {METHODS[method].title}"
        lane = room.desk.lanes.scan
        self._job = self._jobs.submit(
            lane, title, run, done, on_progress=self._progressed, on_end=self._ended, on_stopped=self._stopped
        )
        self._resumable = False
        room.panels.maps.set_running(True, 0, job.scan.positions, "starting")

    def _say_doubts(self, result: StrainResult) -> None:
        self._room.desk.settle(DOUBTS_KEY)
        if result.doubts:
            self._room.desk.say("warning", " ".join(result.doubts), key=DOUBTS_KEY)

    def _progressed(self, progress: Progress) -> None:
        text = f"{progress.done:,} / {progress.total:,}"
        if progress.remaining is not None:
            text += f" · {time_text(progress.remaining)} left"
        self._room.panels.maps.set_running(True, progress.done, progress.total, text)
        if isinstance(progress.payload, StrainResult):
            self._take(progress.payload.parameters.strain.method, progress.payload)

    def _take(self, method: Method, result: StrainResult) -> None:
        if self._room.scan is not None and result.scan.info.identity == self._room.scan.info.identity:
            self.results[method] = result
            self.changed.emit()

    def cancel(self) -> None:
        """Stop; what is done stays in the journal."""
        if self._job:
            self._jobs.cancel(self._job)

    def _ended(self) -> None:
        self._job = ""
        self._room.panels.maps.set_running(False)
        self._timer.start()
        self.show()

    def show(self) -> None:
        """Bring the buttons to the state."""
        scan = self._room.scan
        self._room.panels.maps.set_possible(scan is not None, self._resumable, scan is None)
        self.changed.emit()

    # -- leaving the program ------------------------------------------------------------------

    def ask_export(self, suffix: str = "h5") -> None:
        """Choose a name for the maps of the chosen method."""
        room, result = self._room, self.result()
        if result is None or not result.complete:
            room.desk.say("info", UNFINISHED if room.scan is not None else room.problem)
            return
        start = str(Path(room.desk.settings.last_folder) / f"strain.{suffix}")
        name, _ = QFileDialog.getSaveFileName(room.window, "Export strain maps", start, FILTERS[suffix])
        if name:
            path = Path(name)
            self.export(path if path.suffix else path.with_suffix(f".{suffix}"), result)

    def export(self, path: Path, result: StrainResult) -> None:
        """Write maps or a figure."""
        room, view = self._room, self._room.view

        def run(context: Context) -> str:
            files = write_maps(path, result, view, room.desk.device, context)
            return ", ".join(file.name for file in files[:3]) + (" …" if len(files) > 3 else "")

        def done(names: str) -> str:
            room.desk.say("info", f"Strain maps exported: {names}.")
            return names

        self._jobs.submit(room.desk.lanes.export, f"Export {path.name}", run, done, about=path)

    def copy(self, kind: str) -> None:
        """Put ``python`` or ``command`` on the clipboard: it gives the maps on screen again."""
        from braggscope.app.export.snippets_strain import strain_as_command, strain_as_python

        state = self._room.desk.store.state
        write = strain_as_python if kind == "python" else strain_as_command
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            device = self._room.desk.device
            text = write(state.location or "FILE", state.parameters, state.frame_axis, device=device)
            clipboard.setText(text)
        what = "Python script" if kind == "python" else "Command line"
        self._room.desk.say("info", f"{what} copied.")
