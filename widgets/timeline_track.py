"""The strip one scrubs along: a curve of one value per frame, what is analysed, and where one is."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QPolygonF, QWheelEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.widgets import theme
from braggscope.widgets.plotting import colour, tick_font

SIDE = 10  # px left and right of the curve
FOOT = 16  # px below it, for the frame numbers


def columns_of(frames: int, width: int) -> NDArray[np.intp]:
    """First frame of each of at most ``width`` groups of neighbouring frames."""
    groups = max(1, min(frames, width))
    return (np.arange(groups) * frames) // groups


def tick_step(frames: int, width: float) -> int:
    """Frames between numbers, 1, 2 or 5 times a power of ten, so that they stand 70 px apart."""
    least = max(1.0, frames * 70.0 / max(width, 1.0))
    power = 10 ** math.floor(math.log10(least))
    return int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least))


class TimelineTrack(QWidget):
    """Click or drag to scrub, wheel to step; works on 100,000 frames by drawing minima and maxima."""

    scrubbed = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.frames = 0
        self.frame = 0
        self._values: NDArray[np.float64] = np.empty(0)
        self._done: NDArray[np.bool_] = np.empty(0, bool)
        self._colour, self._label = "fit", ""
        self._bounds: tuple[int, NDArray[np.float64], NDArray[np.float64]] | None = None
        self._share: tuple[int, NDArray[np.float64]] | None = None
        self._ground: QPixmap | None = None  # all but the cursor
        self._hover: float | None = None
        self._notches = 0.0
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(120)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: a slim strip."""
        return QSize(600, 52)

    def set_count(self, frames: int) -> None:
        """Number of frames; forgets curve and analysed frames."""
        self.frames = max(0, frames)
        self.frame = min(self.frame, max(0, self.frames - 1))
        self._values, self._done = np.empty(0), np.empty(0, bool)
        self._bounds = self._share = self._ground = None
        self.update()

    def set_frame(self, frame: int) -> None:
        """Where one is."""
        self.frame = min(max(frame, 0), max(0, self.frames - 1))
        self.update()

    def set_curve(self, values: NDArray[np.float64], ink: str, label: str) -> None:
        """(frames,) float64, NaN where unknown; colour role or hex; what it is."""
        self._values, self._colour, self._label = np.asarray(values, float), ink, label
        self._bounds = self._ground = None
        self.update()

    def set_done(self, done: NDArray[np.bool_]) -> None:
        """(frames,) bool: analysed."""
        self._done = np.asarray(done, bool)
        self._share = self._ground = None
        self.update()

    def x_of(self, frame: float) -> float:
        """Screen x of the middle of a frame."""
        return SIDE + (frame + 0.5) / max(self.frames, 1) * self._width()

    def frame_at(self, x: float) -> int:
        """Frame under a screen x, the nearest one outside."""
        frame = math.floor((x - SIDE) / self._width() * self.frames)
        return min(max(frame, 0), max(0, self.frames - 1))

    def _width(self) -> float:
        return max(1.0, self.width() - 2.0 * SIDE)

    def _recolour(self, _: theme.Theme) -> None:
        self._ground = None
        self.update()

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: the ground, kept as long as it holds, and the cursor."""
        ratio = self.devicePixelRatioF()
        size = self.size() * ratio
        strip = QRectF(SIDE, 2, self._width(), self.height() - FOOT - 3)
        if self._ground is None or self._ground.size() != size:
            self._ground = QPixmap(size)
            self._ground.setDevicePixelRatio(ratio)
            self._ground.fill(Qt.GlobalColor.transparent)
            self._paint_ground(QPainter(self._ground), strip)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(tick_font())
        painter.drawPixmap(0, 0, self._ground)
        if self.frames:
            self._paint_cursor(painter, strip)

    def _paint_ground(self, painter: QPainter, strip: QRectF) -> None:
        """Strip, analysed frames, curve, numbers."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(tick_font())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("raised", 0.7))
        painter.drawRoundedRect(strip, 4, 4)
        if self.frames:
            painter.save()
            painter.setClipRect(strip)
            self._paint_done(painter, strip)
            self._paint_curve(painter, strip)
            painter.restore()
            self._paint_numbers(painter, strip)
        painter.end()

    def _paint_done(self, painter: QPainter, strip: QRectF) -> None:
        if len(self._done) != self.frames or not self._done.any():
            return
        width = int(strip.width())
        starts = columns_of(self.frames, width)
        if self._share is None or self._share[0] != width:
            sums = np.add.reduceat(self._done.astype(float), starts)
            self._share = (width, sums / np.diff(np.append(starts, self.frames)))
        level = np.round(self._share[1] * 4).astype(int)
        edges = np.flatnonzero(np.diff(level, prepend=-1, append=-1))
        cell = strip.width() / len(starts)
        for first, last in itertools.pairwise(edges):
            if level[first]:
                shade = colour(self._colour, 0.05 + 0.04 * int(level[first]))
                painter.fillRect(
                    QRectF(SIDE + first * cell, strip.top(), (last - first) * cell, strip.height()), shade
                )

    def _paint_curve(self, painter: QPainter, strip: QRectF) -> None:
        if len(self._values) != self.frames:
            return
        low, high = self._minima_maxima(int(strip.width()))
        known = np.isfinite(high)
        if not known.any():
            return
        top = max(float(np.max(high[known])), 1e-12)
        bottom = min(0.0, float(np.min(low[known])))
        cell = strip.width() / len(high)
        x = SIDE + (np.arange(len(high)) + 0.5) * cell
        scale = (strip.height() - 6) / (top - bottom)
        y_low, y_high = (strip.bottom() - 1 - (v - bottom) * scale for v in (low, high))
        ink = colour(self._colour)
        edges = np.flatnonzero(np.diff(known.astype(int), prepend=0, append=0))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            self._paint_run(
                painter, x[first:last], y_low[first:last], y_high[first:last], strip.bottom(), ink
            )

    def _paint_run(
        self, painter: QPainter, x: NDArray, low: NDArray, high: NDArray, floor: float, ink: QColor
    ) -> None:
        """One unbroken piece: faint area below, line through maxima and minima."""
        crest = [QPointF(a, b) for a, b in zip(x, high, strict=True)]
        if len(crest) == 1:
            crest = [crest[0] - QPointF(0.6, 0), crest[0] + QPointF(0.6, 0)]
        area = QPolygonF([QPointF(crest[0].x(), floor), *crest, QPointF(crest[-1].x(), floor)])
        faint = QColor(ink)
        faint.setAlphaF(0.16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint)
        painter.drawPolygon(area)
        painter.setPen(QPen(ink, 1.3))
        if np.array_equal(low, high):
            painter.drawLines(*[QLineF(a, b) for a, b in itertools.pairwise(crest)])
            return
        # Upright lines from minimum to maximum, each reaching its neighbour: dense noise as one long
        # path would take a hundred times as long.
        top = np.minimum(high, np.append(high[:1], low[:-1]))
        foot = np.maximum(low, np.append(low[:1], high[:-1]))
        painter.drawLines(*[QLineF(a, b, a, c + 0.5) for a, b, c in zip(x, top, foot, strict=True)])

    def _minima_maxima(self, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self._bounds is None or self._bounds[0] != width:
            starts = columns_of(self.frames, width)
            low = np.fmin.reduceat(self._values, starts)
            self._bounds = (width, low, np.fmax.reduceat(self._values, starts))
        return self._bounds[1], self._bounds[2]

    def _paint_numbers(self, painter: QPainter, strip: QRectF) -> None:
        painter.setPen(colour("muted"))
        centre = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop
        for frame in range(0, self.frames, tick_step(self.frames, strip.width())):
            x = self.x_of(frame)
            box = QRectF(x - 40, strip.bottom() + 2, 80, FOOT)
            if box.center().x() < strip.left() + 12:
                box.moveLeft(strip.left())
                painter.drawText(box, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, str(frame))
            elif x < strip.right() - 14:
                painter.drawText(box, centre, f"{frame:,}")
        if self._label:
            inside = strip.adjusted(7, 0, -7, -1)
            painter.drawText(inside, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom, self._label)

    def _paint_cursor(self, painter: QPainter, strip: QRectF) -> None:
        if self._hover is not None:
            frame = self.frame_at(self._hover)
            x = self.x_of(frame)
            painter.setPen(QPen(colour("muted", 0.8), 1))
            painter.drawLine(QPointF(x, strip.top()), QPointF(x, strip.bottom()))
            self._paint_flag(painter, strip, x, self._words(frame))
        x = self.x_of(self.frame)
        painter.setPen(QPen(colour("text"), 1.8))
        painter.drawLine(QPointF(x, strip.top() - 2), QPointF(x, strip.bottom() + 2))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("text"))
        painter.drawPolygon(QPolygonF([QPointF(x - 5, 0), QPointF(x + 5, 0), QPointF(x, 6)]))

    def _words(self, frame: int) -> str:
        known = len(self._values) == self.frames and math.isfinite(self._values[frame])
        return f"{frame:,}  ·  {self._values[frame]:.4g}" if known else f"{frame:,}"

    def _paint_flag(self, painter: QPainter, strip: QRectF, x: float, text: str) -> None:
        wide = painter.fontMetrics().horizontalAdvance(text) + 12
        left = x + 6 if x + 6 + wide < strip.right() else x - 6 - wide
        box = QRectF(left, strip.top() + 3, wide, 17)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("raised"))
        painter.drawRoundedRect(box, 4, 4)
        painter.setPen(colour("text"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    # ---- gestures ----

    def _scrub(self, frame: int) -> None:
        frame = min(max(frame, 0), max(0, self.frames - 1))
        if self.frames and frame != self.frame:
            self.set_frame(frame)
            self.scrubbed.emit(frame)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: go there."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self._scrub(self.frame_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: scrub while pressed, tell otherwise."""
        if event is None:
            return
        pressed = bool(event.buttons() & Qt.MouseButton.LeftButton)
        self._hover = None if pressed else event.position().x()
        if pressed:
            self._scrub(self.frame_at(event.position().x()))
        self.update()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Qt: nothing is pointed at."""
        self._hover = None
        self.update()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Qt: a notch down is the next frame; Shift makes it ten."""
        if event is None:
            return
        delta = event.angleDelta().y() or event.angleDelta().x()
        self._notches -= delta / 120
        whole = int(self._notches)
        self._notches -= whole
        fast = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self._scrub(self.frame + whole * (10 if fast else 1))
        event.accept()
