"""Drawing tools for masks and detection regions, and the list of what was drawn."""

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from braggscope.models.regions import Region
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import Segmented, small_button

TOOLS = ("rectangle", "ellipse", "polygon")
TARGETS = {"mask": "Mask out", "region": "Detect in"}


def describe(region: Region) -> tuple[str, str]:
    """``rectangle 30 × 12``, and where it is: ``x 5 to 35, y 80 to 92 px``."""
    xs, ys = [p[0] for p in region.points], [p[1] for p in region.points]
    size = f"{max(xs) - min(xs):.0f} × {max(ys) - min(ys):.0f}"
    place = f"x {min(xs):.0f} to {max(xs):.0f}, y {min(ys):.0f} to {max(ys):.0f} px"
    return f"{region.kind} {size}", place


class ShapeTools(QWidget):
    """Chooses what a shape is for and how it is drawn."""

    tool_requested = pyqtSignal(str, str)  # tool ("" puts it down), target

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        self.target = Segmented(list(TARGETS.items()), "Drawn shapes", self)
        self.target.button("mask").setToolTip("Drawn shapes are bad pixels")
        self.target.button("region").setToolTip("Peaks are sought only inside the drawn shapes")
        self.target.set_value("mask")
        self.target.chosen.connect(self._retarget)
        column.addWidget(self.target)
        row = QHBoxLayout()
        row.setSpacing(4)
        label = QLabel("Draw", self)
        label.setProperty("role", "muted")
        row.addWidget(label)
        row.addStretch(1)
        self.tools: dict[str, QToolButton] = {}
        for tool in TOOLS:
            button = small_button(tool, f"Draw a {tool}".replace("a e", "an e"), self)
            button.setCheckable(True)
            button.setAutoRaise(False)
            button.clicked.connect(lambda on, tool=tool: self._clicked(tool, on))
            self.tools[tool] = button
            row.addWidget(button)
        column.addLayout(row)

    def set_tool(self, tool: str) -> None:
        """Show which tool is in hand; empty for none."""
        for name, button in self.tools.items():
            button.setChecked(name == tool)

    def _clicked(self, tool: str, on: bool) -> None:
        self.set_tool(tool if on else "")
        self.tool_requested.emit(tool if on else "", str(self.target.value()))

    def _retarget(self, target: object) -> None:
        held = next((name for name, button in self.tools.items() if button.isChecked()), "")
        if held:
            self.tool_requested.emit(held, str(target))


class ShapeList(QWidget):
    """Drawn shapes, each with a button that deletes it."""

    delete_requested = pyqtSignal(str, int)  # target, index among the shapes of that target

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(1)
        self._rows: list[QWidget] = []
        self._shown: tuple[tuple[Region, ...], tuple[Region, ...]] = ((), ())
        self.hide()

    def set_shapes(self, masked: tuple[Region, ...], regions: tuple[Region, ...]) -> None:
        """Show masked shapes first, then the detection regions."""
        if (masked, regions) == self._shown:
            return
        self._shown = (masked, regions)
        for row in self._rows:
            self._column.removeWidget(row)
            row.hide()
            row.deleteLater()
        self._rows = [self._row("mask", i, shape) for i, shape in enumerate(masked)]
        self._rows += [self._row("region", i, shape) for i, shape in enumerate(regions)]
        for row in self._rows:
            self._column.addWidget(row)
        self.setVisible(bool(self._rows))

    def delete_button(self, row: int) -> QToolButton:
        """The button of one row."""
        button = self._rows[row].findChild(QToolButton)
        assert button is not None
        return button

    def _row(self, target: str, index: int, shape: Region) -> QWidget:
        row = QWidget(self)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(6)
        kind = QLabel("mask" if target == "mask" else "region", row)
        kind.setProperty("role", "muted")
        kind.setFixedWidth(44)
        delete = small_button("close", f"Delete this {shape.kind}", row)
        delete.clicked.connect(lambda: self.delete_requested.emit(target, index))
        line.addWidget(kind)
        text, place = describe(shape)
        row.setToolTip(f"{text}, {place}")
        line.addWidget(ElidedLabel(text, parent=row), 1)
        line.addWidget(delete)
        return row
