"""A sheet that covers its window with a veil and shows one card; Escape or a click beside it closes it."""

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, QRectF, Qt
from PyQt6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QWidget

from braggscope.widgets import theme

_VEIL = {"dark": 130, "light": 70}  # opacity of 255


class Overlay(QFrame):
    """Child of the window it covers. Subclasses fill ``card`` and place it in :meth:`place`."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.card = QFrame(self)
        self.card.setProperty("role", "card")
        self._focus: QWidget | None = None
        self.hide()
        parent.installEventFilter(self)

    def open(self) -> None:
        """Cover the window."""
        parent = self.parentWidget()
        window = parent.window() if parent is not None else None
        self._focus = window.focusWidget() if window is not None else None
        self._cover()
        self.show()
        self.raise_()

    def dismiss(self) -> None:
        """Uncover the window and give the focus back."""
        self.hide()
        if self._focus is not None and not sip.isdeleted(self._focus):
            self._focus.setFocus()
        self._focus = None

    def place(self) -> None:
        """Set the geometry of the card."""
        raise NotImplementedError

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt: stay as large as the window."""
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self._cover()
        return False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: Escape closes; no key falls through to the window."""
        if event is not None and event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        if event is not None:
            event.accept()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Qt: a click beside the card closes."""
        if event is not None and not self.card.geometry().contains(event.position().toPoint()):
            self.dismiss()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: the veil and the shadow of the card."""
        painter = QPainter(self)
        veil = QColor(0, 0, 0, _VEIL[theme.current().name])
        painter.fillRect(self.rect(), veil)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for spread in range(2, 18, 3):
            painter.setBrush(QColor(0, 0, 0, 14))
            rect = QRectF(self.card.geometry()).adjusted(-spread, 3 - spread, spread, 3 + spread)
            painter.drawRoundedRect(rect, 8 + spread, 8 + spread)

    def _cover(self) -> None:
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.place()
