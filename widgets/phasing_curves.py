"""Chi and R against iteration, live, one curve for every start and stage."""

import math
from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from braggscope.widgets import theme
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import log_ticks, make_plot

EMPTY = "Chi and R of every start appear here while the crystal is being phased."


class PhasingCurves(QWidget):
    """Every point is (iteration, chi, R, stage); R may be NaN. Chi is solid, R dashed, logarithmic."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = make_plot("iteration", "chi, R")
        self.plot.getPlotItem().getAxis("left").setWidth(48)
        log_ticks(self.plot.getPlotItem().getAxis("left"))
        self.legend = ElidedLabel("", "muted", self)
        self._curves: dict[tuple[str, str], pg.PlotDataItem] = {}
        self._stages: dict[str, list[tuple[int, float, float]]] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.legend)
        column.addWidget(self.plot, 1)
        self.hint = PlotHint(EMPTY, self.plot)
        self.clear()

    def minimumSizeHint(self) -> QSize:
        """Qt: a small plot is better than none."""
        return QSize(160, 100)

    # ---- values in ----

    def clear(self) -> None:
        """Forget everything."""
        for curve in self._curves.values():
            self.plot.removeItem(curve)
        self._curves, self._stages = {}, {}
        self.legend.setText("")
        self.hint.cover(True)

    def add_points(self, points: Sequence[tuple[int, float, float, str]]) -> None:
        """More iterations."""
        touched: dict[str, None] = {}
        for iteration, chi, r, stage in points:
            self._stages.setdefault(stage, []).append((iteration, chi, r))
            touched[stage] = None
        for stage in touched:
            self._draw(stage)
        if self._stages:
            self.hint.cover(False)
            last = next(reversed(self._stages))
            iteration, chi, r = self._stages[last][-1]
            name = "misfit" if last == "refinement" else "chi"
            said = f"{name} {chi:.4f}" + (f"   R {r:.4f}" if math.isfinite(r) else "")
            self.legend.setText(f"—  chi   - -  R      {last}: {said}")

    @property
    def stages(self) -> dict[str, int]:
        """Stages on screen with their numbers of iterations."""
        return {stage: len(rows) for stage, rows in self._stages.items()}

    # ---- drawing ----

    def _draw(self, stage: str) -> None:
        rows = np.array(self._stages[stage], float)
        gaps = np.flatnonzero(np.diff(rows[:, 0]) > 1) + 1  # other stages ran between: no line across them
        rows = np.insert(rows, gaps, np.nan, axis=0)
        place = list(self._stages).index(stage)
        ink = QColor(theme.SERIES_COLOURS[place % len(theme.SERIES_COLOURS)])
        for name, column, style in (("chi", 1, Qt.PenStyle.SolidLine), ("R", 2, Qt.PenStyle.DashLine)):
            values = rows[:, column]
            if not np.isfinite(values).any():
                continue
            key = (stage, name)
            if key not in self._curves:
                pen = pg.mkPen(ink, width=2 if name == "chi" else 1.2, style=style)
                self._curves[key] = self.plot.plot(pen=pen, antialias=True, connect="finite")
            self._curves[key].setData(rows[:, 0], np.log10(np.where(values > 1e-6, values, np.nan)))
