"""A sentence in the place of an empty plot."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QVBoxLayout

from braggscope.widgets.plotting import ThemedPlot


class PlotHint(QLabel):
    """Says what would fill a plot while there is nothing to draw; then the axes are hidden."""

    def __init__(self, text: str, plot: ThemedPlot) -> None:
        super().__init__(text, plot)
        self._plot = plot
        self.setProperty("role", "muted")
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        cover = QVBoxLayout(plot)
        cover.setContentsMargins(16, 8, 16, 8)
        cover.addWidget(self)

    def cover(self, empty: bool) -> None:
        """Show either the sentence or the plot."""
        self.setVisible(empty)
        self._plot.getPlotItem().setVisible(not empty)
