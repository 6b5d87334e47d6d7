"""The settings of the simulation bench: a slider and a number for each, with its unit."""

import math
from dataclasses import replace
from typing import NamedTuple

from PyQt6.QtCore import QLocale, QObject, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.bench_settings import BenchSettings, Neighbour
from braggscope.widgets.prepare_fields import FieldGrid, Segmented

_STEPS = 1000  # of a slider


class Scale(NamedTuple):
    """One number: its limits, decimals, and whether the slider is logarithmic."""

    name: str
    unit: str
    low: float
    high: float
    decimals: int = 2
    logarithmic: bool = False
    tip: str = ""


PEAK = {
    "sigma": Scale("Width σ", "px", 0.4, 5.0, 2, True, "standard deviation along the short axis"),
    "ratio": Scale("Long / short axis", "", 1.0, 4.0),
    "angle": Scale("Angle", "°", -90.0, 90.0, 0, tip="of the long axis, from x towards y"),
    "eta": Scale("Lorentzian part η", "", 0.0, 1.0, tip="0: a Gaussian; 1: a Lorentzian"),
    "snr": Scale("SNR", "", 2.0, 500.0, 1, True, "height over the noise of a pixel, at the middle"),
    "background": Scale("Background", "counts", 1.0, 5000.0, 0, True, "at the lowest pixel of the window"),
    "slope": Scale("Slope", "counts/px", 0.0, 50.0, 1, tip="of the background, along x"),
    "missing": Scale(
        "Columns missing", "px", 0.0, 10.0, 0, tip="of the window, beyond the edge of the frame"
    ),
}
SECOND = {
    "distance": Scale("Distance", "px", 1.0, 10.0),
    "angle": Scale("Direction", "°", -180.0, 180.0, 0, tip="from x towards y"),
    "height": Scale("Relative height", "", 0.05, 1.5),
}
SCALES = (*PEAK.values(), *SECOND.values())


