"""What the file says about itself: energy, distance, exposure …"""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QGuiApplication
from PyQt6.QtWidgets import QLabel, QWidget

from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.section import SectionPage


class MetadataPanel(SectionPage):
    """Two aligned columns; every value can be selected, the whole list copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.column.setContentsMargins(10, 8, 10, 8)
        self.values = KeyValues(self.page)
        self.empty = QLabel("The metadata of the open file appear here.", self.page)
        self.empty.setProperty("role", "muted")
        self.empty.setWordWrap(True)
        self.add(self.values)
        self.add(self.empty)
        copy = QAction("Copy all", self)
        copy.triggered.connect(self._copy)
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.set_items([])

    def set_items(self, items: list[tuple[str, str]]) -> None:
        """Show ``(name, value with unit)`` pairs in order."""
        self.values.set_items(items)
        self.values.setVisible(bool(items))
        self.empty.setVisible(not items)

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.values.as_text())
