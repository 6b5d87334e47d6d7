"""How disks are found: by which method, with which probe, above which thresholds."""

from dataclasses import dataclass
from typing import NamedTuple

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from braggscope.models.disks.parameters import Strain
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import FieldGrid, NumberField, Segmented
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.strain_fields import SliderField
from braggscope.widgets.strain_methods import METHODS, Swatch
from braggscope.widgets.strain_network import NetworkSection
from braggscope.widgets.strain_probe import ProbeSection


class Slide(NamedTuple):
    """A threshold with a slider. ``empty``: text of the empty field, where None is allowed."""

    title: str
    unit: str
    low: float
    high: float
    power: float
    empty: str
    tip: str


SLIDES = {
    "threshold": Slide("Score", "", 0, 1, 2, "", "Share of the strongest disk's score but the direct one"),
    "spacing": Slide("Spacing", "px", 1, 100, 2, "auto", "Least distance of two disks; empty: 1.5 radii"),
    "edge": Slide("Edge", "px", 0, 60, 1.5, "", "Disks nearer to the edge of the pattern are left out"),
    "smoothing": Slide("Smoothing", "px", 0, 10, 1.5, "", "Sigma of smoothing of the correlation map"),
    "power": Slide("Power", "", 0, 1, 1, "", "1: cross correlation, 0: phase correlation, between: hybrid"),
}
CHOICES = {
    "subpixel": (
        "Sub-pixel",
        {"upsampled": "DFT upsampling", "parabola": "parabola", "none": "none"},
        "How the maximum is refined",
    ),
    "kernel": (
        "Template",
        {"sigmoid": "sigmoid edge", "gaussian": "Gaussian edge", "flat": "the probe itself"},
        "What is done at the edge of the template",
    ),
    "intensity": (
        "Intensity",
        {"log": "logarithm", "sqrt": "square root", "linear": "as it is"},
        "What of the pattern is correlated",
    ),
}
NUMBERS = {"most": ("Most", "Disks per pattern, at most"), "absolute": ("Least score", "0: no limit")}
CORRELATED = ("power", "smoothing", "kernel", "intensity")


@dataclass(frozen=True, slots=True)
class LiveCount:
    """What a method found in the pattern on screen: ``disks``, after ``ms``; ``problem``: why none."""

    disks: int
    ms: float
    problem: str = ""

    @property
    def text(self) -> str:
        """``42 disks · 3 ms``, or what is wrong."""
        return self.problem or f"{self.disks} {'disk' if self.disks == 1 else 'disks'} · {self.ms:.0f} ms"


