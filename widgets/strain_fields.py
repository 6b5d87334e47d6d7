"""Inputs of the strain panels: a slider with its number, and what is shown before it is applied."""

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSlider, QWidget

from braggscope.widgets.instrument_sections import button, row
from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.prepare_fields import NumberField
from braggscope.widgets.section import Section

STEPS = 500


class SliderField(QWidget):
    """A number from ``low`` to ``high``; ``power`` above 1 gives small numbers more room.

    ``moved(object)``: float, or None where the field was emptied and may be; ``settled()`` at the end of a
    gesture. Numbers beyond the ends of the slider can be typed.
    """

    moved = pyqtSignal(object)
    settled = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(
        self, name: str, low: float, high: float, power: float = 1.0, empty: str = "",
        parent: QWidget | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._range, self._power, self._empty = (low, high), power, empty
        self.slider = QSlider(Qt.Orientation.Horizontal, self)
        self.slider.setRange(0, STEPS)
        self.slider.setPageStep(STEPS // 20)
        self.slider.setMinimumWidth(50)
        self.slider.setAccessibleName(f"{name}, slider")
        self.field = NumberField(name, empty or f"{low:g}", self)
        self.field.setFixedWidth(self.fontMetrics().horizontalAdvance("0000.00") + 18)
        line = QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        line.addWidget(self.slider, 1)
        line.addWidget(self.field)
        self.slider.valueChanged.connect(self._slid)
        self.slider.sliderReleased.connect(self.settled)
        self.field.entered.connect(self._typed)
        self.field.refused.connect(self.refused)

    def set_value(self, value: float | None, assumed: float | None = None) -> None:
        """Show a number; ``assumed``: where the slider stands while there is none."""
        self.field.set_value(value)
        low, high = self._range
        place = value if value is not None else assumed if assumed is not None else low
        share = min(max((place - low) / (high - low), 0.0), 1.0) ** (1 / self._power)
        blocked = self.slider.blockSignals(True)
        if not self.slider.isSliderDown():
            self.slider.setValue(round(share * STEPS))
        self.slider.blockSignals(blocked)

    def _slid(self, step: int) -> None:
        low, high = self._range
        value = float(f"{low + (high - low) * (step / STEPS) ** self._power:.3g}")
        self.field.set_value(value)
        self.moved.emit(value)
        if not self.slider.isSliderDown():
            self.settled.emit()

    def _typed(self, value: float | None) -> None:
        self.moved.emit(self._range[0] if value is None and not self._empty else value)
        self.settled.emit()


class ProposalSection(Section):
    """Something that is computed on request, shown, and then applied or discarded."""

    requested = pyqtSignal()
    apply_requested = pyqtSignal()
    discard_requested = pyqtSignal()
    shown = pyqtSignal(QWidget)  # what should be seen now

    def __init__(self, title: str, text: str, tip: str, *, is_open: bool = True) -> None:
        super().__init__(title, is_open=is_open)
        self._text = text
        self.ask = button(text, tip, self.requested)
        self.outcome = KeyValues(self)
        self.apply = button("Apply", "Use what was found", self.apply_requested)
        self.discard = button("Discard", "Leave everything as it was", self.discard_requested)
        self.apply.setProperty("role", "primary")
        self.decision = row(self.apply, self.discard)
        self.pictures: list[QWidget] = []

    def finish(self, *pictures: QWidget) -> None:
        """Append button, outcome, what pictures it, and the decision, below the fields."""
        self.pictures = list(pictures)
        for widget in (self.ask, self.outcome, *pictures, self.decision):
            self.add(widget)
        self.set_result([])

    def set_result(self, items: list[tuple[str, str]]) -> None:
        """Show what was found, for a decision; an empty list takes it away."""
        for widget in (self.outcome, self.decision, *self.pictures):
            widget.setVisible(bool(items))
        self.outcome.set_items(items)
        self.ask.setText(self._text)
        if items:
            self.set_open(True)
            QTimer.singleShot(0, self._reveal)  # once the layout knows of them

    def set_running(self, running: bool) -> None:
        """Whether it is being computed."""
        self.ask.setText("Working …" if running else self._text)

    def _reveal(self) -> None:
        self.shown.emit(self.decision)

    @property
    def buttons(self) -> tuple[QPushButton, QPushButton, QPushButton]:
        """Ask, apply, discard."""
        return self.ask, self.apply, self.discard
