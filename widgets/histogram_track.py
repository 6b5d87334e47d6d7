"""The painted part of a histogram slider: log axis, bars, handle, and the gestures on them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QLinearGradient,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.widgets import theme

_SETTLE_MS = 300  # a run of key strokes or wheel notches is one commitment
_GUTTER = 16.0  # px left of the log axis that stand for 0
_STEP = 0.02  # relative size of one key stroke


@dataclass(frozen=True, slots=True)
class LogScale:
    """Maps values in ``[lo, hi]`` to pixels, with a gutter on the left that stands for 0."""

    lo: float
    hi: float
    left: float
    width: float

    def x(self, value: float) -> float:
        """Pixel of a value; values outside stick to the ends."""
        if value < self.lo:
            return self.left
        fraction = math.log(min(value, self.hi) / self.lo) / math.log(self.hi / self.lo)
        return self.left + _GUTTER + fraction * (self.width - _GUTTER)

    def value(self, x: float) -> float:
        """Value under a pixel, rounded to what a pixel can tell."""
        fraction = (x - self.left - _GUTTER) / max(self.width - _GUTTER, 1.0)
        if fraction < -0.5 * _GUTTER / max(self.width - _GUTTER, 1.0):
            return 0.0
        value = self.lo * (self.hi / self.lo) ** min(max(fraction, 0.0), 1.0)
        return min(max(round_nicely(value, 0.01), self.lo), self.hi)


def nice_step(value: float, relative: float) -> float:
    """The step 1, 2 or 5 times a power of ten next to ``relative * value``."""
    wanted = relative * value
    power = 10.0 ** math.floor(math.log10(wanted))
    factor = min((1.0, 2.0, 5.0, 10.0), key=lambda f: abs(math.log(f * power / wanted)))
    return factor * power


def round_nicely(value: float, relative: float) -> float:
    """A positive value rounded to a multiple of its nice step."""
    step = nice_step(value, relative)
    return float(f"{round(value / step) * step:.12g}")


def stepped(value: float, steps: float, lo: float, hi: float) -> float:
    """The value some fine log steps on: 45 → 46, 450 → 460; below ``lo`` comes 0. No step changes nothing."""
    if steps == 0:  # Qt asks for none after part of a turn of the wheel
        return value
    if steps > 0 and value < lo:
        return lo
    if steps < 0 and value <= lo:
        return 0.0
    step = nice_step(value, _STEP * abs(steps)) * math.copysign(1.0, steps)
    after = float(f"{(round(value / step) + 1) * step:.12g}")
    return min(max(after, lo), hi)


class HistogramTrack(QWidget):
    """The painted histogram with its handle."""

    moved = pyqtSignal(float)
    settled = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.value = 0.0
        self.limits = (1.0, 1000.0)
        self.counts: NDArray[np.float64] = np.zeros(0)
        self.edges: NDArray[np.float64] = np.ones(1)
        self.dragging = False
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(lambda: self.settled.emit(self.value))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setMinimumHeight(48)

    def sizeHint(self) -> QSize:
        """Wide and low."""
        return QSize(300, 76)

    def scale(self) -> LogScale:
        """The axis for the present width."""
        return LogScale(*self.limits, 8.0, max(self.width() - 16.0, 40.0))

    # gestures

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A click jumps, and starts a drag."""
        if event and event.button() == Qt.MouseButton.LeftButton:
            self.dragging = True
            self._go(self.scale().value(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Follow a drag."""
        if event and self.dragging:
            self._go(self.scale().value(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """End a drag: the value is settled."""
        if event and self.dragging and event.button() == Qt.MouseButton.LeftButton:
            self.dragging = False
            self._settle.stop()
            self.settled.emit(self.value)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """One fine step a notch."""
        if event:
            delta = event.angleDelta().y() or event.angleDelta().x()
            self.nudge(math.copysign(1.0, delta) if delta else 0.0)
            event.accept()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Arrows step finely (with Shift five times as far), Page keys far, Home goes to 0.

        In the main window left, right, Home and End belong to the frames, up and down to the slider.
        """
        if event is None:
            return
        key = Qt.Key
        fast = 5.0 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1.0
        steps = {
            key.Key_Left: -fast, key.Key_Down: -fast, key.Key_Right: fast, key.Key_Up: fast,
            key.Key_PageDown: -10.0, key.Key_PageUp: 10.0,
        }  # fmt: skip
        ends = {key.Key_Home: 0.0, key.Key_End: self.limits[1]}
        pressed = Qt.Key(event.key())
        if pressed in steps:
            self.nudge(steps[pressed])
        elif pressed in ends:
            self._go(ends[pressed])
            self._settle.start()
        else:
            super().keyPressEvent(event)

    def nudge(self, steps: float) -> None:
        """Move by fine log steps, as a key stroke does."""
        if steps:
            self._go(stepped(self.value, steps, *self.limits))
            self._settle.start()

    def _go(self, value: float) -> None:
        if value != self.value:
            self.value = value
            self.update()
            self.moved.emit(value)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Show the focus on the handle."""
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Hide the focus."""
        self.update()

    # painting

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Bars, axis, handle."""
        colours, scale = theme.current(), self.scale()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        base = self.height() - self.fontMetrics().height() - 3.0
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.window))
        painter.drawRoundedRect(QRectF(0.5, 0.5, self.width() - 1.0, base), 4.0, 4.0)
        if self.counts.any():
            self._paint_bars(painter, scale, base)
        else:
            painter.setPen(QColor(colours.muted))
            painter.drawText(QRectF(0, 0, self.width(), base), Qt.AlignmentFlag.AlignCenter, "no candidates")
        self._paint_axis(painter, scale, base)
        self._paint_handle(painter, scale.x(self.value), base)

    def _paint_bars(self, painter: QPainter, scale: LogScale, base: float) -> None:
        colours = theme.current()
        path = self._outline(scale, base)
        cut = scale.x(self.value)
        dim = QColor(colours.muted)
        for keep, top, bottom, line in ((False, 70, 40, 110), (True, 225, 110, 255)):
            colour = QColor(colours.accent) if keep else dim
            gradient = QLinearGradient(0.0, 4.0, 0.0, base)
            for at, alpha in ((0.0, top), (1.0, bottom)):
                stop = QColor(colour)
                stop.setAlpha(alpha)
                gradient.setColorAt(at, stop)
            edge = QColor(colour)
            edge.setAlpha(line)
            painter.save()
            clip = QRectF(cut, 0.0, self.width(), base) if keep else QRectF(0.0, 0.0, cut, base)
            painter.setClipRect(clip)
            painter.fillPath(path, gradient)
            painter.strokePath(path, QPen(edge, 1.0))
            painter.restore()

    def _outline(self, scale: LogScale, base: float) -> QPainterPath:
        heights = np.log1p(self.counts)
        heights *= (base - 8.0) / heights.max()
        path = QPainterPath(QPointF(scale.x(float(self.edges[0])), base))
        for k, height in enumerate(heights.tolist()):
            y = base - height
            path.lineTo(scale.x(float(self.edges[k])), y)
            path.lineTo(scale.x(float(self.edges[k + 1])), y)
        path.lineTo(path.currentPosition().x(), base)
        return path

    def _paint_axis(self, painter: QPainter, scale: LogScale, base: float) -> None:
        colours = theme.current()
        painter.setPen(QPen(QColor(colours.line), 1.0))
        painter.drawLine(QPointF(scale.left, base), QPointF(scale.left + scale.width, base))
        first, last = math.floor(math.log10(scale.lo)), math.ceil(math.log10(scale.hi))
        painter.setPen(QPen(QColor(colours.muted), 1.0))
        metrics, taken = painter.fontMetrics(), -1e9
        ticks = [(0.0, True)] + [(m * 10.0**p, m == 1) for p in range(first, last + 1) for m in range(1, 10)]
        for value, decade in ticks:
            if value and not scale.lo * 0.999 <= value <= scale.hi * 1.001:
                continue
            x = scale.x(value)
            painter.drawLine(QPointF(x, base), QPointF(x, base + (4.0 if decade else 2.0)))
            text = _short(value)
            half = metrics.horizontalAdvance(text) / 2.0
            centre = min(max(x, half), self.width() - half)
            if decade and centre - half > taken + 4.0:
                painter.drawText(QPointF(centre - half, self.height() - metrics.descent()), text)
                taken = centre + half

    def _paint_handle(self, painter: QPainter, x: float, base: float) -> None:
        colours = theme.current()
        alive = self.hasFocus() or self.dragging
        painter.setPen(QPen(QColor(colours.window), 4.0))
        painter.drawLine(QPointF(x, 2.0), QPointF(x, base))
        painter.setPen(QPen(QColor(colours.text if alive else colours.accent), 2.0))
        painter.drawLine(QPointF(x, 1.0), QPointF(x, base))
        painter.setPen(QPen(QColor(colours.window), 1.5))
        painter.setBrush(QColor(colours.text if alive else colours.accent))
        painter.drawRoundedRect(QRectF(x - 5.0, base - 13.0, 10.0, 15.0), 4.0, 4.0)


def _short(value: float) -> str:
    """Tick label: 0.01, 100, 1k, 10k, 1M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
