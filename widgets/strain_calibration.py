"""Calibration of a scan: each step is measured on request, shown, and then applied or discarded."""

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from braggscope.models.disks.parameters import Strain
from braggscope.widgets import theme
from braggscope.widgets.instrument_sections import DEGREE, button, row
from braggscope.widgets.plotting import make_plot
from braggscope.widgets.prepare_fields import FieldGrid, NumberField
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.strain_fields import ProposalSection
from braggscope.widgets.strain_map_row import MapPicture, MapRow

ORIGINS = {
    "measured": "each for itself", "plane": "plane over the scan", "parabola": "parabola over the scan",
    "constant": "the same everywhere",
}  # fmt: skip
KNOWN = {"ring": "a ring of disks", "square": "a square lattice", "hexagonal": "a hexagonal lattice"}
WEIGHTS = {"robust": "robust", "variance": "by their errors", "uniform": "all the same"}
STEPS = {  # key: title, button, tip
    "origin": ("Origin", "Measure the origin", "Where the direct beam is at every position, by the model"),
    "ellipse": ("Ellipse", "Measure the ellipse", "How far the rings of disks are from round"),
    "lattice": ("Lattice vectors", "Propose vectors", "First reciprocal vectors, from the Bragg vector map"),
    "pixel": ("Pixel size", "Measure on vector a", "From the spacing that vector a stands for"),
    "rotation": ("Rotation", "Measure by centre of mass", "The turn for which the shifts have no curl"),
}  # fmt: skip
VECTORS = ("ax", "ay", "bx", "by")


