"""What came out: figures of merit, resolution, strain, and where it can be written."""

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QLabel, QMenu, QPushButton, QWidget

from braggscope.widgets import icons, theme
from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.plot_hint import PlotHint
from braggscope.widgets.plotting import ThemedPlot, make_plot
from braggscope.widgets.section import Section, SectionPage

HINT = "Reconstruct the crystal; chi, size, strain and resolution are listed here."
MODEL = (
    "chi and R compare the object alone with the data; those of the model also know the learned coherence and"
    " background. What the refinement lowers is the misfit in Convergence: chi model with 3/8 count added to"
    " every voxel, so that empty ones weigh less."
)
NO_TRANSFER = "The transfer function needs two or more runs that agree: set “Go on with” under Starts."
NO_STRAIN = "Strain needs the geometry, or the voxel size and Q: type them under Volume."
EXPORTS = (
    ("h5", "NeXus HDF5…", "table"), ("cxi", "CXI…", "table"), ("vti", "ParaView (VTI)…", "coherent"),
    ("npz", "NumPy (NPZ)…", "python"), ("figure", "Figure…", "image"),
    ("picture", "Picture of the surface…", "camera"), ("movie", "Turntable movie…", "film"),
)  # fmt: skip
_HEIGHT = 150  # px of a plot
_LEVEL = 1 / np.e


class PhasingResult(SectionPage):
    """``export_requested``: one of the keys of EXPORTS. Setters never emit."""

    export_requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hint = QLabel(HINT, self)
        self.hint.setWordWrap(True)
        self.hint.setProperty("role", "muted")
        self.hint.setContentsMargins(8, 2, 8, 6)
        self.export = QPushButton(icons.icon("export"), "Export", self)
        menu = QMenu(self.export)
        for key, title, name in EXPORTS:
            menu.addAction(icons.icon(name), title, lambda key=key: self.export_requested.emit(key))
        self.export.setMenu(menu)
        self.facts = KeyValues(self)
        self.model, self.twin = QLabel(MODEL, self), QLabel(self)
        for label in (self.model, self.twin):
            label.setWordWrap(True)
            label.setProperty("role", "muted")
        self.transfer = _plot("frequency / voxels⁻¹", "PRTF")
        self.curve = self.transfer.plot(antialias=True)
        self.level = pg.InfiniteLine(_LEVEL, 0, label="1/e", labelOpts={"position": 0.9})
        self.reached = pg.InfiniteLine(angle=90)
        for line in (self.level, self.reached):
            self.transfer.addItem(line, ignoreBounds=True)
        self.transfer.setYRange(0, 1.15, padding=0)
        self.transfer_hint = PlotHint(NO_TRANSFER, self.transfer)
        self.strain = _plot("strain", "voxels")
        self.bars = pg.BarGraphItem(x=[], height=[], width=1.0)
        self.strain.addItem(self.bars)
        self.strain_hint = PlotHint(NO_STRAIN, self.strain)
        self.add(self.hint)
        self.add(self.export)
        self.sections = [
            self._section("Figures of merit", self.facts, self.model, self.twin),
            self._section("Histogram of strain", self.strain),
            self._section("Resolution", self.transfer),
        ]
        self.transfer.recoloured(self._restyle)
        self.strain.recoloured(self._restyle)
        self.set_facts(None)

    def _section(self, title: str, *rows: QWidget) -> Section:
        section = Section(title, parent=self)
        for row in rows:
            section.add(row)
        self.add(section)
        return section

    # ---- values in ----

    def set_facts(self, items: list[tuple[str, str]] | None, twin: str = "") -> None:
        """Names and values, and what is to be said of the twin; None while there is no result."""
        self.hint.setVisible(items is None)
        for section in self.sections:
            section.setVisible(items is not None)
        self.export.setEnabled(items is not None)
        self.facts.set_items(items or [])
        self.model.setVisible(any(name == "chi model" for name, _ in items or []))
        self.twin.setText(twin)

    def set_strain(self, counts: NDArray, edges: NDArray, label: str) -> None:
        """Histogram of the strain, or of what stands for it; empty: not known."""
        self.strain_hint.cover(not len(counts))
        self.strain.setLabel("bottom", label)
        if len(counts):
            middles = (edges[1:] + edges[:-1]) / 2
            self.bars.setOpts(x=middles, height=counts, width=0.95 * float(edges[1] - edges[0]))
            self.strain.setXRange(float(edges[0]), float(edges[-1]), padding=0.02)
            self.strain.setYRange(0, 1.08 * float(counts.max()), padding=0)
        else:
            self.bars.setOpts(x=[], height=[], width=1.0)

    def set_transfer(self, frequency: NDArray, prtf: NDArray, at: float | None, text: str) -> None:
        """Transfer function against 1 / period in voxels; ``at``: frequency where it falls below 1/e."""
        self.transfer_hint.cover(not len(frequency))
        self.curve.setData(frequency, prtf)
        self.reached.setVisible(at is not None)
        if at is not None:
            self.reached.setValue(at)
        self.sections[2].set_summary(text)
        if len(frequency):
            self.transfer.setXRange(0, float(frequency[-1]), padding=0.02)

    def _restyle(self, colours: theme.Theme) -> None:
        self.curve.setPen(pg.mkPen(colours.fit, width=2))
        for line in (self.level, self.reached):
            line.setPen(pg.mkPen(colours.muted, width=1, style=Qt.PenStyle.DashLine))
        self.level.label.setColor(QColor(colours.muted))
        self.bars.setOpts(brush=pg.mkBrush(colours.fit), pen=pg.mkPen(None))


def _plot(x: str, y: str) -> ThemedPlot:
    plot = make_plot(x, y)
    plot.setFixedHeight(_HEIGHT)
    plot.getPlotItem().getAxis("left").setWidth(54)
    plot.getPlotItem().getViewBox().disableAutoRange()
    return plot
