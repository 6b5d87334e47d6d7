"""Room for a text that changes with every frame without laying out the window each time."""

from PyQt6.QtCore import QEvent, QSize
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QWidget


class Still(QWidget):
    """Holds one widget; the layout around is asked only where that wants more room than it was given.

    Qt lays a whole window out anew whenever a label says something else, which takes longer than painting it.
    """

    def __init__(self, held: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._held = held
        self._given = QSize()
        held.setParent(self)
        self.setSizePolicy(held.sizePolicy())

    def sizeHint(self) -> QSize:
        """Qt: what the widget wants now."""
        self._given = self._held.sizeHint()
        return self._given

    def minimumSizeHint(self) -> QSize:
        """Qt: what the widget needs now."""
        return self._held.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: the widget fills the room."""
        self._held.setGeometry(self.rect())

    def event(self, event: QEvent | None) -> bool:
        """Qt: the widget has other wishes, or had them while nobody saw it."""
        if event is not None and event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Show):
            wish = self._held.sizeHint()
            if wish.width() > self._given.width() or wish.height() != self._given.height():
                self.updateGeometry()
        return super().event(event)
