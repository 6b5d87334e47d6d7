"""What the tests of the frame view have in common: a view with a black frame, hands, ears."""

import numpy as np
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.frame_view import FrameView

LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier
SIGNALS = (
    "hovered", "clicked", "double_clicked", "region_drawn", "line_drawn", "tool_dismissed",
    "open_requested", "demo_requested", "context_requested",
)  # fmt: skip


def black_frame(qtbot):
    """A view of 64 x 48 px on the screen."""
    widget = FrameView()
    qtbot.addWidget(widget)
    widget.resize(500, 400)
    widget.show()
    widget.set_frame(np.full((48, 64), 0xFF000000, np.uint32), (48, 64))
    return widget


def place(view, x, y):
    return view.canvas.screen_position(x, y).toPoint()


def wheel(view, at, notches):
    event = QWheelEvent(
        QPointF(at), QPointF(view.canvas.mapToGlobal(at)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, NO_KEYS, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view.canvas, event)


def record(view, *names):
    heard = []
    for name in names or SIGNALS:
        getattr(view, name).connect(lambda *values, name=name: heard.append((name, *values)))
    return heard


def drag(qtbot, view, start, end, keys=NO_KEYS):
    qtbot.mousePress(view.canvas, LEFT, keys, place(view, *start))
    middle = (np.add(start, end) / 2).tolist()
    for at in (middle, end):
        qtbot.mouseMove(view.canvas, place(view, *at))
    qtbot.mouseRelease(view.canvas, LEFT, keys, place(view, *end))
