"""Moving through a series: the strip, the transport buttons, and how playing goes."""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)  # fmt: skip

from braggscope.widgets import icons
from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.still import Still
from braggscope.widgets.timeline_track import TimelineTrack

Mode = Literal["every", "realtime"]
MODES: tuple[tuple[Mode, str], ...] = (("every", "Every frame"), ("realtime", "Real time"))


class _RateBox(QDoubleSpinBox):
    """Frames per second without idle decimals."""

    def textFromValue(self, v: float) -> str:
        return f"{v:g}"


class Timeline(QWidget):
    """Which frame is shown (0-based) and how the series plays. At most 96 px high.

    ``frame_changed``: the user went to a frame. ``mode_changed``: ``every`` or ``realtime``.
    """

    frame_changed = pyqtSignal(int)
    play_toggled = pyqtSignal(bool)
    fps_changed = pyqtSignal(float)
    mode_changed = pyqtSignal(str)
    sum_changed = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.track = TimelineTrack(self)
        self.first = self._button("first", "First frame (Home)", lambda: self._go(0))
        self.back = self._button("step_back", "Previous frame (Left)", lambda: self._go(self.frame - 1))
        self.play = self._button("play", "Play (Space)", self._toggle)
        self.forward = self._button("step_forward", "Next frame (Right)", lambda: self._go(self.frame + 1))
        self.last = self._button("last", "Last frame (End)", lambda: self._go(self.count - 1))
        self.number, self.sum, self.fps, self.mode = QSpinBox(), QSpinBox(), _RateBox(), QComboBox()
        self.axis, self.follow = ElidedLabel(), QLabel("following")
        self._axis_name, self._axis_values = "", np.empty(0)
        self._playing = False
        self._shown = 0
        self._set_up_inputs()
        self._lay_out()
        self.track.scrubbed.connect(self._go)
        self.setMaximumHeight(96)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_count(0)

    def _button(self, name: str, tip: str, act: Callable[[], None]) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(icons.icon(name))
        button.setIconSize(QSize(20, 20))
        button.setFixedWidth(30)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda _: act())
        return button

    def _set_up_inputs(self) -> None:
        self.number.setToolTip("Frame, counted from 0 as in the file")
        self.sum.setRange(1, 1000)
        self.sum.setPrefix("sum ")
        self.sum.setToolTip("Add up so many neighbouring frames")
        self.fps.setRange(0.1, 240)
        self.fps.setDecimals(1)
        self.fps.setValue(24)
        self.fps.setSuffix(" fps")
        self.fps.setToolTip("Frames per second when playing")
        for name, text in MODES:
            self.mode.addItem(text, name)
        self.mode.setToolTip("Play every frame, or keep the pace and leave frames out")
        self.sum.setFixedWidth(90)
        self.fps.setFixedWidth(92)
        self.mode.setFixedWidth(124)
        self.axis.minimum_width = 72
        self.axis.mode = Qt.TextElideMode.ElideRight
        for box in (self.number, self.sum, self.fps):
            box.setKeyboardTracking(False)
            box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.number.valueChanged.connect(self._go)
        self.sum.valueChanged.connect(self.sum_changed)
        self.fps.valueChanged.connect(self.fps_changed)
        self.mode.activated.connect(lambda k: self.mode_changed.emit(MODES[k][0]))

    def _lay_out(self) -> None:
        self.axis.setProperty("role", "value")
        self._axis_room = Still(self.axis, self)
        self.follow.setProperty("role", "good")
        self.follow.setToolTip("The newest frame is shown as the file grows")
        self.follow.hide()
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 4)
        row.setSpacing(2)
        for button in (self.first, self.back, self.play, self.forward, self.last):
            row.addWidget(button)
        row.addSpacing(8)
        row.addWidget(self.number)
        row.addSpacing(8)
        row.addWidget(self._axis_room, 1)
        row.addStretch(0)  # in place of the axis where there is none
        row.addWidget(self.follow)
        row.addSpacing(6)
        for box in (self.sum, self.fps, self.mode):
            row.addWidget(box)
            row.addSpacing(4)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(2)
        column.addWidget(self.track)
        column.addLayout(row)

    # ---- values in ----

    @property
    def count(self) -> int:
        """Number of frames."""
        return self.track.frames

    @property
    def frame(self) -> int:
        """Frame shown."""
        return self.track.frame

    def set_count(self, n: int) -> None:
        """Number of frames. The frame stays if it can; curve and shading are forgotten."""
        self.track.set_count(n)
        with QSignalBlocker(self.number):
            self.number.setRange(0, max(0, n - 1))
            self.number.setSuffix(f" / {n:,}")
            words = self.number.fontMetrics().horizontalAdvance(f"{n} / {n:,}")
            self.number.setFixedWidth(words + 50)
        for widget in (self.first, self.back, self.play, self.forward, self.last, self.number):
            widget.setEnabled(n > 1)
        self.set_frame(self.frame)

    def set_frame(self, i: int) -> None:
        """Show where one is."""
        self.track.set_frame(i)
        with QSignalBlocker(self.number):
            self.number.setValue(self.frame)
        self._write_axis()

    def set_playing(self, playing: bool) -> None:
        """Show whether the series plays."""
        self._playing = playing
        self.play.setIcon(icons.icon("pause" if playing else "play", "accent" if playing else "text"))
        self.play.setToolTip("Pause (Space)" if playing else "Play (Space)")

    def set_fps(self, fps: float) -> None:
        """Show frames per second."""
        with QSignalBlocker(self.fps):
            self.fps.setValue(fps)

    def set_mode(self, mode: Mode) -> None:
        """Show how the series plays."""
        self.mode.setCurrentIndex([name for name, _ in MODES].index(mode))

    def set_sum(self, n: int) -> None:
        """Show how many frames are added up."""
        with QSignalBlocker(self.sum):
            self.sum.setValue(n)

    def set_curve(self, values: NDArray[np.float64], colour: str, label: str) -> None:
        """One value per frame, (n,) float64, NaN where unknown; colour role or hex; what it is."""
        self.track.set_curve(values, colour, label)

    def set_done(self, done: NDArray[np.bool_]) -> None:
        """Shade analysed frames, (n,) bool."""
        self.track.set_done(done)

    def set_axis(self, label: str, values: NDArray[np.float64] | None) -> None:
        """Read out an outer quantity per frame, (n,) float64, named ``voltage_V``; None shows nothing."""
        self._axis_name = label
        self._axis_values = np.empty(0) if values is None else np.asarray(values, float)
        self._write_axis()

    def set_follow(self, following: bool) -> None:
        """Show whether the newest frame is followed."""
        self.follow.setVisible(following)

    # ---- gestures ----

    def _go(self, frame: int) -> None:
        frame = min(max(frame, 0), max(0, self.count - 1))
        if self._shown == frame:
            return
        self.set_frame(frame)
        self.frame_changed.emit(frame)

    def _toggle(self) -> None:
        self.set_playing(not self._playing)
        self.play_toggled.emit(self._playing)

    def _write_axis(self) -> None:
        self._shown = self.frame
        known = self.frame < len(self._axis_values) and math.isfinite(self._axis_values[self.frame])
        self._axis_room.setVisible(known)
        if known:
            name, _, unit = self._axis_name.rpartition("_")
            value = f"{self._axis_values[self.frame]:.4g} {unit if name else ''}".rstrip()
            self.axis.shorter = (value,)
            self.axis.setText(f"{value}  {name or unit}")
