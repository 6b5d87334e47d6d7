"""Fields of a unit cell that the user types in."""

from pydantic import ValidationError
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from braggscope.models.cells import Cell
from braggscope.widgets.prepare_fields import NumberField

LENGTHS, ANGLES = ("a", "b", "c"), ("alpha", "beta", "gamma")
SIGNS = dict(zip((*LENGTHS, *ANGLES), "abcαβγ", strict=True))


class CellFields(QWidget):
    """Lengths, angles and space group; emits a whole cell after every edit that makes one."""

    cell_changed = pyqtSignal(object)  # Cell
    refused = pyqtSignal(str)  # one sentence

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cell = Cell(name="own cell", a=4.0, b=4.0, c=4.0)
        self.numbers: dict[str, NumberField] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(5)
        for row, (names, unit) in enumerate(((LENGTHS, "Å"), (ANGLES, "°"))):
            for column, name in enumerate(names):
                label = QLabel(SIGNS[name], self)
                label.setProperty("role", "muted")
                field = NumberField(name, placeholder="needed", parent=self)
                field.setToolTip(f"{SIGNS[name]} in {unit}")
                field.entered.connect(lambda value, name=name: self._number(name, value))
                field.refused.connect(self.refused)
                grid.addWidget(label, row, 2 * column)
                grid.addWidget(field, row, 2 * column + 1)
                self.numbers[name] = field
        label = QLabel("group", self)
        label.setProperty("role", "muted")
        self.group = QLineEdit(self)
        self.group.setAccessibleName("Space group")
        self.group.setToolTip("Space group such as F m -3 m or 225, or a centring alone: P I F A B C R")
        self.group.editingFinished.connect(self._group)
        grid.addWidget(label, 2, 0, 1, 2)
        grid.addWidget(self.group, 2, 2, 1, 4)
        self.set_cell(self._cell)

    def set_cell(self, cell: Cell) -> None:
        """Show a cell; what is typed starts from it."""
        self._cell = cell
        for name, field in self.numbers.items():
            field.set_value(float(f"{getattr(cell, name):.6g}"))  # the cell keeps all digits
        self.group.setText(cell.space_group)

    def _number(self, name: str, value: float | None) -> None:
        changes = {name: value}
        if name == "a" and self._cell.a == self._cell.b == self._cell.c:  # stays cubic
            changes |= {"b": value, "c": value}
        self._change(changes)

    def _group(self) -> None:
        symbol = self.group.text().strip()
        if symbol != self._cell.space_group:
            self._change({"space_group": symbol})

    def _change(self, changes: dict) -> None:
        """The cell with other values; its atoms stay only with its space group."""
        values = (
            self._cell.model_dump() | {"name": "own cell", "source": "typed in", "lamellar": False} | changes
        )
        if "space_group" in changes:
            values["sites"] = ()
        try:
            cell = Cell.model_validate(values)
        except ValidationError as error:
            self.set_cell(self._cell)
            text = error.errors()[0]["msg"].removeprefix("Value error, ").rstrip(".")
            self.refused.emit(f"This is no cell: {text[:1].lower()}{text[1:]}; the old one stays.")
            return
        self.set_cell(cell)
        self.cell_changed.emit(cell)
