"""Histograms of maps, and profiles along a line through them with their error bands."""

from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QStackedWidget, QVBoxLayout, QWidget

from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import ThemedPlot, make_plot
from braggscope.widgets.plotting import colour as tint
from braggscope.widgets.prepare_fields import Segmented

Floats = NDArray[np.float64]
CHOICES = (("histogram", "Histogram"), ("profile", "Profile"))
NO_MAPS = "Histograms show strain or 1 σ, from the first positions on."
NO_LINE = "Draw a line on a map to see strain or 1 σ along it."


@dataclass(frozen=True, slots=True)
class Spread:
    """Histogram of one map: ``counts`` (N,) between ``edges`` (N + 1,), and its text for the legend."""

    name: str
    colour: str
    edges: Floats
    counts: Floats
    text: str = ""


@dataclass(frozen=True, slots=True)
class Along:
    """A map along a line: ``distance, values, errors`` (N,); errors are 1 sigma, NaN where unknown."""

    name: str
    colour: str
    distance: Floats
    values: Floats
    errors: Floats


class _Curves:
    """Lines with an optional band each, made as they are needed."""

    def __init__(self, plot: ThemedPlot) -> None:
        self._plot = plot
        self._items: list[
            tuple[pg.PlotCurveItem, pg.PlotCurveItem, pg.PlotCurveItem, pg.FillBetweenItem]
        ] = []

    def show(self, curves: list[tuple[Floats, Floats, Floats, str]]) -> None:
        """``(x, y, error, colour)`` of every curve."""
        while len(self._items) < len(curves):
            line, low, high = (pg.PlotCurveItem(connect="finite") for _ in range(3))
            band = pg.FillBetweenItem(low, high)
            for item in (band, low, high, line):
                self._plot.addItem(item)
            self._items.append((line, low, high, band))
        for k, (line, low, high, band) in enumerate(self._items):
            for item in (line, low, high, band):
                item.setVisible(k < len(curves))
            if k < len(curves):
                x, y, error, ink = curves[k]
                known = np.isfinite(y)
                spread = np.nan_to_num(error)
                line.setData(x, y)
                line.setPen(pg.mkPen(ink, width=1.6))
                for edge, sign in ((low, -1), (high, 1)):
                    edge.setData(x[known], (y + sign * spread)[known])
                    edge.setPen(None)
                band.setBrush(pg.mkBrush(tint(ink, 0.25)))


class StrainPlots(QWidget):
    """Either the histograms or the profile. Values in, nothing out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.choice = Segmented(CHOICES, "Plot", self)
        self.choice.set_value("histogram")
        self.legend = QLabel(self)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setMinimumWidth(20)
        self.histogram = make_plot("", "positions", parent=self)
        self.profile = make_plot("distance / positions", "", parent=self)
        self.no_maps = PlotHint(NO_MAPS, self.histogram)
        self.no_line = PlotHint(NO_LINE, self.profile)
        self._spreads, self._lines = _Curves(self.histogram), _Curves(self.profile)
        self._names: dict[str, str] = {"histogram": "", "profile": ""}
        self.pages = QStackedWidget(self)
        self.pages.addWidget(self.histogram)
        self.pages.addWidget(self.profile)
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 0, 0, 0)
        column.setSpacing(3)
        column.addWidget(self.choice)
        column.addWidget(self.legend)
        column.addWidget(self.pages, 1)
        self.choice.chosen.connect(lambda key: self.show_plot(str(key)))
        for plot in (self.histogram, self.profile):
            plot.setMinimumSize(60, 40)
        self.set_spreads([], "")
        self.set_profile([], "", "")

    def show_plot(self, key: str) -> None:
        """Show ``histogram`` or ``profile``."""
        self.choice.set_value(key)
        self.pages.setCurrentIndex(0 if key == "histogram" else 1)
        self.legend.setText(self._names[key])

    def set_spreads(self, spreads: list[Spread], x_label: str) -> None:
        """Show histograms."""
        curves = [
            (np.repeat(s.edges, 2)[1:-1], np.repeat(s.counts, 2), np.zeros(2 * len(s.counts)), s.colour)
            for s in spreads
        ]
        self._spreads.show(curves)
        self.histogram.setLabel("bottom", x_label)
        self.no_maps.cover(not spreads)
        self._name("histogram", [(s.colour, s.name) for s in spreads])
        self.histogram.setToolTip("\n".join(f"{s.name}: {s.text}" for s in spreads))

    def set_profile(self, lines: list[Along], x_label: str, y_label: str) -> None:
        """Show profiles."""
        self._lines.show([(a.distance, a.values, a.errors, a.colour) for a in lines])
        self.profile.setLabel("bottom", x_label)
        self.profile.setLabel("left", y_label)
        self.no_line.cover(not lines)
        self._name("profile", [(a.colour, a.name) for a in lines])

    def _name(self, key: str, names: list[tuple[str, str]]) -> None:
        self._names[key] = "&nbsp; ".join(f'<span style="color:{ink}">●</span> {name}' for ink, name in names)
        self.show_plot(str(self.choice.value()))
