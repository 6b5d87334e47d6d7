"""All keys of the program, by section, on one sheet."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from braggscope.widgets.command_palette import Command
from braggscope.widgets.overlay import Overlay
from braggscope.widgets.section import SectionPage

_COLUMN_WIDTH = 270
_HEAD = 2  # lines that a section's caption is worth when columns are balanced


class HelpOverlay(Overlay):
    """Covers the window it is a child of; Escape, ``?`` or a click closes it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        column = QVBoxLayout(self.card)
        column.setContentsMargins(22, 18, 22, 14)
        column.setSpacing(8)
        title = QLabel("Keys", self.card)
        title.setProperty("role", "title")
        hint = QLabel("Esc closes", self.card)
        hint.setProperty("role", "muted")
        head = QHBoxLayout()
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(hint)
        column.addLayout(head)
        self.page = SectionPage(self.card)
        column.addWidget(self.page, 1)
        self._sheet: QWidget | None = None
        self._sections: list[tuple[str, list[Command]]] = []
        self._columns = 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def popup(self, commands: tuple[Command, ...] | list[Command]) -> None:
        """Show every command that has a key, in the order given."""
        sections: dict[str, list[Command]] = {}
        for command in commands:
            if command.shortcut:
                sections.setdefault(command.section or "General", []).append(command)
        self._sections = list(sections.items())
        self._columns = 0
        self.open()
        self.setFocus()

    def place(self) -> None:
        """A card in the middle, with as many columns as fit."""
        room = min(self.width() - 60, 1180)
        wanted = max(min(room // (_COLUMN_WIDTH + 24), len(self._sections)), 1)
        if wanted != self._columns:
            self._fill(wanted)
        width = min(wanted * (_COLUMN_WIDTH + 24) + 60, self.width() - 24)
        needed = self._sheet.sizeHint().height() + 84 if self._sheet is not None else 0
        height = min(needed, self.height() - 48)
        self.card.setGeometry((self.width() - width) // 2, (self.height() - height) // 2, width, height)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: ``?`` closes too."""
        if event is not None and event.key() == Qt.Key.Key_Question:
            self.dismiss()
            event.accept()
            return
        super().keyPressEvent(event)

    def _fill(self, columns: int) -> None:
        self._columns = columns
        if self._sheet is not None:
            self.page.column.removeWidget(self._sheet)
            self._sheet.hide()
            self._sheet.deleteLater()
        self._sheet = QWidget(self.page.page)
        row = QHBoxLayout(self._sheet)
        row.setContentsMargins(0, 0, 8, 0)
        row.setSpacing(24)
        for group in _balance(self._sections, columns):
            stack = QVBoxLayout()
            stack.setSpacing(2)
            for name, commands in group:
                stack.addWidget(self._section(name, commands))
            stack.addStretch(1)
            row.addLayout(stack, 1)
        self.page.add(self._sheet)
        self._sheet.show()  # a hidden sheet has no size

    def _section(self, name: str, commands: list[Command]) -> QWidget:
        box = QWidget(self._sheet)
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 12)
        grid.setVerticalSpacing(5)
        grid.setColumnStretch(0, 1)
        caption = QLabel(name, box)
        caption.setProperty("role", "caption")
        caption.setIndent(0)
        grid.addWidget(caption, 0, 0, 1, 2)
        for line, command in enumerate(commands, start=1):
            title = QLabel(command.title, box)
            title.setWordWrap(True)
            keys = QLabel(command.shortcut, box)
            keys.setProperty("role", "muted")
            keys.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
            grid.addWidget(title, line, 0)
            grid.addWidget(keys, line, 1)
        return box


def _balance(
    sections: list[tuple[str, list[Command]]], columns: int
) -> list[list[tuple[str, list[Command]]]]:
    """Sections in order, cut into columns of about equal height."""
    heights = [len(commands) + _HEAD for _, commands in sections]
    share = sum(heights) / columns
    groups: list[list[tuple[str, list[Command]]]] = [[] for _ in range(columns)]
    above = 0.0
    for section, height in zip(sections, heights, strict=True):
        groups[min(int((above + height / 2) / share), columns - 1)].append(section)
        above += height
    return groups
