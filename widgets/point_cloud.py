"""Many round points of one colour in a plot."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6 import sip
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPixmap
from PyQt6.QtWidgets import QStyleOptionGraphicsItem, QWidget

REACH = 12.0  # px of the screen, how near a click must be to its point
_FIELDS = 10  # of a QPainter.PixmapFragment: x y, source rectangle (4), scale (2), rotation, opacity


class PointCloud(pg.GraphicsObject):
    """Stamps one dot on all places in a single call; takes new points in without a loop over them."""

    def __init__(self, size: float = 3.6) -> None:
        super().__init__()
        self.x = self.y = np.zeros(0)
        self._size = size
        self._colour = QColor()
        self._box = QRectF()

    def set_points(self, x: NDArray[np.float64], y: NDArray[np.float64], colour: QColor) -> None:
        """Show finite points (N,), (N,) in data coordinates."""
        self.prepareGeometryChange()
        self.x, self.y, self._colour = x, y, colour
        self._box = QRectF()
        if len(x):
            self._box = QRectF(QPointF(x.min(), y.min()), QPointF(x.max(), y.max()))
        self.update()

    def boundingRect(self) -> QRectF:
        """Qt: where the points lie, in data coordinates, and room for their size."""
        px, py = self.pixelVectors()
        if px is None or py is None:
            return self._box
        width, height = self._size * abs(px.x()), self._size * abs(py.y())
        return self._box.adjusted(-width, -height, width, height)

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        """Qt: draw the points that lie on the screen."""
        if not len(self.x):
            return
        to_screen = painter.transform()  # scales and shifts, never turns
        x, y = self.x * to_screen.m11() + to_screen.dx(), self.y * to_screen.m22() + to_screen.dy()
        painter.resetTransform()
        device = painter.device()
        ratio = 1.0 if device is None else device.devicePixelRatioF()
        stamp = _dot(self._size * ratio, self._colour)
        fragments: Any = sip.array(QPainter.PixmapFragment, len(x))  # type: ignore[call-arg]
        raw: Any = sip.voidptr(fragments, len(x) * _FIELDS * 8)
        memory = np.frombuffer(raw, np.float64).reshape(-1, _FIELDS)
        side = stamp.width()
        memory[:] = (0.0, 0.0, 0.0, 0.0, side, side, 1.0 / ratio, 1.0 / ratio, 0.0, 1.0)
        memory[:, 0], memory[:, 1] = x, y
        painter.drawPixmapFragments(fragments, stamp)


def opacity(points: int) -> float:
    """0-1, fainter the more points there are, so that their density is seen."""
    return float(np.clip(600.0 / max(points, 1), 0.06, 0.75))


def point_at(plot: pg.PlotWidget, at: QPointF, x: NDArray[np.float64], y: NDArray[np.float64]) -> int | None:
    """Index of the point nearest to a position in the scene, if one is near enough on screen."""
    box = plot.getPlotItem().getViewBox()
    if not len(x) or not box.sceneBoundingRect().contains(at):
        return None
    place = box.mapSceneToView(at)
    wide, high = box.viewPixelSize()
    apart = np.hypot((x - place.x()) / wide, (y - place.y()) / high)
    k = int(np.argmin(apart))
    return k if apart[k] <= REACH else None


def _dot(diameter: float, colour: QColor) -> QPixmap:
    """A filled circle with smooth edges, px of the device."""
    side = int(np.ceil(diameter)) + 2
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(QPointF(side / 2, side / 2), diameter / 2, diameter / 2)
    painter.end()
    return pixmap