class NumberSlider(QObject):
    """A slider and a spin box for one number. ``changed(float)``: by a gesture; setters never emit."""

    changed = pyqtSignal(float)

    def __init__(self, scale: Scale, grid: QGridLayout, row: int, parent: QWidget) -> None:
        super().__init__(parent)
        self.scale = scale
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setMinimumWidth(48)
        self.box = QDoubleSpinBox()
        self.box.setLocale(QLocale.c())
        self.box.setDecimals(scale.decimals)
        self.box.setRange(scale.low, scale.high)
        self.box.setSingleStep(max((scale.high - scale.low) / 50, 10.0**-scale.decimals))
        self.box.setKeyboardTracking(False)
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.box.setFixedWidth(84)
        self.labels = [QLabel(scale.name), QLabel(scale.unit)]
        for column, widget in enumerate((self.labels[0], self.slider, self.box, self.labels[1])):
            widget.setToolTip(scale.tip)
            grid.addWidget(widget, row, column)
        for label in self.labels:
            label.setProperty("role", "muted")
        self.slider.setAccessibleName(scale.name)
        self.box.setAccessibleName(f"{scale.name} {scale.unit}".strip())
        self.slider.valueChanged.connect(self._slid)
        self.box.valueChanged.connect(self._typed)

    @property
    def value(self) -> float:
        """The number shown."""
        return self.box.value()

    def set_value(self, value: float) -> None:
        """Show a number."""
        for widget in (self.slider, self.box):
            widget.blockSignals(True)
        self.box.setValue(value)
        self.slider.setValue(self._place(self.box.value()))
        for widget in (self.slider, self.box):
            widget.blockSignals(False)

    def set_enabled(self, enabled: bool) -> None:
        """Grey out the whole row, or not."""
        for widget in (self.slider, self.box, *self.labels):
            widget.setEnabled(enabled)

    def set_highest(self, high: float) -> None:
        """Another upper limit."""
        self.scale = self.scale._replace(high=high)
        for widget in (self.slider, self.box):
            widget.blockSignals(True)
        self.box.setMaximum(high)
        self.slider.setValue(self._place(self.box.value()))
        for widget in (self.slider, self.box):
            widget.blockSignals(False)

    def _place(self, value: float) -> int:
        low, high = self.scale.low, self.scale.high
        if self.scale.logarithmic:
            return round(_STEPS * math.log(value / low) / math.log(high / low))
        return round(_STEPS * (value - low) / (high - low))

    def _slid(self, place: int) -> None:
        low, high, part = self.scale.low, self.scale.high, place / _STEPS
        value = low * (high / low) ** part if self.scale.logarithmic else low + part * (high - low)
        self.box.blockSignals(True)
        self.box.setValue(value)
        self.box.blockSignals(False)
        self.changed.emit(self.box.value())

    def _typed(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(self._place(value))
        self.slider.blockSignals(False)
        self.changed.emit(value)


class BenchControls(QWidget):
    """All settings. ``settings_changed(BenchSettings)``: by a gesture only."""

    settings_changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = BenchSettings()
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 6, 12, 6)
        column.setSpacing(4)
        self.peak = self._rows(column, "Peak and background", PEAK)
        self.second_on = QCheckBox("A second peak", self)
        column.addWidget(self.second_on)
        self.second = self._rows(column, "", SECOND)
        self._choices(column)
        column.addStretch(1)
        self.set_settings(replace(self._settings, second=Neighbour()))
        self.set_settings(replace(self._settings, second=None))
        for name, row in self.peak.items():
            row.changed.connect(lambda value, name=name: self._change(**{name: _inside(name, value)}))
        for row in self.second.values():
            row.changed.connect(lambda _: self._change(second=self._neighbour()))
        self.second_on.toggled.connect(lambda on: self._change(second=self._neighbour() if on else None))
        self.window_size.chosen.connect(lambda size: self._change(window=size))
        self.noise.chosen.connect(lambda kind: self._change(noise=kind))
        self.seed.valueChanged.connect(lambda seed: self._change(seed=seed))
        self.again.clicked.connect(lambda _: self.seed.setValue(self.seed.value() + 1))

    @property
    def settings(self) -> BenchSettings:
        """The settings shown."""
        return self._settings

    def set_settings(self, settings: BenchSettings) -> None:
        """Show other settings."""
        self._settings = settings
        half = settings.window // 2
        self.peak["missing"].set_highest(half)
        self.second["distance"].set_highest(half + 1)
        for name, row in self.peak.items():
            value = float(getattr(settings, name))
            row.set_value(math.degrees(value) if name == "angle" else value)
        second = settings.second
        self.second_on.blockSignals(True)
        self.second_on.setChecked(second is not None)
        self.second_on.blockSignals(False)
        for name, row in self.second.items():
            row.set_enabled(second is not None)
            if second is not None:
                value = float(getattr(second, name))
                row.set_value(math.degrees(value) if name == "angle" else value)
        self.window_size.set_value(settings.window)
        self.noise.set_value(settings.noise)
        self.seed.blockSignals(True)
        self.seed.setValue(settings.seed)
        self.seed.blockSignals(False)

    def _neighbour(self) -> Neighbour:
        values = {name: row.value for name, row in self.second.items()}
        return Neighbour(values["distance"], math.radians(values["angle"]), values["height"])

    def _change(self, **changes: object) -> None:
        settings = replace(self._settings, **changes)  # type: ignore[arg-type]
        half = settings.window // 2
        if settings.missing > half:
            settings = replace(settings, missing=half)
        if settings.second is not None and settings.second.distance > half + 1:
            settings = replace(settings, second=replace(settings.second, distance=half + 1.0))
        self.set_settings(settings)
        self.settings_changed.emit(settings)

    def _rows(self, column: QVBoxLayout, title: str, scales: dict[str, Scale]) -> dict[str, NumberSlider]:
        if title:
            caption = QLabel(title, self)
            caption.setProperty("role", "caption")
            caption.setIndent(0)
            column.addWidget(caption)
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        grid.setColumnMinimumWidth(0, self._room([scale.name for scale in SCALES]))
        grid.setColumnMinimumWidth(3, self._room([scale.unit for scale in SCALES]))
        column.addLayout(grid)
        return {name: NumberSlider(scale, grid, k, self) for k, (name, scale) in enumerate(scales.items())}

    def _room(self, texts: list[str]) -> int:
        """Width in px of a column of labels, the same in all groups."""
        return max(self.fontMetrics().horizontalAdvance(text) for text in texts) + 2

    def _choices(self, column: QVBoxLayout) -> None:
        self.window_size = Segmented([(11, "11"), (15, "15"), (21, "21")], "Window", self)
        self.noise = Segmented([("gaussian", "Gaussian"), ("counting", "counting")], "Noise", self)
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 2**31 - 1)
        self.seed.setKeyboardTracking(False)
        self.seed.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.again = QPushButton("Draw again", self)
        seed = QWidget(self)
        pair = QHBoxLayout(seed)
        pair.setContentsMargins(0, 0, 0, 0)
        pair.addWidget(self.seed, 1)
        pair.addWidget(self.again)
        self.again.setToolTip("The next seed: other centres, other noise")
        grid = FieldGrid(self, label_width=self._room([scale.name for scale in SCALES]))
        grid.add("Window", self.window_size, "px", "of the fits; networks keep theirs")
        grid.add("Noise", self.noise, "", "the same everywhere, or counting statistics")
        grid.add("Seed", seed)
        column.addWidget(grid)


def _inside(name: str, value: float) -> float | int:
    """A number as the settings hold it: angles in rad, columns whole."""
    return math.radians(value) if name == "angle" else round(value) if name == "missing" else value
