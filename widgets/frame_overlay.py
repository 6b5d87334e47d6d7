"""What lies over a frame beside the peak marks: mask, regions, rings, trails, title and legend."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPainterPath, QPen, QTransform

from braggscope.models.regions import Region
from braggscope.widgets import theme
from braggscope.widgets.frame_marks import paint_labels
from braggscope.widgets.frame_stamps import HALO, INK, LABEL_GROUND, stroke_lines

Curve = NDArray[np.float64]  # (N, 2) raw x, y; a NaN row breaks the line
LABEL_GAP = 48  # screen px between the labels of rings
LAYERS = ("peaks", "mask", "rings", "regions", "trails", "disks")
RING = QColor("#7fd6c2")
MASKED = QColor("#9db8d9")
REGION = QColor("#ffffff")
LegendRow = tuple[str, str, str]  # symbol, colour (hex or role), text


class Paintable(Protocol):
    """A layer that paints itself in screen coordinates."""

    def paint(self, painter: QPainter, transform: QTransform, window: QRectF, font: QFont) -> None:
        """``transform``: from raw pixels to the screen; ``window``: what is seen."""
        ...


@dataclass(slots=True)
class Overlays:
    """Everything drawn over a frame, in raw pixel coordinates, and which layers are shown."""

    mask: QImage | None = None
    regions: tuple[Region, ...] = ()
    masked: tuple[Region, ...] = ()
    rings: tuple[tuple[str, Curve], ...] = ()
    trails: tuple[Curve, ...] = ()
    disks: Paintable | None = None
    missed: Curve = field(default_factory=lambda: np.zeros((0, 2)))
    visible: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(LAYERS, True))
    held: bool = False

    def shows(self, layer: str) -> bool:
        """Whether a layer is to be drawn now."""
        return self.visible[layer] and not self.held

    def paint(self, painter: QPainter, transform: QTransform, window: QRectF, font: QFont) -> None:
        """Draw all layers under the peak marks; the painter works in screen coordinates."""
        if self.shows("rings"):
            _paint_curves(painter, [(RING, curve) for _, curve in self.rings], transform, thin=True)
            paint_labels(painter, _ring_labels(self.rings, transform, window), font)
        if self.shows("trails"):
            palette = theme.SERIES_COLOURS
            coloured = [(QColor(palette[k % len(palette)]), trail) for k, trail in enumerate(self.trails)]
            _paint_curves(painter, coloured, transform)
        if self.shows("peaks"):
            paint_crosses(painter, self.missed, transform, window)
        if self.disks is not None and self.shows("disks"):
            self.disks.paint(painter, transform, window, font)
        if self.shows("regions"):
            for region in self.masked:
                paint_outline(painter, transform.map(region_path(region)), MASKED, hatched=True)
            for region in self.regions:
                paint_outline(painter, transform.map(region_path(region)), REGION)


def mask_image(pixels: NDArray[np.uint32]) -> QImage:
    """Contiguous premultiplied 0xAARRGGBB pixels as an image that borrows them."""
    rows, columns = pixels.shape
    return QImage(
        cast(bytes, pixels.data), columns, rows, 4 * columns, QImage.Format.Format_ARGB32_Premultiplied
    )


def region_path(region: Region) -> QPainterPath:
    """Outline of a region in raw coordinates."""
    path = QPainterPath()
    points = [QPointF(x, y) for x, y in region.points]
    if region.kind == "polygon":
        path.moveTo(points[0])
        for point in points[1:]:
            path.lineTo(point)
        path.closeSubpath()
    elif region.kind == "rectangle":
        path.addRect(QRectF(points[0], points[1]).normalized())
    else:
        path.addEllipse(QRectF(points[0], points[1]).normalized())
    return path


def paint_outline(painter: QPainter, path: QPainterPath, colour: QColor, hatched: bool = False) -> None:
    """Stroke a path given in screen coordinates over a dark halo, with a faint filling."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    ground = QColor(colour)
    ground.setAlpha(110 if hatched else 22)
    painter.fillPath(path, pg.mkBrush(ground) if not hatched else _hatch(ground))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(HALO, 3.4))
    painter.drawPath(path)
    painter.setPen(QPen(colour, 1.5, Qt.PenStyle.SolidLine if hatched else Qt.PenStyle.DashLine))
    painter.drawPath(path)


def paint_crosses(painter: QPainter, points: Curve, transform: QTransform, window: QRectF) -> None:
    """Diagonal crosses of one size on screen at raw positions (N, 2)."""
    seen = [at for at in (transform.map(QPointF(x, y)) for x, y in points) if window.contains(at)]
    arms = [(QPointF(dx, dy), QPointF(2.2 * dx, 2.2 * dy)) for dx in (-3, 3) for dy in (-3, 3)]
    stroke_lines(painter, [QLineF(at + near, at + far) for at in seen for near, far in arms], INK.net)