class CalibrationPanel(QWidget):
    """``requested``, ``applied``, ``discarded``: key of STEPS. ``changed(dict)``: fields of Strain, typed."""

    requested = pyqtSignal(str)
    applied = pyqtSignal(str)
    discarded = pyqtSignal(str)
    changed = pyqtSignal(dict)
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._strain = Strain()
        self._file_pixel: float | None = None
        self.page = SectionPage(self)
        self.sections: dict[str, ProposalSection] = {}
        for key, (title, text, tip) in STEPS.items():
            section = ProposalSection(title, text, tip, is_open=key in ("origin", "lattice"))
            section.requested.connect(lambda k=key: self.requested.emit(k))
            section.apply_requested.connect(lambda k=key: self.applied.emit(k))
            section.discard_requested.connect(lambda k=key: self.discarded.emit(k))
            section.shown.connect(self._reveal)
            getattr(self, f"_make_{key}")(section)
            self.sections[key] = section
            self.page.add(section)
        self.page.add(self._make_strain())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.page)
        self.set_strain(self._strain)

    # ---- values in ----

    def set_strain(self, strain: Strain) -> None:
        """Show parameters."""
        self._strain = strain
        self.origin.setCurrentIndex(self.origin.findData(strain.origin))
        self.weights.setCurrentIndex(self.weights.findData(strain.weights))
        ratio, angle = strain.ellipse
        self.ratio.set_value(round(ratio, 5))
        self.angle.set_value(round(angle * DEGREE, 3))
        self.pixel.set_value(strain.pixel_inv_angstrom)
        self.rotation.set_value(round(strain.rotation * DEGREE, 3))
        self.transpose.setChecked(strain.transpose)
        for name, value in zip(VECTORS, strain.lattice or (None,) * 4, strict=True):
            self.vectors[name].set_value(None if value is None else round(value, 3))
        self.forget.setEnabled(strain.lattice is not None)
        self.frame.set_value(round(strain.frame * DEGREE, 3))
        self.fewest.set_value(strain.fewest)
        self.tolerance.set_value(strain.tolerance)
        self._summaries(strain)

    def set_file_pixel(self, size: float | None) -> None:
        """Size of a pixel / Angstrom⁻¹ that the file knows, used where none is typed."""
        self._file_pixel = size
        self.pixel.setPlaceholderText("none" if size is None else f"{size:.6g}, of the file")
        self._summaries(self._strain)

    def set_result(self, key: str, items: list[tuple[str, str]]) -> None:
        """Show what a step found, for a decision; an empty list takes it away."""
        self.sections[key].set_result(items)

    def set_running(self, key: str, running: bool) -> None:
        """Whether a step is being computed."""
        self.sections[key].set_running(running)

    def set_origin_maps(self, x: NDArray, y: NDArray) -> None:
        """(R, C) px: how far the origin is from its mean, by the model."""
        reach = max(float(np.nanmax(np.abs([x, y]), initial=0.0)), 0.05)
        self.origin_maps.set_pictures(
            [MapPicture(k, f"Δ{k}", v, None, "px", -reach, reach) for k, v in (("x", x), ("y", y))]
        )

    def set_curl(self, degrees: NDArray, curl: NDArray, found: float) -> None:
        """(N,) curl of the shifts against the rotation, and the rotation found, in degrees."""
        self.curl_line.setData(degrees, curl)
        self.curl_found.setValue(found)

    def known_spacing(self) -> float | None:
        """Spacing in Angstrom that vector a stands for, as typed."""
        return positive(self.spacing)

    def ring_radii(self) -> tuple[float | None, float | None]:
        """Radii in px between which the ring lies, as typed."""
        return positive(self.ring[0]), positive(self.ring[1])

    # ---- building ----

    def _make_origin(self, section: ProposalSection) -> None:
        self.origin = _choice(ORIGINS)  # what is measured; it counts once applied
        grid = FieldGrid(section, label_width=66)
        grid.add("Model", self.origin, "", "How the origin goes with the position in the scan")
        section.add(grid)
        self.origin_maps = MapRow(section)
        self.origin_maps.setMinimumHeight(120)
        section.finish(self.origin_maps)

    def _make_ellipse(self, section: ProposalSection) -> None:
        grid = FieldGrid(section, label_width=66)
        self.ratio = self._number(grid, "Ratio", "", "Long by short axis; 1: round", "ratio")
        self.angle = self._number(grid, "Angle", "°", "Of the long axis, from x towards y (down)", "angle")
        self.known = _choice(KNOWN)
        grid.add("Take", self.known, "", "What is round or regular once the ellipse is corrected")
        self.ring = tuple(NumberField(name, "auto", grid) for name in ("Inner radius", "Outer radius"))
        grid.add("Ring", row(*self.ring), "px", "Between which radii one ring of disks lies; empty: auto")
        section.add(grid)
        section.finish()

    def _make_lattice(self, section: ProposalSection) -> None:
        grid = FieldGrid(section, label_width=66)
        self.vectors: dict[str, NumberField] = {}
        for name in VECTORS:
            field = NumberField(f"{name[0]}, {name[1]}", name[1], grid)
            field.entered.connect(lambda value, n=name: self._entered(n, value))
            field.refused.connect(self.refused)
            field.setToolTip(f"px, {'to the right' if name[1] == 'x' else 'downwards'}; or drag the arrow")
            self.vectors[name] = field
        for vector in "ab":
            pair = row(self.vectors[f"{vector}x"], self.vectors[f"{vector}y"])
            grid.add(f"Vector {vector}", pair, "px")
        section.add(grid)
        self.forget = button("Find in the data", "Forget the vectors; every run then finds them itself")
        self.forget.clicked.connect(lambda: self.changed.emit({"lattice": None}))
        section.add(self.forget)
        section.finish()

    def _make_pixel(self, section: ProposalSection) -> None:
        grid = FieldGrid(section, label_width=66)
        self.pixel = self._number(grid, "Size", "Å⁻¹/px", "Of a pixel of the pattern", "pixel")
        self.spacing = NumberField("Spacing of a", "unknown", grid)
        grid.add("Spacing", self.spacing, "Å", "Distance of the lattice planes that vector a stands for")
        section.add(grid)
        section.finish()

    def _make_rotation(self, section: ProposalSection) -> None:
        grid = FieldGrid(section, label_width=66)
        self.rotation = self._number(grid, "Angle", "°", "From the pattern's x to the scan's x", "rotation")
        section.add(grid)
        self.transpose = QCheckBox("Axes exchanged", section)
        self.transpose.setToolTip("The scan's axes are those of the pattern exchanged")
        self.transpose.clicked.connect(lambda on: self.changed.emit({"transpose": bool(on)}))
        section.add(self.transpose)
        plot = make_plot("rotation / °", "curl", parent=section)
        plot.setMinimumHeight(120)
        self.curl_line, self.curl_found = pg.PlotCurveItem(), pg.InfiniteLine(angle=90)
        plot.addItem(self.curl_line)
        plot.addItem(self.curl_found)
        plot.recoloured(self._restyle)
        section.finish(plot)

    def _make_strain(self) -> Section:
        section = Section("Strain", is_open=False)
        grid = FieldGrid(section, label_width=66)
        self.frame = self._number(
            grid, "x axis", "°", "Direction of the strain's x, from the pattern's x", "frame"
        )
        self.weights = _choice(WEIGHTS)
        self.weights.activated.connect(lambda _: self.changed.emit({"weights": self.weights.currentData()}))
        grid.add("Weights", self.weights, "", "What a disk counts in the fit of the lattice")
        self.fewest = self._number(grid, "Fewest", "disks", "A position with fewer has no strain", "fewest")
        tip = "Of an index, within which a disk belongs to the lattice"
        self.tolerance = self._number(grid, "Tolerance", "", tip, "tolerance")
        section.add(grid)
        return section

    def _number(self, grid: FieldGrid, title: str, unit: str, tip: str, key: str) -> NumberField:
        field = NumberField(title, "none", grid)
        field.entered.connect(lambda value: self._entered(key, value))
        field.refused.connect(self.refused)
        grid.add(title, field, unit, tip)
        return field

    def _restyle(self, colours: theme.Theme) -> None:
        self.curl_line.setPen(pg.mkPen(colours.fit, width=1.6))
        self.curl_found.setPen(pg.mkPen(colours.accent, width=1))

    # ---- gestures ----

    def _entered(self, key: str, value: float | None) -> None:
        """A number typed by hand, as fields of Strain."""
        ratio, angle = self._strain.ellipse
        changes: dict[str, Any]
        if key in VECTORS:
            known = self._strain.lattice or (math.nan,) * 4
            values = [value if n == key else self._typed(n, v) for n, v in zip(VECTORS, known, strict=True)]
            if any(v is None or not math.isfinite(v) for v in values):
                return  # until all four are there
            changes = {"lattice": tuple(values)}
        elif key == "ratio":
            changes = {"ellipse": (1.0 if value is None else value, angle)}
        elif key == "angle":
            changes = {"ellipse": (ratio, (value or 0.0) / DEGREE)}
        elif key == "pixel":
            changes = {"pixel_inv_angstrom": value}
        elif key in ("rotation", "frame"):
            changes = {key: (value or 0.0) / DEGREE}
        else:
            default = Strain.model_fields[key].default
            changes = {key: default if value is None else type(default)(value)}
        self.changed.emit(changes)

    def _typed(self, name: str, known: float) -> float | None:
        """A component that is known, or typed and waiting for the others."""
        if math.isfinite(known):
            return known
        try:
            value = float(self.vectors[name].text())
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def _summaries(self, strain: Strain) -> None:
        ratio = strain.ellipse[0]
        self.sections["origin"].set_summary(ORIGINS[strain.origin])
        self.sections["ellipse"].set_summary("round" if ratio == 1 else f"{ratio:.4f}")
        size = strain.pixel_inv_angstrom or self._file_pixel
        where = "" if strain.pixel_inv_angstrom is not None else ", of the file"
        self.sections["pixel"].set_summary("unknown" if size is None else f"{size:.5g} Å⁻¹{where}")
        turn = f"{strain.rotation * DEGREE:.2f}°"
        self.sections["rotation"].set_summary(turn + (", exchanged" if strain.transpose else ""))
        self.sections["lattice"].set_summary("found in the data" if strain.lattice is None else "given")

    def _reveal(self, widget: QWidget) -> None:
        self.page.ensureWidgetVisible(widget, 0, 20)


def positive(field: NumberField) -> float | None:
    """The number in a field, None where there is none above 0."""
    try:
        value = float(field.text().strip())
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def _choice(entries: dict[str, str]) -> QComboBox:
    box = QComboBox()
    for key, text in entries.items():
        box.addItem(text, key)
    return box
