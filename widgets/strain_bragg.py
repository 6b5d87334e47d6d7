"""The Bragg vector map: where all disks of the scan are, in one pattern, with the lattice vectors to drag."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.frame_canvas import FrameCanvas
from braggscope.widgets.levels_track import colours_of
from braggscope.widgets.snug_combo import SnugComboBox
from braggscope.widgets.strain_handles import FrameHandles
from braggscope.widgets.strain_overlay import StrainOverlay

VIEWS = {
    "bragg": "Bragg vectors",
    "mean": "Mean pattern",
    "maximum": "Maximum pattern",
    "region": "Mean of region",
}
HINTS = {
    "bragg": "All disks of the scan in one picture: press Compute.",
    "mean": "The mean of all patterns comes with the virtual images.",
    "maximum": "The maximum of all patterns comes with the virtual images.",
    "region": "Draw a region on the scan to see its mean pattern.",
}
COLOURS, SPAN = "inferno", 1e-4


class BraggPanel(QWidget):
    """``requested()``: compute what is chosen; ``cancelled()``; ``view_changed(str)``: key of VIEWS.

    Handles of ``handles`` are dragged on the map.
    """

    requested = pyqtSignal()
    view_changed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = SnugComboBox(self)
        for key, title in VIEWS.items():
            self.view.addItem(title, key)
        self.view.activated.connect(lambda _: self.view_changed.emit(self.view.currentData()))
        self.note = ElidedLabel(role="muted", parent=self)
        self.compute = QPushButton("Compute", self)
        self.compute.setStyleSheet("padding: 3px 8px;")
        self.compute.setToolTip("Find the disks of patterns all over the scan and put them into one picture")
        self.compute.clicked.connect(lambda: self.requested.emit())
        self.canvas = FrameCanvas(self)
        self.canvas.setMinimumSize(80, 80)
        self.handles = FrameHandles(self.canvas)
        self.hint = QLabel(self)
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.view)
        head.addWidget(self.note, 1)
        head.addWidget(self.compute)
        self.stack = QStackedLayout()
        self.stack.addWidget(self.canvas)
        self.stack.addWidget(self.hint)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 2)
        column.setSpacing(4)
        column.addLayout(head)
        column.addLayout(self.stack, 1)
        self.set_picture(None, "bragg")

    def set_picture(self, values: NDArray | None, view: str, note: str = "") -> None:
        """Show (H, W) numbers >= 0 on a logarithmic scale, or the hint of the view."""
        self.view.setCurrentIndex(self.view.findData(view))
        self.compute.setVisible(view == "bragg")
        self.note.setText(note)
        self.hint.setText(HINTS[view])
        self.stack.setCurrentWidget(self.hint if values is None else self.canvas)
        if values is not None:
            self.canvas.set_pixels(logarithmic(values), (int(values.shape[0]), int(values.shape[1])))

    def set_overlay(self, overlay: StrainOverlay | None) -> None:
        """Draw lattice vectors and curves over the map."""
        self.canvas.overlays.disks = overlay
        self.canvas.update()

    def set_running(self, running: bool) -> None:
        """Whether the map is being computed."""
        self.compute.setText("Working …" if running else "Compute")
        self.compute.setEnabled(not running)


def logarithmic(values: NDArray) -> NDArray[np.uint32]:
    """(H, W) uint32 0xFFRRGGBB: weak and strong spots are both seen; negative and NaN values count as 0."""
    counts = np.nan_to_num(np.maximum(values, 0))
    positive = counts[counts > 0]
    if not positive.size:
        return np.full(counts.shape, colours_of(COLOURS)[0])
    floor = max(float(np.percentile(positive, 20, method="lower")), SPAN * float(positive.max()))
    scaled = np.log1p(counts / floor)
    return colours_of(COLOURS)[(scaled / scaled.max() * 255).astype(np.uint8)]
