"""Painting of peak marks: a dark halo under every coloured stroke, cores left free, many marks at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen, QStaticText, QTransform

from braggscope.models.results import Status
from braggscope.widgets.frame_stamps import (
    INK,
    LABEL_GROUND,
    bracket,
    diamond,
    paint_stamps,
    plus,
    stroke_lines,
    stroke_rings,
)
from braggscope.widgets.marks import Marks

MAX_MARKS = 20_000
MAX_LABELS = 200
NET_SCALE = 3.0  # screen px per image px from which the diamonds of the network are clear of the rings
EXACT = 60  # up to so many visible marks are stroked one by one, and all that are much magnified
Points = NDArray[np.float64]
_QUIET = (Status.OK, Status.PENDING)


@dataclass(frozen=True, slots=True)
class Drawing:
    """Marks of the visible part of a frame, in screen coordinates; lengths in screen px."""

    fit: Points
    arm: Points  # of every fit mark
    braggnn: Points
    net: Points
    missing: Points
    gap: float  # free radius around the core
    ring: float  # radius of the BraggNN circle
    dots: bool  # there is room to show the very position
    selected: QRectF | None
    labels: tuple[tuple[QPointF, str], ...]

    @property
    def visible(self) -> int:
        """Number of marks."""
        return len(self.fit) + len(self.missing) + len(self.braggnn)


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
        None if marks.net is None else marks.net[keep],
    )  # fmt: skip


def build(marks: Marks, transform: QTransform, scale: float, window: QRectF) -> Drawing:
    """What is seen of the marks within ``window`` (screen px); ``scale`` in screen px per image px."""
    at, nn = _mapped(marks.x, marks.y, transform), _mapped(marks.x_braggnn, marks.y_braggnn, transform)
    seen = _within(at, window.adjusted(-40, -40, 40, 40))
    ok = marks.status == Status.OK
    gap = min(max(2.0 * scale, 3.0), 30.0)
    arm = _arms(marks.score, gap)
    missing = np.flatnonzero(seen & ~ok)
    net = np.zeros((0, 2))
    if marks.net is not None and scale >= NET_SCALE:
        known = marks.net[seen & np.isfinite(marks.net[:, 0])]
        net = _mapped(known[:, 0], known[:, 1], transform)
    selected = None
    if marks.selected is not None and 0 <= marks.selected < len(marks):
        half = gap + float(arm[marks.selected]) + 4
        x, y = at[marks.selected]
        selected = QRectF(x - half, y - half, 2 * half, 2 * half)
    return Drawing(
        fit=at[seen & ok],
        arm=arm[seen & ok],
        braggnn=nn[seen & np.isfinite(nn[:, 0])],
        net=net,
        missing=at[missing],
        gap=gap,
        ring=min(max(1.6 * scale, 3.5), 14.0),
        dots=scale >= 10,
        selected=selected,
        labels=_labels(marks, at, missing, gap),
    )


def paint(painter: QPainter, drawing: Drawing, font: QFont, device_ratio: float) -> None:
    """Draw what was built; the painter works in screen coordinates.

    A few marks are stroked exactly; many are copies of little pictures on whole device pixels, which is
    over twenty times as fast as one long path.
    """
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if drawing.dots or drawing.visible <= EXACT:
        _paint_exactly(painter, drawing)
    else:
        paint_stamps(painter, drawing, device_ratio)
    half = 0.6 * drawing.ring
    stroke_lines(painter, [line for at in drawing.net for line in diamond(at, half)], INK.net)
    if drawing.selected is not None:
        painter.setPen(QPen(QColor(0, 0, 0, 210), 4.0))
        painter.drawRect(drawing.selected)
        painter.setPen(QPen(QColor("#ffffff"), 1.8))
        painter.drawRect(drawing.selected)
    paint_labels(painter, drawing.labels, font)


def _paint_exactly(painter: QPainter, drawing: Drawing) -> None:
    pluses = [
        line for at, arm in zip(drawing.fit, drawing.arm, strict=True) for line in plus(at, drawing.gap, arm)
    ]
    if drawing.dots:
        pluses += [line for at in drawing.fit for line in plus(at, 0.0, 1.5)]
    corners = [line for at in drawing.missing for line in bracket(at, drawing.gap + 1)]
    stroke_lines(painter, corners, INK.reject)
    stroke_lines(painter, pluses, INK.fit)
    stroke_rings(painter, drawing.braggnn, drawing.ring, INK.braggnn)
    if drawing.dots:
        stroke_rings(painter, drawing.braggnn, 1.2, INK.braggnn)


def paint_labels(painter: QPainter, labels: tuple[tuple[QPointF, str], ...], font: QFont) -> None:
    """Small texts on dark ground, centred below their points; one that would cover another is left out."""
    painter.setFont(font)
    high = QFontMetricsF(font).height()
    words = {text: QStaticText(text) for _, text in labels}
    for word in words.values():
        word.prepare(font=font)
    taken: dict[int, list[tuple[float, float]]] = {}  # intervals of x by line of text
    for at, text in labels:
        wide = words[text].size().width() + 8
        left = at.x() - wide / 2
        line = int(at.y() // high)
        near = [span for k in (line - 1, line, line + 1) for span in taken.get(k, ())]
        if any(left < right and start < left + wide for start, right in near):
            continue
        taken.setdefault(line, []).append((left, left + wide))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(LABEL_GROUND)
        painter.drawRoundedRect(QRectF(left, at.y(), wide, high), 3, 3)
        painter.setPen(QColor("#d8dde3"))
        painter.drawStaticText(QPointF(left + 4, at.y()), words[text])
    painter.setBrush(Qt.BrushStyle.NoBrush)


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
