"""Session and settings on disk: autosaved, named, restored."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context
from braggscope.app.folders import state_folder
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.sources import SourcePresenter
from braggscope.app.shell.settings import save_settings
from braggscope.app.state.handwork import keep_handwork
from braggscope.app.state.plan import Request
from braggscope.app.state.session import Session, SessionError, load_session, save_session

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

DELAY_MS = 800
FILTER = "Braggscope session (*.braggscope.json)"


def autosave_path() -> Path:
    """Where the running session is kept."""
    return state_folder() / "session.json"


class SessionPresenter:
    """Writes session and settings shortly after every change, on a lane that waits for nothing else."""

    def __init__(self, desk: Desk, window: MainWindow, sources: SourcePresenter) -> None:
        self._desk = desk
        self._window = window
        self._sources = sources
        self.enabled = True
        self._touched = False
        self._held = False  # a session that could not be restored stays on disk until a file is open
        self._named: dict[Path, Session] = {}  # saved by the user and not yet written
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._autosave)
        self._settings_timer = QTimer(window)
        self._settings_timer.setSingleShot(True)
        self._settings_timer.setInterval(DELAY_MS)
        self._settings_timer.timeout.connect(self._save_settings)
        desk.leaving.connect(self._leaving)
        desk.opened.connect(self._opened)

    def keep_settings(self) -> None:
        """Write the settings soon: a program that is killed has them, too."""
        self._settings_timer.start()

    def _save_settings(self) -> None:
        settings = deepcopy(self._desk.settings)
        self._desk.lanes.state.submit(
            lambda _: save_settings(settings), lambda _: None, on_error=self._desk.fail
        )

    def _leaving(self) -> None:
        """Keep what was done by hand: it belongs to the series that is left."""
        if self.enabled and self._touched:
            self._timer.stop()
            self._autosave()

    def _opened(self) -> None:
        self.keep_settings()
        if self._held and self._desk.engine is not None:
            self._held = False
            self.on_plan(frozenset({Request.SAVE}))

    def on_plan(self, requests: frozenset[Request]) -> None:
        """Do what a change of state asks of this presenter."""
        if Request.SAVE in requests and not self._held:
            self._touched = True
            if self.enabled:
                self._timer.start()

    def _autosave(self) -> None:
        state, identity = self._desk.store.state, self._identity

        def run(_: Context) -> None:
            save_session(state, autosave_path())
            if identity is not None:
                keep_handwork(state, identity)

        self._desk.lanes.state.submit(run, lambda _: None, on_error=self._desk.fail)

    @property
    def _identity(self) -> str | None:
        info = self._desk.info
        return None if info is None else info.identity

    def save_now(self) -> None:
        """Write at once, in the calling thread; for the moment of closing only."""
        for path, session in self._named.items():
            save_session(session, path)
        if self.enabled and self._touched:
            save_session(self._desk.store.state, autosave_path())
            if self._identity is not None:
                keep_handwork(self._desk.store.state, self._identity)

    def restore(self) -> None:
        """Bring back the autosaved session, if there is one with a file."""
        path = autosave_path()
        if path.exists():
            self._held = True
            self._open(path, quiet=True)

    def ask_save(self) -> None:
        """Save under a name."""
        name, _ = QFileDialog.getSaveFileName(self._window, "Save session", "", FILTER)
        if not name:
            return
        path = Path(name if name.endswith(".json") else f"{name}.braggscope.json")
        state = self._named[path] = self._desk.store.state

        def saved(_: None) -> None:
            self._named.pop(path, None)
            self._desk.say("info", f"Session saved as {path.name}.")

        def failed(error: Exception) -> None:
            self._named.pop(path, None)
            self._desk.fail(error)

        self._desk.lanes.state.submit(lambda _: save_session(state, path), saved, on_error=failed)

    def ask_open(self) -> None:
        """Open a named session."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Open session", "", "Sessions (*.json)")
        if name:
            self._open(Path(name), quiet=False)

    def _open(self, path: Path, quiet: bool) -> None:
        def failed(error: Exception) -> None:
            if quiet and isinstance(error, SessionError):
                self._desk.say("warning", f"The last session could not be restored: {error}")
            else:
                self._desk.fail(error)

        self._desk.lanes.state.submit(lambda _: load_session(path), self._loaded, on_error=failed)

    def _loaded(self, session: Session) -> None:
        if session.location is None:
            self._held = False
            self._sources.close_source()
            self._desk.store.reset(session)
        else:
            self._sources.open(session.location, session.frame_axis, keep=session)
