"""Painting of peak marks: few large paths, a dark halo under every coloured stroke, cores left free."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QTransform

from braggscope.models.results import Status
from braggscope.widgets import theme
from braggscope.widgets.marks import Marks

MAX_MARKS = 20_000
MAX_LABELS = 200
FINE = 2_500  # up to so many visible marks are drawn smoothly
# Frames look the same under both themes, so what is drawn on them does too.
INK = theme.DARK
HALO = QColor(0, 0, 0, 165)
LABEL_GROUND = QColor(14, 17, 21, 225)
Points = NDArray[np.float64]
_QUIET = (Status.OK, Status.PENDING)


@dataclass(frozen=True, slots=True)
class Paths:
    """Marks of the visible part of a frame in screen coordinates."""

    fit: QPainterPath
    braggnn: QPainterPath
    missing: QPainterPath
    selected: QRectF | None
    labels: tuple[tuple[QPointF, str], ...]
    fine: bool


def strongest(marks: Marks) -> Marks:
    """The at most MAX_MARKS marks of highest score, plus the selected one."""
    if len(marks) <= MAX_MARKS:
        return marks
    keep = np.sort(np.argpartition(-marks.score, MAX_MARKS - 1)[:MAX_MARKS])
    selected = marks.selected
    if selected is not None:
        if selected not in keep:
            keep[-1] = selected
            keep.sort()
        selected = int(np.searchsorted(keep, selected))
    labels = None if marks.labels is None else tuple(marks.labels[k] for k in keep)
    return Marks(
        marks.x[keep], marks.y[keep], marks.score[keep], marks.status[keep],
        marks.x_braggnn[keep], marks.y_braggnn[keep], selected, labels,
    )  # fmt: skip


def build(marks: Marks, transform: QTransform, scale: float, window: QRectF) -> Paths:
    """Paths of the marks within ``window`` (screen px); ``scale`` in screen px per image px."""
    at, nn = _mapped(marks.x, marks.y, transform), _mapped(marks.x_braggnn, marks.y_braggnn, transform)
    seen = np.flatnonzero(_within(at, window.adjusted(-40, -40, 40, 40)))
    fine = len(seen) <= FINE
    gap = min(max(2.0 * scale, 3.0), 30.0)
    arm = _arms(marks.score, gap)
    ok = seen[marks.status[seen] == Status.OK]
    missing = seen[marks.status[seen] != Status.OK]
    circled = seen[np.isfinite(nn[seen, 0])]
    fit = _pluses(at[ok], gap, arm[ok])
    braggnn = _circles(nn[circled], min(max(1.6 * scale, 3.5), 14.0), len(seen))
    if scale >= 10:  # room enough to show where exactly
        fit.addPath(_pluses(at[ok], 0.0, np.full(len(ok), 1.5)))
        braggnn.addPath(_circles(nn[circled], 1.2, len(seen)))
    selected = None
    if marks.selected is not None and 0 <= marks.selected < len(marks):
        half = gap + float(arm[marks.selected]) + 4
        x, y = at[marks.selected]
        selected = QRectF(x - half, y - half, 2 * half, 2 * half)
    ticks = _ticks(at[missing], gap + 1.0)
    return Paths(fit, braggnn, ticks, selected, _labels(marks, at, missing, gap), fine)


def paint(painter: QPainter, paths: Paths, font: QFont) -> None:
    """Draw built paths; the painter works in screen coordinates."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, paths.fine)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for path, colour in ((paths.missing, INK.reject), (paths.fit, INK.fit), (paths.braggnn, INK.braggnn)):
        if path.isEmpty():
            continue
        if paths.fine:
            painter.setPen(_pen(HALO, 3.2))
            painter.drawPath(path)
        painter.setPen(_pen(QColor(colour), 1.5 if paths.fine else 1.0))
        painter.drawPath(path)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if paths.selected is not None:
        painter.setPen(_pen(QColor(0, 0, 0, 210), 4.0))
        painter.drawRect(paths.selected)
        painter.setPen(_pen(QColor("#ffffff"), 1.8))
        painter.drawRect(paths.selected)
    paint_labels(painter, paths.labels, font)


