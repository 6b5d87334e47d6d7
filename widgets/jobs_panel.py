"""What runs in the background, how long it will take, and how it ended."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.prepare_fields import restyle, small_button
from braggscope.widgets.section import SectionPage
from braggscope.widgets.sharing import share
from braggscope.widgets.tips import as_written

State = Literal["waiting", "running", "done", "failed", "cancelled"]
_SLIM = """
QProgressBar { min-height: 5px; max-height: 5px; border-radius: 2px; }
QProgressBar::chunk { background: palette(highlight); border-radius: 2px; }
"""
TITLE = 0.6  # of the width that a title has at most beside a long result
ENDED = ("done", "failed", "cancelled")
ROLES = {"waiting": "muted", "running": "muted", "done": "good", "failed": "error", "cancelled": "muted"}


@dataclass(frozen=True, slots=True)
class Job:
    """One background job. ``note``: what it does now, its result, or the sentence of its error."""

    key: str
    title: str
    done: int = 0
    total: int = 0
    remaining_s: float | None = None
    state: State = "running"
    note: str = ""


def time_text(seconds: float) -> str:
    """``1.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def progress_text(job: Job) -> str:
    """``307 / 480 · 1.4 s left``, or in a word how the job stands."""
    if job.state == "waiting":
        return "waiting"
    if job.state == "cancelled":
        return f"cancelled at {job.done:,} / {job.total:,}" if job.total else "cancelled"
    if job.state in ENDED:
        return job.note or job.state
    parts = [f"{job.done:,} / {job.total:,}"] if job.total else ["working"]
    if job.remaining_s is not None:
        parts.append(f"{time_text(job.remaining_s)} left")
    return " · ".join(parts)


class JobRow(QWidget):
    """Title and cancel button; below, a slim bar with the numbers beside it."""

    cancel_requested = pyqtSignal(str)

    def __init__(self, job: Job, parent: QWidget) -> None:
        super().__init__(parent)
        self.job = job
        self.title = ElidedLabel(parent=self)
        self.result = ElidedLabel(parent=self)
        self.result.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.text = QLabel(self)  # beside the bar, or a sentence on lines of its own
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.bar = QProgressBar(self)
        self.bar.setTextVisible(False)
        self.bar.setMinimumWidth(24)
        self.bar.setStyleSheet(_SLIM)
        self.cancel = small_button("cancel", "Cancel this job", self)
        self.cancel.clicked.connect(lambda: self.cancel_requested.emit(self.job.key))
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 4, 6, 5)
        column.setSpacing(2)
        self._top = QHBoxLayout()
        self._top.setSpacing(8)
        for widget in (self.title, self.result, self.cancel):
            self._top.addWidget(widget)
        column.addLayout(self._top)
        below = QHBoxLayout()
        below.setSpacing(10)
        below.addWidget(self.bar, 1)
        below.addWidget(self.text)
        column.addLayout(below)
        self.show_job(job)

    def show_job(self, job: Job) -> None:
        """Show how the job stands now."""
        self.job = job
        ended = job.state in ENDED
        self.title.setText(job.title)
        running, failed = job.state == "running", job.state == "failed"
        self.text.setWordWrap(failed)
        self.text.setText(progress_text(job) if running or failed else "")
        self.text.setVisible(running or failed)
        self.result.setText("" if running or failed else progress_text(job))
        self.result.setVisible(not (running or failed))
        self.bar.setRange(0, job.total if job.total or job.state != "running" else 0)
        self.bar.setValue(job.done)
        self.bar.setVisible(running)
        self.cancel.setVisible(not ended)
        self.cancel.setAccessibleName(f"Cancel {job.title}")
        self.setToolTip(as_written(job.note))
        self._role(self.title, "muted" if ended else "value")
        for label in (self.text, self.result):
            self._role(label, ROLES[job.state])
        self._share()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: share the width between title and result."""
        super().resizeEvent(event)
        self._share()

    def _share(self) -> None:
        share(self._top, self.title, self.result, self.contentsRect().width() - 24, TITLE)

    @staticmethod
    def _role(label: QLabel, role: str) -> None:
        if label.property("role") != role:
            label.setProperty("role", role)
            restyle(label)


class JobsPanel(QWidget):
    """Rows are updated in place, so nothing flickers and a press on Cancel is never lost."""

    cancel_requested = pyqtSignal(str)
    clear_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: dict[str, JobRow] = {}
        self.page = SectionPage(self)
        self.empty = QLabel("No jobs", self)
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.clear = QPushButton("Clear finished", self)
        self.clear.clicked.connect(lambda: self.clear_requested.emit())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 6)
        column.setSpacing(4)
        column.addWidget(self.page, 1)
        column.addWidget(self.empty, 1)
        bottom = QHBoxLayout()
        bottom.setContentsMargins(10, 0, 10, 0)
        bottom.addStretch(1)
        bottom.addWidget(self.clear)
        column.addLayout(bottom)
        self.set_jobs([])

    def set_jobs(self, jobs: list[Job]) -> None:
        """Show these jobs, in this order."""
        keys = {job.key for job in jobs}
        for key in [key for key in self.rows if key not in keys]:
            row = self.rows.pop(key)
            self.page.column.removeWidget(row)
            row.hide()
            row.deleteLater()
        for place, job in enumerate(jobs):
            found = self.rows.get(job.key)
            if found is None:
                self.rows[job.key] = found = JobRow(job, self)
                found.cancel_requested.connect(self.cancel_requested)
                self.page.column.insertWidget(place, found)
            elif self.page.column.indexOf(found) != place:
                self.page.column.removeWidget(found)
                self.page.column.insertWidget(place, found)
            if found.job != job:
                found.show_job(job)
        self.page.setVisible(bool(jobs))
        self.empty.setVisible(not jobs)
        self.clear.setVisible(any(job.state in ENDED for job in jobs))
