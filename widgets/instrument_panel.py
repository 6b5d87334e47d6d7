"""Edits the instrument and chooses whose rings are drawn. Values in, signals out."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import ValidationError
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QLabel, QVBoxLayout, QWidget

from braggscope.models.cells import Cell
from braggscope.models.constants import HC_KEV_ANGSTROM
from braggscope.models.geometry import Beam, Instrument
from braggscope.widgets.cell_fields import CellFields
from braggscope.widgets.instrument_sections import DEGREE, RefineSection, SizeSection, button, row
from braggscope.widgets.prepare_fields import FieldGrid, NumberField
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.tips import as_written


class _Entry(NamedTuple):
    """``factor``: shown number per number in the program's units; ``needed``: no instrument without it."""

    name: str
    unit: str
    factor: float
    needed: bool
    tip: str


ENTRIES: Mapping[str, _Entry] = {
    "energy_keV": _Entry("Energy", "keV", 1.0, True, "Photon energy; the wavelength follows"),
    "wavelength_angstrom": _Entry("Wavelength", "Å", 1.0, False, "The energy follows"),
    "distance_m": _Entry("Distance", "mm", 1e3, True, "From the sample along the beam to the detector"),
    "pixel_size_x_m": _Entry("Pixel width", "µm", 1e6, True, "Along a row of pixels"),
    "pixel_size_y_m": _Entry("Pixel height", "µm", 1e6, False, "Empty: as the width"),
    "beam_x_px": _Entry(
        "Centre x", "px", 1.0, True, "Where the beam meets the detector; pixel centres are whole"
    ),
    "beam_y_px": _Entry(
        "Centre y", "px", 1.0, True, "Where the beam meets the detector; pixel centres are whole"
    ),
    "tilt": _Entry("Tilt", "°", DEGREE, False, "Between the beam and the detector's normal"),
    "tilt_direction": _Entry(
        "Direction",
        "°",
        DEGREE,
        False,
        "In the detector, from the point of normal incidence to the beam centre",
    ),
    "twist": _Entry("Rotation", "°", DEGREE, False, "Of the detector about the beam"),
}


