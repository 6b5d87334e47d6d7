"""Settings of the program itself: nothing here changes a result."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QLabel,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.prepare_fields import FieldGrid, Segmented, restyle

_LABELS = 140  # px, width of the labels
ThemeChoice = Literal["system", "dark", "light"]
DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """``threads`` of a whole-series run; ``memory_mb`` bounds the caches of frames and results."""

    theme: ThemeChoice = "system"
    device: DeviceChoice = "auto"
    threads: int = 2
    memory_mb: int = 2048
    reader_timeout_s: int = 10
    autosave: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """What the entries are checked against. 0 = not known."""

    cores: int = 0
    memory_mb: int = 0
    cuda: bool = True


def problems(value: Preferences, machine: Machine) -> list[str]:
    """One sentence for every entry that cannot work here."""
    found = []
    if machine.cores and value.threads > machine.cores:
        found.append(f"This machine has {machine.cores} cores; enter at most {machine.cores} threads.")
    if value.memory_mb < 256:
        found.append("The caches need at least 256 MB of memory; enter more.")
    if machine.memory_mb and value.memory_mb > machine.memory_mb * 0.8:
        most = int(machine.memory_mb * 0.8)
        found.append(f"This machine has {machine.memory_mb:,} MB; enter at most {most:,} MB.")
    if value.device == "cuda" and not machine.cuda:
        found.append("No CUDA device was found on this machine; choose Auto or CPU.")
    return found


class PreferencesDialog(QDialog):
    """Emits once, on OK, with entries that work."""

    accepted_preferences = pyqtSignal(object)

    def __init__(
        self,
        value: Preferences,
        parent: QWidget | None = None,
        *,
        machine: Machine | None = None,
        defaults: Preferences | None = None,
    ) -> None:
        super().__init__(parent)
        self.machine = machine or Machine()
        self._defaults = defaults or Preferences()
        self.setWindowTitle("Preferences")
        self.setMinimumWidth(460)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 16, 20, 16)
        column.setSpacing(8)
        for caption, grid in (
            ("Appearance", self._appearance()),
            ("Computing", self._computing()),
            ("Files", self._files()),
        ):
            label = QLabel(caption, self)
            label.setProperty("role", "caption")
            label.setIndent(0)
            column.addWidget(label)
            column.addWidget(grid)
        self.problem = QLabel(self)
        self.problem.setProperty("role", "error")
        self.problem.setWordWrap(True)
        self.problem.setMinimumHeight(self.fontMetrics().height() * 2 + 4)
        column.addWidget(self.problem)
        column.addStretch(1)
        column.addWidget(self._buttons())
        self.set_value(value)

    def set_value(self, value: Preferences) -> None:
        """Show preferences."""
        self.theme.set_value(value.theme)
        self.device.set_value(value.device)
        for spin, number in (
            (self.threads, value.threads),
            (self.memory, value.memory_mb),
            (self.timeout, value.reader_timeout_s),
        ):
            spin.setValue(number)
        self.autosave.setChecked(value.autosave)
        self._check()

    def value(self) -> Preferences:
        """The entries as they stand."""
        theme, device = self.theme.value(), self.device.value()
        return Preferences(
            theme=theme,  # type: ignore[arg-type]
            device=device,  # type: ignore[arg-type]
            threads=self.threads.value(),
            memory_mb=self.memory.value(),
            reader_timeout_s=self.timeout.value(),
            autosave=self.autosave.isChecked(),
        )

    def _appearance(self) -> FieldGrid:
        grid = FieldGrid(self, _LABELS)
        choices = [("system", "System"), ("dark", "Dark"), ("light", "Light")]
        self.theme = Segmented(choices, "Theme", grid)
        grid.add("Theme", self.theme)
        return grid

    def _computing(self) -> FieldGrid:
        grid = FieldGrid(self, _LABELS)
        self.device = Segmented([("auto", "Auto"), ("cpu", "CPU"), ("cuda", "CUDA")], "Device", grid)
        self.device.chosen.connect(lambda _: self._check())
        self.threads = self._spin(grid, 1, 1024)
        self.memory = self._spin(grid, 64, 1_048_576, 256)
        grid.add("Device", self.device, "", "Auto takes the GPU when there is one; results are the same")
        grid.add("Threads", self.threads, "", "Worker threads of a whole-series run")
        grid.add("Memory", self.memory, "MB", "Bound of the caches of frames and results")
        return grid

    def _files(self) -> FieldGrid:
        grid = FieldGrid(self, _LABELS)
        self.timeout = self._spin(grid, 1, 3600)
        self.autosave = QCheckBox("Save the session as you work", grid)
        grid.add("Give up reading after", self.timeout, "s", "A read without progress for this long is ended")
        grid.add("Session", self.autosave)
        return grid

    def _spin(self, parent: QWidget, low: int, high: int, step: int = 1) -> QSpinBox:
        spin = QSpinBox(parent)
        spin.setRange(low, high)
        spin.setSingleStep(step)
        spin.setGroupSeparatorShown(True)
        spin.valueChanged.connect(lambda _: self._check())
        return spin

    def _buttons(self) -> QDialogButtonBox:
        kinds = QDialogButtonBox.StandardButton
        self.buttons = QDialogButtonBox(kinds.Ok | kinds.Cancel | kinds.RestoreDefaults, self)
        self.ok = self.buttons.button(kinds.Ok)
        defaults = self.buttons.button(kinds.RestoreDefaults)
        if self.ok is not None:
            self.ok.setProperty("role", "primary")
            restyle(self.ok)
        if defaults is not None:
            defaults.setText("Defaults")
            defaults.clicked.connect(lambda: self.set_value(self._defaults))
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        return self.buttons

    def _check(self) -> None:
        if not hasattr(self, "ok"):  # while the dialog is built
            return
        found = problems(self.value(), self.machine)
        self.problem.setText(found[0] if found else "")
        if self.ok is not None:
            self.ok.setEnabled(not found)

    def _accept(self) -> None:
        value = self.value()
        if not problems(value, self.machine):
            self.accept()
            self.accepted_preferences.emit(value)
