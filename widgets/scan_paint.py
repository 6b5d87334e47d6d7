"""What is drawn over a map of the scan: cross-hair, rectangles, profile line, axes, scale bar."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, QSizeF, Qt
from PyQt6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QImage, QPainter, QPen, QTransform

from braggscope.widgets import theme
from braggscope.widgets.frame_stamps import HALO, INK, LABEL_GROUND
from braggscope.widgets.levels_track import colours_of

Rectangle = tuple[int, int, int, int]  # r0, r1, c0, c1: half-open rows and columns
Line = tuple[float, float, float, float]  # x0, y0, x1, y1 in scan pixels
BAR_SHARE = 0.3  # of the map, at most, for the scale bar
ROUND = (1, 2, 5)
GAP = 3.0  # screen px between a map and what stands beside it


@dataclass(frozen=True, slots=True)
class RegionStyle:
    """How a rectangle of the scan is drawn: its word, its colour and its line."""

    title: str
    colour: str
    line: Qt.PenStyle


REGIONS: Mapping[str, RegionStyle] = {
    "probe": RegionStyle("probe", INK.net, Qt.PenStyle.DashLine),
    "reference": RegionStyle("reference", "#ffffff", Qt.PenStyle.SolidLine),
    "roi": RegionStyle("region", INK.braggnn, Qt.PenStyle.DotLine),
}


def map_image(values: NDArray, low: float, high: float, colormap: str) -> QImage:
    """(R, C) numbers in colours between two levels; not finite ones are transparent."""
    lut = colours_of(colormap)
    span = max(high - low, 1e-30)
    place = np.nan_to_num((np.asarray(values, np.float64) - low) / span, posinf=0, neginf=0)
    pixels = lut[(np.clip(place, 0, 1) * 255 + 0.5).astype(np.uint8)]
    pixels = np.where(np.isfinite(values), pixels, np.uint32(0)).astype(np.uint32)
    rows, columns = pixels.shape
    data = cast(bytes, np.ascontiguousarray(pixels).data)
    return QImage(data, columns, rows, 4 * columns, QImage.Format.Format_ARGB32).copy()


def scale_bar(step: float, columns: int) -> tuple[float, float]:
    """Length in scan pixels and in the unit of ``step``, the largest of 1, 2, 5 that fits."""
    room = BAR_SHARE * columns * step
    power = 10.0 ** math.floor(math.log10(room))
    length = max(k * power for k in ROUND if k * power <= room * (1 + 1e-9))
    return length / step, length


def paint_nothing(painter: QPainter, place: QRectF) -> None:
    """Hatched ground: what is seen of it has no value."""
    ground = QColor(theme.current().muted)
    ground.setAlpha(110)
    painter.fillRect(place, QColor(theme.current().raised))
    painter.fillRect(place, ground if place.width() < 12 else _hatch(ground))


def paint_cross(painter: QPainter, row: int, column: int, transform: QTransform, place: QRectF) -> None:
    """Lines through a position, with a window around its pixel."""
    pixel = transform.mapRect(QRectF(column - 0.5, row - 0.5, 1, 1))
    gap = max(pixel.width() / 2 + 2, 5.0)
    x, y = pixel.center().x(), pixel.center().y()
    lines = [
        QLineF(place.left(), y, x - gap, y), QLineF(x + gap, y, place.right(), y),
        QLineF(x, place.top(), x, y - gap), QLineF(x, y + gap, x, place.bottom()),
    ]  # fmt: skip
    lines = [line for line in lines if line.dx() > 0 or line.dy() > 0]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    box = pixel.adjusted(-1, -1, 1, 1) if pixel.width() >= 4 else QRectF(x - 4, y - 4, 8, 8)
    for pen in (QPen(HALO, 3), QPen(QColor("#ffffff"), 1)):
        painter.setPen(pen)
        painter.drawLines(*lines)
        painter.drawRect(box)


def outside(place: QRectF, room: QRectF, size: QSizeF, near: QPointF) -> QPointF | None:
    """Corner of a box of a size beside the map at ``place``, as near to a point as can be.

    ``room`` is the whole of what can be painted on. None where the map leaves no room for the box.
    """
    left = min(max(near.x(), room.left()), room.right() - size.width())
    top = min(max(near.y(), room.top()), room.bottom() - size.height())
    ways = [
        (place.top() - room.top() - size.height(), QPointF(left, place.top() - size.height() - GAP)),
        (room.bottom() - place.bottom() - size.height(), QPointF(left, place.bottom() + GAP)),
        (place.left() - room.left() - size.width(), QPointF(place.left() - size.width() - GAP, top)),
        (room.right() - place.right() - size.width(), QPointF(place.right() + GAP, top)),
    ]
    fitting = [corner for left_over, corner in ways if left_over >= GAP]
    return min(fitting, key=lambda corner: QLineF(corner, near).length(), default=None)


def paint_region(
    painter: QPainter, kind: str, region: Rectangle, transform: QTransform, font: QFont, room: QRectF,
    place: QRectF, named: bool = True, covering: bool = True,
) -> None:  # fmt: skip
    """Outline of a rectangle of the scan, with its word: beside the map, or on it if it may cover some."""
    style = REGIONS[kind]
    r0, r1, c0, c1 = region
    box = transform.mapRect(QRectF(c0 - 0.5, r0 - 0.5, c1 - c0, r1 - r0))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 3.6), QPen(QColor(style.colour), 1.6, style.line)):
        painter.setPen(pen)
        painter.drawRect(box)
    corner = outside(place, room, box_size(style.title, font), box.topLeft())
    if named and (corner is not None or covering):
        text_in_box(painter, box.topLeft() if corner is None else corner, style.title, style.colour, font)


def paint_line(painter: QPainter, line: Line, transform: QTransform) -> None:
    """A profile line with its start marked."""
    start, end = transform.map(QPointF(*line[:2])), transform.map(QPointF(*line[2:]))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for pen in (QPen(HALO, 4), QPen(QColor(INK.braggnn), 1.8)):
        painter.setPen(pen)
        painter.drawLine(start, end)
    painter.setBrush(QColor(INK.braggnn))
    painter.drawEllipse(start, 3.0, 3.0)


def paint_scale(painter: QPainter, step: float, unit: str, room: QRectF, place: QRectF,
                columns: int, font: QFont, covering: bool = True) -> None:  # fmt: skip
    """Scale bar beside the map where there is room, else in its lower left corner if it may cover some."""
    pixels, length = scale_bar(step, columns)
    wide = pixels * place.width() / columns
    text = f"{length:g} {unit}"
    metrics = QFontMetricsF(font)
    size = QSizeF(max(wide, metrics.horizontalAdvance(text)) + 12, metrics.height() + 9)
    corner = outside(place, room, size, place.bottomLeft())
    if corner is None:
        if not covering:
            return
        corner = QPointF(place.left() + 6, place.bottom() - size.height() - 6)
    box = QRectF(corner, size)
    _ground(painter, box)
    painter.setFont(font)
    painter.setPen(QColor("#ffffff"))
    painter.drawText(box.adjusted(0, 0, 0, -4), Qt.AlignmentFlag.AlignCenter, text)
    painter.fillRect(QRectF(box.center().x() - wide / 2, box.bottom() - 5, wide, 2), QColor("#ffffff"))


def paint_axes(
    painter: QPainter, angles: tuple[float, float], room: QRectF, place: QRectF, font: QFont
) -> None:
    """Arrows of the strain's x and y, beside the map where there is room, else in its lower right corner.

    ``angles`` rad from right towards down.
    """
    long, letter = 13.0, QFontMetricsF(font).height()
    ways = [QPointF(math.cos(turn), math.sin(turn)) for turn in angles]
    ends = [QPointF(0, 0), *(way * (long + 0.8 * letter) for way in ways)]
    xs, ys = [end.x() for end in ends], [end.y() for end in ends]
    size = QSizeF(max(xs) - min(xs) + 0.9 * letter, max(ys) - min(ys) + 0.9 * letter)
    inside = place.bottomRight() - QPointF(size.width() + 4, size.height() + 4)
    corner = outside(place, room, size, place.bottomRight() - QPointF(0, size.height()))
    corner = inside if corner is None else corner
    origin = corner - QPointF(min(xs), min(ys)) + QPointF(0.45 * letter, 0.45 * letter)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(font)
    _ground(painter, QRectF(corner, size))
    for name, way in zip("xy", ways, strict=True):
        paint_arrow(painter, origin, origin + way * long, QColor("#ffffff"), head=4.5, halo=False)
        at = origin + way * (long + 0.5 * letter)
        painter.drawText(QRectF(at.x() - 8, at.y() - 8, 16, 16), Qt.AlignmentFlag.AlignCenter, name)


def paint_arrow(
    painter: QPainter, start: QPointF, end: QPointF, colour: QColor, head: float = 8.0, halo: bool = True
) -> None:
    """An arrow with an open head of ``head`` screen px."""
    way = QLineF(start, end)
    if way.length() < 1:
        return
    lines = [way]
    for turn in (150, -150):
        wing = QLineF(end, end + QPointF(head, 0))
        wing.setAngle(way.angle() + turn)
        lines.append(wing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in ([QPen(HALO, 4.0)] if halo else []) + [QPen(colour, 1.8)]:
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        painter.drawLines(*lines)


def text_in_box(painter: QPainter, corner: QPointF, text: str, colour: str, font: QFont) -> None:
    """A word on dark ground that starts at a corner."""
    box = QRectF(corner, box_size(text, font))
    _ground(painter, box)
    painter.setFont(font)
    painter.setPen(QColor(colour))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)


def box_size(text: str, font: QFont) -> QSizeF:
    """Size of the dark ground of a word."""
    metrics = QFontMetricsF(font)
    return QSizeF(metrics.horizontalAdvance(text) + 8, metrics.height() + 2)


def _ground(painter: QPainter, box: QRectF) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    ground = QColor(LABEL_GROUND)
    ground.setAlpha(190)
    painter.setBrush(ground)
    painter.drawRoundedRect(box, 4, 4)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _hatch(colour: QColor) -> QBrush:
    return QBrush(colour, Qt.BrushStyle.BDiagPattern)
