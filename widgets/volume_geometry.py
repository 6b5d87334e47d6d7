"""How a rocking curve was measured, typed in or taken from the metadata, and what follows for the voxels."""

from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.widgets.prepare_fields import FieldGrid, NumberField, Segmented

FIELDS = {  # name: label, unit, tooltip
    "energy_keV": ("Energy", "keV", "Of the photons"),
    "distance_m": ("Distance", "m", "From the crystal to the detector"),
    "pixel_row": ("Pixel, rows", "µm", "Height of a detector pixel"),
    "pixel_column": ("Pixel, columns", "µm", "Width of a detector pixel"),
    "delta_deg": ("δ, upwards", "°", "Detector arm above the horizontal plane"),
    "gamma_deg": ("γ, sideways", "°", "Detector arm towards +x, to the left when looking along the beam"),
    "step_deg": ("Step", "°", "Turn of the sample from frame to frame, right-handed, with its sign"),
}
OPTIONAL = ("delta_deg", "gamma_deg")
VECTORS = {
    "voxel_nm": ("Voxel", "nm", "Size of the object's voxels where the axes are orthogonal"),
    "q_inv_angstrom": ("Q", "Å⁻¹", "Scattering vector of the peak"),
}


class VolumeGeometry(QWidget):
    """``geometry_changed``: BraggGeometry or None. ``vector_changed``: name, (z, y, x) or None.

    ``metadata_requested``, ``spec_requested``: fill in what a file knows. Setters never emit.
    """

    geometry_changed = pyqtSignal(object)
    vector_changed = pyqtSignal(str, object)
    metadata_requested = pyqtSignal()
    spec_requested = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value: BraggGeometry | None = None
        self.fields: dict[str, NumberField] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        self.way = Segmented((("angles", "Angles"), ("voxel", "Voxel and Q")), "Geometry", self)
        self.way.chosen.connect(self._show_way)
        self._angles = self._angles_page()
        self._vectors = self._vectors_page()
        self.note = QLabel(self)
        self.note.setWordWrap(True)
        self.note.setProperty("role", "muted")
        for widget in (self.way, self._angles, self._vectors, self.note):
            column.addWidget(widget)
        self.way.set_value("angles")
        self._show_way("angles")
        self.set_note("")

    def _angles_page(self) -> QWidget:
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        grid = FieldGrid(page, 88)
        for name, (label, unit, tip) in FIELDS.items():
            field = NumberField(label, "0" if name in OPTIONAL else "unknown", grid)
            field.entered.connect(lambda value, field=field: self._entered(field, value))
            field.refused.connect(self.refused)
            self.fields[name] = field
            grid.add(label, field, unit, tip)
        self.axis = Segmented((("y", "y"), ("x", "x")), "Rocking axis", grid)
        self.axis.chosen.connect(lambda _: self._typed())
        self.axis.set_value("y")
        grid.add(
            "Turned about",
            self.axis,
            "",
            "Axis about which the sample is turned: y is vertical, x horizontal",
        )
        self.fill = QPushButton("From metadata", page)
        self.fill.setToolTip("Fill in what the file says about itself")
        self.fill.clicked.connect(lambda _: self.metadata_requested.emit())
        self.spec = QPushButton("From a SPEC file…", page)
        self.spec.setToolTip("Take energy, detector angles and step of a scan")
        self.spec.clicked.connect(lambda _: self.spec_requested.emit())
        for widget in (grid, self.fill, self.spec):
            column.addWidget(widget)
        return page

    def _vectors_page(self) -> QWidget:
        grid = FieldGrid(self, 92)
        for name, (label, unit, tip) in VECTORS.items():
            for axis in "zyx":
                field = NumberField(f"{label} {axis}", "unknown", grid)
                field.entered.connect(lambda value, field=field, name=name: self._vector(field, value, name))
                field.refused.connect(self.refused)
                self.fields[f"{name}_{axis}"] = field
                grid.add(f"{label} {axis}", field, unit, tip)
        return grid

    # ---- values in ----

    def set_geometry(self, value: BraggGeometry | None) -> None:
        """Show a geometry; None leaves what is half typed."""
        if value is None and self._value is None:
            return
        self._value = value
        self.fill_in({} if value is None else known_of(value), replace=True)
        if value is not None:
            self.axis.set_value(value.axis)
            self._show_way("angles")

    def fill_in(self, known: dict[str, float], *, replace: bool = False) -> None:
        """Show numbers by the names of FIELDS; others stay, unless ``replace``."""
        for name in FIELDS:
            if name in known or replace:
                value = known.get(name)
                self.fields[name].set_value(None if value is None else float(f"{value:.6g}"))

    def take(self, known: dict[str, float], axis: str | None = None) -> None:
        """Fill in numbers, and the rocking axis where it is known, as if they had been typed."""
        self.fill_in(known)
        if axis is not None:
            self.axis.set_value(axis)
        self._typed()

    def set_vector(self, name: str, value: tuple[float, float, float] | None) -> None:
        """Show voxel size or Q; None leaves what is half typed."""
        if value is not None:
            for axis, part in zip("zyx", value, strict=True):
                self.fields[f"{name}_{axis}"].set_value(float(f"{part:.6g}"))
            if self._value is None:
                self._show_way("voxel")

    def set_note(self, text: str) -> None:
        """What follows from the geometry."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show_way(self, way: object) -> None:
        self.way.set_value(way)
        self._angles.setVisible(way == "angles")
        self._vectors.setVisible(way == "voxel")

    # ---- gestures ----

    def _entered(self, field: NumberField, value: float | None) -> None:
        field.set_value(value)
        self._typed()

    def _typed(self) -> None:
        numbers = {name: _number(self.fields[name]) for name in FIELDS}
        missing = [
            FIELDS[name][0].lower() for name in FIELDS if numbers[name] is None and name not in OPTIONAL
        ]
        if missing:
            some = any(value is not None for value in numbers.values())
            self.set_note(f"Still needed: {', '.join(missing)}." if some else "")
            self._emit(None)
            return
        try:
            value = BraggGeometry(
                pixel_um=(numbers.pop("pixel_row"), numbers.pop("pixel_column")),
                axis=self.axis.value(),
                **{name: number or 0.0 for name, number in numbers.items()},
            )
        except ValidationError as error:
            first: Any = error.errors()[0]
            self.refused.emit(str(first["msg"]).removeprefix("Value error, "))
            return
        self.refused.emit("")
        self._emit(value)

    def _emit(self, value: BraggGeometry | None) -> None:
        if value != self._value:
            self._value = value
            self.geometry_changed.emit(value)

    def _vector(self, field: NumberField, value: float | None, name: str) -> None:
        field.set_value(value)
        parts = [_number(self.fields[f"{name}_{axis}"]) for axis in "zyx"]
        if all(part is not None for part in parts):
            if name == "voxel_nm" and min(part or 0 for part in parts) <= 0:
                self.refused.emit("The voxel size must be above 0; type it in nanometres.")
                return
            self.vector_changed.emit(name, tuple(parts))
        elif not any(part is not None for part in parts):
            self.vector_changed.emit(name, None)


def known_of(value: BraggGeometry) -> dict[str, float]:
    """The numbers of a geometry by the names of FIELDS."""
    plain = value.model_dump(exclude={"pixel_um", "axis"})
    return {**plain, "pixel_row": value.pixel_um[0], "pixel_column": value.pixel_um[1]}


def _number(field: NumberField) -> float | None:
    try:
        return float(field.text().strip().replace(",", ""))
    except ValueError:
        return None