def paint_labels(painter: QPainter, labels: tuple[tuple[QPointF, str], ...], font: QFont) -> None:
    """Small texts on dark ground, centred below their points; one that would cover another is left out."""
    metrics = QFontMetricsF(font)
    painter.setFont(font)
    taken: list[QRectF] = []
    for at, text in labels:
        wide = metrics.horizontalAdvance(text) + 8
        box = QRectF(at.x() - wide / 2, at.y(), wide, metrics.height())
        if any(box.intersects(other) for other in taken):
            continue
        taken.append(box)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(LABEL_GROUND)
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QColor("#d8dde3"))
        painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _pen(colour: QColor, width: float) -> QPen:
    pen = QPen(colour, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def _mapped(x: Points, y: Points, t: QTransform) -> Points:
    """(N, 2) screen positions."""
    return np.column_stack((t.m11() * x + t.m21() * y + t.dx(), t.m12() * x + t.m22() * y + t.dy()))


def _within(at: Points, box: QRectF) -> NDArray[np.bool_]:
    x, y = at.T
    return (x >= box.left()) & (x <= box.right()) & (y >= box.top()) & (y <= box.bottom())


def _arms(score: Points, gap: float) -> Points:
    """(N,) arm lengths in screen px, growing with the logarithm of the score."""
    level = np.log10(np.maximum(np.nan_to_num(score, posinf=1e12), 1e-3))
    low, high = (float(level.min()), float(level.max())) if len(level) else (0.0, 1.0)
    return 3.5 + 0.15 * gap + 5.5 * (level - low) / max(high - low, 1.0)


def _pluses(at: Points, gap: float, arm: Points) -> QPainterPath:
    """Four arms around a free centre."""
    directions = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    return _segments(at, directions * gap, directions * 1.0, arm)


def _ticks(at: Points, half: float) -> QPainterPath:
    """The four corners of a square."""
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    starts = np.repeat(corners, 2, axis=0)
    inwards = starts * np.tile([[-1.0, 0.0], [0.0, -1.0]], (4, 1))
    return _segments(at, starts * half, inwards, np.full(len(at), 0.45 * half))


def _segments(at: Points, starts: Points, directions: Points, length: Points) -> QPainterPath:
    """For every position the lines from ``at + starts`` along ``directions`` (K, 2)."""
    first = at[:, None, :] + starts
    second = first + directions * length[:, None, None]
    points = np.stack((first, second), axis=2).reshape(-1, 2)
    if not len(points):
        return QPainterPath()
    return pg.arrayToQPath(points[:, 0], points[:, 1], connect="pairs")


def _circles(at: Points, radius: float, crowd: int) -> QPainterPath:
    """Closed polygons that look round; fewer sides in a crowd."""
    sides = 24 if crowd <= 500 else 12 if crowd <= FINE else 6
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = radius * np.column_stack((np.cos(angle), np.sin(angle)))
    points = (at[:, None, :] + ring).reshape(-1, 2)
    if not len(points):
        return QPainterPath()
    connect = np.ones(len(points), np.uint8)
    connect[sides :: sides + 1] = 0
    return pg.arrayToQPath(points[:, 0], points[:, 1], connect=connect)


def _labels(
    marks: Marks, at: Points, missing: NDArray[np.intp], gap: float
) -> tuple[tuple[QPointF, str], ...]:
    """Reasons of the strongest visible peaks without a fit, with the points they hang from."""
    order = missing[np.argsort(-marks.score[missing], kind="stable")]
    found: list[tuple[QPointF, str]] = []
    for k in order:
        status = Status(int(marks.status[k]))
        text = marks.labels[k] if marks.labels is not None else status.label
        if text and status not in _QUIET:
            found.append((QPointF(at[k, 0], at[k, 1] + gap + 4), text))
        if len(found) == MAX_LABELS:
            break
    return tuple(found)
