"""A map of the scan: shows a value per position; mouse and arrow keys move in the scan or draw on it."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.models.regions import Region
from braggscope.widgets import scan_paint, theme
from braggscope.widgets.frame_overlay import paint_outline
from braggscope.widgets.frame_tools import Tool, make_tool
from braggscope.widgets.frame_viewport import MARGIN, FrameViewport
from braggscope.widgets.plotting import tick_font
from braggscope.widgets.scan_paint import Line, Rectangle

ARROWS = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
}  # fmt: skip
CONTROL = Qt.KeyboardModifier.ControlModifier
FAR = 10  # positions, with Shift
WORDS = 12  # screen px that words and a scale bar need beside a map, and around them
ROOM = 160  # screen px of a map: words and a scale bar would cover a smaller one
LINE = "line"  # the tool that draws a profile


class ScanCanvas(QWidget):
    """One value per position of the scan, row 0 at the top. Setters never emit.

    ``moved``: row, column under a click or a drag. ``stepped``: rows, columns of an arrow key, ten times as
    far with Shift. ``panned``: the same with Alt, meant for the pattern. ``region_drawn``: kind, rectangle.
    ``line_drawn``: (x0, y0, x1, y1) in scan pixels. ``hovered``: (row, column) or None.
    """

    moved = pyqtSignal(int, int)
    stepped = pyqtSignal(int, int)
    panned = pyqtSignal(int, int)
    region_drawn = pyqtSignal(str, tuple)
    line_drawn = pyqtSignal(tuple)
    tool_dismissed = pyqtSignal()
    hovered = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewport = FrameViewport()
        self.values: NDArray | None = None
        self.position: tuple[int, int] | None = None
        self.regions: dict[str, Rectangle] = {}
        self.line: Line | None = None
        self.step: tuple[float, str] | None = None
        self.axes_angles: tuple[float, float] | None = None
        self.named = True  # regions carry their word
        self.covering = True  # words and scale bar may lie on the map where there is no room beside it
        self.hint = ""
        self._image: QImage | None = None
        self._tool: Tool | None = None
        self._drawing = ""
        self._dragging = False
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(72, 72)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: as much as a dock may give."""
        return QSize(220, 200)

    # ---- values in ----

    def set_values(self, values: NDArray | None, low: float, high: float, colormap: str) -> None:
        """Show (R, C) numbers between two levels; NaN is hatched. None shows the hint."""
        self.values = values
        self._image = None
        if values is not None:
            self._image = scan_paint.map_image(values, low, high, colormap)
            shape = (int(values.shape[0]), int(values.shape[1]))
            if shape != self.viewport.shape:
                self.viewport.shape = shape
                self.viewport.fit()
        self.update()

    def set_hint(self, text: str) -> None:
        """What to say while there is no map."""
        self.hint = text
        self.update()

    def set_position(self, position: tuple[int, int] | None) -> None:
        """Cross-hair at (row, column)."""
        self.position = position
        self.update()

    def set_regions(self, regions: dict[str, Rectangle]) -> None:
        """Rectangles by kind: keys of :data:`braggscope.widgets.scan_paint.REGIONS`."""
        self.regions = dict(regions)
        self._make_room()

    def set_line(self, line: Line | None) -> None:
        """Profile line in scan pixels."""
        self.line = line
        self.update()

    def set_step(self, step: tuple[float, str] | None) -> None:
        """Distance of two positions and its unit, for the scale bar."""
        self.step = step
        self._make_room()

    def set_axes(self, angles: tuple[float, float] | None) -> None:
        """Arrows of the strain's x and y: rad from right towards down, None for none."""
        self.axes_angles = angles
        self.update()

    def set_tool(self, kind: str) -> None:
        """Draw the rectangle of a kind, or a ``line``; empty moves in the scan again."""
        self._drawing = kind
        self._tool = None if not kind else make_tool("line" if kind == LINE else "rectangle")
        self.setCursor(Qt.CursorShape.CrossCursor if kind else Qt.CursorShape.ArrowCursor)
        self.update()

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: paint everything."""
        painter = QPainter(self)
        font, image = tick_font(), self._image
        painter.setFont(font)
        if image is None:
            painter.setPen(QColor(theme.current().muted))
            wrapped = Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignCenter
            painter.drawText(QRectF(self.rect()).adjusted(12, 8, -12, -8), int(wrapped), self.hint)
            return
        transform, place = self.viewport.transform(), self.viewport.frame_on_screen()
        room = QRectF(self.rect())
        scan_paint.paint_nothing(painter, place)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.viewport.scale < 1)
        painter.drawImage(place, image)
        for kind, region in self.regions.items():
            named = self.named and place.width() > ROOM
            scan_paint.paint_region(painter, kind, region, transform, font, room, place, named, self.covering)
        if self.line is not None:
            scan_paint.paint_line(painter, self.line, transform)
        if self.position is not None:
            scan_paint.paint_cross(painter, *self.position, transform, place)
        if self.step is not None and min(place.width(), 2 * place.height()) > ROOM:
            columns = self.viewport.shape[1]
            scan_paint.paint_scale(painter, *self.step, room, place, columns, font, self.covering)
        if self.axes_angles is not None:
            scan_paint.paint_axes(painter, self.axes_angles, room, place, font)
        if self._tool is not None and self._tool.busy:
            paint_outline(painter, transform.map(self._tool.outline()), QColor("#ffffff"))
        if self.hasFocus():
            painter.setPen(QPen(QColor(theme.current().accent), 1))
            painter.drawRect(place.adjusted(-2, -2, 2, 2))

    def _recolour(self, _: theme.Theme) -> None:
        self.update()

    # ---- gestures ----

    def cell(self, at: QPointF) -> tuple[int, int]:
        """(row, column) of the position nearest to a point of the screen."""
        image, (rows, columns) = self.viewport.to_image(at), self.viewport.shape
        row, column = np.clip([image.y() + 0.5, image.x() + 0.5], 0, [rows - 1, columns - 1])
        return int(row), int(column)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: move there, or start to draw."""
        if event is None or self._image is None or event.button() != Qt.MouseButton.LeftButton:
            return
        at = event.position()
        if self._tool is not None:
            self._tool.press(self.viewport.to_image(at))
        elif self.viewport.contains(self.viewport.to_image(at)):
            self._dragging = True
            self.moved.emit(*self.cell(at))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: follow the mouse."""
        if event is None or self._image is None:
            return
        at = event.position()
        if self._tool is not None and self._tool.busy:
            self._tool.move(self.viewport.to_image(at), False)
            self.update()
        elif self._dragging and self.cell(at) != self.position:
            self.moved.emit(*self.cell(at))
        inside = self.viewport.contains(self.viewport.to_image(at))
        self.hovered.emit(self.cell(at) if inside else None)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Qt: end a drag or a shape."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._dragging = False
        if self._tool is None or not self._tool.busy:
            return
        shape = self._tool.release(self.viewport.to_image(event.position()))
        self.update()
        if isinstance(shape, Region):
            self.region_drawn.emit(self._drawing, self._rectangle(shape))
        elif isinstance(shape, tuple):
            self.line_drawn.emit(shape)

    def _rectangle(self, region: Region) -> Rectangle:
        """Positions that a drawn rectangle touches, at least one."""
        rows, columns = self.viewport.shape
        (x0, y0), (x1, y1) = region.points
        c0, c1 = (int(np.clip(np.floor(v + 0.5), 0, columns - 1)) for v in sorted((x0, x1)))
        r0, r1 = (int(np.clip(np.floor(v + 0.5), 0, rows - 1)) for v in sorted((y0, y1)))
        return r0, r1 + 1, c0, c1 + 1

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Qt: the whole map again."""
        self.viewport.fit()
        self.update()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Qt: zoom at the cursor."""
        if event is None or self._image is None:
            return
        self.viewport.zoom_at(event.position(), 1.25 ** (event.angleDelta().y() / 120))
        self.update()
        event.accept()

    def event(self, event: QEvent | None) -> bool:
        """Qt: arrow keys are of the scan while it has the focus, not of the window."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() in ARROWS
            and not event.modifiers() & CONTROL
        ):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: arrow keys step, Escape puts the tool down."""
        if event is None:
            return
        way, held = ARROWS.get(Qt.Key(event.key())), event.modifiers()
        if way is not None:
            far = FAR if held & Qt.KeyboardModifier.ShiftModifier else 1
            signal = self.panned if held & Qt.KeyboardModifier.AltModifier else self.stepped
            signal.emit(way[0] * far, way[1] * far)
        elif event.key() == Qt.Key.Key_Escape and self._tool is not None:
            self.tool_dismissed.emit()
        else:
            super().keyPressEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Qt: nothing is under the mouse."""
        self.hovered.emit(None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: a fitted map stays fitted."""
        self.viewport.size = QSizeF(self.width(), self.height())
        self._make_room()

    def _make_room(self) -> None:
        """Leave room for words and the scale bar above and below a map that they may not cover."""
        named = self.covering and (self.step is not None or bool(self.named and self.regions))
        words = scan_paint.box_size("", tick_font()).height() + WORDS
        self.viewport.margins = MARGIN, max(MARGIN, words) if named and self.height() > ROOM else MARGIN
        if self.viewport.fitted:
            self.viewport.fit()
        self.update()
