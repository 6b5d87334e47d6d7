"""Differences of positions against what they may depend on, with their running median and 16-84 % band."""

from collections.abc import Callable, Mapping

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QResizeEvent
from PyQt6.QtWidgets import QBoxLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.models.compare import Trend, trend
from braggscope.widgets import theme
from braggscope.widgets.plotting import ThemedPlot, log_ticks, make_plot
from braggscope.widgets.point_cloud import PointCloud, opacity, point_at

Floats = NDArray[np.float64]
AXES: Mapping[str, tuple[str, bool]] = {  # quantity: label of the axis, logarithmic
    "sigma": ("σ / px", False),
    "snr": ("SNR", True),
    "elongation": ("long / short axis", False),
    "frame": ("frame", False),
}
_SHOWN = 97.0  # % of the differences that the view holds at first


class TrendPlot(QWidget):
    """Δx over Δy in px against one quantity. ``point_clicked``: index of the point that the user chose."""

    point_clicked = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._x = np.zeros(0)
        self._which = np.zeros(0, np.int64)
        self.rows = (_Row("Δx / px", self._clicked), _Row("Δy / px", self._clicked))
        self._box = QBoxLayout(QBoxLayout.Direction.TopToBottom, self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(0)
        for row in self.rows:
            self._box.addWidget(row.plot, 1)
        upper, lower = (row.plot.getPlotItem() for row in self.rows)
        upper.setXLink(lower)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Side by side where there is little height."""
        flat = self.width() > 1.6 * self.height()
        self._box.setDirection(QBoxLayout.Direction.LeftToRight if flat else QBoxLayout.Direction.TopToBottom)

    def set_points(self, against: Floats, dx: Floats, dy: Floats, quantity: str, colour: str) -> None:
        """Show differences (N,) px against a quantity (N,); points without it are left out."""
        label, logarithmic = AXES[quantity]
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(against) if logarithmic else np.asarray(against, np.float64)
        known = np.isfinite(values)
        self._which, self._x = np.flatnonzero(known), values[known]
        for row, difference in zip(self.rows, (dx[known], dy[known]), strict=True):
            row.show(self._x, difference, trend(self._x, difference), colour)
        lower = self.rows[1].plot
        for row in self.rows:
            row.plot.setLabel("bottom", label)
            axis = row.plot.getPlotItem().getAxis("bottom")
            if logarithmic:
                log_ticks(axis)
            else:
                axis.setTicks(None)
        if len(self._x):
            low, high = np.percentile(self._x, [0.5, 99.5])
            lower.setXRange(low, max(high, low + 1e-3), padding=0.04)

    def highlight(self, index: int | None) -> None:
        """Ring one point, or none; the index is that in what was given."""
        at = np.flatnonzero(self._which == (-1 if index is None else index))
        for row in self.rows:
            row.chosen.setData(self._x[at], row.values[at])

    def _clicked(self, row: "_Row", at: QPointF) -> None:
        k = point_at(row.plot, at, self._x, row.values)
        if k is not None:
            index = int(self._which[k])
            self.highlight(index)
            self.point_clicked.emit(index)


class _Row:
    """One plot of the two."""

    def __init__(self, label: str, clicked: Callable[["_Row", QPointF], None]) -> None:
        self.values = np.zeros(0)
        self._clicked = clicked
        self.plot: ThemedPlot = make_plot("", label)
        self.points = PointCloud()
        self.chosen = pg.ScatterPlotItem(size=14, symbol="o", pxMode=True, brush=None)
        self.low, self.median, self.high = (pg.PlotCurveItem(antialias=True) for _ in range(3))
        self.band = pg.FillBetweenItem(self.low, self.high)
        self.zero = pg.InfiniteLine(0.0, 0)
        self.plot.addItem(self.zero, ignoreBounds=True)
        for item in (self.points, self.band, self.low, self.high, self.median, self.chosen):
            self.plot.addItem(item)
        self.plot.getPlotItem().getAxis("left").setWidth(46)
        self.plot.setMinimumSize(60, 40)
        self.plot.getPlotItem().getViewBox().disableAutoRange()
        self.plot.recoloured(self._restyle)
        self.plot.scene().sigMouseClicked.connect(self._on_click)

    def show(self, x: Floats, values: Floats, found: Trend, colour: str) -> None:
        """Show points and their trend."""
        self.values = values
        ink = QColor(colour)
        ink.setAlphaF(0.7 * opacity(len(x)))
        self.points.set_points(x, values, ink)
        self.chosen.clear()
        for curve, level in ((self.low, found.low), (self.median, found.median), (self.high, found.high)):
            curve.setData(found.at, level)
        reach = 1.1 * float(np.percentile(np.abs(values), _SHOWN)) if len(values) else 1.0
        self.plot.setYRange(-max(reach, 0.005), max(reach, 0.005), padding=0)

    def _restyle(self, colours: theme.Theme) -> None:
        self.zero.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DotLine))
        self.median.setPen(pg.mkPen(colours.text, width=2))
        for curve in (self.low, self.high):
            curve.setPen(pg.mkPen(colours.text, width=1, style=Qt.PenStyle.DashLine))
        ink = QColor(colours.text)
        ink.setAlphaF(0.12)
        self.band.setBrush(pg.mkBrush(ink))
        self.chosen.setPen(pg.mkPen(colours.accent, width=2.5))

    def _on_click(self, event: MouseClickEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._clicked(self, event.scenePos())
