"""Points on a frame that can be dragged, and arrow keys that move in the scan."""

from collections.abc import Mapping

from PyQt6.QtCore import QEvent, QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QMouseEvent

from braggscope.widgets.frame_canvas import FrameCanvas

REACH = 10.0  # screen px; a press so near takes hold of a handle
UPRIGHT = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
FAR = 10


class FrameHandles(QObject):
    """Watches a :class:`FrameCanvas`; what it does not take hold of is left to the canvas.

    ``moved``: key of a handle and its new raw x, y. ``released``: the drag ended. ``stepped``: rows, of the
    keys up and down, which the window leaves to us.
    """

    moved = pyqtSignal(str, float, float)
    released = pyqtSignal(str)
    stepped = pyqtSignal(int, int)

    def __init__(self, canvas: FrameCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._handles: dict[str, tuple[float, float]] = {}
        self._held = ""
        self.steps = False  # whether up and down are ours
        canvas.installEventFilter(self)

    def set_handles(self, handles: Mapping[str, tuple[float, float]]) -> None:
        """Handles by key at raw positions; while one is dragged the others wait."""
        self._handles = dict(handles)

    @property
    def held(self) -> str:
        """Key of the handle that is being dragged."""
        return self._held

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: take presses near a handle."""
        if isinstance(event, QMouseEvent):
            return self._mouse(event)
        if self.steps and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            way = UPRIGHT.get(Qt.Key(event.key()))
            if way is not None and not event.modifiers() & Qt.KeyboardModifier.AltModifier:
                far = FAR if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
                self.stepped.emit(way * far, 0)
                return True
        return False

    def _mouse(self, event: QMouseEvent) -> bool:
        kind, at = event.type(), event.position()
        if kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            self._held = self.at(at)
            return bool(self._held)
        if kind == QEvent.Type.MouseMove and self._held:
            image = self._canvas.viewport.to_image(at)
            self.moved.emit(self._held, image.x(), image.y())
            return True
        if kind == QEvent.Type.MouseButtonRelease and self._held:
            key, self._held = self._held, ""
            self.released.emit(key)
            return True
        return False

    def at(self, point: QPointF) -> str:
        """Key of the handle near a point of the screen, or nothing."""
        near = {
            key: (self._canvas.screen_position(x, y) - point).manhattanLength()
            for key, (x, y) in self._handles.items()
        }
        best = min(near, key=lambda key: near[key], default="")
        return best if best and near[best] <= REACH else ""
