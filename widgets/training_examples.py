"""Held-out patches with the fit and the answers of the old and the new weights."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.models.tuning import Example
from braggscope.widgets import theme
from braggscope.widgets.patch_panels import Panel, paint_mark, to_image

COLUMNS = 3
_GAP = 6
_LARGEST = 130
REACH = 3  # px around the pixel of the fit that are shown
BEFORE, AFTER = "#ffb000", "#3ddbb0"  # a diamond and a ring; pictures are dark in both themes


class TrainingExamples(QWidget):
    """Up to six patches in two rows, their distances from the fit below each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.examples: tuple[Example, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)

    def set_examples(self, examples: tuple[Example, ...]) -> None:
        """Show other patches."""
        self.examples = examples[: 2 * COLUMNS]
        self.setVisible(bool(examples))
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:
        """Qt: the patches are square."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Qt: rows of patches with a line of text each, and the legend."""
        rows = -(-len(self.examples) // COLUMNS)
        line = self.fontMetrics().height()
        return int(rows * (self._side(width) + line + _GAP)) + (line + _GAP if rows else 0)

    def sizeHint(self) -> QSize:
        """Qt."""
        return QSize(300, self.heightForWidth(300))

    def _side(self, width: int) -> float:
        return float(min((width - (COLUMNS - 1) * _GAP) / COLUMNS, _LARGEST))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: pictures, marks, numbers."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side, line = self._side(self.width()), self.fontMetrics().height()
        for k, example in enumerate(self.examples):
            place = QRectF((k % COLUMNS) * (side + _GAP), (k // COLUMNS) * (side + line + _GAP), side, side)
            self._paint_patch(painter, example, place)
            painter.setPen(QColor(theme.current().text))
            under = QRectF(place.left(), place.bottom(), side, line)
            painter.drawText(under, Qt.AlignmentFlag.AlignCenter, distances(example))
        rows = -(-len(self.examples) // COLUMNS)
        if rows:
            self._paint_legend(painter, QPointF(8, rows * (side + line + _GAP) + 0.5 * line))

    def _paint_patch(self, painter: QPainter, example: Example, place: QRectF) -> None:
        image, left, top = _core(example)
        limits = (float(image.min()), float(image.max()))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, False)
        painter.drawImage(place, to_image(Panel("", image, None, limits, "")))
        pixel = place.width() / image.shape[1]

        def at(place_px: tuple[float, float]) -> QPointF:
            x, y = place_px[0] - left + 0.5, place_px[1] - top + 0.5
            return place.topLeft() + QPointF(x, y) * pixel

        painter.save()
        painter.setClipRect(place)
        paint_mark(painter, "fit", at(example.fit), 6.0)
        _answer(painter, at(example.before), BEFORE, before=True)
        _answer(painter, at(example.after), AFTER)
        painter.restore()

    def _paint_legend(self, painter: QPainter, at: QPointF) -> None:
        colours, metrics = theme.current(), self.fontMetrics()
        for title, colour in (("fit", ""), ("before", BEFORE), ("after", AFTER)):
            if colour:
                shade = colour if colours.name == "dark" else QColor(colour).darker(170).name()
                _answer(painter, at, shade, before=colour == BEFORE, halo=False)
            else:
                paint_mark(painter, "fit", at, 3.5, on_image=False)
            painter.setPen(QColor(colours.muted))
            painter.drawText(at + QPointF(13, 0.5 * (metrics.ascent() - metrics.descent())), title)
            at += QPointF(38 + metrics.horizontalAdvance(title), 0)
        painter.drawText(at + QPointF(-6, 0.5 * (metrics.ascent() - metrics.descent())), "px from the fit")


def _core(example: Example) -> tuple[NDArray, int, int]:
    """The pixels around the fit, and the column and row of the first."""
    rows, cols = example.image.shape
    size = min(2 * REACH + 1, rows, cols)
    left, top = (
        int(np.clip(round(value) - REACH, 0, n - size))
        for value, n in zip(example.fit, (cols, rows), strict=True)
    )
    return np.asarray(example.image)[top : top + size, left : left + size], left, top


def distances(example: Example) -> str:
    """``0.21 → 0.04``: px from the fit, before and after."""
    before, after = (
        float(np.hypot(*np.subtract(answer, example.fit))) for answer in (example.before, example.after)
    )
    return f"{before:.2f} → {after:.2f}"


def _answer(painter: QPainter, at: QPointF, colour: str, *, before: bool = False, halo: bool = True) -> None:
    """A diamond for the old weights, a ring for the new ones."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    corners = (QPointF(6, 0), QPointF(0, 6), QPointF(-6, 0), QPointF(0, -6))
    for pen in [*([QPen(QColor(0, 0, 0, 170), 3.4)] if halo else []), QPen(QColor(colour), 1.8)]:
        painter.setPen(pen)
        if before:
            painter.drawPolygon(QPolygonF([at + corner for corner in corners]))
        else:
            painter.drawEllipse(at, 4.0, 4.0)
