"""A choice that is as wide as what is chosen, not as its longest entry."""

from PyQt6.QtCore import QSize
from PyQt6.QtWidgets import QComboBox, QSizePolicy, QWidget


class SnugComboBox(QComboBox):
    """For rows in narrow docks: the list itself always shows whole entries."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "snug")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.currentIndexChanged.connect(lambda _: self.updateGeometry())

    def sizeHint(self) -> QSize:
        """Qt: room for the current entry."""
        whole, font = super().sizeHint(), self.fontMetrics()
        longest = max((font.horizontalAdvance(self.itemText(k)) for k in range(self.count())), default=0)
        return QSize(whole.width() - longest + font.horizontalAdvance(self.currentText()), whole.height())

    def minimumSizeHint(self) -> QSize:
        """Qt: it can be squeezed."""
        return QSize(44, super().minimumSizeHint().height())
