"""Differences of positions in the plane: every peak as a point, with its marginal histograms."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainterPath, QResizeEvent
from PyQt6.QtWidgets import QGraphicsPathItem, QGridLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.widgets import theme
from braggscope.widgets.plotting import ThemedPlot, make_plot
from braggscope.widgets.point_cloud import PointCloud, opacity, point_at

BINS = 64
_STRIP = 46  # px, height of a marginal histogram
_BOTTOM = 40  # px, height of the lower axis
_FLAT = 220  # px; in less height there are no marginal histograms


class OffsetPlot(QWidget):
    """Δx against Δy in px with equal scales. ``point_clicked``: index of the point that the user chose."""

    point_clicked = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dx = self._dy = np.zeros(0)
        self._colour = theme.SERIES_COLOURS[0]
        self.plot = make_plot("Δx / px", "Δy / px", parent=self)
        self.top, self.right = make_plot(parent=self), make_plot(parent=self)
        self.points = PointCloud()
        self.ring = pg.PlotCurveItem(antialias=True)
        self.median = pg.ScatterPlotItem(size=10, symbol="+", pxMode=True)
        self.chosen = pg.ScatterPlotItem(size=14, symbol="o", pxMode=True, brush=None)
        self.zeros = [pg.InfiniteLine(0.0, angle) for angle in (0, 90)]
        self.bars = [QGraphicsPathItem(), QGraphicsPathItem()]
        self._fill_plots()
        self._arrange()
        self.plot.recoloured(self._restyle)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.set_points(np.zeros(0), np.zeros(0))

    def set_points(
        self, dx: NDArray[np.float64], dy: NDArray[np.float64], colour: str = theme.SERIES_COLOURS[0]
    ) -> None:
        """Show finite differences in px, (N,) each."""
        self._dx, self._dy, self._colour = np.asarray(dx, np.float64), np.asarray(dy, np.float64), colour
        self.chosen.clear()
        self._statistics = self._measure()
        self._draw_points()
        self._frame_view()

    def highlight(self, index: int | None) -> None:
        """Ring one point, or none."""
        hits = [] if index is None else [index]
        self.chosen.setData(self._dx[hits], self._dy[hits])

    def statistics(self) -> tuple[float, float, float]:
        """Median Δx, median Δy, and the radius about them that holds 68 % of the peaks; px."""
        return self._statistics

    def _measure(self) -> tuple[float, float, float]:
        if not len(self._dx):
            return (np.nan, np.nan, np.nan)
        x, y = float(np.median(self._dx)), float(np.median(self._dy))
        return x, y, float(np.percentile(np.hypot(self._dx - x, self._dy - y), 68))

    # drawing

    def _draw_points(self) -> None:
        x, y, radius = self._statistics
        colour = QColor(self._colour)
        colour.setAlphaF(opacity(len(self._dx)))
        self.points.set_points(self._dx, self._dy, colour)
        some = bool(len(self._dx))
        angle = np.linspace(0.0, 2.0 * np.pi, 97)
        self.ring.setData(
            x + radius * np.cos(angle), y + radius * np.sin(angle)
        ) if some else self.ring.clear()
        self.median.setData([x] if some else [], [y] if some else [])
        for plot in (self.top, self.right):
            plot.getPlotItem().setVisible(some)

    def _frame_view(self) -> None:
        reach = 1.0
        if len(self._dx):
            reach = 1.15 * float(np.percentile(np.maximum(abs(self._dx), abs(self._dy)), 95))
        reach = max(reach, 0.02)
        edges = np.linspace(-reach, reach, BINS + 1)
        colour = QColor(self._colour)
        colour.setAlphaF(0.65)
        for item, plot, values, upright in (
            (self.bars[0], self.top, self._dx, True), (self.bars[1], self.right, self._dy, False),
        ):  # fmt: skip
            counts, _ = np.histogram(values, edges)
            item.setPath(_steps(counts, edges, upright))
            item.setBrush(pg.mkBrush(colour))
            highest = 1.08 * max(int(counts.max()), 1)
            (plot.setYRange if upright else plot.setXRange)(0.0, highest, padding=0)
        self.plot.setRange(QRectF(-reach, -reach, 2 * reach, 2 * reach), padding=0)
        self._follow()

    def _follow(self) -> None:
        """Keep the marginal axes on those of the points."""
        x_range, y_range = self.plot.viewRange()
        self.top.setXRange(*x_range, padding=0)
        self.right.setYRange(*y_range, padding=0)

    def _fill_plots(self) -> None:
        for line in self.zeros:
            self.plot.addItem(line, ignoreBounds=True)
        for item in (self.points, self.ring, self.median, self.chosen):
            self.plot.addItem(item)
        box = self.plot.getPlotItem().getViewBox()
        box.setAspectLocked(True)
        box.disableAutoRange()
        box.sigRangeChanged.connect(self._follow)
        for plot, item in zip((self.top, self.right), self.bars, strict=True):
            item.setPen(pg.mkPen(None))
            plot.addItem(item, ignoreBounds=True)
            plot.setMouseEnabled(False, False)
            plot.getPlotItem().getViewBox().disableAutoRange()

    def _arrange(self) -> None:
        left = 54
        for plot in (self.plot, self.top):
            plot.getPlotItem().getAxis("left").setWidth(left)
        for plot in (self.plot, self.right):
            plot.getPlotItem().getAxis("bottom").setHeight(_BOTTOM)
        _blank_axes(self.top, "left", "bottom")
        _blank_axes(self.right, "bottom", "left")
        self.top.setFixedHeight(_STRIP)
        self.right.setFixedWidth(_STRIP)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(0)
        grid.addWidget(self.top, 0, 0)
        grid.addWidget(self.plot, 1, 0)
        grid.addWidget(self.right, 1, 1)

    def _restyle(self, colours: theme.Theme) -> None:
        for line in self.zeros:
            line.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DotLine))
        self.ring.setPen(pg.mkPen(colours.text, width=1.4))
        self.median.setPen(pg.mkPen(colours.panel, width=1))
        self.median.setBrush(pg.mkBrush(colours.text))
        self.chosen.setPen(pg.mkPen(colours.accent, width=2.5))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: little height goes to the points alone."""
        roomy = self.height() >= _FLAT
        self.top.setVisible(roomy)
        self.right.setVisible(roomy)
        self.plot.getPlotItem().getAxis("bottom").setHeight(_BOTTOM if roomy else _BOTTOM - 6)
        super().resizeEvent(event)

    # gestures

    def _on_click(self, event: MouseClickEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            k = point_at(self.plot, event.scenePos(), self._dx, self._dy)
            if k is not None:
                self.highlight(k)
                self.point_clicked.emit(k)


def _blank_axes(plot: ThemedPlot, keep_room: str, drop: str) -> None:
    """Hide the axes of a marginal plot; one keeps its room so that the plots stay aligned."""
    plot.getPlotItem().hideAxis(drop)
    axis = plot.getPlotItem().getAxis(keep_room)
    axis.setStyle(showValues=False)
    axis.setOpacity(0.0)
    plot.getPlotItem().showGrid(False, False)


def _steps(counts: NDArray, edges: NDArray[np.float64], upright: bool) -> QPainterPath:
    """Closed outline of a histogram, upright or lying."""
    along = np.repeat(edges, 2)
    height = np.concatenate(([0.0], np.repeat(counts, 2), [0.0]))
    return pg.arrayToQPath(along, height) if upright else pg.arrayToQPath(height, along)
