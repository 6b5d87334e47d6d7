"""A choice that is as wide as what is chosen, not as its longest entry."""

from PyQt6.QtCore import QSize
from PyQt6.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QWidget


class SnugComboBox(QComboBox):
    """For rows in narrow docks: the list itself always shows whole entries."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(lambda _: self.updateGeometry())

    def sizeHint(self) -> QSize:
        """Qt: room for the current entry."""
        whole = super().sizeHint()
        text = QSize(
            self.fontMetrics().horizontalAdvance(self.currentText()) + 6, self.fontMetrics().height()
        )
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        if style is None:
            return whole
        kind = QStyle.ContentsType.CT_ComboBox
        return QSize(style.sizeFromContents(kind, option, text, self).width(), whole.height())

    def minimumSizeHint(self) -> QSize:
        """Qt: it can be squeezed."""
        return QSize(44, super().minimumSizeHint().height())
