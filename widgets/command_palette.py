"""Type a few letters, press Return: every command of the program."""

from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QModelIndex, QObject, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QKeyEvent, QPainter, QStandardItem, QStandardItemModel
from PyQt6.QtWidgets import (
    QLabel,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets import fuzzy, theme
from braggscope.widgets.icons import icon
from braggscope.widgets.overlay import Overlay

_COMMAND = Qt.ItemDataRole.UserRole
_PLACES = Qt.ItemDataRole.UserRole + 1
_MOVES = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight


@dataclass(frozen=True, slots=True)
class Command:
    """One thing the program can do. ``shortcut`` as the user reads it, such as ``Ctrl+E``."""

    key: str
    title: str
    shortcut: str = ""
    section: str = ""
    enabled: bool = True


class CommandPalette(Overlay):
    """Covers the window it is a child of."""

    chosen = pyqtSignal(str)  # key of the command

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._commands: tuple[Command, ...] = ()
        self.input = QLineEdit(self.card)
        self.input.setPlaceholderText("Type a command")
        self.input.setClearButtonEnabled(False)
        self.input.addAction(icon("search", "muted"), QLineEdit.ActionPosition.LeadingPosition)
        self.input.textEdited.connect(lambda _: self._search())
        self.input.installEventFilter(self)
        self.list = QListView(self.card)
        self.list.setModel(QStandardItemModel(self.list))
        self.list.setItemDelegate(_Line(self.list))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setUniformItemSizes(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setEditTriggers(QListView.EditTrigger.NoEditTriggers)
        self.list.clicked.connect(self._accept)
        self.empty = QLabel("No command has these letters.", self.card)
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setMinimumHeight(48)
        column = QVBoxLayout(self.card)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.input)
        column.addWidget(self.list, 1)
        column.addWidget(self.empty)

    def popup(self, commands: tuple[Command, ...] | list[Command]) -> None:
        """Open over the window with an empty search."""
        self._commands = tuple(commands)
        self.input.clear()
        self._search()
        self.open()
        self.input.setFocus()

    def shown(self) -> list[Command]:
        """The commands in the list, best first."""
        return [self._model().index(i, 0).data(_COMMAND) for i in range(self._model().rowCount())]

    def place(self) -> None:
        """A card in the upper middle, as tall as the list needs."""
        width = min(600, self.width() - 48)
        rows = max(min(self._model().rowCount(), 12), 1)
        head = self.input.sizeHint().height() + 22  # margins and spacing
        height = min(head + max(rows * _Line.HEIGHT, 48), self.height() - 80)
        self.card.setGeometry(
            (self.width() - width) // 2, max(min(90, self.height() // 8), 16), width, height
        )

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: keys typed into the search move through the list."""
        if watched is self.input and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._accept(self.list.currentIndex())
                return True
            if event.key() in _MOVES:
                self._move(_MOVES[Qt.Key(event.key())])
                return True
        return super().eventFilter(watched, event)

    def _model(self) -> QStandardItemModel:
        model = self.list.model()
        assert isinstance(model, QStandardItemModel)
        return model

    def _search(self) -> None:
        model = self._model()
        model.clear()
        for command, places in fuzzy.rank(self.input.text(), self._commands, lambda c: c.title):
            item = QStandardItem(command.title)
            item.setData(command, _COMMAND)
            item.setData(places, _PLACES)
            if not command.enabled:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            model.appendRow(item)
        self.list.setVisible(model.rowCount() > 0)
        self.empty.setVisible(model.rowCount() == 0)
        self._select(range(model.rowCount()))
        self.place()

    def _move(self, step: int) -> None:
        here, last = self.list.currentIndex().row(), self._model().rowCount() - 1
        target = min(max(here + step, 0), last)
        ahead = range(target, last + 1) if step > 0 else range(target, -1, -1)
        back = range(target, here, -1) if step > 0 else range(target, here)
        self._select([*ahead, *back])

    def _select(self, rows: range | list[int]) -> None:
        """Go to the first of these rows that can be chosen."""
        for row in rows:
            index = self._model().index(row, 0)
            if index.flags() & Qt.ItemFlag.ItemIsEnabled:
                self.list.setCurrentIndex(index)
                self.list.scrollTo(index)
                return

    def _accept(self, index: QModelIndex) -> None:
        command = index.data(_COMMAND) if index.isValid() else None
        if command is not None and command.enabled:
            self.dismiss()
            self.chosen.emit(command.key)


class _Line(QStyledItemDelegate):
    """Title with the matched letters set off; section and key on the right."""

    HEIGHT = 32

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(100, self.HEIGHT)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        if painter is None:
            return
        colours, command = theme.current(), index.data(_COMMAND)
        picked = bool(option.state & QStyle.StateFlag.State_Selected)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if picked or (option.state & QStyle.StateFlag.State_MouseOver and command.enabled):
            painter.setBrush(QColor(colours.accent if picked else colours.raised))
            painter.drawRoundedRect(option.rect, 5, 5)
        text = colours.on_accent if picked else colours.text if command.enabled else colours.muted
        quiet = colours.on_accent if picked else colours.muted
        rect = option.rect.adjusted(12, 0, -12, 0)
        right = self._right_side(painter, rect, command, QColor(quiet))
        rect.setRight(right - 12)
        self._title(painter, rect, command.title, index.data(_PLACES), QColor(text), picked)
        painter.restore()

    @staticmethod
    def _right_side(painter: QPainter, rect: QRect, command: Command, quiet: QColor) -> int:
        right = rect.right()
        painter.setPen(quiet)
        for text in filter(None, (command.shortcut, command.section)):
            width = painter.fontMetrics().horizontalAdvance(text)
            painter.drawText(QRect(right - width, rect.y(), width, rect.height()), int(_RIGHT), text)
            right -= width + 16
        return right

    @staticmethod
    def _title(
        painter: QPainter, rect: QRect, title: str, places: tuple[int, ...], colour: QColor, picked: bool
    ) -> None:
        plain, bold = QFont(painter.font()), QFont(painter.font())
        bold.setWeight(QFont.Weight.Bold)
        shown = painter.fontMetrics().elidedText(title, Qt.TextElideMode.ElideRight, rect.width())
        accent = colour if picked else QColor(theme.current().accent)
        x = rect.x()
        for place, letter in enumerate(shown):
            hit = place in (places or ())
            painter.setFont(bold if hit else plain)
            painter.setPen(accent if hit else colour)
            width = painter.fontMetrics().horizontalAdvance(letter)
            painter.drawText(QRect(x, rect.y(), width + 4, rect.height()), int(_LEFT), letter)
            x += width
