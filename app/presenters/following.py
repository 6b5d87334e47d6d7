"""Files that grow, or change, while they are open."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer

from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.sources import SourcePresenter
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.session import Session

if TYPE_CHECKING:
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
        self._inode: int | None = None  # of the open file, None before the first look
        window.source_panel.follow_toggled.connect(lambda on: desk.store.update(follow=on))
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._restart)

    def refresh(self, polled: bool = False) -> None:
        """Look for new frames now; ``polled``: nobody asked, so a file only touched stays as it is."""
        engine = self._desk.engine
        if engine is None or self._refreshing or self._desk.lanes.files.busy:  # an opening goes first
            return
        self._refreshing = True

        def run(_: Context) -> tuple[SourceInfo, int]:
            return engine.reader.refresh(), _inode_of(engine.info.location)

        self._desk.lanes.files.submit(
            run,
            lambda found: self._refreshed(engine, *found, polled),
            on_error=self._failed,
            on_cancelled=self._over,
        )

    def _restart(self) -> None:
        """Learn which file it is that is open, off the GUI thread."""
        self._inode = None
        info = self._desk.info
        if info is not None:
            self._desk.lanes.export.submit(lambda _: _inode_of(info.location), self._learn)

    def _learn(self, inode: int) -> None:
        self._inode = inode

    def _refreshed(self, engine: FrameEngine, info: SourceInfo, inode: int, polled: bool) -> None:
        self._refreshing = False
        old = engine.info
        unchanged = (info.identity, info.frames) == (old.identity, old.frames)
        if self._desk.engine is not engine or unchanged:
            return
        alike = (info.shape, info.dtype, info.frame_axis) == (old.shape, old.dtype, old.frame_axis)
        same_file = alike and self._inode in (None, inode)
        if same_file and info.frames > old.frames:
            self._grown(engine, info)
        elif not (polled and same_file and info.frames == old.frames):
            self._replaced(engine, info)

    def _grown(self, engine: FrameEngine, info: SourceInfo) -> None:
        """More frames of the same file: results of the old frames stay, unless sums took new ones in."""
        desk, old = self._desk, engine.info
        at_end = desk.store.state.frame == old.frames - 1
        summed = any(entry.parameters.prepare.sum_frames > 1 for entry in desk.store.state.sets)
        self._renew(engine, info if summed else replace(info, identity=old.identity))
        self._sources.show_metadata(info)
        desk.grown.emit()
        if desk.store.state.follow and at_end:
            desk.store.update(frame=info.frames - 1)

    def _replaced(self, engine: FrameEngine, info: SourceInfo) -> None:
        """Other content under the same name: everything is looked at anew."""
        desk = self._desk
        self._renew(engine, info)
        desk.store.update(frame=max(0, min(desk.store.state.frame, info.frames - 1)))
        self._sources.show_source(info)
        desk.say("info", f"{Path(info.location.partition('::')[0]).name} has changed and was read anew.")
        desk.opened.emit()

    def _renew(self, engine: FrameEngine, info: SourceInfo) -> None:
        self._desk.engine = engine.renewed(info, self._desk.memory)

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


def _inode_of(location: str) -> int:
    try:
        return os.stat(location.partition("::")[0]).st_ino
    except OSError:
        return 0
