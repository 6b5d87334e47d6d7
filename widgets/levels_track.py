"""The upright histogram with its colour bar and two levels to drag."""

import math
from functools import lru_cache
from typing import Literal

import cmap
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.widgets import theme
from braggscope.widgets.plotting import colour, tick_font

Scale = Literal["linear", "sqrt", "log"]
BAR, LABELS, PAD = 14, 36, 9  # px: colour bar, numbers, above and below
REACH = 9.0  # px; a press so near takes hold of a level
LOG_SPAN = 1000.0  # the log scale is log(1 + 1000 u) / log(1001)


def friendly(value: float) -> str:
    """Short number: 0.25, 12, 1.5k, 20k, 3M."""
    for power, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g}{suffix}"
    return f"{value:.3g}"


@lru_cache(maxsize=8)
def ticks(low: float, high: float, least: float) -> tuple[float, ...]:
    """Round values between two, ``least`` apart in asinh(value); decades before fives before twos."""
    top = math.floor(math.log10(max(abs(low), abs(high), 1e-12)))
    size = [f * 10.0**k for f in (1, 5, 2, 3) for k in range(top, min(top - 3, -1) - 1, -1)]
    span = 10.0 ** math.floor(math.log10(max(high - low, 1e-12)))
    even = [
        step * k
        for step in (span, span / 2, span / 5)
        for k in range(math.ceil(low / step), math.floor(high / step) + 1)
    ]
    chosen: list[float] = []
    for value in [0.0, *size, *(-v for v in size), *even]:
        at = math.asinh(value)
        if low <= value <= high and all(abs(at - math.asinh(other)) >= least for other in chosen):
            chosen.append(value)
    return tuple(sorted(chosen))


