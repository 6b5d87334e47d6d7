"""The tracks of a series as a table, with what can be done to them by hand."""

from itertools import groupby

from PyQt6.QtCore import QItemSelection, QItemSelectionModel, QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QHeaderView, QLabel, QToolButton, QVBoxLayout, QWidget

from braggscope.widgets.icons import icon
from braggscope.widgets.peak_lines import PeakLines
from braggscope.widgets.track_model import FIELDS, NAMES, TrackModel, TrackRows

EMPTY = "Analyse the whole series (Ctrl+R); its peaks are then linked into tracks."
BUTTONS: tuple[tuple[str, str, str, str], ...] = (  # key, text, icon, explanation
    ("split", "Split", "split", "Cut the track in two before the frame on screen"),
    ("join", "Join", "join", "Make one track of the two that are selected"),
    ("delete", "Delete", "delete", "Dissolve the selected tracks (Del); undo brings them back"),
    ("export", "Export…", "export", "Write all tracks with their peaks"),
)
_SAMPLES = {"name": "■ 888.8+", "first": "8888", "last": "8888", "length": "8888", "snr": "8888"}


class TrackTable(QWidget):
    """Sortable table of tracks; several may be selected.

    ``chosen(list)``: numbers of the tracks that the user selected, the last one clicked first; ``renamed(int,
    str)``; ``requested(str)``: a key of :data:`BUTTONS`. Setters never emit.
    """

    chosen = pyqtSignal(list)
    renamed = pyqtSignal(int, str)
    requested = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = TrackModel(self)
        self.lines = PeakLines(self)
        self.lines.hint = EMPTY
        self.lines.setModel(self.model)
        self.lines.setIconSize(QSize(10, 10))
        self.note = QLabel(self)
        self.note.setProperty("role", "muted")
        self.buttons: dict[str, QToolButton] = {}
        self._quiet = False
        self._arrange()
        self._set_up_header()
        self.model.renamed.connect(self.renamed)
        self.lines.delete_pressed.connect(lambda: self.requested.emit("delete"))
        selection = self.lines.selectionModel()
        assert selection is not None
        selection.selectionChanged.connect(self._on_selection)
        self.set_tracks(TrackRows())

    def set_tracks(self, tracks: TrackRows, note: str = "") -> None:
        """Show these tracks, none selected; ``note``: one short line beside the buttons."""
        self._quiet = True
        self.model.set_tracks(tracks)
        self._quiet = False
        self.note.setText(note)
        self._update_buttons()

    def set_hint(self, text: str) -> None:
        """What to say while there are no tracks."""
        self.lines.hint = text or EMPTY
        port = self.lines.viewport()
        if port is not None:
            port.update()

    def set_chosen(self, tracks: list[int], colours: dict[int, str]) -> None:
        """Select tracks, the current one first, and give them the colours of their curves."""
        self._quiet = True
        selection = self.lines.selectionModel()
        assert selection is not None
        lines = sorted(line for line in map(self.model.line_of, tracks) if line is not None)
        picked = QItemSelection()
        for _, run in groupby(enumerate(lines), lambda pair: pair[1] - pair[0]):  # neighbours at once
            block = [line for _, line in run]
            picked.select(self.model.index(block[0], 0), self.model.index(block[-1], len(FIELDS) - 1))
        flags = QItemSelectionModel.SelectionFlag
        selection.select(picked, flags.ClearAndSelect)
        first = self.model.line_of(tracks[0]) if tracks else None
        if first is not None:
            selection.setCurrentIndex(self.model.index(first, 0), flags.NoUpdate)
            self.lines.scrollTo(self.model.index(first, 0))
        self.model.set_colours(colours)
        self._quiet = False
        self._update_buttons()

    def selected(self) -> list[int]:
        """Numbers of the selected tracks, the current one first."""
        selection = self.lines.selectionModel()
        assert selection is not None
        picked = selection.selection()
        blocks = [picked[k] for k in range(len(picked))]
        lines = sorted({line for block in blocks for line in range(block.top(), block.bottom() + 1)})
        current = self.lines.currentIndex().row()
        if current in lines:
            lines.remove(current)
            lines.insert(0, current)
        return [int(self.model.rows[line]) for line in lines]

    def edit_name(self) -> None:
        """Let the user type a name for the current track."""
        index = self.lines.currentIndex()
        if index.isValid():
            self.lines.edit(self.model.index(index.row(), NAMES.index("name")))

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(4, 4, 4, 2)
        top.setSpacing(4)
        for key, text, glyph, tip in BUTTONS:
            button = QToolButton(self)
            button.setText(text)
            button.setIcon(icon(glyph))
            button.setIconSize(QSize(15, 15))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setToolTip(tip)
            button.clicked.connect(lambda _, key=key: self.requested.emit(key))
            self.buttons[key] = button
            top.addWidget(button)
        top.addStretch(1)
        top.addWidget(self.note)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.lines, 1)

    def _set_up_header(self) -> None:
        side, header, metrics = self.lines.verticalHeader(), self.lines.horizontalHeader(), self.fontMetrics()
        assert side is not None
        assert header is not None
        side.hide()
        side.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        side.setMinimumSectionSize(16)
        side.setDefaultSectionSize(metrics.height() + 8)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(36)
        for k, (name, title, _) in enumerate(FIELDS):
            text = metrics.horizontalAdvance(_SAMPLES.get(name, "+8.888")) + 20
            header.resizeSection(k, max(metrics.horizontalAdvance(title) + 22, text))
        header.setStretchLastSection(True)
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(self.model.sort_field, Qt.SortOrder.DescendingOrder)
        header.sortIndicatorChanged.connect(self._on_sort)

    def _on_sort(self, section: int, order: Qt.SortOrder) -> None:
        chosen, colours = self.selected(), self.model.colours
        self._quiet = True
        self.model.sort(section, order)
        self._quiet = False
        self.set_chosen(chosen, colours)

    def _on_selection(self) -> None:
        if not (self._quiet or self.lines.arriving):
            self._update_buttons()
            self.chosen.emit(self.selected())

    def _update_buttons(self) -> None:
        count = len(self.selected())
        enabled = {
            "split": count == 1,
            "join": count == 2,
            "delete": count > 0,
            "export": len(self.model.tracks),
        }
        for key, button in self.buttons.items():
            button.setEnabled(bool(enabled[key]))