def paint_pill(painter: QPainter, corner: QPointF, rows: Sequence[LegendRow], font: QFont) -> QRectF:
    """Symbols with texts in one line on dark ground. ``corner``: top left. Returns the covered rectangle."""
    metrics = QFontMetricsF(font)
    high = metrics.height() + 8
    wide = sum(_row_width(row, metrics) for row in rows) + 14 * (len(rows) - 1) + 18
    box = QRectF(corner.x(), corner.y(), wide, high)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(font)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(LABEL_GROUND)
    painter.drawRoundedRect(box, 6, 6)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    x = box.left() + 9
    for row in rows:
        symbol, name, text = row
        if symbol:
            paint_symbol(painter, symbol, QPointF(x + 6, box.center().y()), _ink(name))
        text_at = QRectF(x + (18 if symbol else 0), box.top(), metrics.horizontalAdvance(text) + 2, high)
        painter.setPen(QColor("#e3e7ec") if symbol else _ink(name))
        painter.drawText(text_at, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
        x += _row_width(row, metrics) + 14
    return box


def pill_width(rows: Sequence[LegendRow], font: QFont) -> float:
    """Screen px that :func:`paint_pill` will cover."""
    metrics = QFontMetricsF(font)
    return sum(_row_width(row, metrics) for row in rows) + 14 * (len(rows) - 1) + 18


def paint_symbol(painter: QPainter, symbol: str, at: QPointF, colour: QColor) -> None:
    """One legend symbol: ``plus``, ``cross``, ``circle``, ``diamond``, ``square``, ``hatch`` or ``line``."""
    painter.setPen(QPen(colour, 1.6))
    x, y = at.x(), at.y()
    if symbol in ("plus", "+"):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            painter.drawLine(QPointF(x + 2 * dx, y + 2 * dy), QPointF(x + 6 * dx, y + 6 * dy))
    elif symbol == "cross":
        for dx, dy in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
            painter.drawLine(QPointF(x + 2 * dx, y + 2 * dy), QPointF(x + 5 * dx, y + 5 * dy))
    elif symbol == "diamond":
        painter.drawPolygon(*(QPointF(x + dx, y + dy) for dx, dy in ((4, 0), (0, 4), (-4, 0), (0, -4))))
    elif symbol in ("circle", "o", "○"):
        painter.drawEllipse(at, 4.0, 4.0)
    elif symbol in ("square", "□"):
        for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            painter.drawLine(QPointF(x + 5 * dx, y + 5 * dy), QPointF(x + 2 * dx, y + 5 * dy))
            painter.drawLine(QPointF(x + 5 * dx, y + 5 * dy), QPointF(x + 5 * dx, y + 2 * dy))
    elif symbol == "hatch":
        painter.fillRect(QRectF(x - 5, y - 5, 10, 10), _hatch(colour))
        painter.drawRect(QRectF(x - 5, y - 5, 10, 10))
    else:
        painter.drawLine(QPointF(x - 6, y), QPointF(x + 6, y))


def _row_width(row: LegendRow, metrics: QFontMetricsF) -> float:
    return metrics.horizontalAdvance(row[2]) + (18 if row[0] else 0)


def _ink(name: str) -> QColor:
    return QColor(name if name.startswith("#") else getattr(INK, name, INK.text))


def _hatch(colour: QColor) -> pg.QtGui.QBrush:
    return pg.QtGui.QBrush(colour, Qt.BrushStyle.BDiagPattern)


def _paint_curves(
    painter: QPainter, curves: Sequence[tuple[QColor, Curve]], transform: QTransform, thin: bool = False
) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, curve in curves:
        if len(curve) < 2:
            continue
        path = transform.map(pg.arrayToQPath(curve[:, 0], curve[:, 1], connect="finite"))
        painter.setPen(QPen(HALO, 2.0 if thin else 3.0))
        painter.drawPath(path)
        painter.setPen(QPen(colour, 0.9 if thin else 1.3))
        painter.drawPath(path)


def _ring_labels(
    rings: Sequence[tuple[str, Curve]], transform: QTransform, window: QRectF
) -> tuple[tuple[QPointF, str], ...]:
    """A label hangs from the highest point of its ring that is well inside the window and clear of others.

    A ring that has no such point goes without.
    """
    inside = window.adjusted(30, 30, -30, -40)
    found: list[tuple[QPointF, str]] = []
    for label, curve in rings:
        points = [transform.map(QPointF(x, y)) for x, y in curve[:: max(1, len(curve) // 90)] if x == x]
        seen = [
            point for point in points
            if inside.contains(point)
            and all((point - other).manhattanLength() > LABEL_GAP for other, _ in found)
        ]  # fmt: skip
        if label and seen:
            found.append((min(seen, key=lambda point: point.y()), label))
    return tuple(found)
