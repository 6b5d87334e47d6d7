"""What the Instrument panel asks of the peaks: refinement, size and strain."""

import math

from PyQt6.QtCore import QTimer, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QWidget

from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.prepare_fields import FieldGrid, NumberField
from braggscope.widgets.section import Section

DEGREE = math.degrees(1.0)
REFINABLE = (("centre", "Centre"), ("distance", "Distance"), ("tilt", "Tilt"))


class RefineSection(Section):
    """Asks for a refinement, shows what it found, and asks whether to apply it."""

    refine_requested = pyqtSignal(tuple)  # of "centre", "distance", "tilt"
    apply_requested = pyqtSignal()
    discard_requested = pyqtSignal()
    shown = pyqtSignal(QWidget)  # what should be seen now

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Refine", parent=parent)
        self.free = {key: QCheckBox(title, self) for key, title in REFINABLE}
        for key in ("centre", "distance"):
            self.free[key].setChecked(True)
        self.add(row(*self.free.values(), spacing=0))
        self.refine = button("Refine on peaks", "Fit the rings to the peaks of the series, or of this frame")
        self.refine.clicked.connect(
            lambda: self.refine_requested.emit(
                tuple(key for key, box in self.free.items() if box.isChecked())
            )
        )
        self.add(self.refine)
        self.outcome = KeyValues(self)
        self.add(self.outcome)
        self.apply = button("Apply", "Use the refined instrument", self.apply_requested)
        self.discard = button("Discard", "Back to the instrument as it was", self.discard_requested)
        self.decision = row(self.apply, self.discard)
        self.add(self.decision)
        self.set_result([])

    def set_result(self, items: list[tuple[str, str]], summary: str = "", running: bool = False) -> None:
        """Show what a refinement found, for a decision; an empty list takes it away."""
        self.outcome.set_items(items)
        self.outcome.setVisible(bool(items))
        self.decision.setVisible(bool(items))
        self.refine.setText("Refining…" if running else "Refine on peaks")
        self.set_summary(summary)
        if items:
            QTimer.singleShot(0, self._reveal)  # once the layout knows of them

    def _reveal(self) -> None:
        self.shown.emit(self.decision)


class SizeSection(Section):
    """Asks for size, microstrain and strain of the peaks on the rings, and shows them."""

    analysis_requested = pyqtSignal(float)  # FWHM of the instrument in rad of 2theta
    refused = pyqtSignal(str)  # one sentence
    shown = pyqtSignal(QWidget)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Size and strain", is_open=False, parent=parent)
        grid = FieldGrid(self)
        self.own = NumberField("Instrument width", placeholder="0", parent=grid)
        self.own.entered.connect(self._width)
        self.own.refused.connect(self.refused)
        grid.add(
            "Own width", self.own, "°", "FWHM in 2θ that the instrument alone gives a peak; is subtracted"
        )
        self.add(grid)
        self.analyse = button(
            "Williamson-Hall",
            "Size and microstrain from the widths of fitted peaks on the rings of the substance",
        )
        self.analyse.clicked.connect(lambda: self.analysis_requested.emit(self._fwhm))
        self.add(self.analyse)
        self.outcome = KeyValues(self)
        self.add(self.outcome)
        self._fwhm = 0.0
        self.set_result([])

    def set_result(self, items: list[tuple[str, str]], running: bool = False) -> None:
        """Show what was found; an empty list takes it away."""
        self.outcome.set_items(items)
        self.outcome.setVisible(bool(items))
        self.analyse.setText("Analysing…" if running else "Williamson-Hall")
        if items:
            QTimer.singleShot(0, self._reveal)

    def _reveal(self) -> None:
        self.shown.emit(self.outcome)

    def _width(self, degrees: float | None) -> None:
        if degrees is not None and not 0 <= degrees < 90:
            self.own.set_value(self._fwhm * DEGREE or None)
            self.refused.emit("Own width: it is at least 0 and below 90 degrees; the old value stays.")
            return
        self._fwhm = (degrees or 0.0) / DEGREE
        self.own.set_value(degrees)


def button(text: str, tip: str, signal: object = None) -> QPushButton:
    """Push button that may emit a signal of its owner."""
    made = QPushButton(text)
    made.setToolTip(tip)
    if signal is not None:
        made.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
    return made


def row(*widgets: QWidget, spacing: int = 4) -> QWidget:
    """Widgets side by side."""
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    for widget in widgets:
        layout.addWidget(widget, 1)
    return holder
