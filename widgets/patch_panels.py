"""Small images side by side: what was measured, what the methods made of it, and what is left."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from cmap import Colormap
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QBrush, QColor, QImage, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from braggscope.widgets import theme

_GAP = 8
_LARGEST = 190  # px; larger panels tell no more


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in patch pixels with its 1 sigma errors.

    ``kind``: ``fit``, ``voigt`` (pseudo-Voigt), ``braggnn``, ``net``, ``mass`` (centre of mass) or ``truth``.
    """

    kind: str
    x: float
    y: float
    x_err: float
    y_err: float


@dataclass(frozen=True, slots=True)
class Panel:
    """One small image. ``image`` (S, S) or None (then ``legend`` says why not); ``valid`` (S, S) bool."""

    title: str
    image: NDArray | None
    valid: NDArray[np.bool_] | None
    limits: tuple[float, float]
    legend: str
    diverging: bool = False
    marks: tuple[Mark, ...] = ()


@lru_cache(maxsize=4)
def _lut(name: str) -> NDArray[np.uint8]:
    """(256, 4) uint8 RGBA."""
    return np.round(Colormap(name).lut(256) * 255).astype(np.uint8)


def _colour_map(diverging: bool) -> NDArray[np.uint8]:
    return _lut("crameri:vik" if diverging else "matplotlib:inferno")


def to_image(panel: Panel) -> QImage:
    """Colour a panel pixel by pixel; bad and non-finite pixels are left clear."""
    assert panel.image is not None
    lo, hi = panel.limits
    scaled = (np.asarray(panel.image, np.float64) - lo) / max(hi - lo, 1e-300)
    clear = ~np.isfinite(scaled)
    if panel.valid is not None:
        clear |= ~panel.valid
    index = np.clip(np.nan_to_num(scaled) * 255.0, 0, 255).astype(np.uint8)
    rgba = _colour_map(panel.diverging)[index]
    rgba[clear] = 0
    rows, cols = index.shape
    return QImage(rgba.tobytes(), cols, rows, 4 * cols, QImage.Format.Format_RGBA8888).copy()


def mark_colour(kind: str, colours: theme.Theme) -> QColor:
    """The colour of a method's marks."""
    roles = {
        "fit": colours.fit, "braggnn": colours.braggnn, "net": colours.net,
        "voigt": theme.SERIES_COLOURS[3], "mass": colours.muted,
    }  # fmt: skip
    return QColor(roles.get(kind, colours.text))


def paint_mark(painter: QPainter, kind: str, at: QPointF, size: float, on_image: bool = True) -> None:
    """Draw a mark: cross for a fit, ring for BraggNN, diamond for the net, square for a centre of mass.

    These leave the core free, where the truth has its small diagonal cross.
    Images are dark in both themes, so there the marks keep the dark theme's colours, with a halo.
    """
    colour = mark_colour(kind, theme.DARK if on_image else theme.current())
    halo = [QPen(QColor(0, 0, 0, 170), 3.4)] if on_image else []
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in [*halo, QPen(colour, 1.7)]:
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        if kind == "braggnn":
            painter.drawEllipse(at, 0.6 * size, 0.6 * size)
        elif kind == "mass":
            painter.drawRect(QRectF(at.x() - 0.8 * size, at.y() - 0.8 * size, 1.6 * size, 1.6 * size))
        elif kind == "truth":
            for dx, dy in ((1, 1), (1, -1)):
                painter.drawLine(at - QPointF(dx, dy) * 0.35 * size, at + QPointF(dx, dy) * 0.35 * size)
        elif kind == "net":
            corners = (QPointF(size, 0), QPointF(0, size), QPointF(-size, 0), QPointF(0, -size))
            painter.drawPolygon(QPolygonF([at + corner for corner in corners]))
        else:
            reach = 1.5 if kind == "voigt" else 2.2  # where both fits agree, both are seen
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(at + QPointF(dx, dy) * 0.9 * size, at + QPointF(dx, dy) * reach * size)