class DisksPanel(QWidget):
    """``changed(dict, bool)``: fields of Strain, and whether a gesture goes on.

    ``overlay_changed(tuple)``: the methods whose disks are to be drawn on the pattern.
    """

    changed = pyqtSignal(dict, bool)
    overlay_changed = pyqtSignal(tuple)
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.page = SectionPage(self)
        self.probe = ProbeSection()
        self.probe.changed.connect(lambda changes: self.changed.emit(changes, False))
        self.probe.refused.connect(self.refused)
        self.network = NetworkSection()
        self.page.add(self._methods())
        self.page.add(self.network)
        self.page.add(self.probe)
        self.page.add(self._finding())
        self.page.add(self._correlation())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.page)
        self.set_strain(Strain(), None)
        self.set_overlay(())
        self.set_counts({})

    # ---- values in ----

    def set_strain(self, strain: Strain, radius: float | None) -> None:
        """Show parameters; ``radius`` px of the probe, None while there is none."""
        self.method.set_value(strain.method)
        self.methods_section.set_summary(METHODS[strain.method].title)
        self.advice.setText(METHODS[strain.method].advice)
        for name, slide in self.sliders.items():
            slide.set_value(getattr(strain, name), 1.5 * radius if name == "spacing" and radius else None)
        for name, box in self.choices.items():
            box.setCurrentIndex(box.findData(getattr(strain, name)))
        for name, field in self.numbers.items():
            field.set_value(getattr(strain, name))
        self.probe.set_settings(strain.probe_file, strain.probe_radius)
        self.finding.set_summary(f"score ≥ {strain.threshold:.3g}")

    def set_overlay(self, methods: tuple[str, ...]) -> None:
        """Which methods are drawn on the pattern."""
        for name, check in self.overlays.items():
            check.setChecked(name in methods)

    def set_counts(self, counts: dict[str, LiveCount]) -> None:
        """What the methods found in the pattern on screen."""
        for name, label in self.counts.items():
            count = counts.get(name)
            label.setText("" if count is None else count.text)

    # ---- building ----

    def _methods(self) -> Section:
        self.methods_section = section = Section("Method")
        self.method = Segmented(
            [(k, s.title.removesuffix(" fit")) for k, s in METHODS.items()], "Method", section
        )
        for key, style in METHODS.items():
            self.method.button(key).setToolTip(style.tip)
        self.method.chosen.connect(lambda key: self.changed.emit({"method": key}, False))
        section.add(self.method)
        table = QWidget(section)
        grid = QGridLayout(table)
        grid.setContentsMargins(0, 2, 0, 0)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(2, 1)
        self.overlays: dict[str, QCheckBox] = {}
        self.counts: dict[str, ElidedLabel] = {}
        for k, (key, style) in enumerate(METHODS.items()):
            check, swatch, count = (
                QCheckBox(style.title, table),
                Swatch(key, table),
                ElidedLabel(role="muted", parent=table),
            )
            check.setToolTip(f"Draw the disks of this method on the pattern: {style.tip}")
            check.clicked.connect(self._overlay_clicked)
            count.mode = Qt.TextElideMode.ElideRight
            for column, widget in enumerate((swatch, check, count)):
                grid.addWidget(widget, k, column)
            self.overlays[key], self.counts[key] = check, count
        section.add(table)
        self.advice = QLabel(section)
        self.advice.setWordWrap(True)
        self.advice.setProperty("role", "muted")
        section.add(self.advice)
        return section

    def _finding(self) -> Section:
        self.finding = Section("Thresholds")
        grid = FieldGrid(self.finding, label_width=66)
        self.sliders: dict[str, SliderField] = {}
        self.choices: dict[str, QComboBox] = {}
        self.numbers: dict[str, NumberField] = {}
        for name in SLIDES:
            if name not in CORRELATED:
                self._slider(grid, name)
        for name, (title, tip) in NUMBERS.items():
            field = NumberField(title, "", grid)
            field.entered.connect(lambda v, n=name: self._number(n, v))
            field.refused.connect(self.refused)
            grid.add(title, field, "", tip)
            self.numbers[name] = field
        self.finding.add(grid)
        return self.finding

    def _correlation(self) -> Section:
        section = Section("Correlation", is_open=False)
        grid = FieldGrid(section, label_width=66)
        for name in CORRELATED:
            if name in SLIDES:
                self._slider(grid, name)
        for name, (title, values, tip) in CHOICES.items():
            box = QComboBox(grid)
            for value, text in values.items():
                box.addItem(text, value)
            box.activated.connect(lambda _, n=name, b=box: self.changed.emit({n: b.currentData()}, False))
            grid.add(title, box, "", tip)
            self.choices[name] = box
        section.add(grid)
        return section

    def _slider(self, grid: FieldGrid, name: str) -> None:
        slide = SLIDES[name]
        field = SliderField(slide.title, slide.low, slide.high, slide.power, slide.empty, grid)
        field.moved.connect(lambda value, n=name: self.changed.emit({n: value}, True))
        field.settled.connect(lambda: self.changed.emit({}, False))
        field.refused.connect(self.refused)
        grid.add(slide.title, field, slide.unit, slide.tip)
        self.sliders[name] = field

    # ---- gestures ----

    def _number(self, name: str, value: float | None) -> None:
        if name == "most":
            self.changed.emit({name: 200 if value is None else round(value)}, False)
        else:
            self.changed.emit({name: value or 0.0}, False)

    def _overlay_clicked(self) -> None:
        self.overlay_changed.emit(tuple(k for k, check in self.overlays.items() if check.isChecked()))
