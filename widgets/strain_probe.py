"""The probe: where it comes from, how it looks, how large it is."""

import numpy as np
from PyQt6.QtCore import QRectF, QSize, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from braggscope.models.disks.results import Probe
from braggscope.widgets import theme
from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.prepare_fields import FieldGrid, FileRow, NumberField
from braggscope.widgets.scan_paint import map_image
from braggscope.widgets.section import Section

SIDE = 84  # px


class ProbePicture(QWidget):
    """The probe with a circle of its radius."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._probe: Probe | None = None
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFixedSize(SIDE, SIDE)
        theme.on_change(self._recolour)

    def sizeHint(self) -> QSize:
        """Qt: a small square."""
        return QSize(SIDE, SIDE)

    def set_probe(self, probe: Probe | None) -> None:
        """Show a probe, or an empty frame."""
        self._probe = probe
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: as much of the probe as its disk needs."""
        painter, place = QPainter(self), QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        probe = self._probe
        if probe is not None:
            middle = probe.image.shape[0] // 2
            half = min(max(int(np.ceil(1.8 * probe.radius)), 3), middle)
            cut = probe.image[middle - half : middle + half + 1, middle - half : middle + half + 1]
            painter.drawImage(place, map_image(cut, 0.0, float(cut.max()), "inferno"))
            scale = place.width() / cut.shape[1]
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor(theme.DARK.net), 1.3))
            painter.drawEllipse(place.center(), probe.radius * scale, probe.radius * scale)
        painter.setPen(QPen(QColor(theme.current().line)))
        painter.drawRect(place)

    def _recolour(self, _: theme.Theme) -> None:
        self.update()


class ProbeSection(Section):
    """``find_requested()``; ``region_requested()``: draw where; ``file_requested()``; ``changed(dict)``."""

    find_requested = pyqtSignal()
    region_requested = pyqtSignal()
    file_requested = pyqtSignal()
    changed = pyqtSignal(dict)
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Probe", parent=parent)
        self.picture, self.numbers = ProbePicture(self), KeyValues(self)
        top = QWidget(self)
        line = QHBoxLayout(top)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(10)
        line.addWidget(self.picture)
        beside = QVBoxLayout()
        beside.setSpacing(4)
        beside.addWidget(self.numbers)
        beside.addStretch(1)
        line.addLayout(beside, 1)
        self.add(top)
        self.file = FileRow("Vacuum", "an image or a scan of the probe in vacuum", self)
        self.file.choose_requested.connect(self.file_requested)
        self.file.cleared.connect(lambda: self.changed.emit({"probe_file": None}))
        self.add(self.file)
        self.region, self.data = QPushButton("From a region…", self), QPushButton("From the data", self)
        self.region.setToolTip("Draw on the scan where there is vacuum, or where the sample is thin")
        self.data.setToolTip("Measure the direct disk of the whole scan")
        self.region.clicked.connect(lambda: self.region_requested.emit())
        self.data.clicked.connect(lambda: self.find_requested.emit())
        buttons = QWidget(self)
        pair = QHBoxLayout(buttons)
        pair.setContentsMargins(0, 0, 0, 0)
        pair.setSpacing(4)
        for button in (self.region, self.data):
            button.setStyleSheet("padding-left: 4px; padding-right: 4px;")
            pair.addWidget(button, 1)
        self.add(buttons)
        grid = FieldGrid(self)
        self.radius = NumberField("Radius", "measured", grid)
        self.radius.entered.connect(lambda value: self.changed.emit({"probe_radius": value}))
        self.radius.refused.connect(self.refused)
        grid.add("Radius", self.radius, "px", "Radius of the disks; empty: as measured on the probe")
        self.add(grid)
        self.set_probe(None, "none yet")

    def set_probe(self, probe: Probe | None, note: str = "") -> None:
        """Show a probe, or why there is none."""
        self.picture.set_probe(probe)
        self.set_summary(note if probe is None else probe.source)
        if probe is None:
            self.numbers.set_items([("Probe", note)])
            return
        x, y = probe.centre
        self.numbers.set_items(
            [("Radius", f"{probe.radius:.2f} px"), ("Edge", f"{probe.edge:.2f} px"),
             ("Centre", f"{x:.2f}, {y:.2f}")]
        )  # fmt: skip

    def set_settings(self, file: str | None, radius: float | None) -> None:
        """Show the file in use and a radius typed by hand."""
        self.file.set_file(file)
        self.radius.set_value(radius)
