"""Files that grow, or change, while they are open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer

from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.sources import SourcePresenter
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.session import Session

if TYPE_CHECKING:
    from braggscope.app.engine.frames import FrameEngine
    from braggscope.app.main_window import MainWindow

FOLLOW_MS = 1000


class FollowPresenter:
    """Looks again at the open source, on demand or every second."""

    def __init__(self, desk: Desk, window: MainWindow, sources: SourcePresenter) -> None:
        self._desk = desk
        self._window = window
        self._sources = sources
        self._timer = QTimer(window)
        self._timer.setInterval(FOLLOW_MS)
        self._timer.timeout.connect(lambda: self.refresh(polled=True))
        self._refreshing = False
        window.source_panel.follow_toggled.connect(lambda on: desk.store.update(follow=on))
        desk.store.subscribe(self._on_state)

    def refresh(self, polled: bool = False) -> None:
        """Look for new frames now; ``polled``: nobody asked, so a file only touched stays as it is."""
        engine = self._desk.engine
        if engine is None or self._refreshing or self._desk.lanes.files.busy:  # an opening goes first
            return
        self._refreshing = True

        memory = self._desk.memory

        def run(_: Context) -> FrameEngine:
            return engine.renewed(engine.reader.refresh(), memory)

        self._desk.lanes.files.submit(
            run,
            lambda new: self._refreshed(engine, new, polled),
            on_error=self._failed,
            on_cancelled=self._over,
        )

    def _refreshed(self, engine: FrameEngine, new: FrameEngine, polled: bool) -> None:
        self._refreshing = False
        old, info = engine.info, new.info
        unchanged = (info.identity, info.frames) == (old.identity, old.frames)
        if self._desk.engine is not engine or unchanged:
            return
        alike = (info.shape, info.dtype, info.frame_axis) == (old.shape, old.dtype, old.frame_axis)
        same_file = alike and new.file_id == engine.file_id
        if same_file and info.frames > old.frames:
            self._grown(new, old)
        elif not (polled and same_file and info.frames == old.frames):
            self._replaced(new)

    def _grown(self, engine: FrameEngine, old: SourceInfo) -> None:
        """More frames of the same file: results of the old frames stay, unless sums took new ones in."""
        desk, info = self._desk, engine.info
        at_end = desk.store.state.frame == old.frames - 1
        if not any(entry.parameters.prepare.sum_frames > 1 for entry in desk.store.state.sets):
            engine.info = replace(info, identity=old.identity)
        desk.engine = engine
        self._sources.show_metadata(info)
        desk.grown.emit()
        if desk.store.state.follow and at_end:
            desk.store.update(frame=info.frames - 1)

    def _replaced(self, engine: FrameEngine) -> None:
        """Other content under the same name: everything is looked at anew."""
        desk, info = self._desk, engine.info
        desk.engine = engine
        desk.store.update(frame=max(0, min(desk.store.state.frame, info.frames - 1)))
        self._sources.show_source(info)
        desk.say("info", f"{Path(info.location.partition('::')[0]).name} has changed and was read anew.")
        desk.opened.emit()

    def _failed(self, error: Exception) -> None:
        self._refreshing = False
        self._desk.store.update(follow=False)
        self._desk.fail(error)

    def _over(self) -> None:
        self._refreshing = False

    def _on_state(self, old: Session, new: Session) -> None:
        if old.follow != new.follow:
            self._window.source_panel.set_follow(new.follow)
            if new.follow:
                self._timer.start()
                self.refresh()
            else:
                self._timer.stop()
