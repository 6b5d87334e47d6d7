"""One sentence under the tool bar, with at most one thing to do about it."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import QEvent, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QCursor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from braggscope.widgets import theme
from braggscope.widgets.icons import icon
from braggscope.widgets.prepare_fields import small_button

Level = Literal["info", "warning", "error"]
FADE_MS = 6000
_ROLES = {"info": "accent", "warning": "warning", "error": "error"}
_URGENCY = {"info": 0, "warning": 1, "error": 2}


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said. ``key`` names it in signals; a newer notice of a key replaces the older."""

    level: Level
    text: str
    action: str = ""
    key: str = ""


class NoticeBar(QFrame):
    """Shows one notice, the most urgent first; infos leave after six seconds, the rest when closed."""

    action_clicked = pyqtSignal(str)  # key of the notice
    closed = pyqtSignal(str)  # key of the notice that the user closed

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue: list[Notice] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FADE_MS)
        self._timer.timeout.connect(self._faded)
        self.sign = QLabel(self)
        self.text = QLabel(self)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.waiting = QLabel(self)
        self.waiting.setProperty("role", "muted")
        self.action = QPushButton(self)
        self.action.clicked.connect(self._act)
        self.close_button = small_button("close", "Close this notice", self)
        self.close_button.clicked.connect(self._close)
        row = QHBoxLayout(self)
        row.setContentsMargins(14, 5, 8, 5)
        row.setSpacing(10)
        row.addWidget(self.sign)
        row.addWidget(self.text, 1)
        for widget in (self.waiting, self.action, self.close_button):
            row.addWidget(widget)
        self.hide()

    def show_notice(self, level: Level, text: str, action: str = "", key: str = "") -> None:
        """Queue a sentence; ``action`` is the text of its button."""
        notice = Notice(level, text, action, key)
        if notice in self._queue:
            return
        if key:
            self._queue = [other for other in self._queue if other.key != key]
        self._queue.insert(0, notice)
        self._queue.sort(key=lambda n: -_URGENCY[n.level])  # stable: the newest of the most urgent first
        self._refresh()

    def remove(self, key: str) -> None:
        """Take back the notice of that key, shown or waiting."""
        left = [notice for notice in self._queue if notice.key != key]
        if len(left) < len(self._queue):
            self._queue = left
            self._refresh()

    def clear(self) -> None:
        """Take back everything: what was said belongs to another file."""
        self._queue = []
        self._refresh()

    def current(self) -> Notice | None:
        """What is shown now."""
        return self._queue[0] if self._queue else None

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._paint_sign()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: a tinted ground with a stripe in the colour of the level."""
        notice = self.current()
        if notice is None:
            return
        colours, painter = theme.current(), QPainter(self)
        tint = QColor(getattr(colours, _ROLES[notice.level]))
        painter.fillRect(self.rect(), QColor(colours.panel))
        painter.fillRect(0, 0, 3, self.height(), tint)
        tint.setAlpha(26)
        painter.fillRect(self.rect(), tint)

    def _refresh(self) -> None:
        notice = self.current()
        self.setVisible(notice is not None)
        if notice is None:
            self._timer.stop()
            return
        self.text.setText(notice.text)
        self.action.setText(notice.action)
        self.action.setVisible(bool(notice.action))
        more = len(self._queue) - 1
        self.waiting.setText(f"{more} more" if more else "")
        self.waiting.setVisible(more > 0)
        if notice.level != "info":
            self._timer.stop()
        elif not self._timer.isActive():
            self._timer.start()
        self._paint_sign()
        self.update()

    def _paint_sign(self) -> None:
        notice = self.current()
        if notice is not None:
            self.sign.setPixmap(icon(notice.level, _ROLES[notice.level]).pixmap(16, 16))

    def _next(self) -> None:
        self._timer.stop()
        self._queue = self._queue[1:]
        self._refresh()

    def _faded(self) -> None:
        if self.rect().contains(self.mapFromGlobal(QCursor.pos())):  # somebody reads it
            self._timer.start()
        else:
            self._next()

    def _act(self) -> None:
        notice = self.current()
        self._next()
        if notice is not None:
            self.action_clicked.emit(notice.key)

    def _close(self) -> None:
        notice = self.current()
        self._next()
        if notice is not None:
            self.closed.emit(notice.key)
