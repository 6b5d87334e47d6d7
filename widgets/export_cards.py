"""The cards of the Export workspace, and the value of a movie's choices."""

from dataclasses import dataclass
from typing import Literal

from PyQt6.QtCore import QEvent, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.icons import icon
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.prepare_fields import FieldGrid

MovieFormat = Literal["mp4", "gif", "png"]
LAYERS = (("fit", "Fits"), ("braggnn", "BraggNN"), ("unfitted", "Not fitted"))


@dataclass(frozen=True, slots=True)
class MovieChoice:
    """What movie is wanted: frames ``start:stop:step`` (0-based, half-open), ``size`` px, longer side."""

    format: MovieFormat
    fps: int
    start: int
    stop: int
    step: int
    size: int
    layers: tuple[str, ...]

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(range(self.start, self.stop, self.step))

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames / self.fps


class Card(QFrame):
    """Title, one explaining line, content, and a row of buttons."""

    def __init__(self, glyph: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(16, 12, 16, 14)
        self.column.setSpacing(8)
        head = QHBoxLayout()
        head.setSpacing(8)
        self._glyph, self._sign = glyph, QLabel(self)
        self._sign.setPixmap(icon(glyph, "accent").pixmap(18, 18))
        name = QLabel(title, self)
        font = name.font()
        font.setPointSizeF(font.pointSizeF() + 1.5)
        font.setBold(True)
        name.setFont(font)
        head.addWidget(self._sign)
        head.addWidget(name, 1)
        self.column.addLayout(head)
        self.note = QLabel(self)
        self.note.setProperty("role", "muted")
        self.note.setWordWrap(True)
        self.column.addWidget(self.note)

    def button_rows(self, buttons: list[QPushButton]) -> None:
        """Append buttons of equal width, three in a row, at the bottom."""
        self.column.addStretch(1)
        rows = QGridLayout()
        rows.setSpacing(6)
        for place, button in enumerate(buttons):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            rows.addWidget(button, *divmod(place, 3))
        self.column.addLayout(rows)

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: the sign follows the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._sign.setPixmap(icon(self._glyph, "accent").pixmap(18, 18))


class MovieCard(Card):
    """Format, frames, speed, size and layers of the overlay movie."""

    requested = pyqtSignal(object)  # MovieChoice
    edited = pyqtSignal()  # a gesture changed the choice

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("film", "Movie", parent)
        grid = FieldGrid(self)
        self.format = QComboBox(grid)
        for value, text in (("mp4", "MP4 video"), ("gif", "GIF animation"), ("png", "PNG sequence")):
            self.format.addItem(text, value)
        self.fps = self._spin(grid, 1, 120, 24)
        self.start = self._spin(grid, 0, 0, 0)
        self.stop = self._spin(grid, 0, 0, 0)
        self.step = self._spin(grid, 1, 10_000, 1)
        self.longer_side = self._spin(grid, 128, 4096, 1024)
        self.longer_side.setSingleStep(128)
        self.fps.setSuffix(" fps")
        grid.add("Format", self.format)
        grid.add("Speed", self.fps)
        grid.add("Frames", self._range(grid))
        grid.add("Every", self.step, "frames", "Every how manyth frame")
        grid.add("Size", self.longer_side, "px", "Longer side of the picture")
        self.column.addWidget(grid)
        self.layers = {name: QCheckBox(text, self) for name, text in LAYERS}
        table = QGridLayout()
        for place, box in enumerate(self.layers.values()):
            box.setChecked(True)
            box.clicked.connect(lambda _: self.edited.emit())
            table.addWidget(box, 0, place)
        self.column.addLayout(table)
        always = QLabel("Always drawn: frame number, time, scale, colour bar, thresholds.", self)
        always.setProperty("role", "muted")
        always.setWordWrap(True)
        self.column.addWidget(always)
        self.estimate = QLabel(self)
        self.estimate.setProperty("role", "value")
        self.column.addWidget(self.estimate)
        self.write = QPushButton(icon("film", "on_accent"), "Write movie…", self)
        self.write.setProperty("role", "primary")
        self.write.clicked.connect(lambda: self.requested.emit(self.choice()))
        self.button_rows([self.write])
        self.format.activated.connect(lambda _: self._changed())
        self.set_frames(0)

    def set_frames(self, frames: int) -> None:
        """Set the length of the series; the range covers all of it when the length changes."""
        if frames != self.stop.maximum() or not frames:
            for spin, high, value in ((self.start, max(frames - 1, 0), 0), (self.stop, frames, frames)):
                spin.blockSignals(True)
                spin.setRange(0, high)
                spin.setValue(value)
                spin.blockSignals(False)
        self.note.setText("" if frames else "Open a series first.")
        self.note.setVisible(not frames)
        self._estimate()

    def choice(self) -> MovieChoice:
        """The choice as it stands."""
        return MovieChoice(
            format=self.format.currentData(),
            fps=self.fps.value(),
            start=self.start.value(),
            stop=self.stop.value(),
            step=self.step.value(),
            size=self.longer_side.value(),
            layers=tuple(name for name, box in self.layers.items() if box.isChecked()),
        )

    def _range(self, parent: QWidget) -> QWidget:
        box = QWidget(parent)
        row = QHBoxLayout(box)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        tips = ("First frame (0-based)", "End, not included")
        for spin, word, tip in zip((self.start, self.stop), ("", "to"), tips, strict=True):
            if word:
                label = QLabel(word, box)
                label.setProperty("role", "muted")
                row.addWidget(label)
            spin.setToolTip(tip)
            spin.setAccessibleName(tip)
            row.addWidget(spin, 1)
        return box

    def _spin(self, parent: QWidget, low: int, high: int, value: int) -> QSpinBox:
        spin = QSpinBox(parent)
        spin.setRange(low, high)
        spin.setValue(value)
        spin.setMinimumWidth(80)
        spin.valueChanged.connect(lambda _: self._changed())
        return spin

    def _changed(self) -> None:
        if hasattr(self, "estimate"):  # while the card is built
            self._estimate()
            self.edited.emit()

    def _estimate(self) -> None:
        choice = self.choice()
        if choice.frames:
            plays = f", plays {time_text(choice.seconds)}" if choice.format != "png" else ""
            self.estimate.setText(f"{choice.frames:,} frames{plays}")
        else:
            self.estimate.setText("No frame lies in this range." if self.stop.maximum() else "")
        self.write.setEnabled(choice.frames > 0)
