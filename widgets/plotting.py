"""Plots in the program's own style: muted axes, light grid, colours that follow the theme."""

import math
from collections.abc import Callable

import pyqtgraph as pg
from PyQt6.QtCore import QObject, Qt
from PyQt6.QtGui import QColor, QFont
from PyQt6.QtWidgets import QApplication, QGraphicsSceneWheelEvent, QWidget

from braggscope.widgets import theme
from braggscope.widgets.theme import Theme

pg.setConfigOptions(antialias=True)  # curves ask the configuration, not their view
SIDES = ("bottom", "left", "top", "right")


class _CalmViewBox(pg.ViewBox):
    """Pans by dragging, zooms by Ctrl + wheel only, fits on a double click; no context menu."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)

    def wheelEvent(self, ev: QGraphicsSceneWheelEvent, axis: int | None = None) -> None:
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(ev, axis)
        else:
            ev.ignore()

    def mouseDoubleClickEvent(self, ev: QObject) -> None:
        self.enableAutoRange()


class ThemedPlot(pg.PlotWidget):
    """A plot that repaints itself when the theme changes. ``recoloured(theme)`` hooks are for its curves."""

    def __init__(self, labels: dict[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent, viewBox=_CalmViewBox(), background=None)
        for side in SIDES:  # no prefixes, for which every change of range would write the label anew
            self.getPlotItem().getAxis(side).enableAutoSIPrefix(False)
        for side, label in labels.items():
            self.getPlotItem().getAxis(side).setLabel(label)
        self._hooks: list[Callable[[Theme], None]] = []
        self.setAntialiasing(True)
        self.hideButtons()
        self.setFrameShape(self.Shape.NoFrame)
        menu = self.getPlotItem().ctrlMenu  # without a parent it outlives the plot, and holds all it knows
        menu.setParent(self, menu.windowFlags())
        theme.on_change(self._restyle)

    def recoloured(self, hook: Callable[[Theme], None]) -> None:
        """Call ``hook(theme)`` now and after every change of theme, as long as the plot lives."""
        self._hooks.append(hook)
        hook(theme.current())

    def _restyle(self, colours: Theme) -> None:
        self.setBackground(colours.panel)
        style_plot(self.getPlotItem(), colours)
        for hook in self._hooks:
            hook(colours)


def make_plot(
    x_label: str = "", y_label: str = "", x_units: str = "", y_units: str = "", parent: QWidget | None = None
) -> ThemedPlot:
    """Empty plot with labelled axes; units are written after a slash and never rescaled by prefixes."""
    labels = {}
    for side, label, units in (("bottom", x_label, x_units), ("left", y_label, y_units)):
        if label or units:
            labels[side] = f"{label} / {units}" if label and units else label or units
    return ThemedPlot(labels, parent)


def style_plot(plot: pg.PlotItem, colours: Theme | None = None) -> None:
    """Give axes, labels, grid and title of a plot item the theme's colours and font."""
    colours = colours or theme.current()
    font = tick_font()
    for side in SIDES:
        axis = plot.getAxis(side)
        axis.setPen(pg.mkPen(colours.line, width=1))
        axis.setTextPen(pg.mkPen(colours.muted))
        axis.setStyle(tickFont=font, tickLength=-4, tickTextOffset=6, maxTickLevel=1)
        axis.label.setFont(font)
        if axis.labelText:
            axis.setLabel(axis.labelText, color=colours.muted)
    plot.showGrid(x=True, y=True, alpha=0.25)
    plot.setMenuEnabled(False)
    if plot.titleLabel.text:
        plot.setTitle(plot.titleLabel.text, color=colours.muted, size=f"{font.pointSizeF():g}pt")


def log_ticks(axis: pg.AxisItem) -> None:
    """Label an axis of decadic logarithms with 1, 2 and 5 of every decade."""
    marks = [digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5)]
    axis.setTicks([[(math.log10(mark), f"{mark:,g}") for mark in marks]])


def tick_font() -> QFont:
    """Slightly smaller than the program's font, with figures of one width."""
    font = QFont(QApplication.font())
    font.setPointSizeF(max(font.pointSizeF() - 1.0, 7.0))
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def colour(name: str, alpha: float = 1.0) -> QColor:
    """A colour role of the theme (``"fit"``, ``"muted"`` …), or any hex colour, with an opacity in 0 … 1."""
    value = QColor(name if name.startswith("#") else getattr(theme.current(), name))
    value.setAlphaF(alpha)
    return value
