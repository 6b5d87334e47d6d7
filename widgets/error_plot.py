"""How far apart the methods are, frame by frame, for several parameter sets at once."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget
from pyqtgraph.GraphicsScene.mouseEvents import MouseClickEvent

from braggscope.models.compare import GATE_PX
from braggscope.widgets import theme
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import make_plot
from braggscope.widgets.tips import as_written

QUANTITIES = {  # key: choice, axis
    "median": ("median |fit − BraggNN|", "distance / px"),
    "p95": ("95 % of |fit − BraggNN|", "distance / px"),
    "mean": ("mean |fit − BraggNN|", "distance / px"),
    "lost": ("peaks without a pair", "peaks"),
    "count": ("peaks per frame", "peaks"),
}
EMPTY = "Analyse the series to compare parameter sets frame by frame."


@dataclass(frozen=True, slots=True)
class Curve:
    """One parameter set: ``frames`` (N,) int, rising; ``values`` (N,) float, NaN where there is none."""

    name: str
    colour: str
    frames: NDArray[np.int64]
    values: NDArray[np.float64]

    def at(self, frame: int) -> float:
        """Value at a frame, NaN where there is none."""
        k = int(np.searchsorted(self.frames, frame))
        return float(self.values[k]) if k < len(self.frames) and self.frames[k] == frame else float("nan")


NARROW = 32  # px that a line and one letter need


class _Legend(QWidget):
    """Names of the curves with their values at the current frame, sharing one line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entries: list[tuple[str, str, str]] = []  # name, colour, value
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        return QSize(120, self.fontMetrics().height() + 4)

    def show_entries(self, entries: list[tuple[str, str, str]]) -> None:
        self.entries = entries
        self.setToolTip(as_written("\n".join(f"{name}  {value}" for name, _, value in entries)))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self.width() < NARROW * len(self.entries):
            return
        painter, metrics = QPainter(self), self.fontMetrics()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        wanted = [metrics.horizontalAdvance(name + value) + 50.0 for name, _, value in self.entries]
        if sum(wanted) > self.width():  # names matter more than values
            wanted = [metrics.horizontalAdvance(name) + 40.0 for name, _, _ in self.entries]
        x, middle = 0.0, self.height() / 2.0
        baseline = middle + (metrics.ascent() - metrics.descent()) / 2.0
        for (name, colour, value), room in zip(self.entries, _shares(wanted, self.width()), strict=True):
            painter.setPen(QPen(QColor(colour), 3.0, cap=Qt.PenCapStyle.RoundCap))
            painter.drawLine(QPointF(x + 2.0, middle), QPointF(x + 14.0, middle))
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, max(int(room - 36.0), 12))
            painter.setPen(QColor(colours.text))
            painter.drawText(QPointF(x + 20.0, baseline), text)
            after = x + 26.0 + metrics.horizontalAdvance(text)
            if after + metrics.horizontalAdvance(value) < x + room:
                painter.setPen(QColor(colours.muted))
                painter.drawText(QPointF(after, baseline), value)
            x += room


def _shares(wanted: list[float], total: float) -> list[float]:
    """Widths for all: short entries get what they want, the long ones share the rest evenly."""
    granted, left = [0.0] * len(wanted), total
    for done, k in enumerate(sorted(range(len(wanted)), key=lambda k: wanted[k])):
        granted[k] = min(wanted[k], left / (len(wanted) - done))
        left -= granted[k]
    return granted


