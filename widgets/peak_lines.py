"""The lines of the peak table: keys, focus, and what is said when there are none."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QKeyEvent, QKeySequence, QPainter, QPaintEvent
from PyQt6.QtWidgets import QAbstractItemView, QTableView, QWidget

EMPTY = "No peaks yet. Open a series, or lower minval and minscore."


class PeakLines(QTableView):
    """The table itself; says something when it has nothing to show."""

    delete_pressed = pyqtSignal()
    copy_pressed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.hint = EMPTY
        self.arriving = False
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setFrameShape(QTableView.Shape.NoFrame)
        self.setCornerWidget(QWidget(self))

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """Qt would make the first line the current one; the focus alone is no choice."""
        selection = self.selectionModel()
        had_current = self.currentIndex().isValid()
        self.arriving = True
        super().focusInEvent(event)
        if selection is not None and not had_current:
            selection.clearCurrentIndex()
        self.arriving = False

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Copy, reject, or move."""
        if event is None:
            return
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_pressed.emit()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.delete_pressed.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Lines, or the hint."""
        super().paintEvent(event)
        model, port = self.model(), self.viewport()
        if port is not None and (model is None or model.rowCount() == 0):
            painter = QPainter(port)
            painter.setPen(self.palette().placeholderText().color())
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(port.rect().adjusted(12, 4, -12, -4), flags, self.hint)