def stretched(u: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Place 0 … 1 on the colour map of a place 0 … 1 between the levels."""
    u = np.clip(u, 0.0, 1.0)
    if scale == "sqrt":
        return np.sqrt(u)
    return np.log1p(LOG_SPAN * u) / math.log1p(LOG_SPAN) if scale == "log" else u


@lru_cache(maxsize=32)
def colours_of(name: str) -> NDArray[np.uint32]:
    """(256,) uint32 0xFFRRGGBB of a colour map. ValueError for an unknown name."""
    rgb = np.round(np.asarray(cmap.Colormap(name).lut(256))[:, :3] * 255).astype(np.uint32)
    packed = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    return packed.astype(np.uint32)


def density(
    counts: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Borders (M + 1,) and heights (M,), log of counts per bin; empty bins join their neighbours.

    ``places``: (N + 1,) borders of the bins. Whole numbers leave most fine bins empty; joined, they show
    a curve and not a comb.
    """
    filled = np.flatnonzero(counts > 0)
    if not len(filled):
        return np.asarray(places[[0, -1]]), np.zeros(1)
    middle = (places[:-1] + places[1:])[filled] / 2
    borders = np.concatenate((places[:1], (middle[:-1] + middle[1:]) / 2, places[-1:]))
    bin_width = (places[-1] - places[0]) / len(counts)
    return borders, np.log1p(counts[filled] * bin_width / np.maximum(np.diff(borders), 1e-12))


def mean_heights(
    borders: NDArray[np.float64], heights: NDArray[np.float64], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K,) means of a curve of steps between falling ``edges`` (K + 1,); beyond its borders it is 0.

    ``borders`` (M + 1,) rise, ``heights`` (M,).
    """
    area = np.concatenate(([0.0], np.cumsum(heights * np.diff(borders))))
    return np.asarray(np.diff(np.interp(edges, borders, area)) / np.diff(edges))


def premultiplied(shade: QColor) -> NDArray[np.float64]:
    """(4,) red, green, blue and opacity, 0 to 255, the first three times the opacity."""
    red, green, blue, opacity = shade.getRgbF()
    return 255.0 * np.array([red * opacity, green * opacity, blue * opacity, opacity])


class LevelsTrack(QWidget):
    """Histogram over asinh(value): logarithmic for large values, linear through zero."""

    dragged = pyqtSignal(float, float)
    auto_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.low, self.high = 0.0, 1.0
        self.colormap, self.scale = "inferno", "linear"
        self._range = (0.0, 1.0)  # asinh(value) at the foot and the head
        self._borders, self._heights = np.array([0.0, 1.0]), np.zeros(1)
        self._grip: tuple[str, float] | None = None
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.setMinimumHeight(120)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: slim and tall."""
        return QSize(96, 400)

    def set_histogram(self, counts: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
        """(N,) counts in (N + 1,) edges. The axis grows at once and shrinks only by much: no jitter."""
        places = np.arcsinh(np.asarray(edges, float))
        self._borders, self._heights = density(np.asarray(counts, float), places)
        low, high = float(places[0]), float(places[-1])
        if self._heights.any() and high - low > 0.6 * (self._range[1] - self._range[0]):
            low, high = min(low, self._range[0]), max(high, self._range[1])
        if self._grip is None:
            self._range = (low, high if high > low else low + 1.0)
        self.update()

    def set_levels(self, low: float, high: float) -> None:
        """Show levels."""
        self.low, self.high = low, high
        self.update()

    def y_of(self, value: float) -> float:
        """Screen y of a value, at the border for one beyond."""
        foot, head = self._range
        share = (math.asinh(value) - foot) / (head - foot)
        return self.height() - PAD - min(max(share, 0.0), 1.0) * self._length()

    def value_at(self, y: float) -> float:
        """Value of a screen y."""
        foot, head = self._range
        share = min(max((self.height() - PAD - y) / self._length(), 0.0), 1.0)
        return math.sinh(foot + share * (head - foot))

    def _length(self) -> float:
        return max(1.0, self.height() - 2.0 * PAD)

    def _recolour(self, _: theme.Theme) -> None:
        self.update()

    # ---- painting ----

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: bar, histogram, numbers, levels."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(tick_font())
        right = self.width() - 6.0
        bar = QRectF(right - BAR, PAD, BAR, self._length())
        ground = QRectF(LABELS + 4, PAD, bar.left() - LABELS - 6, self._length())
        self._paint_histogram(painter, ground)
        self._paint_bar(painter, bar)
        self._paint_numbers(painter, ground)
        for value in (self.low, self.high):
            self._paint_level(painter, self.y_of(value), ground.left() - 2, bar.right() + 3)

    def _paint_bar(self, painter: QPainter, bar: QRectF) -> None:
        rows = max(2, int(bar.height() * self.devicePixelRatioF()))
        foot, head = self._range
        values = np.sinh(np.linspace(head, foot, rows))
        u = (values - self.low) / max(self.high - self.low, 1e-300)
        index = np.round(stretched(u, self.scale) * 255).astype(int)  # type: ignore[arg-type]
        pixels = np.ascontiguousarray(colours_of(self.colormap)[index])
        image = QImage(pixels.tobytes(), 1, rows, 4, QImage.Format.Format_RGB32)
        painter.drawImage(bar, image)
        painter.setPen(QPen(colour("line"), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(bar)

    def _paint_histogram(self, painter: QPainter, ground: QRectF) -> None:
        """As an image: a polygon with as many corners takes Qt several times longer."""
        ratio = self.devicePixelRatioF()
        rows, columns = (max(1, round(size * ratio)) for size in (ground.height(), ground.width()))
        top = max(float(self._heights.max()), 1e-12)
        shares = mean_heights(self._borders, self._heights / top, np.linspace(*self._range[::-1], rows + 1))
        filled = np.clip(columns * shares[:, None] - np.arange(columns)[::-1], 0.0, 1.0)
        upper, lower = ((self.y_of(value) - ground.top()) * ratio for value in (self.high, self.low))
        above, below = (np.clip(y - np.arange(rows), 0.0, 1.0) for y in (upper, lower))  # shares of the rows
        outside, inside = premultiplied(colour("muted", 0.30)), premultiplied(colour("accent", 0.55))
        inside = inside + (1.0 - inside[3] / 255.0) * outside
        bands = outside + (below - above)[:, None] * (inside - outside)
        pixels = np.round(filled[:, :, None] * bands[:, None]).astype(np.uint8)
        image = QImage(pixels.tobytes(), columns, rows, QImage.Format.Format_RGBA8888_Premultiplied)
        painter.drawImage(QRectF(ground.left(), ground.top(), columns / ratio, rows / ratio), image)

    def _paint_numbers(self, painter: QPainter, ground: QRectF) -> None:
        foot, head = self._range
        least = 24.0 * (head - foot) / self._length()
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for value in ticks(math.sinh(foot) - 1e-9, math.sinh(head) + 1e-9, least):
            y = self.y_of(value)
            painter.setPen(colour("muted"))
            painter.drawText(QRectF(0, y - 9, LABELS - 3, 18), flags, friendly(value))
            painter.setPen(QPen(colour("line"), 1))
            painter.drawLine(QPointF(LABELS, y), QPointF(LABELS + 3, y))

    def _paint_level(self, painter: QPainter, y: float, left: float, right: float) -> None:
        painter.setPen(QPen(colour("text"), 1.6))
        painter.drawLine(QPointF(left, y), QPointF(right, y))
        painter.setPen(QPen(QColor(theme.current().panel), 1.5))
        painter.setBrush(colour("text"))
        painter.drawRoundedRect(QRectF(left - 3, y - 5, 12, 10), 4, 4)

    # ---- gestures ----

    def _grip_at(self, y: float) -> str | None:
        upper, lower = self.y_of(self.high), self.y_of(self.low)
        near = min((abs(y - upper), "high"), (abs(y - lower), "low"))
        if near[0] <= REACH:
            return "low" if upper == lower and y > lower else near[1]
        return "both" if upper < y < lower else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: take hold of a level, or of both between them; elsewhere the nearer one comes."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return
        y = event.position().y()
        grip = self._grip_at(y) or ("high" if y < self.y_of(self.high) else "low")
        self._grip = (grip, y)
        if self._grip_at(y) is None:
            self._drag_to(y)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Qt: drag."""
        if event is None:
            return
        y = event.position().y()
        if self._grip is not None:
            self._drag_to(y)
        grip = self._grip[0] if self._grip else self._grip_at(y)
        shape = Qt.CursorShape.SizeVerCursor if grip in ("low", "high") else Qt.CursorShape.OpenHandCursor
        self.setCursor(shape if grip else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Qt: let go."""
        self._grip = None

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """Qt: automatic levels."""
        self._grip = None
        self.auto_requested.emit()

    def _drag_to(self, y: float) -> None:
        assert self._grip is not None
        grip, from_y = self._grip
        low, high = self.low, self.high
        if grip == "both":
            shift = y - from_y
            low, high = self.value_at(self.y_of(low) + shift), self.value_at(self.y_of(high) + shift)
            self._grip = (grip, y)
        elif grip == "low":
            low = min(self.value_at(y), self.value_at(self.y_of(high) + 2))
        else:
            high = max(self.value_at(y), self.value_at(self.y_of(low) - 2))
        if high > low and (low, high) != (self.low, self.high):
            self.set_levels(low, high)
            self.dragged.emit(low, high)
