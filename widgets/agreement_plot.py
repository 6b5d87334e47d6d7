"""How far any two methods are apart: in the plane, or against what it may depend on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QStackedWidget, QVBoxLayout, QWidget

from braggscope.models.compare import GATE_PX, NO_DIFFERENCES, Agreement, Differences, agreement
from braggscope.widgets import theme
from braggscope.widgets.method_grid import concise
from braggscope.widgets.offset_plot import OffsetPlot
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.prepare_fields import small_button
from braggscope.widgets.snug_combo import SnugComboBox
from braggscope.widgets.trend_plot import TrendPlot

MOST_DRAWN = 20_000
EMPTY = "Analyse the series to see how far the methods are apart."
VIEWS = {  # key: what is seen; all but the first are quantities of Differences
    "plane": "Δx, Δy",
    "sigma": "σ",
    "snr": "SNR",
    "elongation": "shape",
    "frame": "frame",
}
METHODS = {"fit": "fit", "braggnn": "BraggNN", "net": "network", "combined": "combined"}


class AgreementPlot(QWidget):
    """Differences of two methods with their statistics.

    ``peak_clicked(frame, peak)``: the user chose a point; ``pair_changed(first, second)``: two methods;
    ``list_requested``: a list of peaks is to be opened and compared. Setters never emit.
    """

    peak_clicked = pyqtSignal(int, int)
    pair_changed = pyqtSignal(str, str)
    list_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown = NO_DIFFERENCES
        self._drawn: NDArray[np.int64] = np.zeros(0, np.int64)
        self._colour = theme.SERIES_COLOURS[0]
        self._chosen = (-1, -1)  # frame and peak that are ringed
        self.first, self.second, self.view = (SnugComboBox(self) for _ in range(3))
        for key, text in VIEWS.items():
            self.view.addItem(text, key)
        self.open = small_button("open", "Compare with a peak list…", self)
        self.plane, self.trends = OffsetPlot(self), TrendPlot(self)
        self.pages = QStackedWidget(self)
        self.summary, self.remark = QLabel(self), QLabel(self)
        self.remark.setProperty("role", "muted")
        self._arrange()
        self.hint = PlotHint(EMPTY, self.plane.plot)
        for box in (self.first, self.second):
            box.activated.connect(lambda _: self.pair_changed.emit(*self.pair()))
        self.view.activated.connect(lambda _: self._draw())
        self.open.clicked.connect(lambda _: self.list_requested.emit())
        for plot in (self.plane, self.trends):
            plot.point_clicked.connect(self._on_point)
        self.set_methods(tuple(METHODS.items()), ("fit", "braggnn"))
        self.set_differences(NO_DIFFERENCES)

    # ---- values in ----

    def set_methods(self, choices: Sequence[tuple[str, str]], pair: tuple[str, str]) -> None:
        """Offer methods (key, name) and show which two are compared."""
        for box, key in zip((self.first, self.second), pair, strict=True):
            if [(box.itemData(k), box.itemText(k)) for k in range(box.count())] != list(choices):
                box.clear()
                for value, text in choices:
                    box.addItem(text, value)
            box.setCurrentIndex(box.findData(key))

    def set_view(self, name: str) -> None:
        """Show one of :data:`VIEWS`."""
        self.view.setCurrentIndex(self.view.findData(name))
        self._draw()

    def set_differences(
        self, differences: Differences, colour: str = theme.SERIES_COLOURS[0], note: str = ""
    ) -> None:
        """Show other peaks; ``note`` ends the line under the plot."""
        self._shown, self._colour = differences, colour
        self._drawn = np.arange(len(differences.dx))
        if len(self._drawn) > MOST_DRAWN:
            random = np.random.default_rng(0)
            self._drawn = np.sort(random.choice(self._drawn, MOST_DRAWN, replace=False, shuffle=False))
        self._statistics = agreement(differences.dx, differences.dy)
        self._describe(note)
        self._draw()

    def highlight(self, frame: int, peak: int) -> None:
        """Ring one peak, if it has a point."""
        self._chosen = (frame, peak)
        here = (self._shown.frame[self._drawn] == frame) & (self._shown.peak[self._drawn] == peak)
        hits = np.flatnonzero(here)
        page = self.plane if self.pages.currentWidget() is self.plane else self.trends
        page.highlight(int(hits[0]) if len(hits) else None)

    def pair(self) -> tuple[str, str]:
        """The methods that are compared."""
        return str(self.first.currentData()), str(self.second.currentData())

    def statistics(self) -> Agreement:
        """Of the differences shown."""
        return self._statistics

    # ---- drawing ----

    def _draw(self) -> None:
        shown, drawn, view = self._shown, self._drawn, str(self.view.currentData())
        dx, dy = shown.dx[drawn], shown.dy[drawn]
        if view == "plane" or not len(drawn):
            self.plane.set_points(dx, dy, self._colour)
            self.pages.setCurrentWidget(self.plane)
        else:
            self.trends.set_points(shown.against[view][drawn], dx, dy, view, self._colour)
            self.pages.setCurrentWidget(self.trends)
        self.hint.cover(not len(drawn))
        self.highlight(*self._chosen)

    def _describe(self, note: str) -> None:
        shown, found = self._shown, self._statistics
        text = ""
        if found.pairs:
            text = f"median {found.median:.3f}   95\u00a0%\u00a0{found.p95:.3f}   "
            text += (
                f"Δx\u00a0{_mean(found.dx, found.dx_err)}   Δy\u00a0{_mean(found.dy, found.dy_err)}\u00a0px"
            )
        self.summary.setText(text)
        counts = (
            (shown.pairs, "pairs"),
            (shown.silent, "with one answer"),
            (shown.far, f"further than {GATE_PX:g} px apart"),
            (shown.only_second, "only in the list"),
        )
        parts = [f"{count:,} {what}" for count, what in counts if count]
        if len(self._drawn) < shown.pairs:
            parts.append(f"{len(self._drawn):,} drawn")
        self.remark.setText(" · ".join([*parts, note] if note else parts))

    def _arrange(self) -> None:
        head = QHBoxLayout()
        head.setContentsMargins(8, 6, 8, 0)
        head.setSpacing(4)
        for widget in (self.first, QLabel("−", self), self.second, self.view):
            head.addWidget(widget)
        head.addStretch()
        head.addWidget(self.open)
        for box, name in ((self.first, "First method"), (self.second, "Second method"), (self.view, "View")):
            box.setAccessibleName(name)
            box.setToolTip(f"{name}. Answers over {GATE_PX:g} px apart are not of the same peak.")
        for page in (self.plane, self.trends):
            self.pages.addWidget(page)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(1)
        column.addLayout(head)
        column.addWidget(self.pages, 1)
        for label in (self.summary, self.remark):
            label.setWordWrap(True)
            label.setContentsMargins(10, 0, 10, 0)
            column.addWidget(label)

    # ---- gestures ----

    def _on_point(self, index: int) -> None:
        row = int(self._drawn[index])
        frame, peak = int(self._shown.frame[row]), int(self._shown.peak[row])
        self.highlight(frame, peak)
        self.peak_clicked.emit(frame, peak)


def _mean(value: float, error: float) -> str:
    """A difference in px with its error in the last digits."""
    return concise(value, error).replace("-", "−")
