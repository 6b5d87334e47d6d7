"""Edits how frames are prepared: mask, calibration, binning, background, orientation on the screen."""

from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.parameters import Preparation
from braggscope.widgets.prepare_fields import FieldGrid, FileRow, NumberField, Segmented, restyle
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.shape_tools import ShapeList, ShapeTools

NUMBERS = {  # field of Preparation: name, unit, tooltip
    "threshold_low": ("Low", "counts", "Raw values below this are masked"),
    "threshold_high": ("High", "counts", "Raw values above this are masked"),
    "hot_pixels": ("Hot pixels", "z", "A lone pixel with a robust z-score above this is masked"),
    "saturation": ("Saturation", "counts", "Counts at and above this are saturated"),
}
FILES = {
    "mask_file": ("Mask", "a mask file (non-zero = bad)"),
    "dark_file": ("Dark", "a dark frame, subtracted from every frame"),
    "flat_file": ("Flat", "a flat field, by which every frame is divided"),
}


class PreparePanel(QWidget):
    """Shows a Preparation and emits a full, validated new one for every edit."""

    preparation_changed = pyqtSignal(object)
    tool_requested = pyqtSignal(str, str)  # tool ("" = put it down), "mask" or "region"
    choose_file_requested = pyqtSignal(str)  # "mask_file", "dark_file", "flat_file"
    save_mask_requested = pyqtSignal()
    orientation_changed = pyqtSignal(int, bool, bool)  # degrees clockwise, mirrored left-right, up-down
    show_background_toggled = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value = Preparation()
        self.numbers: dict[str, NumberField] = {}
        self.files: dict[str, FileRow] = {}
        self.error = QLabel(self)
        self.error.setProperty("role", "error")
        self.error.setWordWrap(True)
        self.error.setContentsMargins(10, 6, 10, 6)
        self.page = SectionPage(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.error)
        layout.addWidget(self.page, 1)
        self.sections = {
            "mask": self._mask_section(),
            "calibration": self._calibration_section(),
            "frames": self._frames_section(),
            "background": self._background_section(),
            "display": self._display_section(),
        }
        for section in self.sections.values():
            self.page.add(section)
        self.set_counts("")
        self.set_error("")
        self.set_preparation(self._value)

    def set_preparation(self, value: Preparation) -> None:
        """Show a preparation."""
        self._value = value
        self.dtype_limits.setChecked(value.dtype_limits)
        for name, field in self.numbers.items():
            field.set_value(getattr(value, name))
        for name, row in self.files.items():
            row.set_file(getattr(value, name))
        self.shapes.set_shapes(value.masked, value.regions)
        self.binning.set_value(value.binning)
        for spin, number in (
            (self.sum_frames, value.sum_frames),
            (self.background_window, value.background_window),
        ):
            spin.blockSignals(True)
            spin.setValue(number)
            spin.blockSignals(False)
        self.background.setCurrentIndex(self.background.findData(value.background))
        self.centre_x.set_value(value.centre[0] if value.centre else None)
        self.centre_y.set_value(value.centre[1] if value.centre else None)
        self._summarise()

    def set_counts(self, text: str) -> None:
        """What the mask amounts to, such as ``912 px masked (1.4 %)``."""
        self.sections["mask"].set_summary(text)

    def set_error(self, text: str) -> None:
        """One sentence about an entry that cannot be used; empty takes it away."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def set_tool(self, tool: str) -> None:
        """Show which drawing tool is in hand; empty for none."""
        self.tools.set_tool(tool)

    def set_orientation(self, rotation_deg: int, flip_h: bool, flip_v: bool) -> None:
        """Show how frames are turned for display."""
        self.rotation.set_value(rotation_deg)
        self.flip_h.setChecked(flip_h)
        self.flip_v.setChecked(flip_v)
        self._summarise()

    def set_background_shown(self, on: bool) -> None:
        """Show whether the frame view shows the background estimate."""
        self.show_background.setChecked(on)

    def _mask_section(self) -> Section:
        section = Section("Mask", parent=self)
        self.dtype_limits = QCheckBox("Limits of the data type", section)
        self.dtype_limits.setToolTip("Negative and all-ones integers are bad pixels")
        self.dtype_limits.clicked.connect(lambda on: self._change(dtype_limits=on))
        section.add(self.dtype_limits)
        grid = FieldGrid(section)
        for name, (label, unit, tip) in NUMBERS.items():
            field = NumberField(label, parent=grid)
            field.entered.connect(lambda value, name=name: self._change(**{name: value}))
            field.refused.connect(self.set_error)
            self.numbers[name] = field
            grid.add(label, field, unit, tip)
        section.add(grid)
        section.add(self._file_row("mask_file", section))
        self.tools = ShapeTools(section)
        self.tools.tool_requested.connect(self.tool_requested)
        section.add(self.tools)
        self.shapes = ShapeList(section)
        self.shapes.delete_requested.connect(self._delete_shape)
        section.add(self.shapes)
        self.save_mask = QPushButton("Save mask…", section)
        self.save_mask.setToolTip("Write all that is masked now to a file")
        self.save_mask.clicked.connect(lambda: self.save_mask_requested.emit())
        section.add(self.save_mask)
        return section

    def _calibration_section(self) -> Section:
        section = Section("Calibration", parent=self)
        for name in ("dark_file", "flat_file"):
            section.add(self._file_row(name, section))
        return section

    def _frames_section(self) -> Section:
        section = Section("Binning and sum", parent=self)
        grid = FieldGrid(section)
        self.binning = Segmented([(1, "1"), (2, "2"), (4, "4")], "Binning", grid)
        self.binning.chosen.connect(lambda value: self._change(binning=value))
        self.sum_frames = QSpinBox(grid)
        self.sum_frames.setRange(1, 1000)
        self.sum_frames.setKeyboardTracking(False)
        self.sum_frames.valueChanged.connect(lambda value: self._change(sum_frames=value))
        grid.add("Binning", self.binning, "px", "Sum squares of this many pixels a side")
        grid.add("Sum", self.sum_frames, tip="Add this many successive frames")
        section.add(grid)
        return section

    def _background_section(self) -> Section:
        section = Section("Background", is_open=False, parent=self)
        self.background_grid = grid = FieldGrid(section)
        self.background = QComboBox(grid)
        for value in ("none", "radial", "median"):
            self.background.addItem(value.capitalize(), value)
        self.background.activated.connect(lambda i: self._change(background=self.background.itemData(i)))
        self.background_window = QSpinBox(grid)
        self.background_window.setRange(5, 501)
        self.background_window.setSingleStep(2)
        self.background_window.setKeyboardTracking(False)
        self.background_window.valueChanged.connect(lambda value: self._change(background_window=value))
        grid.add("Estimate", self.background, "", "Background that is subtracted before peaks are sought")
        grid.add("Window", self.background_window, "px", "Side of the square whose median is the background")
        self.centre_x = self._centre_field("Centre x")
        self.centre_y = self._centre_field("Centre y")
        section.add(grid)
        self.show_background = QCheckBox("Show background", section)
        self.show_background.setToolTip("Show the estimate in place of the frame")
        self.show_background.clicked.connect(self.show_background_toggled)
        section.add(self.show_background)
        return section

    def _display_section(self) -> Section:
        section = Section("Orientation", is_open=False, parent=self)
        self.rotation = Segmented([(d, f"{d}°") for d in (0, 90, 180, 270)], "Rotation", section)
        self.rotation.chosen.connect(lambda _: self._turned())
        self.rotation.setToolTip("Turn clockwise on the screen; data and results stay as stored")
        section.add(self.rotation)
        row = QWidget(section)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        self.flip_h, self.flip_v = QCheckBox("Mirror ↔", row), QCheckBox("Mirror ↕", row)
        for flip in (self.flip_h, self.flip_v):
            flip.clicked.connect(lambda _: self._turned())
            line.addWidget(flip)
        section.add(row)
        self.rotation.set_value(0)
        return section

    def _file_row(self, name: str, parent: QWidget) -> FileRow:
        row = FileRow(*FILES[name], parent)
        row.choose_requested.connect(lambda: self.choose_file_requested.emit(name))
        row.cleared.connect(lambda: self._change(**{name: None}))
        self.files[name] = row
        return row

    def _centre_field(self, label: str) -> NumberField:
        field = NumberField(label, "middle", self.background_grid)
        field.entered.connect(lambda _: self._centre_changed())
        field.refused.connect(self.set_error)
        self.background_grid.add(label, field, "px", "Centre of the rings; empty = middle of the frame")
        return field

    def _centre_changed(self) -> None:
        texts = [field.text().strip() for field in (self.centre_x, self.centre_y)]
        if not any(texts):
            self._change(centre=None)
        elif not all(texts):
            self.set_error("The centre needs x and y; type the other one too, or empty both.")
        else:
            try:
                self._change(centre=(float(texts[0]), float(texts[1])))
            except ValueError:
                self.set_error(f"The centre “{', '.join(texts)}” is not a pair of numbers; correct it.")

    def _delete_shape(self, target: str, index: int) -> None:
        name = "masked" if target == "mask" else "regions"
        shapes = getattr(self._value, name)
        self._change(**{name: shapes[:index] + shapes[index + 1 :]})

    def _turned(self) -> None:
        self._summarise()
        rotation = self.rotation.value()
        assert isinstance(rotation, int)
        self.orientation_changed.emit(rotation, self.flip_h.isChecked(), self.flip_v.isChecked())

    def _change(self, **changes: Any) -> None:
        try:
            new = Preparation.model_validate({**dict(self._value), **changes})
        except ValidationError as error:
            self.set_error(_sentence(error))
            return
        low, high = new.threshold_low, new.threshold_high
        if low is not None and high is not None and low >= high:
            self.set_error(f"Low {low:g} is not below high {high:g}, all pixels would be masked; change one.")
            return
        self.set_error("")
        if new != self._value:
            self.set_preparation(new)
            self.preparation_changed.emit(new)

    def _summarise(self) -> None:
        value, sections = self._value, self.sections
        used = [FILES[name][0].lower() for name in ("dark_file", "flat_file") if getattr(value, name)]
        sections["calibration"].set_summary(", ".join(used) or "none")
        frames = f"{value.binning} × {value.binning}"
        sections["frames"].set_summary(frames + (f", sum {value.sum_frames}" if value.sum_frames > 1 else ""))
        sections["background"].set_summary(value.background)
        turned = (
            [f"{self.rotation.value()}°"] + ["↔"] * self.flip_h.isChecked() + ["↕"] * self.flip_v.isChecked()
        )
        sections["display"].set_summary("as stored" if turned == ["0°"] else " ".join(turned))
        self.background_grid.show_row(self.background_window, value.background == "median")
        for field in (self.centre_x, self.centre_y):
            self.background_grid.show_row(field, value.background == "radial")
        self.show_background.setEnabled(value.background != "none")
        restyle(self.show_background)


def _sentence(error: ValidationError) -> str:
    """The first complaint, with the name that the panel shows."""
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else "entry"
    name = NUMBERS[field][0] if field in NUMBERS else field.replace("_", " ").capitalize()
    return f"{name}: {first['msg'].replace('Input should', 'the value should')}; you typed {first['input']}."
