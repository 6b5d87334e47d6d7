"""Fine-tuning of a network on the open series: what is asked, how it goes, what came out."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.paired import Change
from braggscope.models.tuning import Basis, Example, LearningPoint, Verdict
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.key_values import KeyValues
from braggscope.widgets.prepare_fields import restyle
from braggscope.widgets.section import Section, SectionPage
from braggscope.widgets.training_curve import TrainingCurve
from braggscope.widgets.training_examples import TrainingExamples
from braggscope.widgets.training_outcome import TrainingOutcome
from braggscope.widgets.training_text import basis_rows

Stage = Literal["idle", "running", "stopped", "done"]
HINT = (
    "Adapts the network to the peaks of the open series, judges it on frames held out, and keeps it only if"
    " it is better."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a training stands. ``note``: what it does, or why it stopped; ``total`` 0: not known yet."""

    stage: Stage = "idle"
    done: int = 0
    total: int = 0
    remaining_s: float | None = None
    note: str = ""


class TrainingPanel(SectionPage):
    """Signals are gestures. ``start_requested``: network, name of the new weights, minutes."""

    start_requested = pyqtSignal(str, str, float)
    cancel_requested = pyqtSignal()
    resume_requested = pyqtSignal()
    discard_requested = pyqtSignal()
    use_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._standing, self._possible = Standing(), False
        self._make_form()
        self._make_progress()
        self.peaks, self.changes = KeyValues(), TrainingOutcome()
        self.curve, self.examples = TrainingCurve(), TrainingExamples()
        self.add(self._head())
        self.outcome = self._section("Before and after", self.changes, self.examples)
        self.learning = self._section("Learning curve", self.curve)
        self.measured = self._section("The peaks of this series", self.peaks)
        self.set_basis(None)
        self.set_outcome(None)
        self.set_standing(Standing())

    # -- building -----------------------------------------------------------------------------

    def _make_form(self) -> None:
        self.network = QComboBox()
        self.network.setAccessibleName("Network")
        self.name = QLineEdit()
        self.name.setAccessibleName("Name of the new weights")
        self.name.setPlaceholderText("name of the new weights")
        self.minutes = QDoubleSpinBox()
        self.minutes.setRange(0.1, 240.0)
        self.minutes.setDecimals(1)
        self.minutes.setValue(5.0)
        self.minutes.setSuffix(" min")
        self.minutes.setAccessibleName("Time")
        self.name.textChanged.connect(lambda _: self._update_buttons())

    def _make_progress(self) -> None:
        self.start = QPushButton("Start")
        self.start.setProperty("role", "primary")
        self.resume, self.discard = QPushButton("Resume"), QPushButton("Discard")
        self.use = QPushButton("Use these weights")
        self.use.setProperty("role", "primary")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.note, self.verdict = QLabel(), QLabel()
        for label in (self.note, self.verdict):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.note.setProperty("role", "muted")
        self.start.clicked.connect(lambda _: self._start_or_cancel())
        for button, signal in (
            (self.resume, self.resume_requested), (self.discard, self.discard_requested),
            (self.use, self.use_requested),
        ):  # fmt: skip
            button.clicked.connect(lambda _, signal=signal: signal.emit())

    def _head(self) -> QWidget:
        head = QWidget()
        column = QVBoxLayout(head)
        column.setContentsMargins(8, 2, 8, 8)
        column.setSpacing(6)
        hint = QLabel(HINT)
        hint.setWordWrap(True)
        hint.setProperty("role", "muted")
        column.addWidget(hint)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for title, field in (("Network", self.network), ("Name", self.name), ("Time", self.minutes)):
            form.addRow(title, field)
        column.addLayout(form)
        buttons = QHBoxLayout()
        for button in (self.start, self.resume, self.discard):
            buttons.addWidget(button, 1)
        column.addLayout(buttons)
        for widget in (self.bar, self.note, self.verdict, self.use):
            column.addWidget(widget)
        return head

    def _section(self, title: str, *rows: QWidget) -> Section:
        section = Section(title)
        for row in rows:
            section.add(row)
        self.add(section)
        return section

    # -- values in ----------------------------------------------------------------------------

    def set_networks(self, networks: list[tuple[str, str]]) -> None:
        """Keys and titles of the networks that can be trained; the choice is kept."""
        chosen = self.network.currentData()
        self.network.clear()
        for key, title in networks:
            self.network.addItem(title, key)
        self.network.setCurrentIndex(max(0, self.network.findData(chosen)))
        self._update_buttons()

    def set_name(self, name: str) -> None:
        """Name of the new weights, as proposed."""
        self.name.setText(name)

    def set_possible(self, possible: bool) -> None:
        """Whether there is a series to train on."""
        self._possible = possible
        self._update_buttons()

    def set_standing(self, standing: Standing) -> None:
        """Show how the training stands."""
        self._standing = standing
        running, stopped = standing.stage == "running", standing.stage == "stopped"
        self.bar.setVisible(running or (stopped and standing.total > 0))
        self.bar.setRange(0, standing.total if standing.total or not running else 0)
        self.bar.setValue(standing.done)
        parts = [standing.note] if standing.note else []
        if running and standing.remaining_s is not None:
            parts.append(f"{time_text(standing.remaining_s)} left")
        self.note.setText(" · ".join(parts))
        self.note.setVisible(bool(parts))
        self._update_buttons()

    def set_basis(self, basis: Basis | None) -> None:
        """What the training learns from."""
        self.peaks.set_items(basis_rows(basis) if basis is not None else [])
        self.measured.setVisible(basis is not None)

    def set_curve(self, points: tuple[LearningPoint, ...]) -> None:
        """Losses and errors so far."""
        self.curve.set_points(points)

    def set_outcome(
        self,
        verdict: Verdict | None,
        measured: Change | None = None,
        simulated: Change | None = None,
        label_error_px: float = 0.0,
        examples: tuple[Example, ...] = (),
    ) -> None:
        """How it ended; None while it has not."""
        self.verdict.setText("" if verdict is None else verdict.sentence)
        self.verdict.setVisible(verdict is not None)
        accepted = verdict is not None and verdict.accepted
        self.verdict.setProperty("role", "good" if accepted else "warning")
        restyle(self.verdict)
        self.use.setVisible(accepted)
        self.start.setProperty("role", None if accepted else "primary")  # one thing to do next
        restyle(self.start)
        some = measured is not None and simulated is not None
        self.outcome.setVisible(some)
        self.examples.set_examples(examples)
        if measured is not None and simulated is not None:
            self.changes.set_changes(measured, simulated, label_error_px)

    def _update_buttons(self) -> None:
        stage = self._standing.stage
        running, stopped = stage == "running", stage == "stopped"
        self.start.setText("Cancel" if running else "Start")
        ready = self._possible and bool(self.name.text().strip()) and self.network.count() > 0
        self.start.setVisible(not stopped)
        self.start.setEnabled(running or ready)
        self.resume.setVisible(stopped)
        self.discard.setVisible(stopped)
        for field in (self.network, self.name, self.minutes):
            field.setEnabled(not (running or stopped))

    def _start_or_cancel(self) -> None:
        if self._standing.stage == "running":
            self.cancel_requested.emit()
            return
        key = str(self.network.currentData())
        self.start_requested.emit(key, self.name.text().strip(), self.minutes.value())
