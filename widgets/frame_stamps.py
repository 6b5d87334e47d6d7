"""The shapes of marks, stroked exactly or stamped by the thousand."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QLineF, QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPixmap, QPixmapCache
from pyqtgraph.Qt import internals

from braggscope.widgets import theme

if TYPE_CHECKING:
    from braggscope.widgets.frame_marks import Drawing

# Frames look the same under both themes, so what is drawn on them does too.
INK = theme.DARK
HALO = QColor(0, 0, 0, 165)
LABEL_GROUND = QColor(14, 17, 21, 225)
STROKE, HALO_STROKE = 1.5, 3.2  # screen px
SIZES = 6  # kinds of plus by score
Points = NDArray[np.float64]


def plus(at: Sequence[float] | Points, gap: float, arm: float) -> list[QLineF]:
    """Four arms around a free centre."""
    x, y = float(at[0]), float(at[1])
    end = gap + float(arm)
    return [
        QLineF(x + gap, y, x + end, y),
        QLineF(x - gap, y, x - end, y),
        QLineF(x, y + gap, x, y + end),
        QLineF(x, y - gap, x, y - end),
    ]


def bracket(at: Sequence[float] | Points, half: float) -> list[QLineF]:
    """The four corners of a square."""
    x, y, inwards = float(at[0]), float(at[1]), 0.55 * half
    lines = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            corner = QPointF(x + sx * half, y + sy * half)
            lines.append(QLineF(corner, QPointF(x + sx * inwards, corner.y())))
            lines.append(QLineF(corner, QPointF(corner.x(), y + sy * inwards)))
    return lines


def diamond(at: Sequence[float] | Points, half: float) -> list[QLineF]:
    """The four sides of a square on its corner."""
    x, y = float(at[0]), float(at[1])
    corners = [QPointF(x + half, y), QPointF(x, y + half), QPointF(x - half, y), QPointF(x, y - half)]
    return [QLineF(corners[k - 1], corners[k]) for k in range(4)]


def stroke_lines(painter: QPainter, lines: list[QLineF], colour: str) -> None:
    """Draw lines over their halo."""
    if lines:
        for pen in _pens(colour):
            painter.setPen(pen)
            painter.drawLines(*lines)


def stroke_rings(painter: QPainter, at: Points, radius: float, colour: str) -> None:
    """Draw circles over their halo."""
    for pen in _pens(colour):
        painter.setPen(pen)
        for x, y in at.tolist():
            painter.drawEllipse(QPointF(x, y), radius, radius)


@lru_cache(maxsize=16)
def _pens(colour: str) -> tuple[QPen, QPen]:
    flat = Qt.PenCapStyle.FlatCap
    halo = QPen(HALO, HALO_STROKE, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap)
    return halo, QPen(QColor(colour), STROKE, Qt.PenStyle.SolidLine, flat)


def paint_stamps(painter: QPainter, drawing: "Drawing", device_ratio: float) -> None:
    """Draw all marks as copies of a few little pictures, in one call per kind of mark."""
    longest = float(drawing.arm.max()) if len(drawing.arm) else 1.0
    reach = max(drawing.gap + longest, 1.5 * drawing.gap, drawing.ring) + HALO_STROKE
    side = 2 * int(np.ceil(reach * device_ratio)) + 1  # device pixels, with one in the middle
    atlas = _atlas(drawing, longest, side, device_ratio)
    kind = np.minimum(drawing.arm / longest * SIZES, SIZES - 1).astype(int)
    cells = (
        (drawing.missing, np.full(len(drawing.missing), SIZES)),
        (drawing.fit, kind),
        (drawing.braggnn, np.full(len(drawing.braggnn), SIZES + 1)),
    )
    at, cell = np.concatenate([c[0] for c in cells]), np.concatenate([c[1] for c in cells])
    stamps = internals.PrimitiveArray(QPainter.PixmapFragment, 10)
    stamps.resize(len(at))
    table = stamps.ndarray()
    table[:, 0:2] = (np.floor(at * device_ratio) + 0.5) / device_ratio  # centres of pixels stay crisp
    table[:, 2], table[:, 3] = cell * side, 0
    table[:, 4:6] = side
    table[:, 6:8] = 1 / device_ratio
    table[:, 8], table[:, 9] = 0, 1
    painter.drawPixmapFragments(*stamps.drawargs(), atlas)  # type: ignore[call-arg]


def _atlas(drawing: "Drawing", longest: float, side: int, device_ratio: float) -> QPixmap:
    """Pluses of SIZES arm lengths, a bracket and a ring in a row, in device pixels; kept by Qt's cache."""
    key = f"marks {drawing.gap} {drawing.ring} {longest} {side} {device_ratio}"
    known = QPixmapCache.find(key)
    if known is not None:
        return known
    atlas = QPixmap(side * (SIZES + 2), side)
    atlas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(atlas)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.scale(device_ratio, device_ratio)
    for cell in range(SIZES + 2):
        middle = side / 2 / device_ratio
        at = ((2 * cell + 1) * middle, middle)
        painter.setClipRect(QRectF(2 * cell * middle, 0, 2 * middle, 2 * middle))
        if cell < SIZES:
            stroke_lines(painter, plus(at, drawing.gap, longest * (cell + 0.5) / SIZES), INK.fit)
        elif cell == SIZES:
            stroke_lines(painter, bracket(at, drawing.gap + 1), INK.reject)
        else:
            stroke_rings(painter, np.array([at]), drawing.ring, INK.braggnn)
    painter.end()
    QPixmapCache.insert(key, atlas)
    return atlas