class InstrumentPanel(QWidget):
    """Shows numbers of an instrument and emits a whole one as soon as they are enough for it."""

    instrument_changed = pyqtSignal(object)  # Instrument
    load_requested = pyqtSignal()
    metadata_requested = pyqtSignal()
    save_requested = pyqtSignal()
    cell_changed = pyqtSignal(object)  # Cell
    cell_file_requested = pyqtSignal()
    rings_toggled = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, float] = {}
        self.fields: dict[str, NumberField] = {}
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
            "instrument": self._instrument_section(),
            "rings": self._rings_section(),
        }
        self.refinement = RefineSection(self)
        self.widths = SizeSection(self)
        self.widths.refused.connect(self.set_error)
        for section in (*self.sections.values(), self.refinement, self.widths):
            self.page.add(section)
        self.refinement.shown.connect(self.page.ensureWidgetVisible)
        self.widths.shown.connect(self.page.ensureWidgetVisible)
        self.set_error("")

    # -- building -----------------------------------------------------------------------------

    def _instrument_section(self) -> Section:
        section = Section("Instrument", parent=self)
        grid = FieldGrid(section)
        for key, entry in ENTRIES.items():
            field = NumberField(entry.name, placeholder="needed" if entry.needed else "–", parent=grid)
            field.entered.connect(lambda value, key=key: self._entered(key, value))
            field.refused.connect(self.set_error)
            self.fields[key] = field
            grid.add(entry.name, field, entry.unit, entry.tip)
        section.add(grid)
        self.load = button("Load…", "PONI of pyFAI, YAML or HDF5 of hexrd", self.load_requested)
        self.metadata = button("From metadata", "What the data file says", self.metadata_requested)
        self.save = button("Save PONI…", "For pyFAI and its relatives", self.save_requested)
        section.add(row(self.load, self.save))  # as narrow as the dock of a small window
        section.add(self.metadata)
        return section

    def _rings_section(self) -> Section:
        section = Section("Rings", parent=self)
        self.rings = QCheckBox("Draw rings", section)
        self.rings.setToolTip("Rings of the chosen substance (R)")
        self.rings.clicked.connect(self.rings_toggled)
        section.add(self.rings)
        self.cells = QComboBox(section)
        self.cells.setAccessibleName("Substance")
        self.cells.activated.connect(self._cell_chosen)
        section.add(self.cells)
        self.own = CellFields(section)
        self.own.cell_changed.connect(self.cell_changed)
        self.own.refused.connect(self.set_error)
        section.add(self.own)
        self.cif = button(
            "From CIF…", "Cell, space group and atoms of a crystal structure", self.cell_file_requested
        )
        section.add(self.cif)
        self._cells: list[Cell] = []
        return section

    # -- values in ----------------------------------------------------------------------------

    def set_instrument(
        self, instrument: Instrument | None, origin: str = "", known: Mapping[str, float] | None = None
    ) -> None:
        """Show an instrument and where it is from; without one, what little is ``known`` (quantities)."""
        self._values = dict(known or {}) if instrument is None else _numbers(instrument)
        if self._values.get("energy_keV"):
            self._values["wavelength_angstrom"] = HC_KEV_ANGSTROM / self._values["energy_keV"]
        self._show()
        missing = [e.name.lower() for key, e in ENTRIES.items() if e.needed and key not in self._values]
        text = origin if instrument is not None else f"needs {', '.join(missing)}" if missing else ""
        self.sections["instrument"].set_summary(text)
        for widget in (self.save, self.rings, self.refinement.refine, self.widths.analyse):
            widget.setEnabled(instrument is not None)
        self.set_error("")

    def set_error(self, text: str) -> None:
        """One sentence about an entry that cannot be used; empty takes it away."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    def set_cells(self, cells: tuple[Cell, ...]) -> None:
        """Substances to choose from."""
        self._cells = list(cells)
        self.cells.clear()
        for cell in cells:
            self.cells.addItem(cell.name)
            self.cells.setItemData(self.cells.count() - 1, cell.source, 3)  # tooltip
        self.cells.addItem("own cell")

    def set_cell(self, cell: Cell) -> None:
        """Show whose rings are drawn."""
        known = cell in self._cells
        self.cells.setCurrentIndex(self._cells.index(cell) if known else len(self._cells))
        self.cells.setToolTip(as_written(cell.source))
        self.own.set_cell(cell)
        self.own.setVisible(not known)
        self.sections["rings"].set_summary(cell.name)

    def set_rings_shown(self, on: bool) -> None:
        """Show whether rings are drawn."""
        self.rings.setChecked(on)

    # -- gestures -----------------------------------------------------------------------------

    def _show(self) -> None:
        for key, field in self.fields.items():
            value = self._values.get(key)
            field.set_value(None if value is None else round(float(f"{value * ENTRIES[key].factor:.8g}"), 8))

    def _entered(self, key: str, value: float | None) -> None:
        before = dict(self._values)
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value / ENTRIES[key].factor
        twin = {"energy_keV": "wavelength_angstrom", "wavelength_angstrom": "energy_keV"}.get(key)
        if twin is not None:
            self._values.pop(twin, None)
            if value:
                self._values[twin] = HC_KEV_ANGSTROM / value
        try:
            instrument = _instrument(self._values)
        except (ValueError, OverflowError) as error:
            self._values = before
            self._show()
            self.set_error(_sentence(ENTRIES[key].name, error))
            return
        self.set_error("")
        self._show()
        if instrument is not None:
            self.instrument_changed.emit(instrument)

    def _cell_chosen(self, index: int) -> None:
        own = index == len(self._cells)
        self.own.setVisible(own)
        if not own:
            self.cell_changed.emit(self._cells[index])


def _numbers(instrument: Instrument) -> dict[str, float]:
    """Fields of an instrument that the beam meets."""
    beam = instrument.beam
    if beam is None:
        return {"energy_keV": instrument.energy_keV}
    return {
        "energy_keV": instrument.energy_keV, "distance_m": beam.distance_m,
        "pixel_size_x_m": instrument.pixel_size_m[0], "pixel_size_y_m": instrument.pixel_size_m[1],
        "beam_x_px": beam.centre_px[0], "beam_y_px": beam.centre_px[1],
        "tilt": beam.tilt, "tilt_direction": beam.tilt_direction, "twist": beam.twist,
    }  # fmt: skip


def _instrument(values: Mapping[str, float]) -> Instrument | None:
    """Instrument of the fields, None while one that is needed is empty. Raises ValueError."""
    for key, entry in ENTRIES.items():
        if entry.factor != DEGREE and not key.startswith("beam") and values.get(key, 1.0) <= 0:
            raise ValueError(f"{entry.name} must be above 0")
    if any(entry.needed and key not in values for key, entry in ENTRIES.items()):
        return None
    width = values["pixel_size_x_m"]
    beam = Beam(
        (values["beam_x_px"], values["beam_y_px"]), values["distance_m"], values.get("tilt", 0.0),
        values.get("tilt_direction", 0.0), values.get("twist", 0.0),
    )  # fmt: skip
    sizes = (width, values.get("pixel_size_y_m", width))
    return Instrument.from_beam(HC_KEV_ANGSTROM / values["energy_keV"], sizes, beam)


def _sentence(name: str, error: Exception) -> str:
    text = str(error.errors()[0]["msg"]) if isinstance(error, ValidationError) else str(error)
    return f"{name}: {text.rstrip('.')}; the old value stays."