class PatchPanels(QWidget):
    """Paints panels in a row, as large as the width allows; ``hint`` fills the place while there are none."""

    def __init__(self, titles: tuple[str, ...], hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._titles = titles
        self._hint = hint
        self._panels: tuple[Panel, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(len(titles) * 60)

    def set_panels(self, panels: tuple[Panel, ...]) -> None:
        """Show other images; none shows the hint."""
        self._panels = panels
        self.update()

    def side(self, width: int) -> float:
        """Side of one panel in px for a given width."""
        count = len(self._titles)
        return float(min((width - (count - 1) * _GAP) // count, _LARGEST))

    def height_for(self, width: int) -> int:
        """Height of square panels with a line of text over and under them."""
        return int(self.side(width)) + 2 * self.fontMetrics().height() + 8

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the panels square; docks do not ask for a height that follows from the width."""
        self.setFixedHeight(self.height_for(self.width()))

    def sizeHint(self) -> QSize:
        """Fit a dock of 360 px."""
        return QSize(344, self.height_for(344))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint frames, images, marks and legends."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        side, line = self.side(self.width()), self.fontMetrics().height()
        pitch = side + _GAP
        left = (self.width() - (len(self._titles) * pitch - _GAP)) / 2.0
        colours = theme.current()
        for k, title in enumerate(self._titles):
            box = QRectF(left + k * pitch, line + 2.0, side, side)
            painter.setPen(QColor(colours.muted))
            painter.drawText(QRectF(box.left(), 0, side, line), Qt.AlignmentFlag.AlignHCenter, title)
            if self._panels:
                self._paint_panel(painter, self._panels[k], box, line)
            else:
                painter.setPen(QPen(QColor(colours.line), 1.0, Qt.PenStyle.DashLine))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 3.0, 3.0)
        if not self._panels:
            self._paint_hint(painter, QRectF(0, line + 2.0, self.width(), side))

    def _paint_hint(self, painter: QPainter, box: QRectF) -> None:
        colours = theme.current()
        wide = self.fontMetrics().horizontalAdvance(self._hint) + 24.0
        label = QRectF(box.center().x() - wide / 2, box.center().y() - 14.0, wide, 28.0)
        painter.setPen(QPen(QColor(colours.line), 1.0))
        painter.setBrush(QColor(colours.raised))
        painter.drawRoundedRect(label, 14.0, 14.0)
        painter.setPen(QColor(colours.text))
        painter.drawText(label, Qt.AlignmentFlag.AlignCenter, self._hint)

    def _paint_panel(self, painter: QPainter, panel: Panel, box: QRectF, line: int) -> None:
        colours = theme.current()
        painter.fillRect(box, QColor(colours.raised))
        muted = QColor(colours.muted)
        if panel.image is None:
            painter.setPen(muted)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(box.adjusted(3, 3, -3, -3), flags, panel.legend)
            return
        hatch = QColor(muted)
        hatch.setAlpha(150)
        painter.fillRect(box, QBrush(hatch, Qt.BrushStyle.BDiagPattern))
        painter.drawImage(box, to_image(panel))
        painter.save()
        painter.setClipRect(box)
        pixel = box.width() / panel.image.shape[1]
        for mark in panel.marks:
            at = box.topLeft() + QPointF(mark.x + 0.5, mark.y + 0.5) * pixel
            self._paint_errors(painter, mark, at, pixel)
            paint_mark(painter, mark.kind, at, max(5.0, 0.06 * box.width()))
        painter.restore()
        painter.setPen(muted)
        below = QRectF(box.left() - _GAP / 2, box.bottom() + 3.0, box.width() + _GAP, line)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, panel.legend)

    @staticmethod
    def _paint_errors(painter: QPainter, mark: Mark, at: QPointF, pixel: float) -> None:
        """The 1 sigma ellipse, where it is large enough to be seen."""
        rx, ry = mark.x_err * pixel, mark.y_err * pixel
        if not (np.isfinite(rx) and np.isfinite(ry)) or max(rx, ry) < 1.0:
            return
        colour = mark_colour(mark.kind, theme.DARK)
        painter.setPen(QPen(colour, 1.0, Qt.PenStyle.DotLine))
        fill = QColor(colour)
        fill.setAlpha(50)
        painter.setBrush(fill)
        painter.drawEllipse(at, rx, ry)
