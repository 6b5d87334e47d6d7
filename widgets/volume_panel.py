"""From the measured stack to the pattern that is phased: every step, what it did, and how to leave it out."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.cdi.parameters import Phasing
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.phasing_choices import PhasingStanding, entry_sentence
from braggscope.widgets.prepare_fields import FieldGrid, FileRow, NumberField, Segmented, small_button
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.tips import as_written
from braggscope.widgets.volume_geometry import VolumeGeometry

SWITCHES = {  # field of Phasing: step, title, tooltip
    "hot_voxels": ("hot", "Hot voxels", "Mask voxels far brighter than all their neighbours"),
    "aliens": (
        "aliens",
        "Alien peaks",
        "Mask peaks that have no counterpart on the other side of the middle",
    ),
    "centre": ("centre", "Centre", "Move the peak to the middle"),
}
FILES = {
    "mask_file": ("Mask", "a mask file (non-zero = bad)"),
    "dark_file": ("Dark", "a dark frame, subtracted from every frame"),
    "flat_file": ("Flat", "a flat field, by which every frame is divided"),
}
HINT = "Open the rocking curve of one Bragg peak first."
PREPARE_TIP = "Read the whole stack and prepare it with the steps below"


class VolumePanel(QWidget):
    """Shows :class:`Phasing` and what the preparation said; emits a validated new one for every edit.

    ``choose_file_requested``, ``file_cleared``: mask_file, dark_file or flat_file.
    """

    phasing_changed = pyqtSignal(object)
    prepare_requested = pyqtSignal()
    cancel_requested = pyqtSignal()
    choose_file_requested = pyqtSignal(str)
    file_cleared = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value, self._standing = Phasing(), PhasingStanding()
        self.switches: dict[str, QCheckBox] = {}
        self.said: dict[str, ElidedLabel] = {}
        self.files: dict[str, FileRow] = {}
        self.page = SectionPage(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head())
        column.addWidget(self.page, 1)
        self.page.add(self._files())
        self.page.add(self._cleaning())
        self.page.add(self._cutting())
        self.page.add(self._geometry())
        self.set_possible(False)
        self.set_error("")
        self.set_phasing(self._value)
        self.set_standing(self._standing)

    # ---- building ----

    def _head(self) -> QWidget:
        head = QWidget(self)
        column = QVBoxLayout(head)
        column.setContentsMargins(8, 4, 8, 4)
        column.setSpacing(6)
        self.prepare = QPushButton("Prepare", head)
        self.prepare.setProperty("role", "primary")
        self.prepare.clicked.connect(lambda _: self._prepare_or_cancel())
        self.bar = QProgressBar(head)
        self.bar.setTextVisible(False)
        self.input = Segmented((("intensity", "Counts"), ("amplitude", "Amplitude")), "Values are", head)
        self.input.setToolTip("What the values of the stack are: counts, or their square root")
        self.input.chosen.connect(lambda value: self._change(input=value))
        self.note, self.hint, self.error = QLabel(head), QLabel(head), QLabel(head)
        for label, role in ((self.note, "muted"), (self.hint, "muted"), (self.error, "error")):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setProperty("role", role)
        for widget in (self.prepare, self.bar, self.note, self.input, self.hint, self.error):
            column.addWidget(widget)
        return head

    def _files(self) -> Section:
        section = Section("Mask, dark, flat", is_open=False, parent=self)
        for name, (title, tip) in FILES.items():
            row = FileRow(title, tip, section)
            row.choose_requested.connect(lambda name=name: self.choose_file_requested.emit(name))
            row.cleared.connect(lambda name=name: self.file_cleared.emit(name))
            self.files[name] = row
            section.add(row)
        self.calibration = section
        return section

    def _cleaning(self) -> Section:
        section = Section("Cleaning", parent=self)
        for name in ("hot_voxels", "aliens"):
            section.add(self._switch(name, section))
        row, line = _row(section)
        label = QLabel("Brush", row)
        label.setProperty("role", "muted")
        self.said["brush"] = _said(row)
        self.clear_brush = small_button("delete", "Take all strokes of the brush away", row)
        self.clear_brush.clicked.connect(lambda _: self._change(brushed=()))
        for widget, stretch in ((label, 0), (self.said["brush"], 1), (self.clear_brush, 0)):
            line.addWidget(widget, stretch)
        section.add(row)
        grid = FieldGrid(section)
        self.saturation = NumberField("Saturation", parent=grid)
        self.saturation.entered.connect(lambda value: self._change(saturation=value))
        self.saturation.refused.connect(self.set_error)
        grid.add("Saturation", self.saturation, "counts", "Counts at and above this are not used")
        section.add(grid)
        self.cleaning = section
        return section

    def _cutting(self) -> Section:
        section = Section("Centre, crop, bin", parent=self)
        section.add(self._switch("centre", section))
        grid = FieldGrid(section, 60)
        self.crop = NumberField("Crop", "all", grid)
        self.crop.entered.connect(lambda value: self._change(crop=None if value is None else int(value)))
        self.crop.refused.connect(self.set_error)
        grid.add("Crop", self.crop, "voxels", "Side of the cube around the peak; empty = the whole stack")
        row, line = _row(grid)
        self.binning: list[QSpinBox] = []
        for axis in "zyx":
            spin = QSpinBox(row)
            spin.setRange(1, 16)
            spin.setPrefix(f"{axis} ")
            spin.setKeyboardTracking(False)
            spin.setAccessibleName(f"Binning along {axis}")
            spin.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            spin.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            spin.setMinimumWidth(40)
            spin.valueChanged.connect(lambda _: self._binned())
            self.binning.append(spin)
            line.addWidget(spin, 1)
        grid.add("Binning", row, "", "Voxels summed along frame, row and column")
        section.add(grid)
        self.oversampling = QLabel(section)
        self.oversampling.setWordWrap(True)
        self.oversampling.setProperty("role", "muted")
        section.add(self.oversampling)
        self.cutting = section
        return section

    def _geometry(self) -> Section:
        section = Section("Geometry", parent=self)
        self.instrument = VolumeGeometry(section)
        self.instrument.geometry_changed.connect(lambda value: self._change(geometry=value))
        self.instrument.vector_changed.connect(lambda name, value: self._change(**{name: value}))
        self.instrument.refused.connect(self.set_error)
        section.add(self.instrument)
        self.measured = section
        return section

    def _switch(self, name: str, parent: QWidget) -> QWidget:
        step, title, tip = SWITCHES[name]
        row, line = _row(parent)
        box = QCheckBox(title, row)
        box.setToolTip(tip)
        box.clicked.connect(lambda on: self._change(**{name: on}))
        self.switches[name] = box
        self.said[step] = _said(row)
        line.addWidget(box)
        line.addWidget(self.said[step], 1)
        return row

    # ---- values in ----

    def set_phasing(self, value: Phasing) -> None:
        """Show parameters."""
        self._value = value
        self.input.set_value(value.input)
        for name, box in self.switches.items():
            box.setChecked(getattr(value, name))
        self.clear_brush.setEnabled(bool(value.brushed))
        self.saturation.set_value(value.saturation)
        self.crop.set_value(value.crop)
        for spin, number in zip(self.binning, value.binning, strict=True):
            spin.blockSignals(True)
            spin.setValue(number)
            spin.blockSignals(False)
        self.instrument.set_geometry(value.geometry)
        self.instrument.set_vector("voxel_nm", value.voxel_nm)
        self.instrument.set_vector("q_inv_angstrom", value.q_inv_angstrom)

    def set_files(self, files: Mapping[str, str | None]) -> None:
        """Show the mask, dark and flat file in use."""
        for name, row in self.files.items():
            row.set_file(files.get(name))
        used = [FILES[name][0].lower() for name in FILES if files.get(name)]
        self.calibration.set_summary(", ".join(used) or "none")

    def set_steps(self, steps: Mapping[str, str], notes: tuple[str, ...] = ()) -> None:
        """What every step amounts to; empty before the stack is prepared."""
        for name, label in self.said.items():
            label.setText(steps.get(name, ""))
        self.cleaning.set_summary(f"{steps['gaps']} missing" if "gaps" in steps else "")
        self.cutting.set_summary(steps.get("binning", ""))
        known = "oversampling" in steps
        self.oversampling.setVisible(known)
        self.oversampling.setText(
            f"Oversampling z, y, x: {steps.get('oversampling', '')} (2 or more is safe)"
        )
        self.oversampling.setToolTip(as_written("\n".join(notes)))

    def set_possible(self, possible: bool, hint: str = HINT) -> None:
        """Whether a stack is open; otherwise what to do first."""
        self.prepare.setEnabled(possible)
        self.hint.setText("" if possible else hint)
        self.hint.setVisible(not possible)

    def set_standing(self, standing: PhasingStanding) -> None:
        """Show how far the preparation is, where it takes more than a moment."""
        self._standing = standing
        self.bar.setRange(0, standing.total)
        self.bar.setValue(standing.done)
        left = standing.remaining_s
        self.note.setText(standing.note + ("" if left is None else f" · {time_text(left)} left"))
        for widget in (self.bar, self.note):
            widget.setVisible(standing.running)
        self.prepare.setText("Cancel" if standing.running else "Prepare")
        self.prepare.setToolTip("Stop reading and preparing" if standing.running else PREPARE_TIP)

    def set_error(self, text: str) -> None:
        """One sentence about an entry or a stack that cannot be used; empty takes it away."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    # ---- gestures ----

    def _prepare_or_cancel(self) -> None:
        if self._standing.running:
            self.cancel_requested.emit()
        else:
            self.prepare_requested.emit()

    def _binned(self) -> None:
        self._change(binning=tuple(spin.value() for spin in self.binning))

    def _change(self, **changes: Any) -> None:
        try:
            new = Phasing.model_validate({**dict(self._value), **changes})
        except ValidationError as error:
            self.set_error(entry_sentence(error))
            return
        self.set_error("")
        if new != self._value:
            self.set_phasing(new)
            self.phasing_changed.emit(new)


def _row(parent: QWidget) -> tuple[QWidget, QHBoxLayout]:
    row = QWidget(parent)
    line = QHBoxLayout(row)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(6)
    return row, line


def _said(parent: QWidget) -> ElidedLabel:
    label = ElidedLabel("", "muted", parent)
    label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return label
