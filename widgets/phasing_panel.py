"""How a crystal is phased: method, iterations, starts, support, refinement; start, progress, cancel."""

from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.sequence import SequenceError, length, parse
from braggscope.widgets import icons
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.phasing_choices import (
    COHERENCE,
    METHOD_TIPS,
    METHODS,
    PRESETS,
    STARTS,
    PhasingStanding,
    choice,
    entry_sentence,
)
from braggscope.widgets.prepare_fields import FieldGrid, NumberField
from braggscope.widgets.section import Section, SectionPage


class PhasingPanel(QWidget):
    """Shows :class:`Phasing` and emits a validated new one for every edit. Setters never emit."""

    phasing_changed = pyqtSignal(object)
    start_requested = pyqtSignal()
    cancel_requested = pyqtSignal()
    python_requested = pyqtSignal()
    command_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value, self._standing, self._possible = Phasing(), PhasingStanding(), False
        self.page = SectionPage(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._head())
        column.addWidget(self.page, 1)
        self.page.add(self._iterations())
        self.page.add(self._starts())
        self.page.add(self._support())
        self.page.add(self._refinement())
        self.set_error("")
        self.set_phasing(self._value)
        self.set_standing(self._standing)

    # ---- building ----

    def _head(self) -> QWidget:
        head = QWidget(self)
        column = QVBoxLayout(head)
        column.setContentsMargins(8, 4, 8, 2)
        column.setSpacing(6)
        self.method = choice("Method", METHODS, self._change_method)
        for row, tip in enumerate(METHOD_TIPS.values()):
            self.method.setItemData(row, tip, Qt.ItemDataRole.ToolTipRole)
        self.start = QPushButton("Reconstruct", head)
        self.start.setProperty("role", "primary")
        self.start.clicked.connect(lambda _: self._start_or_cancel())
        self.copy = QToolButton(head)
        self.copy.setIcon(icons.icon("copy"))
        self.copy.setToolTip("Copy as Python or as a command line")
        self.copy.setAccessibleName("Copy as Python or as a command line")
        self.copy.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.copy)
        menu.addAction("Copy as Python", self.python_requested.emit)
        menu.addAction("Copy as command line", self.command_requested.emit)
        self.copy.setMenu(menu)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.start, 1)
        buttons.addWidget(self.copy)
        self.bar = QProgressBar(head)
        self.bar.setTextVisible(False)
        self.note, self.error = QLabel(head), QLabel(head)
        for label, role in ((self.note, "muted"), (self.error, "error")):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setProperty("role", role)
        column.addWidget(self.method)
        column.addLayout(buttons)
        for widget in (self.bar, self.note, self.error):
            column.addWidget(widget)
        return head

    def _iterations(self) -> Section:
        section = Section("Iterations", parent=self)
        row = QWidget(section)
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        self.sequence = QLineEdit(row)
        self.sequence.setAccessibleName("Iterations at full resolution")
        self.sequence.setToolTip("ER, HIO, RAAR and SF, such as 3*(20*ER+180*HIO)+20*ER")
        self.sequence.editingFinished.connect(lambda: self._change(iterations=self.sequence.text().strip()))
        self.sequence.textEdited.connect(self._check_sequence)
        self.presets = QToolButton(row)
        self.presets.setIcon(icons.icon("menu"))
        self.presets.setToolTip("Usual sequences")
        self.presets.setAccessibleName("Usual sequences")
        self.presets.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.presets)
        for title, text in PRESETS.items():
            menu.addAction(title, lambda text=text: self._change(iterations=text))
        self.presets.setMenu(menu)
        line.addWidget(self.sequence, 1)
        line.addWidget(self.presets)
        section.add(row)
        grid = FieldGrid(section, 92)
        self.beta = NumberField("β", "0.9", grid)
        grid.add("β", self.beta, "", "Feedback of HIO and RAAR, above 0 up to 1")
        self.beta.entered.connect(lambda value: self._change(beta=0.9 if value is None else value))
        self.beta.refused.connect(self.set_error)
        section.add(grid)
        self.iterations = section
        return section

    def _starts(self) -> Section:
        section = Section("Starts", parent=self)
        grid = FieldGrid(section, 92)
        self.kind = choice("Kind of start", STARTS, lambda value: self._change(start=value))
        self.starts = self._spin(1, 100, lambda value: self._change(starts=value))
        self.runs = self._spin(1, 100, lambda value: self._change(runs=value))
        self.seed = self._spin(0, 999_999, lambda value: self._change(seed=value))
        grid.add("Begin", self.kind, "", "Where the first guess comes from")
        grid.add("Starts", self.starts, "", "Random starts at low resolution")
        grid.add(
            "Go on with",
            self.runs,
            "",
            "Best starts that are run at full resolution; 2 or more give a spread",
        )
        grid.add("Seed", self.seed, "", "Other numbers, other random starts")
        section.add(grid)
        self.twin = QCheckBox("Break the twin", section)
        self.twin.setToolTip("Empty one half of the object once, so that it does not stall between its twins")
        self.twin.clicked.connect(lambda on: self._change(break_twin=on))
        section.add(self.twin)
        self.starting = section
        return section

    def _support(self) -> Section:
        section = Section("Support", is_open=False, parent=self)
        grid = FieldGrid(section, 92)
        self.threshold = NumberField("Threshold", "automatic", grid)
        self.threshold.entered.connect(lambda value: self._change(support_threshold=value))
        self.sigma = NumberField("Smoothing", "1", grid)
        self.sigma.entered.connect(lambda value: self._change(support_sigma=1.0 if value is None else value))
        self.every = self._spin(0, 1000, lambda value: self._change(support_every=value))
        for field in (self.threshold, self.sigma):
            field.refused.connect(self.set_error)
        grid.add(
            "Threshold",
            self.threshold,
            "",
            "Share of the largest modulus; empty = the free likelihood chooses",
        )
        grid.add("Smoothing", self.sigma, "voxels", "Of the modulus before the threshold")
        grid.add("Every", self.every, "iterations", "Shrink-wrap; 0 = the support stays")
        section.add(grid)
        self.support = section
        return section

    def _refinement(self) -> Section:
        section = Section("Refinement", is_open=False, parent=self)
        grid = FieldGrid(section, 92)
        self.steps = self._spin(0, 10_000, lambda value: self._change(refinement=value))
        self.coherence = choice("Coherence", COHERENCE, lambda value: self._change(coherence=value))
        said = "L-BFGS; 0 = none. For a tight support 150 ER, and 10 RAAR for every 3 steps, are added"
        grid.add("Steps", self.steps, "", said)
        grid.add("Coherence", self.coherence, "", "Blur of the pattern that is learned with the object")
        section.add(grid)
        self.background = QCheckBox("Learn a background", section)
        self.background.clicked.connect(lambda on: self._change(background=on))
        section.add(self.background)
        self.refining = section
        return section

    def _spin(self, low: int, high: int, changed: Any) -> QSpinBox:
        spin = QSpinBox(self)
        spin.setRange(low, high)
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(changed)
        return spin

    # ---- values in ----

    def set_phasing(self, value: Phasing) -> None:
        """Show parameters."""
        self._value = value
        self.method.setCurrentIndex(self.method.findData(value.method))
        self.kind.setCurrentIndex(self.kind.findData(value.start))
        self.coherence.setCurrentIndex(self.coherence.findData(value.coherence))
        if not (self.sequence.hasFocus() and self.sequence.isModified()):
            self.sequence.setText(value.iterations)
        self.beta.set_value(value.beta)
        self.threshold.set_value(value.support_threshold)
        self.sigma.set_value(value.support_sigma)
        for spin, number in (
            (self.starts, value.starts), (self.runs, value.runs), (self.seed, value.seed),
            (self.every, value.support_every), (self.steps, value.refinement),
        ):  # fmt: skip
            spin.blockSignals(True)
            spin.setValue(number)
            spin.blockSignals(False)
        self.twin.setChecked(value.break_twin)
        self.background.setChecked(value.background)
        self._summarise()

    def set_possible(self, possible: bool) -> None:
        """Whether there is a pattern to phase."""
        self._possible = possible
        self._update_button()

    def set_standing(self, standing: PhasingStanding) -> None:
        """Show how the reconstruction stands."""
        self._standing = standing
        self.bar.setVisible(standing.running)
        self.bar.setRange(0, standing.total)
        self.bar.setValue(standing.done)
        parts = [standing.note] if standing.note else []
        if standing.running and standing.total:
            parts.append(f"{standing.done:,} / {standing.total:,}")
        if standing.running and standing.remaining_s is not None:
            parts.append(f"{time_text(standing.remaining_s)} left")
        self.note.setText(" · ".join(parts))
        self.note.setVisible(bool(parts))
        self._update_button()

    def set_error(self, text: str) -> None:
        """One sentence about an entry that cannot be used; empty takes it away."""
        self.error.setText(text)
        self.error.setVisible(bool(text))

    # ---- gestures ----

    def _start_or_cancel(self) -> None:
        if self._standing.running:
            self.cancel_requested.emit()
        else:
            self.start_requested.emit()

    def _change_method(self, value: str) -> None:
        self._change(method=value)

    def _change(self, **changes: Any) -> None:
        values = {**dict(self._value), **changes}
        if values["runs"] > values["starts"]:
            given, other = ("runs", "starts") if "runs" in changes else ("starts", "runs")
            values[other] = values[given]
        try:
            new = Phasing.model_validate(values)
        except ValidationError as error:
            self.set_error(entry_sentence(error))
            return
        self.set_error("")
        self.sequence.setModified(False)
        changed = new != self._value
        self.set_phasing(new)
        if changed:
            self.phasing_changed.emit(new)

    def _check_sequence(self, text: str) -> None:
        try:
            self.iterations.set_summary(f"{length(parse(text))} iterations")
        except SequenceError as error:
            self.set_error(str(error))
        else:
            self.set_error("")

    def _summarise(self) -> None:
        value = self._value
        self.iterations.set_summary(f"{length(parse(value.iterations))} iterations")
        self.starting.set_summary(f"{value.starts}, of which {value.runs} to the end")
        threshold = "automatic" if value.support_threshold is None else f"{value.support_threshold:g}"
        self.support.set_summary(threshold)
        self.refining.set_summary(f"{value.refinement} steps" if value.refinement else "none")

    def _update_button(self) -> None:
        running = self._standing.running
        self.start.setText("Cancel" if running else "Reconstruct")
        self.start.setEnabled(running or self._possible)
