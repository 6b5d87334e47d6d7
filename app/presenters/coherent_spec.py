"""The geometry of a rocking curve from a file of SPEC: which file, which scan, and into the panel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.coherent_spec import SpecGeometry, geometry_of_scan, parse_names
from braggscope.app.engine.jobs import Context, Ticket
from braggscope.app.errors import sentence
from braggscope.app.sources.spec import SpecEntry, list_scans, read_scan
from braggscope.widgets.spec_dialog import SpecDialog

if TYPE_CHECKING:
    from braggscope.app.presenters.coherent import CoherentPresenter

T = TypeVar("T")
FILES = "Data files of SPEC (*.spec *.dat *.spc);;All files (*)"


class CoherentSpec:
    """Remembers file, scan and names of motors for the next time."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._panel = room.panels.volume
        self._last = ("", "", "")  # file, scan, names
        self._ticket: Ticket | None = None
        self.dialog: SpecDialog | None = None
        self._panel.instrument.spec_requested.connect(self.ask_file)

    def ask_file(self) -> None:
        """Choose a file, then one of its scans."""
        folder = self._last[0] or str(Path(getattr(self._room.desk.info, "location", "")).parent)
        name, _ = QFileDialog.getOpenFileName(self._room.window, "Geometry from a SPEC file", folder, FILES)
        if name:
            self.open(name)

    def open(self, name: str) -> None:
        """Look through a file and ask for the scan."""

        def work(context: Context) -> tuple[SpecEntry, ...]:
            return list_scans(name, context.check)

        self._submit(work, lambda scans: self._ask_scan(name, scans))

    def take(self, name: str, key: str, names: str) -> None:
        """Fill in what a scan says; what is wrong is said in the panel, which stays as it is."""
        self._last = (name, key, names)
        info = self._room.desk.info

        def work(context: Context) -> SpecGeometry:
            return geometry_of_scan(read_scan(name, key, context.check), parse_names(names))

        def done(found: SpecGeometry) -> None:
            if self._room.desk.info is info:  # else it belongs to another stack
                self._show(found)

        self._submit(work, done)

    def _submit(self, work: Callable[[Context], T], done: Callable[[T], None]) -> None:
        if self._ticket is not None:
            self._ticket.cancel()
        self._ticket = self._room.desk.lanes.small.submit(
            work, done, on_error=lambda error: self._panel.set_error(sentence(error))
        )

    def _ask_scan(self, name: str, scans: tuple[SpecEntry, ...]) -> None:
        _, key, names = self._last
        self.dialog = SpecDialog(
            [(scan.key, scan.command) for scan in scans], self._room.window,
            location=name, current=key if name == self._last[0] else "", names=names,
        )  # fmt: skip
        self.dialog.scan_chosen.connect(lambda key, names: self.take(name, key, names))
        self.dialog.open()

    def _show(self, found: SpecGeometry) -> None:
        panel, info = self._panel, self._room.desk.info
        panel.set_error("")
        panel.instrument.take(found.known, found.axis)
        axis = found.axis or ("x" if panel.instrument.axis.value() == "x" else "y")
        doubts = found.doubts(found.points if info is None else info.frames)
        self._room.desk.say("warning" if doubts else "info", " ".join((found.said(axis), *doubts)))
