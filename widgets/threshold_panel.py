"""Which maxima are peaks: both thresholds over the histograms of the candidates."""

from numpy.typing import ArrayLike
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from braggscope.widgets.histogram_slider import HistogramSlider
from braggscope.widgets.still import Still

DETECTORS = (("fast", "fast"), ("findpeaks", "findpeaks (reference, slow)"))


class ThresholdPanel(QWidget):
    """``minval`` and ``minscore`` over log histograms, the live count, and the choice of detector.

    Signals follow the user's gestures only: ``minval_changed`` and ``minscore_changed`` while a handle
    moves, ``committed`` at its release.
    """

    minval_changed = pyqtSignal(float)
    minscore_changed = pyqtSignal(float)
    committed = pyqtSignal()
    detector_changed = pyqtSignal(str)
    suggest_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.minval = HistogramSlider("MINVAL", "counts", self)
        self.minval.setToolTip("Pixels below this count as 0")
        self.minscore = HistogramSlider("MINSCORE", "counts", self)
        self.minscore.setToolTip("Peaks that rise less than this over their saddle are dropped")
        self.count = QLabel(self)
        self.count.setTextFormat(Qt.TextFormat.RichText)
        self.note = QLabel(self)
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        self.note.hide()
        self.suggest = QPushButton("Suggest", self)
        self.suggest.setToolTip("Choose both thresholds from the noise of this frame")
        self.detector = QComboBox(self)
        for name, label in DETECTORS:
            self.detector.addItem(label, name)
        self.detector.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.detector.setMinimumContentsLength(8)
        self._arrange()
        self._connect()
        self.set_count(0, 0)

    def _arrange(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.minval, 1)
        column.addWidget(self.minscore, 1)
        counts = QHBoxLayout()
        counts.addWidget(Still(self.count), 1)
        counts.addWidget(self.suggest)
        column.addLayout(counts)
        column.addWidget(self.note)
        caption = QLabel("Detector", self)
        caption.setProperty("role", "muted")
        choice = QHBoxLayout()
        choice.addWidget(caption)
        choice.addWidget(self.detector, 1)
        column.addLayout(choice)

    def _connect(self) -> None:
        self.minval.value_changed.connect(self.minval_changed)
        self.minscore.value_changed.connect(self.minscore_changed)
        self.minval.committed.connect(lambda _: self.committed.emit())
        self.minscore.committed.connect(lambda _: self.committed.emit())
        self.suggest.clicked.connect(lambda _: self.suggest_requested.emit())
        self.detector.activated.connect(lambda k: self.detector_changed.emit(self.detector.itemData(k)))

    def set_thresholds(self, minval: float, minscore: float) -> None:
        """Show both thresholds, in counts."""
        self.minval.set_value(minval)
        self.minscore.set_value(minscore)

    def set_histograms(
        self,
        birth_counts: ArrayLike,
        birth_edges: ArrayLike,
        score_counts: ArrayLike,
        score_edges: ArrayLike,
    ) -> None:
        """Show the candidates' births and scores; counts (N,), edges (N + 1,) in counts, rising and > 0."""
        self.minval.set_histogram(birth_counts, birth_edges)
        self.minscore.set_histogram(score_counts, score_edges)

    def set_ranges(self, birth: tuple[float, float], score: tuple[float, float]) -> None:
        """Fix the axes for the whole series, so that they stand still while scrubbing."""
        self.minval.set_range(*birth)
        self.minscore.set_range(*score)

    def set_count(self, selected: int, total: int, note: str = "") -> None:
        """Show how many candidates are peaks, and a remark in words, if any."""
        noun = "candidate" if total == 1 else "candidates"
        self.count.setText(f"<b>{selected:,}</b> of {total:,} {noun}")
        self.note.setText(note)
        self.note.setVisible(bool(note))

    def set_detector(self, name: str) -> None:
        """Show the detector in use: ``fast`` or ``findpeaks``."""
        self.detector.setCurrentIndex(self.detector.findData(name))