class ErrorPlot(QWidget):
    """A quantity per frame against the frame, or against an external axis, one line per parameter set.

    ``frame_clicked(int)``: a click, or a drag of the cursor; ``quantity_changed(str)``: a key of
    :data:`QUANTITIES`. Setters never emit.
    """

    frame_clicked = pyqtSignal(int)
    quantity_changed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curves: list[Curve] = []
        self._axis: NDArray[np.float64] | None = None
        self._frame = 0
        self._lines: list[pg.PlotDataItem] = []
        self.quantity = QComboBox(self)
        for key, (label, _) in QUANTITIES.items():
            self.quantity.addItem(label, key)
        self.quantity.setToolTip(f"Answers over {GATE_PX:g} px apart are not of the same peak: no distance.")
        self.legend = _Legend(self)
        self.plot = make_plot("frame", QUANTITIES["median"][1], parent=self)
        self.hint = PlotHint(EMPTY, self.plot)
        self.cursor_line = pg.InfiniteLine(movable=True, angle=90)
        self.cursor_line.setZValue(20)
        self.dots = pg.ScatterPlotItem(size=8, pxMode=True)
        self.dots.setZValue(30)
        self.plot.addItem(self.cursor_line)
        self.plot.addItem(self.dots, ignoreBounds=True)
        self._arrange()
        self.plot.recoloured(self._restyle)
        self.plot.scene().sigMouseClicked.connect(self._on_click)
        self.cursor_line.sigDragged.connect(lambda line: self._go_to(line.value(), float("nan")))
        self.quantity.activated.connect(lambda k: self._on_quantity(self.quantity.itemData(k)))
        self.set_curves([])

    def set_curves(self, curves: list[Curve]) -> None:
        """Show these parameter sets."""
        self._curves = list(curves)
        while len(self._lines) < len(curves):
            line = self.plot.plot(connect="finite", antialias=True)
            line.setDownsampling(auto=True, method="peak")
            self._lines.append(line)
        for k, line in enumerate(self._lines):
            line.setVisible(k < len(curves))
            if k < len(curves):
                line.setData(self._x(curves[k].frames), np.asarray(curves[k].values, np.float64))
                line.setPen(pg.mkPen(curves[k].colour, width=1))  # wider takes Qt 100 times as long
            else:
                line.setData([], [])
        empty = not any(np.isfinite(curve.values).any() for curve in curves)
        self.hint.cover(empty)
        self._mark_frame()

    def set_frame(self, frame: int) -> None:
        """Move the cursor."""
        self._frame = frame
        self._mark_frame()

    def set_quantity(self, name: str) -> None:
        """Show the name of the quantity that the curves hold: a key of :data:`QUANTITIES`."""
        self.quantity.setCurrentIndex(self.quantity.findData(name))
        self.plot.setLabel("left", QUANTITIES[name][1])
        self._mark_frame()

    def set_axis(self, label: str, values: NDArray[np.float64] | None) -> None:
        """Draw against ``values`` (one per frame of the source, e.g. volts) instead of the frame's number."""
        self._axis = None if values is None else np.asarray(values, np.float64)
        self.plot.setLabel("bottom", "frame" if values is None else label)
        self.set_curves(self._curves)

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 6, 8, 0)
        head.setSpacing(14)
        head.addWidget(self.quantity)
        head.addWidget(self.legend, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(head)
        column.addWidget(self.plot, 1)
        self.plot.getPlotItem().getViewBox().setLimits(yMin=0.0)

    def _restyle(self, colours: theme.Theme) -> None:
        self.cursor_line.setPen(pg.mkPen(colours.text, width=1))
        self.cursor_line.setHoverPen(pg.mkPen(colours.accent, width=3))
        self.dots.setPen(pg.mkPen(colours.panel, width=1.5))
        self.legend.update()

    def _x(self, frames: NDArray) -> NDArray[np.float64]:
        if self._axis is None:
            return np.asarray(frames, np.float64)
        inside = (frames >= 0) & (frames < len(self._axis))
        values = np.append(self._axis, np.nan)
        return values[np.where(inside, frames, len(self._axis))]

    def _mark_frame(self) -> None:
        x = float(self._x(np.array([self._frame]))[0])
        if np.isfinite(x):
            self.cursor_line.setValue(x)
        values = [curve.at(self._frame) for curve in self._curves]
        whole = QUANTITIES[self.quantity.currentData()][1] == "peaks"
        texts = ["" if np.isnan(v) else f"{v:,.0f}" if whole else f"{v:.3f}" for v in values]
        self.legend.show_entries(
            [(c.name, c.colour, text) for c, text in zip(self._curves, texts, strict=True)]
        )
        shown = [(v, c.colour) for v, c in zip(values, self._curves, strict=True) if np.isfinite(v + x)]
        self.dots.setData([x] * len(shown), [v for v, _ in shown], brush=[pg.mkBrush(c) for _, c in shown])

    # gestures

    def _on_quantity(self, name: str) -> None:
        self.set_quantity(name)
        self.quantity_changed.emit(name)

    def _on_click(self, event: MouseClickEvent) -> None:
        box = self.plot.getPlotItem().getViewBox()
        if event.button() == Qt.MouseButton.LeftButton and box.sceneBoundingRect().contains(event.scenePos()):
            at = box.mapSceneToView(event.scenePos())
            self._go_to(at.x(), at.y())

    def _go_to(self, x: float, y: float) -> None:
        frame = self._nearest(x, y)
        if frame is not None and frame != self._frame:
            self.set_frame(frame)
            self.frame_clicked.emit(frame)

    def _nearest(self, x: float, y: float) -> int | None:
        """The frame whose point is nearest on screen; an external axis may pass the same value twice."""
        frames = [curve.frames for curve in self._curves if len(curve.frames)]
        if not frames:
            return None
        if self._axis is None:
            return int(np.clip(round(x), min(f[0] for f in frames), max(f[-1] for f in frames)))
        dx, dy = self.plot.getPlotItem().getViewBox().viewPixelSize()
        every = np.concatenate(frames)
        values = np.concatenate([curve.values for curve in self._curves if len(curve.frames)])
        apart = ((self._x(every) - x) / dx) ** 2
        if np.isfinite(y):
            apart = apart + ((values - y) / dy) ** 2
        return None if np.isnan(apart).all() else int(every[np.nanargmin(apart)])
