"""Statistics and profile of the selected region, line or ring."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.plotting import make_plot

BUTTONS = (  # attribute, text, tooltip
    ("statistics", "Region", "Statistics of the drawn region"),
    ("line", "Line", "Draw a line and see the profile along it"),
    ("radial", "Radial", "Mean intensity against the distance from the centre"),
)


class RegionPanel(QWidget):
    """Values in, requests out."""

    radial_requested = pyqtSignal()
    line_requested = pyqtSignal()
    statistics_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 8, 10, 8)
        column.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.buttons: dict[str, QPushButton] = {}
        for name, text, tip in BUTTONS:
            button = QPushButton(text, self)
            button.setToolTip(tip)
            button.setStyleSheet("padding-left: 6px; padding-right: 6px;")
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            button.clicked.connect(lambda _, name=name: getattr(self, f"{name}_requested").emit())
            self.buttons[name] = button
            row.addWidget(button)
        column.addLayout(row)
        self.empty = QLabel("Draw a region or a line in the frame to see what is in it.", self)
        self.empty.setProperty("role", "muted")
        self.empty.setWordWrap(True)
        self.values = KeyValues(self)
        self.title = QLabel(self)
        self.title.setProperty("role", "caption")
        self.title.setIndent(0)
        self.plot = make_plot(parent=self)
        self.plot.setMinimumHeight(130)
        self.curve = self.plot.plot([], [], connect="finite")
        self.plot.recoloured(lambda colours: self.curve.setPen(pg.mkPen(colours.fit, width=1.5)))
        for widget in (self.empty, self.values, self.title):
            column.addWidget(widget)
        column.addWidget(self.plot, 1)
        self._filler = QWidget(self)
        column.addWidget(self._filler, 1)
        self.set_statistics([])
        self.set_profile([], [])

    def set_statistics(self, items: list[tuple[str, str]]) -> None:
        """Show ``(name, value with unit)`` pairs; an empty list takes them away."""
        self.values.set_items(items)
        self.values.setVisible(bool(items))
        self._tidy()

    def set_profile(
        self, x: ArrayLike, y: ArrayLike, x_label: str = "", y_label: str = "", title: str = ""
    ) -> None:
        """Show a curve, (N,) against (N,); NaN leaves a gap. Empty arrays take the plot away."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        self.curve.setData(x, y)
        item = self.plot.getPlotItem()
        item.getAxis("bottom").setLabel(x_label)
        item.getAxis("left").setLabel(y_label)
        self.title.setText(title)
        self.plot.setVisible(x.size > 0)
        self.title.setVisible(x.size > 0 and bool(title))
        self._filler.setVisible(x.size == 0)
        self.plot.enableAutoRange()
        self._tidy()

    def _tidy(self) -> None:
        self.empty.setVisible(self.values.isHidden() and self.plot.isHidden())
