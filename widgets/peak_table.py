"""The peaks of a frame or a series as a table that follows every selection."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QPoint, Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QFontMetrics,
    QGuiApplication,
    QKeySequence,
)
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QVBoxLayout,
    QWidget,
)

from braggscope.models.results import PeakTable, Status
from braggscope.widgets.peak_lines import EMPTY, PeakLines
from braggscope.widgets.peak_table_model import DEFAULT, FIELDS, POSITION, PeakTableModel
from braggscope.widgets.still import Still

_SAMPLES = {
    "peak": "8888",
    "frame": "888888",
    "score": "888,888",
    "x": "8888.888",
    "y": "8888.888",
    "distance": "8.888",
    "fwhm_major": "8.88 × 8.88",
    "chi2": "88.88",
    "status": "saturated",
}


class PeakTableView(QWidget):
    """Sortable, filterable view on a :class:`PeakTable`.

    ``peak_selected(int)``: the row of the table the user went to; ``reject_requested(object)``: (N,) int64
    rows to reject or take back (Del, or the context menu). Setters never emit.
    """

    peak_selected = pyqtSignal(int)
    reject_requested = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = PeakTableModel(self)
        self.lines = PeakLines(self)
        self.lines.setModel(self.model)
        self.filter = QComboBox(self)
        self.filter.setToolTip("Show only peaks of one status")
        self.filter.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.count = QLabel(self)
        self.count.setProperty("role", "muted")
        self._quiet = False
        self._current: int | None = None
        self._chosen: dict[str, bool] = {}
        self._statuses: list[tuple[str, Status | None]] = []  # of the filter
        self._arranged: tuple[bool, list[bool]] | None = None  # several frames; which columns are hidden
        self._arrange()
        self._set_up_header()
        self.filter.activated.connect(self._on_filter)
        self.lines.delete_pressed.connect(self._reject)
        self.lines.copy_pressed.connect(self.copy)
        selection = self.lines.selectionModel()
        assert selection is not None
        selection.currentRowChanged.connect(self._on_current)
        self.lines.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.lines.customContextMenuRequested.connect(self._open_menu)
        self.set_table(None)

    def set_table(self, table: PeakTable | None) -> None:
        """Show a table; the selected row, the order and the filter stay."""
        shown = PeakTable.blank(0) if table is None else table
        self._quiet = True
        self._fill_filter(shown)
        self.model.set_table(shown)
        self._quiet = False
        self._update_columns()
        self._update_count()
        self._show_current()

    def select(self, row: int | None) -> None:
        """Mark a row of the table, and scroll to it if it is not filtered out.

        The line of a further peak of that row's maximum keeps the mark.
        """
        if row is None or not self._beside(row):
            self._current = row
        self._show_current()

    def _beside(self, row: int) -> bool:
        """Whether the marked line is that of a further peak behind ``row``."""
        table, current = self.model.table, self._current
        if current is None or not row < current < len(table):
            return False
        return not table.detected[row + 1 : current + 1].any()

    def visible_columns(self) -> list[str]:
        """Names of the columns on screen, in their order."""
        header = self._header()
        order = sorted(range(len(FIELDS)), key=header.visualIndex)
        return [FIELDS[k].name for k in order if not header.isSectionHidden(k)]

    def set_column_visible(self, name: str, visible: bool) -> None:
        """Show or hide a column."""
        self._chosen[name] = visible
        self._update_columns()

    def selected_rows(self) -> NDArray[np.int64]:
        """(N,) rows of the table that are selected, in the order on screen."""
        selection = self.lines.selectionModel()
        ranges = QItemSelection() if selection is None else selection.selection()
        parts = [ranges[k] for k in range(len(ranges))]
        spans = [np.arange(part.top(), part.bottom() + 1) for part in parts]
        lines = np.unique(np.concatenate(spans)) if spans else np.zeros(0, np.int64)
        return self.model.rows[lines]

    def copy(self) -> None:
        """Put the selected lines, or all, on the clipboard: tab-separated, full precision, with a heading."""
        rows = self.selected_rows()
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.as_text(rows if rows.size else self.model.rows))

    def as_text(self, rows: NDArray[np.int64]) -> str:
        """Tab-separated text of rows of the table in the columns on screen, names in the first line."""
        names = self.visible_columns()
        if "fwhm_major" in names:
            names.insert(names.index("fwhm_major") + 1, "fwhm_minor")
        return self.model.as_text(rows, list(dict.fromkeys(names)))  # fwhm_minor may be on screen already

    # set-up

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(8, 6, 8, 4)
        top.addWidget(Still(self.filter))
        top.addStretch(1)
        top.addWidget(Still(self.count))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.lines, 1)

    def _header(self) -> QHeaderView:
        header = self.lines.horizontalHeader()
        assert header is not None
        return header

    def _set_up_header(self) -> None:
        side, header, metrics = self.lines.verticalHeader(), self._header(), self.fontMetrics()
        assert side is not None
        side.hide()
        side.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        side.setMinimumSectionSize(16)
        side.setDefaultSectionSize(metrics.height() + 8)
        font = header.font()
        font.setBold(True)
        bold = QFontMetrics(font)
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(36)
        for k, field in enumerate(FIELDS):
            title = bold.horizontalAdvance(field.title) + 26  # padding and the arrow of the order
            text = metrics.horizontalAdvance(_SAMPLES.get(field.name, "88.888")) + 26
            header.resizeSection(k, max(title, text))
        header.setStretchLastSection(True)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_chooser)
        header.setSectionsClickable(True)
        header.sectionClicked.connect(self._on_header)

    def _update_columns(self) -> None:
        frames = self.model.table["frame"]
        several = bool(frames.size) and bool((frames != frames[0]).any())
        known = bool(np.isfinite(self.model.table["d"]).any())
        wanted = {*DEFAULT, *(("frame",) if several else ()), *(("d",) if known else ())}
        hidden = [not self._chosen.get(field.name, field.name in wanted) for field in FIELDS]
        if (several, hidden) == self._arranged:
            return
        self._arranged = several, hidden
        header = self._header()
        for k, none in enumerate(hidden):
            header.setSectionHidden(k, none)
        frame = header.visualIndex(POSITION["frame"])
        if several and frame >= len(DEFAULT):
            header.moveSection(frame, 0)

    def _fill_filter(self, table: PeakTable) -> None:
        statuses = table["status"][table.detected]
        counts = np.bincount(statuses, minlength=len(Status))
        offered: list[tuple[str, Status | None]] = [(f"all peaks  {len(statuses):,}", None)]
        for status in Status:
            if counts[status] or status is self.model.status:
                offered.append((f"{status.label}  {counts[status]:,}", status))
        if [kind for _, kind in offered] != [kind for _, kind in self._statuses]:
            self.filter.clear()
            for text, kind in offered:
                self.filter.addItem(text, kind)
        for k, entry in enumerate(offered):
            if entry not in self._statuses:
                self.filter.setItemText(k, entry[0])
        self._statuses = offered
        self.filter.setCurrentIndex(max(self.filter.findData(self.model.status), 0))

    def _update_count(self) -> None:
        detected = self.model.table.detected
        shown, total = int(detected[self.model.rows].sum()), int(detected.sum())
        self.count.setText(f"{shown:,} of {total:,}" if shown != total else "")
        status = self.model.status
        hint = EMPTY if not total or status is None else f"No peak here is “{status.label}”."
        if hint != self.lines.hint:
            self.lines.hint = hint
            view = self.lines.viewport()
            assert view is not None
            view.update()

    def _show_current(self) -> None:
        line = None if self._current is None else self.model.line_of(self._current)
        selection = self.lines.selectionModel()
        assert selection is not None
        self._quiet = True
        if line is None:
            selection.clear()
        else:
            index = self.model.index(line, 0)
            flags = QItemSelectionModel.SelectionFlag
            selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.lines.scrollTo(self.model.index(line, self._header().logicalIndex(0)))
        self._quiet = False

    # gestures

    def _on_current(self, index: QModelIndex) -> None:
        if not (self._quiet or self.lines.arriving) and index.isValid():
            self._current = int(self.model.rows[index.row()])
            self.peak_selected.emit(self._current)

    def _on_header(self, section: int) -> None:
        again = section == self.model.sort_field and self._header().isSortIndicatorShown()
        down = again and not self.model.descending
        order = Qt.SortOrder.DescendingOrder if down else Qt.SortOrder.AscendingOrder
        self._header().setSortIndicatorShown(True)
        self._header().setSortIndicator(section, order)
        self.model.sort(section, order)
        self._show_current()

    def _on_filter(self, which: int) -> None:
        self.model.set_status(self.filter.itemData(which))
        self._update_count()
        self._show_current()

    def _reject(self) -> None:
        rows = self.selected_rows()
        if rows.size:
            self.reject_requested.emit(rows)

    def _open_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        reject = QAction("Reject or take back", menu)
        reject.setShortcut(QKeySequence(Qt.Key.Key_Delete))
        reject.setEnabled(bool(self.selected_rows().size))
        reject.triggered.connect(self._reject)
        copy = QAction("Copy", menu)
        copy.setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        copy.setEnabled(bool(self.model.rows.size))
        copy.triggered.connect(self.copy)
        menu.addActions([reject, copy])
        menu.addSeparator()
        menu.addMenu(self.column_menu(menu))
        port = self.lines.viewport()
        menu.popup(at if port is None else port.mapToGlobal(at))

    def _open_chooser(self, at: QPoint) -> None:
        self.column_menu(self).popup(self._header().mapToGlobal(at))

    def column_menu(self, parent: QWidget) -> QMenu:
        """Menu of all columns with ticks at those on screen."""
        menu, shown = QMenu("Columns", parent), set(self.visible_columns())
        for field in FIELDS:
            action = QAction(field.title, menu)
            action.setCheckable(True)
            action.setChecked(field.name in shown)
            action.setToolTip(field.tip)
            action.triggered.connect(lambda on, name=field.name: self.set_column_visible(name, on))
            menu.addAction(action)
        menu.setToolTipsVisible(True)
        return menu
