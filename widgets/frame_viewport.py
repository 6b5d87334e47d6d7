"""Which part of a frame is seen, and how large: the transform between raw pixels and the screen."""

from PyQt6.QtCore import QPointF, QRectF, QSizeF
from PyQt6.QtGui import QTransform

from braggscope.widgets.orientation import Orientation

MARGIN = 12.0  # screen px around a fitted frame
MAX_SCALE = 96.0  # screen px per image px


class FrameViewport:
    """Zoom, position and orientation of a frame of ``shape`` (rows, columns) in a window of ``size``."""

    def __init__(self) -> None:
        self.shape = (1, 1)
        self.size = QSizeF(100, 100)
        self.orientation = Orientation()
        self.margins = MARGIN, MARGIN  # screen px left and right, above and below a fitted frame
        self.scale = 1.0  # screen px per image px
        self.fitted = True
        self._centre = QPointF(0, 0)  # displayed px at the middle of the window

    def transform(self) -> QTransform:
        """From raw (x, y) to the screen."""
        view = QTransform()
        view.translate(self.size.width() / 2, self.size.height() / 2)
        view.scale(self.scale, self.scale)
        view.translate(-self._centre.x(), -self._centre.y())
        return self.orientation.matrix(self.shape) * view

    def to_image(self, at: QPointF) -> QPointF:
        """Raw (x, y) under a point of the screen."""
        inverse, _ = self.transform().inverted()
        return inverse.map(at)

    def contains(self, image: QPointF) -> bool:
        """Whether a raw position lies on the frame."""
        rows, columns = self.shape
        return -0.5 <= image.x() < columns - 0.5 and -0.5 <= image.y() < rows - 0.5

    def frame_on_screen(self) -> QRectF:
        """Screen rectangle that the frame covers."""
        rows, columns = self.shape
        return self.transform().mapRect(QRectF(-0.5, -0.5, columns, rows))

    def step(self, device_ratio: float) -> int:
        """Whole image pixels per device pixel, at least 1."""
        return max(1, int(1.0 / (self.scale * device_ratio) + 1e-9))

    def fit(self) -> None:
        """Show the whole frame."""
        rows, columns = self.orientation.display_shape(self.shape)
        wide = (self.size.width() - 2 * self.margins[0]) / columns
        high = (self.size.height() - 2 * self.margins[1]) / rows
        self.scale = min(max(min(wide, high), 1e-4), MAX_SCALE)
        self._centre = QPointF((columns - 1) / 2, (rows - 1) / 2)
        self.fitted = True

    def set_scale(self, scale: float) -> None:
        """Zoom about the middle of the window."""
        self.zoom_at(QPointF(self.size.width() / 2, self.size.height() / 2), scale / self.scale)

    def zoom_at(self, at: QPointF, factor: float) -> None:
        """Zoom so that the point of the screen keeps its place on the frame."""
        rows, columns = self.orientation.display_shape(self.shape)
        smallest = 0.25 * min(self.size.width() / columns, self.size.height() / rows)
        new = min(max(self.scale * factor, min(smallest, 1.0)), MAX_SCALE)
        offset = at - QPointF(self.size.width() / 2, self.size.height() / 2)
        self._move(self._centre + offset / self.scale - offset / new)
        self.scale = new

    def pan(self, shift: QPointF) -> None:
        """Move the frame by screen px."""
        self._move(self._centre - shift / self.scale)

    def centre_on(self, image: QPointF) -> None:
        """Bring a raw position to the middle."""
        self._move(self.orientation.matrix(self.shape).map(image))

    def _move(self, centre: QPointF) -> None:
        """The middle of the window never leaves the frame, so nobody gets lost."""
        rows, columns = self.orientation.display_shape(self.shape)
        self._centre = QPointF(min(max(centre.x(), 0), columns - 1), min(max(centre.y(), 0), rows - 1))
        self.fitted = False
