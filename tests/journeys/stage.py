"""What the journeys need of a user: eyes that wait, a hand for the mouse, and the keys."""

import gc
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import psutil
from PyQt6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QWidget

from braggscope.app.composition import Program
from braggscope.app.shell.settings import Settings
from braggscope.widgets.patch_view import PatchContent

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
PATIENCE_S = 30.0


def until(ready: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    """Run the event loop until something holds."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"{what} did not come within {seconds:g} s"
        QTest.qWait(2)


def settle(seconds: float) -> None:
    """Run the event loop for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QTest.qWait(5)


def children() -> list[psutil.Process]:
    """Living child processes, but for Python's own, which other tests may have started for good."""
    alive = []
    for child in psutil.Process(os.getpid()).children(recursive=True):
        try:
            own = any("multiprocessing.resource_tracker" in word for word in child.cmdline())
            if child.status() != psutil.STATUS_ZOMBIE and not own:
                alive.append(child)
        except psutil.NoSuchProcess:
            continue
    return alive


class Stage:
    """One running program and what a user does with it."""

    def __init__(self, *locations: str | Path, size: tuple[int, int] = (1400, 900)) -> None:
        self.program = Program(Settings(preferences={"theme": "dark"}))
        self.window = self.program.window
        self.window.resize(*size)
        self.patch: PatchContent | None = None
        self._show_patch = self.window.patch_view.set_content
        self.window.patch_view.set_content = self._patch_shown
        self.program.start([str(location) for location in locations])
        QTest.qWaitForWindowExposed(self.window)
        self.window.activateWindow()

    def _patch_shown(self, content: PatchContent | None) -> None:
        self.patch = content
        self._show_patch(content)

    # -- what is there --------------------------------------------------------------------------

    @property
    def desk(self):
        return self.program.desk

    @property
    def state(self):
        return self.program.store.state

    @property
    def canvas(self):
        return self.window.frame_view.canvas

    @property
    def marks(self):
        return self.canvas._marks

    @property
    def listed(self):
        """Table in the peaks dock."""
        return self.window.peak_table.model.table

    @property
    def notice(self):
        return self.window.notices.current()

    def curve(self, k: int) -> np.ndarray:
        """Data on screen of a curve of the error plot."""
        data = self.window.error_plot._lines[k].yData
        return np.empty(0) if data is None else data

    def rows(self) -> dict[str, str]:
        """Title and state of the jobs."""
        return {row.job.title: row.job.state for row in self.window.jobs_panel.rows.values()}

    # -- waiting --------------------------------------------------------------------------------

    def measured(self) -> bool:
        """Everything wanted is on screen, networks included."""
        desk = self.desk
        return (
            desk.key() is not None
            and desk.found is not None
            and desk.found.key == desk.key()
            and desk.picture is not None
            and desk.picture.key.frame == self.state.frame
            and self.program.networks_ready
            and not desk.lanes.frame.busy
            and hasattr(desk.found, "timing")
        )

    def look(self) -> None:
        """Wait until what is shown is complete."""

        def ready() -> bool:
            said = self.notice
            assert said is None or said.level != "error", said.text
            return self.measured()

        until(ready, "the measured frame")

    def idle(self) -> None:
        """Wait until no job runs."""
        until(lambda: not self.program.jobs.running, "the end of the jobs")

    def open(self, location: str | Path) -> None:
        """Drop a file and wait for its first frame."""
        self.drop([location])
        self.idle()
        self.look()

    # -- gestures -------------------------------------------------------------------------------

    def drop(self, paths: Iterable[str | Path]) -> None:
        """Drop files on the window."""
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        where, copy = self.window.rect().center(), Qt.DropAction.CopyAction
        under = self.window.childAt(where) or self.window
        enter = QDragEnterEvent(where, copy, data, LEFT, NONE)
        QApplication.sendEvent(under, enter)
        assert enter.isAccepted(), "the window refuses files"
        QApplication.sendEvent(under, QDropEvent(QPointF(where), copy, data, LEFT, NONE))

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier = NONE) -> None:
        """Press a key in the window."""
        QTest.keyClick(self.canvas, key, modifier)

    def press(self, widget: QWidget) -> None:
        """Click a button."""
        assert widget.isVisible(), "a button must be seen to be clicked"
        assert widget.isEnabled(), "a button must be enabled to be clicked"
        QTest.mouseClick(widget, LEFT)

    def click_image(self, x: float, y: float) -> None:
        """Click a raw position of the frame."""
        QTest.mouseClick(self.canvas, LEFT, NONE, self.canvas.screen_position(x, y).toPoint())

    def drag_image(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one raw position to another."""
        a, b = (self.canvas.screen_position(*p).toPoint() for p in (start, end))
        drag(self.canvas, [a, (a + b) / 2, b])

    def drag_threshold(self, name: str, value: float, steps: int = 6) -> None:
        """Drag the handle of ``minval`` or ``minscore`` to a value."""
        track = getattr(self.window.threshold_panel, name).track
        scale, middle = track.scale(), track.height() // 3
        xs = np.linspace(scale.x(track.value), scale.x(value), steps)
        drag(track, [QPoint(round(x), middle) for x in xs])

    def go_to(self, frame: int) -> None:
        """Go to a frame and wait for it."""
        self.program.playback.go_to(frame)
        self.look()

    def run_series(self) -> None:
        """Press the button of the parameter sets and wait for the end of the run."""
        self.press(self.window.sets_panel.run)
        until(lambda: self.program.runs.running, "the start of the run")
        until(lambda: not self.program.runs.running, "the whole series", 120)
        until(lambda: not self.desk.lanes.export.busy, "the record of the run")
        settle(0.02)

    # -- the end --------------------------------------------------------------------------------

    def close(self) -> float:
        """Close the window. Returns the seconds it took; nothing may be left behind."""
        start = time.monotonic()
        self.window.close()  # closing twice is harmless
        seconds = time.monotonic() - start
        alive = [lane.name for lane in self.desk.lanes.all() if lane._thread.is_alive()]
        assert not alive, f"these lanes did not end: {alive}"
        active = [timer for timer in self.window.findChildren(QTimer) if timer.isActive()]
        assert not active, "timers still run"
        self.window.deleteLater()
        self.program.deleteLater()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QApplication.processEvents()
        gc.collect()  # here, not while the next window is being made
        return seconds


def drag(widget: QWidget, points: list[QPoint]) -> None:
    """Press at the first point, move over the others, release at the last."""
    QTest.mousePress(widget, LEFT, NONE, points[0])
    for at in points[1:]:
        place = QPointF(at)
        move = QMouseEvent(
            QEvent.Type.MouseMove, place, widget.mapToGlobal(place), Qt.MouseButton.NoButton, LEFT, NONE
        )
        QApplication.sendEvent(widget, move)
        QTest.qWait(1)
    QTest.mouseRelease(widget, LEFT, NONE, points[-1])
