"""Many scans phased one after the other in the background."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context, Progress, give_way
from braggscope.app.wording import counted
from braggscope.models.parameters import Parameters
from braggscope.widgets.slices_scale import number_text
from braggscope.widgets.volume_scans import ScanRow

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_scans import Scan
    from braggscope.app.presenters.coherent import CoherentPresenter

FOLDER = "crystals"  # beside the first scan


class CoherentScans:
    """The list of scans, its table, and the job."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._panel = room.panels.scans
        self._job = ""
        self.scans: list[Scan] = []
        self._panel.choose_requested.connect(self.ask)
        self._panel.named.connect(lambda text: self.choose([text]) if text else None)
        self._panel.start_requested.connect(self.start)
        self._panel.cancel_requested.connect(self.cancel)
        self._panel.opened.connect(self._open)

    @property
    def running(self) -> bool:
        """Whether scans are being phased."""
        return bool(self._job)

    @property
    def folder(self) -> Path | None:
        """Where the results go."""
        return Path(self.scans[0].location).absolute().parent / FOLDER if self.scans else None

    def ask(self) -> None:
        """Choose stacks."""
        folder = self._room.desk.settings.last_folder
        names, _ = QFileDialog.getOpenFileNames(self._room.window, "Choose rocking curves", folder)
        if names:
            self.choose(names)

    def choose(self, names: list[str]) -> None:
        """Take a list of stacks, names or globs."""

        def took(found: list[str]) -> None:
            from braggscope.app.engine.coherent_scans import Scan

            if not found:
                self._room.desk.say("warning", f"Nothing is called {names[0]}; correct the name or the glob.")
            elif not self.running:  # else the rows belong to what runs
                self.scans = [Scan(name) for name in found]
                self._show(f"{counted(len(self.scans), 'scan')}; results go to {self.folder}.")

        def look(_: Context) -> list[str]:
            from braggscope.app.engine.coherent_scans import scans_of

            return scans_of(names)

        desk = self._room.desk
        desk.lanes.small.submit(look, took, on_error=desk.fail)

    def start(self) -> None:
        """Phase all that are not done yet."""
        folder = self.folder
        if self.running or folder is None:
            return
        room = self._room
        locations = [scan.location for scan in self.scans]
        parameters = room.desk.store.state.parameters
        self._panel.set_running(True)
        self._job = room.jobs.submit(
            room.desk.lanes.phasing, f"Scans, {len(locations)}",
            partial(_work, locations, parameters, folder), self._done,
            on_progress=self._progressed, on_end=self._ended,
        )  # fmt: skip

    def cancel(self) -> None:
        """Stop; scans that are done are not phased again."""
        if self._job:
            self._room.jobs.cancel(self._job)

    def _progressed(self, progress: Progress) -> None:
        if isinstance(progress.payload, list):
            self.scans = progress.payload
            self._show(progress.note)

    def _done(self, scans: list[Scan]) -> str:
        self.scans = scans
        failed = sum(bool(scan.problem) for scan in scans)
        said = f"{counted(len(scans) - failed, 'scan')} written to {self.folder}"
        if failed:
            said += f", {failed} could not be phased"
        self._show(said + ".")
        return said

    def _ended(self) -> None:
        self._job = ""
        self._panel.set_running(False)

    def _open(self, row: int) -> None:
        """Open the stack of a row."""
        if 0 <= row < len(self.scans):
            self._room.window.files_dropped.emit([self.scans[row].location])

    def _show(self, note: str) -> None:
        self._panel.set_rows([_row(scan) for scan in self.scans], note)


def _work(locations: list[str], parameters: Parameters, folder: Path, context: Context) -> list[Scan]:
    from braggscope.app.engine.coherent_scans import phase_scans

    give_way()
    return phase_scans(locations, parameters, folder, context)


def _row(scan: Scan) -> ScanRow:
    size = "" if math.isnan(scan.size) else f"{number_text(scan.size)} {scan.unit}"
    numbers = (f"{v:.4f}" if math.isfinite(v) else "" for v in (scan.chi, scan.chi_model))
    strains = (
        "" if math.isnan(v) else f"{v:.2e}".replace("-", "−") for v in (scan.mean_strain, scan.rms_strain)
    )
    state = scan.problem or ("done" if scan.done else "")
    return ScanRow((Path(scan.location).name, *numbers, size, *strains, state), bool(scan.problem))
