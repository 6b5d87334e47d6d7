"""Settings and scripts on the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtGui import QGuiApplication

from braggscope.app.export.snippets import as_command, as_python
from braggscope.app.presenters.desk import Desk
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow


class ClipboardPresenter:
    """Copies what is on screen as text that gives it again; pastes parameters."""

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        window.export_panel.copy_requested.connect(self.copy)

    def copy(self, kind: str) -> None:
        """Put ``python``, ``command`` or ``json`` on the clipboard."""
        state = self._desk.store.state
        location, frame = state.location or "FILE", state.frame
        instrument = None if state.instrument is None else self._desk.instrument
        if kind == "python":
            frames = range(frame, frame + 1)
            text = as_python(location, state.parameters, frames, state.frame_axis, instrument=instrument)
        elif kind == "command":
            text = as_command(location, state.parameters, state.frame_axis, instrument=instrument)
        else:
            text = state.parameters.model_dump_json(indent=1)
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(text)
        what = {"python": "Python script", "command": "Command line"}.get(kind, "Parameters")
        self._desk.say("info", f"{what} copied.")

    def paste_parameters(self) -> None:
        """Take parameters from the clipboard."""
        clipboard = QGuiApplication.clipboard()
        try:
            parameters = Parameters.model_validate_json(clipboard.text() if clipboard is not None else "")
        except ValueError:
            self._desk.say("error", "The clipboard holds no Braggscope parameters; copy them as JSON first.")
            return
        store = self._desk.store
        store.replace(store.state.with_parameters(parameters))
