"""One parameter set as a line: swatch, name to edit in place, summary, state, eye."""

from dataclasses import dataclass

from PyQt6.QtCore import QPoint, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFocusEvent, QIcon, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap
from PyQt6.QtWidgets import QGridLayout, QLabel, QLineEdit, QMenu, QSizePolicy, QToolButton, QWidget

from braggscope.widgets import theme
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.icons import icon


@dataclass(frozen=True, slots=True)
class SetEntry:
    """One parameter set as shown. ``state`` in words; ``progress`` 0 … 1 while it runs."""

    key: str
    name: str
    colour: str
    summary: str
    state: str = "not run"
    visible: bool = True
    active: bool = False
    progress: float | None = None


class _NameEdit(QLineEdit):
    """A name that looks like a label until it is edited."""

    renamed = pyqtSignal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._known = ""
        self.setFrame(False)
        self.setMaxLength(60)
        self.setToolTip("Double-click to rename")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.show_name("")
        self.rest()
        self.editingFinished.connect(self._finish)

    def show_name(self, name: str) -> None:
        """Show a name, unless one is being typed."""
        self._known = name
        if self.isReadOnly():
            self.setText(name)
            self.setCursorPosition(0)

    def edit(self) -> None:
        """Let the user type."""
        self.setReadOnly(False)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setStyleSheet("padding: 0 3px; border-radius: 4px;")
        self.setFocus()
        self.selectAll()

    def rest(self) -> None:
        """Look like a label."""
        self.setReadOnly(True)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setStyleSheet("background: transparent; border: 1px solid transparent; padding: 0;")
        self.deselect()
        self.show_name(self._known)

    def _finish(self) -> None:
        if self.isReadOnly():
            return
        name = self.text().strip()
        changed = bool(name) and name != self._known
        self._known = name or self._known
        self.rest()
        if changed:
            self.renamed.emit(name)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """At rest, shorten a long name instead of clipping it."""
        if not self.isReadOnly():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().text().color())
        text = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, text)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape keeps the old name."""
        if event is not None and event.key() == Qt.Key.Key_Escape and not self.isReadOnly():
            self.rest()
            return
        super().keyPressEvent(event)


class ParameterSetRow(QWidget):
    """One set: swatch, name, eye, and under them summary and state."""

    activated = pyqtSignal()
    colour_picked = pyqtSignal(str)
    visibility_picked = pyqtSignal(bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.entry = SetEntry("", "", "#000000", "")
        self.swatch = QToolButton(self)
        self.swatch.setIconSize(QSize(14, 14))
        self.swatch.setToolTip("Choose a colour")
        self.name = _NameEdit(self)
        self.state = QLabel(self)
        self.summary = ElidedLabel(role="muted", parent=self)
        self.eye = QToolButton(self)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        grid = QGridLayout(self)
        grid.setContentsMargins(8, 4, 4, 6)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(0)
        grid.addWidget(self.swatch, 0, 0, 2, 1)
        grid.addWidget(self.name, 0, 1, 1, 2)
        grid.addWidget(self.summary, 1, 1)
        grid.addWidget(self.state, 1, 2)
        grid.addWidget(self.eye, 0, 3, 2, 1)
        grid.setColumnStretch(1, 1)
        self.swatch.clicked.connect(self._open_colours)
        self.eye.clicked.connect(lambda _: self.visibility_picked.emit(not self.entry.visible))

    def show_entry(self, entry: SetEntry) -> None:
        """Show a set."""
        self.entry = entry
        self.swatch.setIcon(_swatch(entry.colour))
        self.name.show_name(entry.name)
        self.summary.setText(entry.summary)
        self.state.setText(entry.state)
        role = {"done": "good", "failed": "error"}.get(entry.state, "muted")
        if self.state.property("role") != role:
            self.state.setProperty("role", role)
            style = self.state.style()
            if style is not None:  # have the style read the role again
                style.unpolish(self.state)
                style.polish(self.state)
        self.eye.setIcon(icon("show" if entry.visible else "hide", "text" if entry.visible else "muted"))
        self.eye.setToolTip("Hide in the plots" if entry.visible else "Show in the plots")
        self.update()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """A click makes this the active set."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.activated.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        """A double click on the name edits it."""
        if event is not None and self.name.geometry().contains(event.position().toPoint()):
            self.name.edit()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Enter activates, F2 renames."""
        key = None if event is None else event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.activated.emit()
        elif key == Qt.Key.Key_F2:
            self.name.edit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Show the focus."""
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        """Hide the focus."""
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Ground, mark of the active set, progress."""
        painter, colours = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QColor(colours.accent) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.raised) if self.entry.active else Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(box, 6.0, 6.0)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.entry.active:
            painter.setBrush(QColor(colours.accent))
            painter.drawRoundedRect(QRectF(0.0, 8.0, 3.0, self.height() - 16.0), 1.5, 1.5)
        if self.entry.progress is not None:
            track = QRectF(8.0, self.height() - 3.5, self.width() - 16.0, 2.5)
            painter.setBrush(QColor(colours.line))
            painter.drawRoundedRect(track, 1.2, 1.2)
            track.setWidth(track.width() * min(max(self.entry.progress, 0.0), 1.0))
            painter.setBrush(QColor(self.entry.colour))
            painter.drawRoundedRect(track, 1.2, 1.2)

    def _open_colours(self) -> None:
        menu = self.colour_menu()
        menu.popup(self.swatch.mapToGlobal(QPoint(0, self.swatch.height())))

    def colour_menu(self) -> QMenu:
        """Menu of the series colours, readable for colour-blind people."""
        menu = QMenu(self)
        for colour in theme.SERIES_COLOURS:
            action = menu.addAction(_swatch(colour), colour)
            assert action is not None
            action.triggered.connect(lambda _, picked=colour: self.colour_picked.emit(picked))
        return menu


def _swatch(colour: str) -> QIcon:
    pixmap = QPixmap(28, 28)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(colour))
    painter.drawRoundedRect(QRectF(2, 2, 24, 24), 7, 7)
    painter.end()
    return QIcon(pixmap)
