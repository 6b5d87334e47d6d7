"""Names and values in two aligned columns, updated in place."""

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QWidget

from braggscope.widgets.elided import ElidedField, ElidedLabel


class KeyValues(QWidget):
    """Muted names on the left, selectable values flush right; both shortened in the middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[ElidedLabel, ElidedField]] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(3)
        self._grid.setColumnStretch(0, 2)
        self._grid.setColumnStretch(1, 3)

    def set_items(self, items: list[tuple[str, str]]) -> None:
        """Show ``(name, value)`` pairs in order; rows that stay keep their selection."""
        while len(self._rows) > len(items):
            for widget in self._rows.pop():
                self._grid.removeWidget(widget)
                widget.hide()
                widget.deleteLater()
        while len(self._rows) < len(items):
            self._append()
        for (label, field), (name, value) in zip(self._rows, items, strict=True):
            if label.text() != name:
                label.setText(name)
            if field.text() != value:
                field.setText(value)
            field.setAccessibleName(name)

    def items(self) -> list[tuple[str, str]]:
        """What is shown."""
        return [(label.text(), field.text()) for label, field in self._rows]

    def as_text(self) -> str:
        """Tab-separated lines, for the clipboard."""
        return "\n".join(f"{name}\t{value}" for name, value in self.items())

    def field(self, row: int) -> ElidedField:
        """The value field of a row."""
        return self._rows[row][1]

    def _append(self) -> None:
        row = len(self._rows)
        label, field = ElidedLabel(role="muted", parent=self), ElidedField(parent=self)
        field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._grid.addWidget(label, row, 0)
        self._grid.addWidget(field, row, 1)
        self._rows.append((label, field))
