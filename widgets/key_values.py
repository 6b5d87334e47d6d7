"""Names on the left, values flush right, updated in place."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedField, ElidedLabel
from braggscope.widgets.sharing import share

NAMES = 0.55  # of the width at most


class KeyValues(QWidget):
    """Muted names on the left, selectable values flush right; both shortened in the middle."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[tuple[ElidedLabel, ElidedField]] = []
        self._lines: list[QHBoxLayout] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(3)

    def set_items(self, items: list[tuple[str, str]]) -> None:
        """Show ``(name, value)`` pairs in order; rows that stay keep their selection."""
        while len(self._rows) > len(items):
            self._column.removeItem(self._lines.pop())
            for widget in self._rows.pop():
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
        self._share()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: share the width between names and values."""
        super().resizeEvent(event)
        self._share()

    def _share(self) -> None:
        for (label, field), row in zip(self._rows, self._lines, strict=True):
            share(row, label, field, self.width() - row.spacing(), NAMES)

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
        label, field = ElidedLabel(role="muted", parent=self), ElidedField(parent=self)
        field.setAlignment(Qt.AlignmentFlag.AlignRight)
        line = QHBoxLayout()
        line.setSpacing(10)
        line.addWidget(label)
        line.addWidget(field)
        self._column.addLayout(line)
        self._rows.append((label, field))
        self._lines.append(line)
