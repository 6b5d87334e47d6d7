"""The learning curve: loss on what is trained on, and on what is held out."""

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QVBoxLayout, QWidget

from braggscope.models.tuning import LearningPoint
from braggscope.widgets import theme
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import make_plot

HEIGHT = 150  # px
EMPTY = "The learning curve appears here while the network is trained."


class TrainingCurve(QWidget):
    """Loss against step on a logarithmic scale, with the newest errors below."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plot = make_plot("step", "loss")
        self.plot.setFixedHeight(HEIGHT)
        self.plot.getPlotItem().setLogMode(False, True)
        self.trained = pg.PlotDataItem(name="training")
        self.held_out = pg.PlotDataItem(name="held out")
        self.legend = QLabel(self)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.legend.setWordWrap(True)
        for item in (self.trained, self.held_out):
            self.plot.addItem(item)
        self.hint = PlotHint(EMPTY, self.plot)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.plot, 1)
        column.addWidget(self.legend)
        self._points: tuple[LearningPoint, ...] = ()
        self.plot.recoloured(self._restyle)
        self.set_points(())

    def set_points(self, points: tuple[LearningPoint, ...]) -> None:
        """Show the curve as far as it goes."""
        self._points = points
        steps = np.array([p.step for p in points], float)
        self.trained.setData(steps, np.array([p.loss for p in points], float))
        self.held_out.setData(steps, np.array([p.held_out_loss for p in points], float))
        self.hint.cover(not points)
        self._describe(theme.current())

    def _restyle(self, colours: theme.Theme) -> None:
        self.trained.setPen(pg.mkPen(colours.muted, width=1.6, style=Qt.PenStyle.DashLine))
        self.held_out.setPen(pg.mkPen(colours.accent, width=2.2))
        self._describe(colours)

    def _describe(self, colours: theme.Theme) -> None:
        if not self._points:
            self.legend.setText("")
            return
        last = self._points[-1]
        self.legend.setText(
            f"<span style='color:{colours.muted}'>– – training</span>&nbsp;&nbsp;"
            f"<span style='color:{colours.accent}'>—— held out</span>"
            f"<br>median: {last.measured_px:.3f} px from the fit, {last.simulated_px:.3f} px from the truth"
        )
