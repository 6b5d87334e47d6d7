"""Text that is shortened in the middle instead of clipped, with the whole of it as tooltip."""

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QLabel, QLineEdit, QSizePolicy, QStyle, QStyleOption, QWidget

from braggscope.widgets.tips import as_written

MIDDLE = Qt.TextElideMode.ElideMiddle


class ElidedLabel(QLabel):
    """One line of text that never asks for more width than it is given."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.mode = MIDDLE
        self.minimum_width = 24
        self.shorter: tuple[str, ...] = ()  # what to show where the whole has no room, the longest first
        if role:
            self.setProperty("role", role)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)

    def minimumSizeHint(self) -> QSize:
        """Qt: a label can be squeezed to a few characters."""
        return QSize(
            min(self.minimum_width, super().minimumSizeHint().width()), super().minimumSizeHint().height()
        )

    def shown_text(self) -> str:
        """The text as it fits now."""
        metrics, room = self.fontMetrics(), self.contentsRect().width()
        for text in (self.text(), *self.shorter):
            if metrics.horizontalAdvance(text) <= room:
                return text
        return metrics.elidedText(self.text(), self.mode, room)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: draw the shortened text in the colour of the style."""
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        style = self.style()
        if style is not None:
            style.drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, painter, self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), int(self.alignment()), self.shown_text())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the tooltip exists only while something is hidden."""
        super().resizeEvent(event)
        self._tip()

    def setText(self, text: str | None) -> None:
        """Qt: also renew the tooltip."""
        super().setText(text)
        self._tip()

    def _tip(self) -> None:
        self.setToolTip(as_written(self.text()) if self.shown_text() != self.text() else "")


class ElidedField(QLineEdit):
    """Read-only text that can be selected and copied; shortened in the middle until it has the focus."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setReadOnly(True)
        self.setFrame(False)
        self.setProperty("role", "value")
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setStyleSheet("QLineEdit { background: transparent; border: none; padding: 0; min-height: 0; }")
        self.setTextMargins(0, 0, 0, 0)

    def shown_text(self) -> str:
        """The text as it fits now."""
        return self.fontMetrics().elidedText(self.text(), MIDDLE, self.width() - 4)

    def minimumSizeHint(self) -> QSize:
        """Qt: a field can be squeezed to a few characters."""
        return QSize(24, super().minimumSizeHint().height())

    def sizeHint(self) -> QSize:
        """Qt: as wide as the text."""
        return QSize(self.fontMetrics().horizontalAdvance(self.text()) + 6, super().sizeHint().height())

    def setText(self, text: str | None) -> None:
        """Qt: show the beginning of a new text."""
        super().setText(text)
        self.setCursorPosition(0)
        self._tip()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the tooltip exists only while something is hidden."""
        super().resizeEvent(event)
        self._tip()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Qt: shorten while nobody selects in it."""
        if self.hasFocus() or self.shown_text() == self.text():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(
            self.rect().adjusted(2, 0, -2, 0),
            int(self.alignment() | Qt.AlignmentFlag.AlignVCenter),
            self.shown_text(),
        )

    def _tip(self) -> None:
        self.setToolTip(as_written(self.text()) if self.shown_text() != self.text() else "")
