"""The network that finds disks: which weights it has, and how they are adapted to the scan that is open."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.prepare_fields import FieldGrid, restyle
from braggscope.widgets.section import Section
from braggscope.widgets.tips import as_written

SHIPPED = {
    "disks": ("U-Net", "The default: a real-valued U-Net, 737 thousand parameters"),
    "disks-fcunet": ("FCU-Net", "A complex U-Net in Fourier space, 150 thousand parameters"),
}
FILE = "From a file…"
HINT = (
    "Trains the network on simulated patterns with the probe, dose and spacing of this scan, and keeps the"
    " result only if it is no worse on patterns held out."
)
MINUTES = 10.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """How an adaptation stands. ``total`` 0: not known yet; ``good``: what ``text`` says is good news."""

    stage: Literal["idle", "running", "stopped"] = "idle"
    done: int = 0
    total: int = 0
    remaining_s: float | None = None
    text: str = ""
    good: bool = False
    usable: bool = False


class NetworkSection(Section):
    """``weights_chosen(str)``: name or file; ``file_requested()``: ask for one.

    ``start_requested(str, float)``: name of the new weights, minutes. The other signals have no values.
    """

    weights_chosen = pyqtSignal(str)
    file_requested = pyqtSignal()
    start_requested = pyqtSignal(str, float)
    cancel_requested = pyqtSignal()
    resume_requested = pyqtSignal()
    discard_requested = pyqtSignal()
    use_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Network", is_open=False, parent=parent)
        self._tuning, self._possible = Tuning(), False
        self._weights, self._own = "disks", dict[str, str]()
        self._make_fields()
        self._make_buttons()
        self._fill()
        self.set_tuning(Tuning())

    # ---- values in ----

    def set_weights(self, weights: str) -> None:
        """Show the weights in use: a shipped name, or a file."""
        if weights != self._weights:
            self._weights = weights
            self._fill()

    def set_own(self, files: dict[str, str]) -> None:
        """Own weights that can be chosen, titles by file."""
        if files != self._own:
            self._own = files
            self._fill()

    def set_name(self, name: str) -> None:
        """Name of the new weights, as proposed."""
        self.name.setText(name)

    def set_possible(self, possible: bool) -> None:
        """Whether there is a scan to adapt to."""
        self._possible = possible
        self._show_buttons()

    def set_tuning(self, tuning: Tuning) -> None:
        """Show how the adaptation stands."""
        self._tuning = tuning
        running = tuning.stage == "running"
        self.bar.setVisible(running)
        self.bar.setRange(0, tuning.total if running else 1)
        self.bar.setValue(tuning.done)
        left = "" if tuning.remaining_s is None else f" · {time_text(tuning.remaining_s)} left"
        self.note.setText(tuning.text + (left if running else ""))
        self.note.setVisible(bool(tuning.text))
        self.note.setProperty("role", "good" if tuning.good else "muted" if running else "warning")
        restyle(self.note)
        self.use.setVisible(tuning.usable)
        self._show_buttons()

    # ---- building ----

    def _make_fields(self) -> None:
        grid = FieldGrid(self, label_width=66)
        self.weights = QComboBox(grid)
        self.weights.setAccessibleName("Weights of the network")
        self.weights.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.weights.activated.connect(self._chosen)
        grid.add("Weights", self.weights, "", "Which trained network finds the disks")
        self.add(grid)
        hint = QLabel(HINT, self)
        hint.setWordWrap(True)
        hint.setProperty("role", "muted")
        self.add(hint)
        form = FieldGrid(self, label_width=66)
        self.name = QLineEdit(form)
        self.name.setPlaceholderText("name of the new weights")
        self.name.setAccessibleName("Name of the new weights")
        self.name.textChanged.connect(lambda _: self._show_buttons())
        form.add("Name", self.name, "", "The new weights are kept under this name")
        self.minutes = QDoubleSpinBox(form)
        self.minutes.setLocale(self.minutes.locale().c())
        self.minutes.setRange(0.1, 240.0)
        self.minutes.setDecimals(1)
        self.minutes.setValue(MINUTES)
        self.minutes.setSuffix(" min")
        self.minutes.setAccessibleName("Time for training")
        form.add("Time", self.minutes, "", "How long the training may take")
        self.add(form)

    def _make_buttons(self) -> None:
        self.start, self.resume = QPushButton("Fine-tune to this scan"), QPushButton("Resume")
        self.discard, self.use = QPushButton("Discard"), QPushButton("Use these weights")
        self.use.setProperty("role", "primary")
        self.start.clicked.connect(lambda _: self._start_or_cancel())
        self.resume.clicked.connect(lambda _: self.resume_requested.emit())
        self.discard.clicked.connect(lambda _: self.discard_requested.emit())
        self.use.clicked.connect(lambda _: self.use_requested.emit())
        buttons = QWidget(self)
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        for button in (self.start, self.resume, self.discard):
            row.addWidget(button, 1)
        self.bar, self.note = QProgressBar(self), QLabel(self)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.note.setWordWrap(True)
        self.note.setTextFormat(Qt.TextFormat.PlainText)
        for widget in (buttons, self.bar, self.note, self.use):
            self.add(widget)

    # ---- inner ----

    def _fill(self) -> None:
        titles = {key: title for key, (title, _) in SHIPPED.items()} | self._own
        titles.setdefault(self._weights, self._weights.replace("\\", "/").rpartition("/")[2])
        self.weights.clear()
        for key, title in titles.items():
            self.weights.addItem(title, key)
            tip = SHIPPED[key][1] if key in SHIPPED else as_written(key)
            self.weights.setItemData(self.weights.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.weights.addItem(FILE, "")
        self.weights.setCurrentIndex(self.weights.findData(self._weights))
        self.set_summary(titles[self._weights])

    def _chosen(self) -> None:
        key = self.weights.currentData()
        self.weights.setCurrentIndex(self.weights.findData(self._weights))  # until it is in use
        if key:
            self.weights_chosen.emit(key)
        else:
            self.file_requested.emit()

    def _show_buttons(self) -> None:
        running, stopped = self._tuning.stage == "running", self._tuning.stage == "stopped"
        self.start.setText("Cancel" if running else "Fine-tune to this scan")
        self.start.setVisible(not stopped)
        self.start.setEnabled(running or (self._possible and bool(self.name.text().strip())))
        self.resume.setVisible(stopped)
        self.discard.setVisible(stopped)
        for field in (self.name, self.minutes):
            field.setEnabled(not (running or stopped))

    def _start_or_cancel(self) -> None:
        if self._tuning.stage == "running":
            self.cancel_requested.emit()
        else:
            self.start_requested.emit(self.name.text().strip(), self.minutes.value())
