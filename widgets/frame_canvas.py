"""The surface that paints a frame with its overlays and turns mouse and keys into gestures."""

from typing import cast

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QContextMenuEvent,
    QEnterEvent,
    QFont,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)  # fmt: skip
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.models.regions import Region
from braggscope.widgets import frame_marks, theme
from braggscope.widgets.frame_overlay import LegendRow, Overlays, paint_outline, paint_pill, pill_width
from braggscope.widgets.frame_tools import Drawn, Tool, ToolName, is_finish_key, make_tool
from braggscope.widgets.frame_viewport import FrameViewport
from braggscope.widgets.marks import Marks
from braggscope.widgets.plotting import tick_font

DRAG_START = 4.0  # screen px that a press must move to become a drag
RUBBER = QColor("#ffffff")


class FrameCanvas(QWidget):
    """Frame, overlays and gestures. All positions are raw pixels."""

    hovered = pyqtSignal(object)
    clicked = pyqtSignal(float, float)
    double_clicked = pyqtSignal(float, float)
    drawn_shape = pyqtSignal(object)  # Region, or (x0, y0, x1, y1) of a line
    tool_dismissed = pyqtSignal()
    step_changed = pyqtSignal(int)
    context_requested = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewport = FrameViewport()
        self.overlays = Overlays()
        self.title = ""
        self.legend: tuple[LegendRow, ...] = ()
        self.step = 1
        self._pixels: NDArray[np.uint32] | None = None
        self._image: QImage | None = None
        self._marks: Marks | None = None
        self.total_marks = 0
        self._built: tuple[QTransform, frame_marks.Drawing] | None = None
        self._tool: Tool | None = None
        self._pressed: QPointF | None = None
        self._panning: QPointF | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # nothing behind it need be painted
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 120)
        theme.on_change(self._recolour)

    # ---- values in ----

    def set_pixels(self, rgb: NDArray[np.uint32], shape: tuple[int, int]) -> None:
        """Show (h, w) uint32 0xFFRRGGBB pixels of a frame of ``shape``; a new shape is fitted."""
        self._pixels = np.ascontiguousarray(rgb, dtype=np.uint32)  # the QImage only borrows the buffer
        rows, columns = self._pixels.shape
        self._image = QImage(
            cast(bytes, self._pixels.data), columns, rows, 4 * columns, QImage.Format.Format_RGB32
        )
        if shape != self.viewport.shape:
            self.viewport.shape = shape
            self.viewport.fit()
        self.view_moved()

    def set_marks(self, marks: Marks | None) -> None:
        """Show marks, at most the strongest MAX_MARKS of them."""
        self.total_marks = 0 if marks is None else len(marks)
        self._marks = None if marks is None else frame_marks.strongest(marks)
        self._built = None
        self.update()

    @property
    def drawn(self) -> int:
        """How many marks are drawn."""
        return 0 if self._marks is None else len(self._marks)

    def set_tool(self, name: ToolName | None) -> None:
        """Draw with a tool, or with None select and pan again."""
        self._tool = None if name is None else make_tool(name)
        self._set_cursor()
        self.update()

    def view_moved(self) -> None:
        """Repaint after zoom, pan or turn, and tell when another resolution is wanted."""
        self._built = None
        self.update()
        step = self.viewport.step(self.devicePixelRatioF())
        if step != self.step:
            self.step = step
            self.step_changed.emit(step)

    def screen_position(self, x: float, y: float) -> QPointF:
        """Where a raw position is in this widget."""
        return self.viewport.transform().map(QPointF(x, y))

    def _recolour(self, _: theme.Theme) -> None:
        self._built = None
        self.update()

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: paint everything."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.current().window))
        if self._image is None:
            return
        transform, window = self.viewport.transform(), QRectF(self.rect())
        self._paint_images(painter, transform)
        font = tick_font()
        self.overlays.paint(painter, transform, window, font)
        if self._marks is not None and self.overlays.shows("peaks"):
            drawing = self._drawing(self._marks, transform, window)
            frame_marks.paint(painter, drawing, font, self.devicePixelRatioF())
        if self._tool is not None and self._tool.busy:
            paint_outline(painter, transform.map(self._tool.outline()), RUBBER)
        self._paint_pills(painter, font)

    def _paint_images(self, painter: QPainter, transform: QTransform) -> None:
        image, mask = self._image, self.overlays.mask
        assert image is not None
        rows, columns = self.viewport.shape
        painter.save()
        painter.setTransform(transform, combine=True)
        target = QRectF(-0.5, -0.5, columns, rows)
        magnified = self.viewport.scale * self.devicePixelRatioF() * columns / image.width() >= 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not magnified)
        painter.drawImage(target, image)
        if mask is not None and self.overlays.shows("mask"):
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.viewport.scale < 1)
            painter.drawImage(target, mask)
        painter.restore()

    def _drawing(self, marks: Marks, transform: QTransform, window: QRectF) -> frame_marks.Drawing:
        if self._built is None or self._built[0] != transform:
            built = frame_marks.build(marks, transform, self.viewport.scale, window)
            self._built = (transform, built)
        return self._built[1]

    def _paint_pills(self, painter: QPainter, font: QFont) -> None:
        title: list[LegendRow] = [("", "text", self.title)] if self.title else []
        if self.drawn < self.total_marks:
            title.append(("", "warning", f"the {self.drawn:,} strongest of {self.total_marks:,} peaks drawn"))
        right = self.width() - 8.0
        y, left_end = 8.0, 8.0
        if title:
            box = paint_pill(painter, QPointF(8, y), title, font)
            left_end = box.right() + 8
        legend = self.shown_legend()
        if legend and not self.overlays.held:
            wide = pill_width(legend, font)
            if right - wide < left_end:  # no room beside the title
                y += 30
            paint_pill(painter, QPointF(max(right - wide, 8), y), legend, font)

    def shown_legend(self) -> tuple[LegendRow, ...]:
        """The legend, with the crosses of another list where they are shown."""
        missed = len(self.overlays.missed) and self.overlays.shows("peaks")
        return (*self.legend, ("cross", "net", "only in the list")) if missed else self.legend

    # ---- gestures ----

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: start a click, a drag or a shape."""
        if event is None or self._image is None:
            return
        at = event.position()
        if event.button() == Qt.MouseButton.MiddleButton:
            self._panning = at
        elif event.button() == Qt.MouseButton.LeftButton and self._tool is not None:
            self._tool.press(self.viewport.to_image(at))
            self.update()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._pressed = at
        self._set_cursor()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: report the position, pan or draw."""
        if event is None or self._image is None:
            return
        at = event.position()
        if self._pressed is not None and (at - self._pressed).manhattanLength() > DRAG_START:
            self._panning, self._pressed = self._pressed, None
            self._set_cursor()
        if self._panning is not None:
            self.viewport.pan(at - self._panning)
            self._panning = at
            self.view_moved()
        image = self.viewport.to_image(at)
        if self._tool is not None and self._tool.busy:
            self._tool.move(image, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
            self.update()
        self.hovered.emit((image.x(), image.y()) if self.viewport.contains(image) else None)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Qt: end a click, a drag or a shape."""
        if event is None or self._image is None:
            return
        image = self.viewport.to_image(event.position())
        clicked = self._pressed is not None and event.button() == Qt.MouseButton.LeftButton
        self._pressed = self._panning = None
        self._set_cursor()
        if self._tool is not None and event.button() == Qt.MouseButton.LeftButton:
            self._deliver(self._tool.release(image))
        elif clicked and self.viewport.contains(image):
            self.clicked.emit(image.x(), image.y())

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Qt: end a polygon, or report."""
        if event is None or self._image is None or event.button() != Qt.MouseButton.LeftButton:
            return
        image = self.viewport.to_image(event.position())
        if self._tool is not None:
            self._tool.press(image)
            self._deliver(self._tool.finish())
        elif self.viewport.contains(image):
            self.double_clicked.emit(image.x(), image.y())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: Escape and Enter belong to the tool, other keys to the window."""
        if event is None:
            return
        if self._tool is not None and event.key() == Qt.Key.Key_Escape:
            if self._tool.busy:
                self._tool.abort()
                self.update()
            else:
                self.tool_dismissed.emit()
        elif self._tool is not None and self._tool.busy and is_finish_key(event.key()):
            self._deliver(self._tool.finish())
        else:
            super().keyPressEvent(event)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Qt: zoom at the cursor; a notch is a quarter."""
        if event is None or self._image is None:
            return
        notches = (event.angleDelta().y() or event.angleDelta().x()) / 120
        self.viewport.zoom_at(event.position(), 1.25**notches)
        self.view_moved()
        event.accept()

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """Qt: let the window offer a menu."""
        if event is not None and self._image is not None:
            self.context_requested.emit(event.globalPos())

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Qt: show what a click would do."""
        self._set_cursor()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Qt: nothing is under the mouse."""
        self.hovered.emit(None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: a fitted frame stays fitted."""
        self.viewport.size = QSizeF(self.width(), self.height())
        if self.viewport.fitted:
            self.viewport.fit()
        self.view_moved()

    def _deliver(self, shape: Drawn | None) -> None:
        self.update()
        if isinstance(shape, Region | tuple):
            self.drawn_shape.emit(shape)

    def _set_cursor(self) -> None:
        panning = self._panning is not None
        self.setCursor(Qt.CursorShape.ClosedHandCursor if panning else Qt.CursorShape.CrossCursor)
