"""What the program did and what went wrong, newest at the bottom."""

from collections import deque
from typing import NamedTuple

from PyQt6.QtCore import QEvent, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QTextCharFormat, QTextCursor
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from braggscope.widgets import theme
from braggscope.widgets.icons import icon

MAX_LINES = 2000
LEVELS = ("debug", "info", "warning", "error")
ROLES = {"debug": "muted", "info": "text", "warning": "warning", "error": "error"}


class _Line(NamedTuple):
    level: str
    time: str
    message: str


class LogPanel(QWidget):
    """Keeps the last 2,000 lines; the filter hides, it does not forget."""

    report_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lines: deque[_Line] = deque(maxlen=MAX_LINES)
        self.level = QComboBox(self)
        for level, text in zip(LEVELS, ("Everything", "Info", "Warnings", "Errors"), strict=True):
            self.level.addItem(text, level)
        self.level.setCurrentIndex(1)
        self.level.setToolTip("Show lines of this level and above")
        self.level.activated.connect(lambda _: self._render())
        self.copy = QPushButton(icon("copy"), "Copy", self)
        self.copy.setToolTip("Copy the lines shown")
        self.copy.clicked.connect(self._copy)
        self.report = QPushButton(icon("bug"), "Error report", self)
        self.report.setToolTip("Write log, versions and settings into one file that you can send")
        self.report.clicked.connect(lambda: self.report_requested.emit())
        self.view = QPlainTextEdit(self)
        self.view.setReadOnly(True)
        self.view.setMaximumBlockCount(MAX_LINES)
        self.view.setPlaceholderText("Nothing has happened yet.")
        self.view.setFont(_fixed_font())
        self.view.setAccessibleName("Log")
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.level)
        row.addStretch(1)
        row.addWidget(self.copy)
        row.addWidget(self.report)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 6, 8, 8)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.view, 1)

    def append(self, level: str, time_text: str, message: str) -> None:
        """Add a line; unknown levels count as info."""
        line = _Line(level.lower() if level.lower() in LEVELS else "info", time_text, message)
        self._lines.append(line)
        if self._shown(line):
            self._write(line)

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._render()

    def _shown(self, line: _Line) -> bool:
        return LEVELS.index(line.level) >= self.level.currentIndex()

    def _render(self) -> None:
        self.view.clear()
        for line in self._lines:
            if self._shown(line):
                self._write(line)

    def _write(self, line: _Line) -> None:
        bar = self.view.verticalScrollBar()
        at_end = bar is None or bar.value() >= bar.maximum() - 2
        colours = theme.current()
        document = self.view.document()
        assert document is not None
        cursor = QTextCursor(document)
        cursor.movePosition(QTextCursor.MoveOperation.End)
        if not document.isEmpty():
            cursor.insertBlock()
        for text, role in ((f"{line.time}  ", "muted"), (line.message, ROLES[line.level])):
            style = QTextCharFormat()
            style.setForeground(QColor(getattr(colours, role)))
            # One line stays one block, so that the bound counts what it says.
            cursor.insertText(text.replace("\n", "\u2028"), style)
        if at_end and bar is not None:  # whoever has scrolled up to read is left in peace
            bar.setValue(bar.maximum())

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.view.toPlainText())


def _fixed_font() -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPointSizeF(9.0)
    return font
