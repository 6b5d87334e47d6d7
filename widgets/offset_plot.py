"""Where BraggNN lies relative to the fit: every peak as a point, with its marginal histograms."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainterPath
from PyQt6.QtWidgets import QGraphicsPathItem, QGridLayout, QLabel, QVBoxLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.widgets import theme
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import ThemedPlot, make_plot
from braggscope.widgets.point_cloud import PointCloud

MOST_DRAWN = 20_000
BINS = 64
EMPTY = "Analyse the series to see Δx and Δy of every peak."
_STRIP = 46  # px, height of a marginal histogram
_REACH = 12.0  # px, how near a click must be to its point


class OffsetPlot(QWidget):
    """Δx against Δy in px with equal scales. ``peak_clicked(frame, peak)``: the user chose a point."""

    peak_clicked = pyqtSignal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._dx = self._dy = np.zeros(0)
        self._frame = self._peak = np.zeros(0, np.int64)
        self._colour = theme.SERIES_COLOURS[0]
        self.summary = QLabel(self)
        self.remark = QLabel(self)
        self.remark.setProperty("role", "muted")
        for label in (self.summary, self.remark):
            label.setWordWrap(True)
        self.plot = make_plot("Δx / px", "Δy / px", parent=self)
        self.top, self.right = make_plot(parent=self), make_plot(parent=self)
        self.hint = PlotHint(EMPTY, self.plot)
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
        self.set_points(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def set_points(
        self,
        dx: NDArray[np.float64],
        dy: NDArray[np.float64],
        frame: NDArray[np.int64],
        peak: NDArray[np.int64],
        colour: str = theme.SERIES_COLOURS[0],
        note: str = "",
    ) -> None:
        """Show differences in px, all (N,); a peak without one of the two positions has NaN."""
        paired = np.isfinite(dx) & np.isfinite(dy)
        self._dx, self._dy = np.asarray(dx, np.float64)[paired], np.asarray(dy, np.float64)[paired]
        self._frame, self._peak = np.asarray(frame)[paired], np.asarray(peak)[paired]
        self._colour = colour
        self.chosen.clear()
        self._statistics = self._measure()
        self._draw_points()
        self._describe(int(len(paired) - paired.sum()), note)
        self._frame_view()

    def highlight(self, frame: int, peak: int) -> None:
        """Ring one peak, if it has a point."""
        hits = np.flatnonzero((self._frame == frame) & (self._peak == peak))
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
        drawn = np.arange(len(self._dx))
        if len(drawn) > MOST_DRAWN:
            drawn = np.random.default_rng(0).choice(drawn, MOST_DRAWN, replace=False, shuffle=False)
        colour = QColor(self._colour)
        colour.setAlphaF(float(np.clip(600.0 / max(len(drawn), 1), 0.06, 0.75)))
        self.points.set_points(self._dx[drawn], self._dy[drawn], colour)
        some = bool(len(self._dx))
        angle = np.linspace(0.0, 2.0 * np.pi, 97)
        self.ring.setData(
            x + radius * np.cos(angle), y + radius * np.sin(angle)
        ) if some else self.ring.clear()
        self.median.setData([x] if some else [], [y] if some else [])
        for plot in (self.top, self.right):
            plot.getPlotItem().setVisible(some)
        self.hint.cover(not some)

    def _describe(self, alone: int, note: str) -> None:
        x, y, radius = self._statistics
        some = bool(len(self._dx))
        text = f"Δx {x:+.3f}   Δy {y:+.3f}   68\u00a0%\u00a0within\u00a0{radius:.3f}\u00a0px".replace(
            "-", "−"
        )
        self.summary.setText(text if some else "")
        parts = [f"{len(self._dx):,} peaks"] if some else []
        parts += [f"{alone:,} without a pair"] if alone else []
        parts += [f"{MOST_DRAWN:,} drawn"] if len(self._dx) > MOST_DRAWN else []
        self.remark.setText(" · ".join([*parts, note] if note else parts))

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
        left, bottom = 54, 40
        for plot in (self.plot, self.top):
            plot.getPlotItem().getAxis("left").setWidth(left)
        for plot in (self.plot, self.right):
            plot.getPlotItem().getAxis("bottom").setHeight(bottom)
        _blank_axes(self.top, "left", "bottom")
        _blank_axes(self.right, "bottom", "left")
        self.top.setFixedHeight(_STRIP)
        self.right.setFixedWidth(_STRIP)
        grid = QGridLayout()
        grid.setSpacing(0)
        grid.addWidget(self.top, 0, 0)
        grid.addWidget(self.plot, 1, 0)
        grid.addWidget(self.right, 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(1)
        column.addLayout(grid, 1)
        for label in (self.summary, self.remark):
            label.setContentsMargins(10, 0, 10, 0)
            column.addWidget(label)

    def _restyle(self, colours: theme.Theme) -> None:
        for line in self.zeros:
            line.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DotLine))
        self.ring.setPen(pg.mkPen(colours.text, width=1.4))
        self.median.setPen(pg.mkPen(colours.panel, width=1))
        self.median.setBrush(pg.mkBrush(colours.text))
        self.chosen.setPen(pg.mkPen(colours.accent, width=2.5))

    # gestures

    def _on_click(self, event: MouseClickEvent) -> None:
        box = self.plot.getPlotItem().getViewBox()
        if event.button() != Qt.MouseButton.LeftButton or not len(self._dx):
            return
        at: QPointF = box.mapSceneToView(event.scenePos())
        px, py = box.viewPixelSize()
        apart = np.hypot((self._dx - at.x()) / px, (self._dy - at.y()) / py)
        k = int(np.argmin(apart))
        if apart[k] <= _REACH:
            self.highlight(int(self._frame[k]), int(self._peak[k]))
            self.peak_clicked.emit(int(self._frame[k]), int(self._peak[k]))


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
