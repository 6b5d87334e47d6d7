"""A quantity of several tracks against frame, or against an external axis, with error bars."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.widgets import theme
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import colour as tint
from braggscope.widgets.plotting import make_plot
from braggscope.widgets.snug_combo import SnugComboBox

Floats = NDArray[np.float64]
EMPTY = "Select one or several tracks in the table, or click a spot."
FROM_FILE = "from a file…"
REACH_PX = 14.0  # a click farther from every point goes to the frame under it
COLOURS = len(theme.SERIES_COLOURS)
STYLES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine)  # one after each turn of colours
SYMBOLS, SIGNS = ("o", "s", "t1"), ("●", "■", "▲")
NAMED = 8  # tracks in the legend
WIDE = 3000  # points; wider lines than 1 px take Qt long


@dataclass(frozen=True, slots=True)
class TrackCurve:
    """One track: ``frames x values errors smooth`` (n,) by rising frame; NaN where something is not known.

    ``x``: the frame, or its value on an external axis; ``errors``: 1 sigma; ``smooth``: the smoothed values.
    """

    track: int
    name: str
    colour: str
    frames: NDArray[np.int64]
    x: Floats
    values: Floats
    errors: Floats
    smooth: Floats


class TracksPlot(QWidget):
    """Points with error bars and smoothed lines.

    ``point_clicked(int, int)``: track and frame; ``frame_clicked(int)``; ``quantity_changed(str)`` and
    ``axis_changed(str)``: keys as given; ``axis_file_requested()``. Setters never emit.
    """

    point_clicked = pyqtSignal(int, int)
    frame_clicked = pyqtSignal(int)
    quantity_changed = pyqtSignal(str)
    axis_changed = pyqtSignal(str)
    axis_file_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[TrackCurve] = []
        self.quantity, self.axis = SnugComboBox(self), SnugComboBox(self)
        self.quantity.setToolTip("What is drawn")
        self.axis.setToolTip("Against what: frame, an axis of the series, or one from a CSV file")
        self.legend = QLabel(self)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setMinimumWidth(40)  # many names are cut rather than widen the window
        self.plot = make_plot("frame", "", parent=self)
        self.hint = PlotHint(EMPTY, self.plot)
        self.cursor_line = pg.InfiniteLine(angle=90)
        self.cursor_line.setZValue(20)
        self.plot.addItem(self.cursor_line, ignoreBounds=True)
        self._items: list[tuple[pg.PlotCurveItem, pg.PlotCurveItem, pg.ScatterPlotItem]] = []
        self._arrange()
        self.plot.recoloured(self._restyle)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.quantity.activated.connect(lambda k: self.quantity_changed.emit(self.quantity.itemData(k)))
        self.axis.activated.connect(self._on_axis)
        self.set_curves([], "")

    def set_quantities(self, entries: list[tuple[str, str]], current: str) -> None:
        """Offer quantities: key and text."""
        self._fill(self.quantity, entries, current)

    def set_axes(self, entries: list[tuple[str, str]], current: str) -> None:
        """Offer axes: key and text; a file can always be chosen."""
        self._fill(self.axis, [*entries, (FROM_FILE, FROM_FILE)], current)

    def set_curves(self, curves: list[TrackCurve], y_label: str, x_label: str = "frame") -> None:
        """Show tracks."""
        self._curves = list(curves)
        while len(self._items) < len(curves):
            items = (pg.PlotCurveItem(connect="pairs"), pg.PlotCurveItem(connect="finite"),
                     pg.ScatterPlotItem(size=5, pxMode=True, pen=None))  # fmt: skip
            for item in items:
                self.plot.addItem(item)
            self._items.append(items)
        for k, (bars, line, points) in enumerate(self._items):
            if k < len(curves):
                self._draw(curves[k], bars, line, points, k // COLOURS % len(STYLES))
            for item in (bars, line, points):
                item.setVisible(k < len(curves))
        self.plot.setLabel("left", y_label)
        self.plot.setLabel("bottom", x_label)
        self.hint.cover(not any(np.isfinite(curve.values).any() for curve in curves))
        names = [
            f'<span style="color:{c.colour}">{SIGNS[k // COLOURS % len(SIGNS)]}</span> {c.name}'
            for k, c in enumerate(curves[:NAMED])
        ]
        more = f" … and {len(curves) - NAMED} more" if len(curves) > NAMED else ""
        self.legend.setText("&nbsp;&nbsp; ".join(names) + more)

    def set_cursor(self, x: float) -> None:
        """Mark the frame on screen by its place on the axis; NaN hides the mark."""
        self.cursor_line.setVisible(bool(np.isfinite(x)))
        if np.isfinite(x):
            self.cursor_line.setValue(x)

    def _draw(
        self, curve: TrackCurve, bars: pg.PlotCurveItem, line: pg.PlotCurveItem,
        points: pg.ScatterPlotItem, look: int,
    ) -> None:  # fmt: skip
        known = np.isfinite(curve.x) & np.isfinite(curve.values)
        x, y, error = curve.x[known], curve.values[known], np.nan_to_num(curve.errors[known])
        bars.setData(np.repeat(x, 2), np.column_stack((y - error, y + error)).ravel())
        bars.setPen(pg.mkPen(tint(curve.colour, 0.45), width=1))
        points.setData(x, y, brush=pg.mkBrush(tint(curve.colour, 0.75)), symbol=SYMBOLS[look])
        line.setData(curve.x, curve.smooth)
        line.setPen(pg.mkPen(curve.colour, width=2 if len(x) < WIDE else 1, style=STYLES[look]))

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 6, 8, 0)
        head.setSpacing(8)
        head.addWidget(self.quantity)
        head.addWidget(QLabel("against", self))
        head.addWidget(self.axis)
        head.addSpacing(8)
        head.addWidget(self.legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.plot, 1)

    def _fill(self, box: QComboBox, entries: list[tuple[str, str]], current: str) -> None:
        box.clear()
        for key, text in entries:
            box.addItem(text, key)
        box.setCurrentIndex(max(box.findData(current), 0))

    def _restyle(self, colours: theme.Theme) -> None:
        self.cursor_line.setPen(pg.mkPen(colours.text, width=1))

    # gestures

    def _on_axis(self, which: int) -> None:
        key = self.axis.itemData(which)
        if key == FROM_FILE:
            self.axis_file_requested.emit()
        else:
            self.axis_changed.emit(key)

    def _on_click(self, event: MouseClickEvent) -> None:
        box = self.plot.getPlotItem().getViewBox()
        if event.button() == Qt.MouseButton.LeftButton and box.sceneBoundingRect().contains(event.scenePos()):
            self._go_to(box.mapSceneToView(event.scenePos()))

    def _go_to(self, at: QPointF) -> None:
        """The point next to the click, or else the frame that is next along the axis."""
        dx, dy = self.plot.getPlotItem().getViewBox().viewPixelSize()
        best: tuple[float, float, TrackCurve, int] | None = None
        for curve in self._curves:
            across, down = (curve.x - at.x()) / dx, (curve.values - at.y()) / dy
            apart = np.hypot(across, down)
            if np.isfinite(apart).any():
                k = int(np.nanargmin(apart))
                if best is None or apart[k] < best[0]:
                    best = (float(apart[k]), float(abs(across[k])), curve, k)
        if best is None:
            return
        if best[0] <= REACH_PX:
            self.point_clicked.emit(best[2].track, int(best[2].frames[best[3]]))
            return
        along = [(np.abs(c.x - at.x()), c) for c in self._curves if np.isfinite(c.x).any()]
        near, curve = min(along, key=lambda pair: float(np.nanmin(pair[0])))
        self.frame_clicked.emit(int(curve.frames[int(np.nanargmin(near))]))
