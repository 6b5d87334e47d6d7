"""The tracks of a series as Qt sees them: columns stay arrays, only painted cells become text."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QAbstractTableModel, QModelIndex, QObject, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

from braggscope.widgets import theme
from braggscope.widgets.peak_table_model import LEFT, NONE, RIGHT, sorted_rows
from braggscope.widgets.tips import as_written

_Role = Qt.ItemDataRole
FIELDS: tuple[tuple[str, str, str], ...] = (  # name, heading, explanation
    ("name", "track", "name; double-click to change it"),
    ("first", "first", "first frame"),
    ("last", "last", "last frame"),
    ("length", "peaks", "peaks of the track"),
    ("snr", "SNR", "mean of amplitude / sqrt(background)"),
    ("change", "Δ strain / %", "smoothed strain of the last frame minus that of the first, in percent"),
    ("origin", "history", "where it came from and what became of it"),
)
NAMES = [name for name, _, _ in FIELDS]


def _empty() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class TrackRows:
    """One row per track; arrays (K,). ``change``: dimensionless, NaN unknown. ``origin``: in words."""

    name: tuple[str, ...] = ()
    first: NDArray = field(default_factory=_empty)
    last: NDArray = field(default_factory=_empty)
    length: NDArray = field(default_factory=_empty)
    snr: NDArray = field(default_factory=_empty)
    change: NDArray = field(default_factory=_empty)
    origin: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.name)


class TrackModel(QAbstractTableModel):
    """:class:`TrackRows` through a permutation: ``rows`` holds the track of every line."""

    renamed = pyqtSignal(int, str)  # by the user

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tracks = TrackRows()
        self.rows: NDArray[np.int64] = np.zeros(0, np.int64)
        self._lines: NDArray[np.int64] = np.zeros(0, np.int64)  # of every track
        self.colours: dict[int, str] = {}
        self.sort_field, self.descending = NAMES.index("length"), True

    def set_tracks(self, tracks: TrackRows) -> None:
        """Show other tracks in the present order."""
        self.tracks = tracks
        self.refresh()

    def set_colours(self, colours: dict[int, str]) -> None:
        """Mark tracks with the colours of their curves."""
        self.colours = colours
        if len(self.rows):
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, 0))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Order the lines by a column."""
        self.sort_field, self.descending = column, order == Qt.SortOrder.DescendingOrder
        self.refresh()

    def refresh(self) -> None:
        """Put the lines in order."""
        self.beginResetModel()
        count, name = len(self.tracks), NAMES[self.sort_field]
        if name in ("name", "origin"):
            words = getattr(self.tracks, name)
            order = sorted(range(count), key=lambda k: _natural(words[k]), reverse=self.descending)
            self.rows = np.array(order, np.int64)
        else:
            self.rows = sorted_rows(np.arange(count), getattr(self.tracks, name), self.descending)
        self._lines = np.argsort(self.rows)
        self.endResetModel()

    def line_of(self, track: int) -> int | None:
        """Line on which a track is."""
        return int(self._lines[track]) if 0 <= track < len(self._lines) else None

    # what Qt asks

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Number of tracks."""
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Number of columns."""
        return 0 if parent is not None and parent.isValid() else len(FIELDS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _Role.DisplayRole) -> object:
        """Headings with explanations."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        _, title, tip = FIELDS[section]
        return {
            _Role.DisplayRole: title,
            _Role.ToolTipRole: tip,
            _Role.TextAlignmentRole: LEFT if FIELDS[section][0] in ("name", "origin") else RIGHT,
        }.get(_Role(role))

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Names can be edited."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        return flags | Qt.ItemFlag.ItemIsEditable if NAMES[index.column()] == "name" else flags

    def data(self, index: QModelIndex, role: int = _Role.DisplayRole) -> object:
        """Cells of what is on screen."""
        if not index.isValid():
            return None
        track, name = int(self.rows[index.row()]), NAMES[index.column()]
        if role in (_Role.DisplayRole, _Role.EditRole):
            return self.text(track, name)
        if role == _Role.ToolTipRole:
            return as_written(self.text(track, name))
        if role == _Role.TextAlignmentRole:
            return LEFT if name in ("name", "origin") else RIGHT
        if role == _Role.DecorationRole and name == "name" and track in self.colours:
            return _dot(self.colours[track])
        return None

    def setData(self, index: QModelIndex, value: object, role: int = _Role.EditRole) -> bool:
        """A name typed by the user; what becomes of it is told from outside."""
        track, name = int(self.rows[index.row()]), " ".join(str(value).split())[:60]
        if role != _Role.EditRole or not name or name == self.tracks.name[track]:
            return False
        self.renamed.emit(track, name)
        return True

    def text(self, track: int, name: str) -> str:
        """A cell as text."""
        value = getattr(self.tracks, name)[track]
        if name in ("name", "origin"):
            return str(value)
        if not np.isfinite(value):
            return NONE
        if name == "change":
            return f"{100 * value:+.3f}".replace("-", "−")
        return f"{value:.0f}" if name == "snr" else f"{int(value)}"


def _dot(colour: str) -> QIcon:
    """A dot that keeps its colour on a selected line."""
    pixmap = QPixmap(20, 20)
    pixmap.setDevicePixelRatio(2.0)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme.current().panel), 1.2))
    painter.setBrush(QColor(colour))
    painter.drawEllipse(QRectF(0.8, 0.8, 8.4, 8.4))
    painter.end()
    icon = QIcon(pixmap)
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """10 after 9."""
    parts = "".join(c if c.isdigit() else f" {c} " for c in text).split()
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
