"""Asks which scan of a file of SPEC is the rocking curve, and which motors count where that is unclear."""

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import restyle
from braggscope.widgets.tips import as_written

KEY = Qt.ItemDataRole.UserRole


class SpecDialog(QDialog):
    """``scans``: (number, command) in the order of the file; ``current``: number of the one to begin with."""

    scan_chosen = pyqtSignal(str, str)  # number, names of motors as they are written

    def __init__(
        self,
        scans: list[tuple[str, str]],
        parent: QWidget | None = None,
        *,
        location: str = "",
        current: str = "",
        names: str = "",
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Geometry from a SPEC file")
        self.resize(520, 400)
        self.scans = QListWidget(self)
        self.scans.setAccessibleName("Scans")
        self.scans.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # long ones are elided
        for key, command in scans:
            item = QListWidgetItem(f"{key}   {command}", self.scans)
            item.setData(KEY, key)
            item.setToolTip(as_written(command))
        keys = [key for key, _ in scans]
        self.scans.setCurrentRow(keys.index(current) if current in keys else len(keys) - 1)
        self.names = QLineEdit(names, self)
        self.names.setAccessibleName("Motors")
        self.names.setPlaceholderText("energy=mono, gamma=-nu, step=th, axis=y")
        self.names.setToolTip(
            "energy, wavelength, delta, gamma, step = name of a motor; minus where it turns the other way;"
            " axis = x or y"
        )
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel, self)
        ok = self.buttons.button(kinds.Ok)
        assert ok is not None
        self.take = ok
        ok.setText("Take")
        ok.setProperty("role", "primary")
        restyle(ok)
        self.buttons.accepted.connect(self._chosen)
        self.buttons.rejected.connect(self.reject)
        self.scans.itemDoubleClicked.connect(lambda _: self._chosen())
        self._arrange(location)
        self.scans.setFocus()

    def _arrange(self, location: str) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        column.addWidget(QLabel("Which scan is the rocking curve?", self))
        column.addWidget(ElidedLabel(location, role="muted", parent=self))
        column.addWidget(self.scans, 1)
        column.addWidget(QLabel("Motors, where the usual names do not hold", self))
        column.addWidget(self.names)
        column.addWidget(self.buttons)

    def _chosen(self) -> None:
        item = self.scans.currentItem()
        if item is not None:
            self.accept()
            self.scan_chosen.emit(item.data(KEY), self.names.text())
