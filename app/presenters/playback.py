"""Moving through the series: timeline, keys, play."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer

from braggscope.app.presenters.desk import Desk
from braggscope.app.state.session import Session

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow


class PlaybackPresenter:
    """Keeps the timeline and the frame index together."""

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        self._timeline = window.timeline
        self._timer = QTimer(window)
        self._timer.timeout.connect(self._tick)
        self._origin = (0.0, 0)
        self._shown = True
        timeline = self._timeline
        timeline.frame_changed.connect(self.go_to)
        timeline.play_toggled.connect(self.play)
        timeline.fps_changed.connect(self._set_fps)
        timeline.mode_changed.connect(lambda mode: desk.store.update(play_mode=mode))
        timeline.sum_changed.connect(self._set_sum)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(lambda: self.play(False))
        desk.opened.connect(self.restart)
        desk.grown.connect(self.restart)
        desk.picture_shown.connect(self._picture_shown)
        desk.view_failed.connect(self._skip)

    @property
    def count(self) -> int:
        """Frames of the open source."""
        return 0 if self._desk.info is None else self._desk.info.frames

    def restart(self) -> None:
        """Another source, or a longer one."""
        state = self._desk.store.state
        self._timeline.set_count(self.count)
        self._timeline.set_frame(state.frame)
        self._timeline.set_fps(state.fps)
        self._timeline.set_mode(state.play_mode)
        self._timeline.set_sum(state.parameters.prepare.sum_frames)
        info = self._desk.info
        for name in ("voltage_V", "omega_deg", "temperature_K", "time_s"):
            if info is not None and name in info.axes:
                self._timeline.set_axis(name, info.axes[name])
                break
        else:
            self._timeline.set_axis("", None)

    def go_to(self, frame: int) -> None:
        """Show a frame, clipped to what there is."""
        if self.count:
            self._desk.store.update(frame=max(0, min(frame, self.count - 1)))

    def step(self, by: int) -> None:
        """Move by some frames."""
        self.go_to(self._desk.store.state.frame + by)

    def toggle(self) -> None:
        """Play or pause."""
        self.play(not self._timer.isActive())

    def play(self, on: bool) -> None:
        """Start or stop; starting at the last frame begins again."""
        state = self._desk.store.state
        if on and self.count > 1:
            if state.frame == self.count - 1:
                self.go_to(0)
            self._origin = (time.monotonic(), self._desk.store.state.frame)
            self._timer.start(max(8, round(1000 / state.fps)))
        else:
            self._timer.stop()
        self._timeline.set_playing(self._timer.isActive())

    def _tick(self) -> None:
        state = self._desk.store.state
        if state.play_mode == "realtime":
            start, first = self._origin
            target = first + int((time.monotonic() - start) * state.fps)
        elif self._shown:
            target = state.frame + 1
        else:
            return
        if target >= self.count:
            self.go_to(self.count - 1)
            self.play(False)
        elif target != state.frame:
            self._shown = False
            self.go_to(target)

    def _picture_shown(self) -> None:
        picture = self._desk.picture
        self._shown = picture is not None and picture.key.frame == self._desk.store.state.frame

    def _skip(self) -> None:
        self._shown = True

    def _set_fps(self, fps: float) -> None:
        self._desk.store.update(fps=fps)
        if self._timer.isActive():
            self.play(True)

    def _set_sum(self, count: int) -> None:
        store = self._desk.store
        store.replace(store.state.with_parameters(store.state.parameters.with_prepare(sum_frames=count)))

    def _on_state(self, old: Session, new: Session) -> None:
        if old.frame != new.frame:
            self._timeline.set_frame(new.frame)
        if old.parameters.prepare.sum_frames != new.parameters.prepare.sum_frames:
            self._timeline.set_sum(new.parameters.prepare.sum_frames)
        if old.play_mode != new.play_mode:
            self._timeline.set_mode(new.play_mode)
