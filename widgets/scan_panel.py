"""The scan: an image with one value per position, in which one moves and draws."""

import re

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QToolButton, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import NumberField, small_button
from braggscope.widgets.scan_canvas import ScanCanvas
from braggscope.widgets.snug_combo import SnugComboBox

IMAGES = {
    "bright": ("Bright field", "Sum inside the direct disk"),
    "dark": ("Annular dark field", "Sum between two radii"),
    "detector": ("Drawn detector", "Sum inside a shape drawn on the pattern"),
    "com_x": ("Centre of mass x", "Where the centre of the pattern lies, along its rows"),
    "com_y": ("Centre of mass y", "Where the centre of the pattern lies, along its columns"),
    "sum": ("Sum", "Sum of every pattern"),
    "max": ("Maximum", "Largest value of every pattern"),
}
REGION_TOOLS = {
    "probe": ("target", "Draw the probe region: positions in vacuum, or where the sample is thin"),
    "reference": ("rectangle", "Draw the reference region: positions that are called unstrained"),
    "roi": ("regions", "Draw a region: its mean pattern is shown beside the Bragg vector map"),
}
SHAPES = ("rectangle", "ellipse", "polygon")
_SHAPE = re.compile(r"\s*(\d+)\s*[x×*,; ]\s*(\d+)\s*")


class ScanPanel(QWidget):
    """``image_changed(str)``: key of IMAGES. ``radii_changed(object, object)``: inner, outer px or None.

    ``detector_tool_requested(str)``: a shape to draw on the pattern. ``tool_requested(str)``: key of
    REGION_TOOLS or empty. ``shape_changed(object)``: (rows, columns), or None for that of the file. Gestures
    in the image are signals of ``canvas``.
    """

    image_changed = pyqtSignal(str)
    radii_changed = pyqtSignal(object, object)
    detector_tool_requested = pyqtSignal(str)
    tool_requested = pyqtSignal(str)
    shape_changed = pyqtSignal(object)
    regions_cleared = pyqtSignal()
    refused = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._radii: tuple[float | None, float | None] = (None, None)
        self._shape_shown = ""
        self.canvas = ScanCanvas(self)
        self.image = SnugComboBox(self)
        for key, (title, tip) in IMAGES.items():
            self.image.addItem(title, key)
            self.image.setItemData(self.image.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.image.activated.connect(lambda _: self.image_changed.emit(self.image.currentData()))
        self._make_tools()
        self._make_detector()
        self.shape = QLineEdit(self)
        self.shape.setPlaceholderText("rows × columns")
        self.shape.setAccessibleName("Scan shape")
        self.shape.setToolTip("Rows × columns of the scan, such as 64 × 128; empty: as the file says")
        self.shape.setMinimumWidth(60)
        self.shape.editingFinished.connect(self._shape_typed)
        self.note = ElidedLabel(parent=self)
        self.size_note = QLabel(self)
        self.size_note.setProperty("role", "muted")
        self._lay_out()
        self.set_image("bright")
        self.set_radii(None, None)

    # ---- values in ----

    def set_image(self, key: str) -> None:
        """Show which image is chosen, and the inputs that belong to it."""
        self.image.setCurrentIndex(self.image.findData(key))
        self.inner.setVisible(key == "dark")
        self.outer.setVisible(key in ("bright", "dark"))
        self._radius_label.setText({"bright": "Radius", "dark": "Radii", "detector": "Draw"}.get(key, ""))
        for button in self.shapes.values():
            button.setVisible(key == "detector")
        self._detector.setVisible(key in ("bright", "dark", "detector"))

    def set_radii(self, inner: float | None, outer: float | None) -> None:
        """Show the radii of the detector in px."""
        self._radii = (inner, outer)
        for field, value in ((self.inner, inner), (self.outer, outer)):
            field.set_value(None if value is None else round(value, 2))

    def set_shape(self, shape: tuple[int, int] | None, note: str = "") -> None:
        """Show the shape of the scan; ``note``: beside it, such as the step."""
        self._shape_shown = "" if shape is None else f"{shape[0]} × {shape[1]}"
        self.shape.setText(self._shape_shown)
        self.size_note.setText(note)

    def set_note(self, text: str) -> None:
        """Position and value under the cross-hair or the mouse."""
        self.note.setText(text)

    def set_tool(self, tool: str) -> None:
        """Show which tool is in hand; keys of REGION_TOOLS draw on the image."""
        for name, button in self.tools.items():
            button.setChecked(name == tool)
        self.canvas.set_tool(tool if tool in self.tools else "")

    def set_detector_tool(self, tool: str) -> None:
        """Show which shape is being drawn on the pattern."""
        for name, button in self.shapes.items():
            button.setChecked(name == tool)

    # ---- building ----

    def _make_tools(self) -> None:
        self.tools: dict[str, QToolButton] = {}
        for name, (glyph, tip) in REGION_TOOLS.items():
            button = small_button(glyph, tip, self)
            button.setCheckable(True)
            button.clicked.connect(lambda on, n=name: self.tool_requested.emit(n if on else ""))
            self.tools[name] = button
        self.clear = small_button("eraser", "Remove the drawn regions", self)
        self.clear.clicked.connect(lambda: self.regions_cleared.emit())

    def _make_detector(self) -> None:
        self._detector = QWidget(self)
        self._radius_label = QLabel("Radius", self._detector)
        self._radius_label.setProperty("role", "muted")
        self.inner, self.outer = (
            NumberField(name, "auto", self._detector) for name in ("Inner radius", "Outer radius")
        )
        self.inner.entered.connect(lambda value: self.radii_changed.emit(value, self._radii[1]))
        self.outer.entered.connect(lambda value: self.radii_changed.emit(self._radii[0], value))
        row = QHBoxLayout(self._detector)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self._radius_label)
        for field, tip in ((self.inner, "inner"), (self.outer, "outer")):
            field.setToolTip(f"px, {tip} radius; or drag the handles on the pattern. Empty: from the probe")
            field.refused.connect(self.refused)
            field.setMaximumWidth(70)
            row.addWidget(field)
        self.shapes: dict[str, QToolButton] = {}
        for shape in SHAPES:
            button = small_button(shape, f"Draw the detector as {shape} on the pattern", self._detector)
            button.setCheckable(True)
            button.clicked.connect(lambda on, s=shape: self.detector_tool_requested.emit(s if on else ""))
            self.shapes[shape] = button
            row.addWidget(button)
        row.addStretch(1)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(2)
        head.addWidget(self.image)
        head.addStretch(1)
        for button in (*self.tools.values(), self.clear):
            head.addWidget(button)
        foot = QHBoxLayout()
        foot.setSpacing(6)
        label = QLabel("Scan", self)
        label.setProperty("role", "muted")
        foot.addWidget(label)
        foot.addWidget(self.shape, 1)
        foot.addWidget(self.size_note)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self._detector)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.note)
        column.addLayout(foot)

    # ---- gestures ----

    def _shape_typed(self) -> None:
        text = self.shape.text().strip()
        if text == self._shape_shown:
            return
        found = _SHAPE.fullmatch(text)
        if found is None and text:
            self.shape.setText(self._shape_shown)
            self.refused.emit(f"Scan shape: “{text}” is none; type rows × columns, such as 64 × 128.")
            return
        self.shape_changed.emit(None if found is None else (int(found[1]), int(found[2])))
