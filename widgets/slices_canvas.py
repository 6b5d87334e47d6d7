"""One slice through a volume, with a cross-hair that shows where the other two are."""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.models.cdi.layers import COLOURS, EMPTY, Box, Layer
from braggscope.widgets import theme
from braggscope.widgets.levels_track import colours_of
from braggscope.widgets.plotting import tick_font

Place = tuple[int, int, int]
AXES = "zyx"
SHOWN: tuple[tuple[int, int], ...] = (
    (1, 2),
    (0, 2),
    (1, 0),
)  # (rows, columns) of the slice across z, y and x
_MARGIN = 6.0
_GAP = 5.0  # px of the cross-hair left open around the voxel


class SliceCanvas(QWidget):
    """The slice of a :class:`Layer` across ``axis`` (0 to 2). Positions are voxels (z, y, x).

    ``placed``: a click or drag chose a voxel. ``stroked``: voxels that a stroke of the brush went over, when
    it ends. ``stepped``: the wheel asks for another slice. ``zoomed``: factor, by Ctrl and wheel.
    """

    placed = pyqtSignal(tuple)
    stroked = pyqtSignal(tuple)
    stepped = pyqtSignal(int)
    zoomed = pyqtSignal(float)
    hovered = pyqtSignal(object)  # Place or None

    def __init__(self, axis: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.axis = axis
        self.rows, self.columns = SHOWN[axis]
        self.brush = 0.0  # radius in voxels, 0 = no brush in hand
        self.erase = False
        self.y_up = False
        self._layer: Layer | None = None
        self._place: Place = (0, 0, 0)
        self._region: Box = ((0, 0), (0, 0), (0, 0))
        self._stroke: list[Place] = []
        self._under: Place | None = None
        self._image: QImage | None = None
        self._bytes: object = None  # the QImage only borrows them
        self.setMouseTracking(True)
        self.setMinimumSize(90, 80)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(f"Slice across {AXES[axis]}")
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: all slices alike."""
        return QSize(260, 240)

    # ---- values in ----

    def set_layer(self, layer: Layer | None) -> None:
        """Show another volume, or none."""
        self._layer = layer
        self._image = None
        self.update()

    def set_place(self, place: Place) -> None:
        """Go to the slice through a voxel."""
        if self._layer is not None:
            shape = self._layer.index.shape
            z, y, x = (min(max(p, 0), n - 1) for p, n in zip(place, shape, strict=True))
            place = z, y, x
        if place[self.axis] != self._place[self.axis]:
            self._image = None
        self._place = place
        self.update()

    def set_region(self, region: Box) -> None:
        """Show voxels ``first`` to ``last`` of every axis."""
        self._region = region
        self.update()

    # ---- geometry ----

    def frame_rect(self) -> QRectF:
        """Where the region is drawn, with the voxels' true proportions."""
        spacing = (1.0, 1.0, 1.0) if self._layer is None else self._layer.spacing
        (top, bottom), (left, right) = self._region[self.rows], self._region[self.columns]
        height, width = (bottom - top + 1) * spacing[self.rows], (right - left + 1) * spacing[self.columns]
        room = QRectF(self.rect()).adjusted(_MARGIN, 20.0, -_MARGIN, -_MARGIN)
        scale = min(room.width() / width, room.height() / height)
        w, h = width * scale, height * scale
        return QRectF(room.center().x() - w / 2, room.center().y() - h / 2, w, h)

    def voxel_at(self, at: QPointF) -> Place | None:
        """The voxel under a point of the widget."""
        box = self.frame_rect()
        if self._layer is None or not box.contains(at):
            return None
        (top, bottom), (left, right) = self._region[self.rows], self._region[self.columns]
        down = (at.y() - box.top()) / box.height()
        if self._flipped():
            down = 1 - down
        found = list(self._place)
        found[self.rows] = min(bottom, top + int(down * (bottom - top + 1)))
        found[self.columns] = min(right, left + int((at.x() - box.left()) / box.width() * (right - left + 1)))
        z, y, x = found
        return z, y, x

    def point_of(self, place: Place) -> QPointF:
        """Middle of a voxel in the widget."""
        box = self.frame_rect()
        (top, bottom), (left, right) = self._region[self.rows], self._region[self.columns]
        down = (place[self.rows] + 0.5 - top) / (bottom - top + 1)
        along = (place[self.columns] + 0.5 - left) / (right - left + 1)
        return QPointF(
            box.left() + along * box.width(),
            box.top() + (1 - down if self._flipped() else down) * box.height(),
        )

    def _flipped(self) -> bool:
        return self.y_up and self.rows == 1

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: slice, cross-hair, labels."""
        painter, colours = QPainter(self), theme.current()
        painter.fillRect(self.rect(), QColor(colours.window))
        if self._layer is None:
            return
        box = self.frame_rect()
        (top, bottom), (left, right) = self._region[self.rows], self._region[self.columns]
        source = QRectF(left, top, right - left + 1, bottom - top + 1)
        painter.save()
        if self._flipped():
            painter.translate(0, box.top() + box.bottom())
            painter.scale(1, -1)
        painter.drawImage(box, self._slice(), source)
        painter.restore()
        self._paint_cross(painter, box)
        self._paint_brush(painter, box)
        painter.setFont(tick_font())
        painter.setPen(QColor(colours.muted))
        title = f"{AXES[self.axis]} = {self._place[self.axis]}"
        line = QRectF(_MARGIN + 2, 2, self.width() - 2 * _MARGIN - 4, 17)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, title)
        arrow = "↑" if self._flipped() else "↓"
        painter.drawText(
            line, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter,
            f"{AXES[self.columns]} →   {AXES[self.rows]} {arrow}",
        )  # fmt: skip

    def _slice(self) -> QImage:
        if self._image is None:
            layer = self._layer
            assert layer is not None
            plane: NDArray[np.uint8] = np.take(layer.index, [self._place[self.axis]], axis=self.axis)
            plane = plane.squeeze(self.axis)
            if self.axis == 2:  # (z, y), shown with y downwards as in the slice across z
                plane = plane.T
            height, width = int(plane.shape[0]), int(np.size(plane, 1))
            padded = np.zeros((height, -(-width // 4) * 4), np.uint8)
            padded[:, :width] = plane
            self._bytes = padded
            self._image = QImage(
                cast(bytes, padded.data), width, height, np.size(padded, 1), QImage.Format.Format_Indexed8
            )
            self._image.setColorTable(_colour_table(layer.colormap, theme.current().raised))
        return self._image

    def _paint_cross(self, painter: QPainter, box: QRectF) -> None:
        at = self.point_of(self._place)
        for width, ink in ((3.0, QColor(0, 0, 0, 70)), (1.0, QColor(255, 255, 255, 190))):
            painter.setPen(QPen(ink, width))
            painter.drawLine(QPointF(box.left(), at.y()), QPointF(max(at.x() - _GAP, box.left()), at.y()))
            painter.drawLine(QPointF(min(at.x() + _GAP, box.right()), at.y()), QPointF(box.right(), at.y()))
            painter.drawLine(QPointF(at.x(), box.top()), QPointF(at.x(), max(at.y() - _GAP, box.top())))
            painter.drawLine(QPointF(at.x(), min(at.y() + _GAP, box.bottom())), QPointF(at.x(), box.bottom()))

    def _paint_brush(self, painter: QPainter, box: QRectF) -> None:
        if not self.brush:
            return
        (top, bottom), (left, right) = self._region[self.rows], self._region[self.columns]
        down = (self.brush + 0.5) * box.height() / (bottom - top + 1)
        along = (self.brush + 0.5) * box.width() / (right - left + 1)
        painter.save()
        painter.setClipRect(box)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(
            QPen(QColor("#ffffff"), 1.5, Qt.PenStyle.DashLine if self.erase else Qt.PenStyle.SolidLine)
        )
        fill = QColor(theme.current().warning)
        fill.setAlphaF(0.0 if self.erase else 0.35)
        for place in self._stroke:
            painter.setBrush(fill)
            painter.drawEllipse(self.point_of(place), along, down)
        if self._under is not None:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawEllipse(self.point_of(self._under), along, down)
        painter.restore()

    def _recolour(self, _: theme.Theme) -> None:
        self._image = None
        self.update()

    # ---- gestures ----

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: choose a voxel, or begin a stroke."""
        self._moved_to(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: follow the mouse."""
        if event is None:
            return
        self._under = self.voxel_at(event.position())
        self.hovered.emit(self._under)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._moved_to(event)
        elif self.brush:
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Qt: a stroke ends."""
        if self._stroke:
            stroke, self._stroke = tuple(self._stroke), []
            self.update()
            self.stroked.emit(stroke)

    def leaveEvent(self, event: object) -> None:
        """Qt: nothing is under the mouse."""
        self._under = None
        self.hovered.emit(None)
        self.update()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Qt: the next slice; with Ctrl, zoom."""
        if event is None or self._layer is None or not event.angleDelta().y():
            return
        up = event.angleDelta().y() > 0
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoomed.emit(0.8 if up else 1.25)
        else:
            self.stepped.emit(1 if up else -1)
        event.accept()

    def _moved_to(self, event: QMouseEvent | None) -> None:
        if event is None or not event.buttons() & Qt.MouseButton.LeftButton:
            return
        place = self.voxel_at(event.position())
        if place is None:
            return
        if not self.brush:
            self.placed.emit(place)
        elif place not in self._stroke:
            self._stroke.append(place)
            self.update()


@lru_cache(maxsize=16)
def _colour_table(name: str, empty: str) -> Sequence[int]:
    """256 colours as Qt takes them: those of the map, and that of voxels without a value."""
    lut = colours_of(name)[np.linspace(0, 255, COLOURS).round().astype(int)]
    table = [int(colour) for colour in lut]
    return [*table, *(EMPTY - COLOURS + 1) * [QColor(empty).rgb()]]
