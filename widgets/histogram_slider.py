"""A slider that lies over the log histogram of what it cuts."""

import numpy as np
from numpy.typing import ArrayLike
from PyQt6.QtCore import QLocale, Qt, pyqtSignal
from PyQt6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from braggscope.widgets.histogram_track import HistogramTrack, stepped


class NumberBox(QDoubleSpinBox):
    """Exact entry of a positive number, shown without trailing zeros; arrows go in log steps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.limits = (1.0, 1000.0)
        self.setLocale(QLocale.c())
        self.setDecimals(6)
        self.setRange(0.0, 1e12)
        self.setKeyboardTracking(False)
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.setFixedWidth(self.fontMetrics().horizontalAdvance("0000000.00") + 26)

    def textFromValue(self, value: float) -> str:
        """``45``, ``0.125``, ``65535``."""
        return f"{value:.8g}" if value < 1e8 else f"{value:.4g}"

    def stepBy(self, steps: int) -> None:
        """Step in proportion to the value."""
        self.setValue(stepped(self.value(), steps, *self.limits))


class HistogramSlider(QWidget):
    """Threshold over a log-log histogram: drag, click, wheel, arrow keys, or type the number.

    ``value_changed(float)`` follows the gesture, ``committed(float)`` comes once at its end. Setters
    never emit. The left end is 0.
    """

    value_changed = pyqtSignal(float)
    committed = pyqtSignal(float)

    def __init__(self, caption: str = "", unit: str = "counts", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pinned: tuple[float, float] | None = None
        self._waiting: tuple[float, float] | None = None
        self.track = HistogramTrack(self)
        self.box = NumberBox(self)
        self.box.setAccessibleName(caption or "threshold")
        title = QLabel(caption, self)
        title.setProperty("role", "caption")
        unit_label = QLabel(unit, self)
        unit_label.setProperty("role", "muted")
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self.box)
        head.addWidget(unit_label)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(head)
        column.addWidget(self.track, 1)
        self.track.moved.connect(self._on_moved)
        self.track.settled.connect(self._on_settled)
        self.box.valueChanged.connect(self._on_typed)

    @property
    def value(self) -> float:
        """The threshold shown."""
        return self.track.value

    def set_value(self, value: float) -> None:
        """Show a threshold >= 0."""
        self.track.value = max(float(value), 0.0)
        self._write_box()
        self.track.update()

    def set_histogram(self, counts: ArrayLike, edges: ArrayLike) -> None:
        """Show ``counts`` (N,) between ``edges`` (N + 1,), rising and > 0.

        The axis follows the edges unless :meth:`set_range` fixed it. While the handle is dragged the axis
        stays, so that it does not slip from under the mouse.
        """
        self.track.counts = np.nan_to_num(np.asarray(counts, np.float64))
        self.track.edges = np.asarray(edges, np.float64)
        if self.track.edges.size > 1 and self._pinned is None:
            self._set_axis(float(self.track.edges[0]), float(self.track.edges[-1]))
        self.track.update()

    def set_range(self, lo: float, hi: float) -> None:
        """Fix the axis; it starts at 0, then runs logarithmically from ``lo`` (> 0) to ``hi``."""
        if not lo > 0:
            lo = 1.0 if hi > 10 else hi * 1e-4
        self._pinned = (lo, hi)
        self._set_axis(lo, hi)

    def nudge(self, steps: float) -> None:
        """Step as an arrow key does; this is a gesture and emits."""
        self.track.nudge(steps)

    def _set_axis(self, lo: float, hi: float) -> None:
        limits = (lo, max(hi, lo * 10.0))
        if self.track.dragging:
            self._waiting = limits
            return
        self.track.limits = self.box.limits = limits
        self.track.update()

    def _write_box(self) -> None:
        blocked = self.box.blockSignals(True)
        self.box.setValue(self.track.value)
        self.box.blockSignals(blocked)

    def _on_moved(self, value: float) -> None:
        self._write_box()
        self.value_changed.emit(value)

    def _on_settled(self, value: float) -> None:
        if self._waiting is not None:
            self._set_axis(*self._waiting)
            self._waiting = None
        self.committed.emit(value)

    def _on_typed(self, value: float) -> None:
        self.track.value = value
        self.track.update()
        self.value_changed.emit(value)
        self.committed.emit(value)
