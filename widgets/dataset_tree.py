"""The datasets of a file as a tree: names on the left, shape and type in a muted column."""

from dataclasses import dataclass

from PyQt6.QtCore import QEvent, QModelIndex, QRect, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QColor, QFont, QKeyEvent, QPainter, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from braggscope.widgets import theme
from braggscope.widgets.tips import as_written

_ENTRY = Qt.ItemDataRole.UserRole
_NAME_SHARE = 0.45  # of the width that the names keep, however long the shapes are
_STYLE = """
QTreeView::item { border-radius: 0; padding: 4px; }
QTreeView::branch:has-children:open, QTreeView::branch:has-children:closed { padding: 1px; }
"""
_SHORT = {"uint": "u", "int": "i", "float": "f", "complex": "c"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One dataset. ``problem`` says why it cannot be shown as frames, or is empty."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    problem: str = ""


def shape_text(shape: tuple[int, ...], dtype: str = "") -> str:
    """``480 × 256 × 256  uint16``."""
    size = " × ".join(str(n) for n in shape) if shape else "scalar"
    return f"{size}  {dtype}".rstrip()


def short_shape_text(shape: tuple[int, ...], dtype: str = "") -> str:
    """``480×256×256 u16``, for narrow places."""
    kind = dtype.rstrip("0123456789")
    size = "×".join(str(n) for n in shape) if shape else "scalar"
    return f"{size} {_SHORT.get(kind, kind)}{dtype[len(kind) :]}".rstrip()


class _Row(QStyledItemDelegate):
    """Paints names as far as the shape of the same row, which columns of one width would not allow."""

    def __init__(self, tree: "DatasetTree") -> None:
        super().__init__(tree)
        self._tree = tree

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Qt: see :meth:`DatasetTree.parts`; the name of a group has the whole row."""
        if index.siblingAtColumn(1).data():
            option.rect = self._tree.parts(index)[index.column()]
        super().paint(painter, option, index)


class DatasetTree(QTreeWidget):
    """Path pieces as nodes; groups with a single child are written on one line."""

    dataset_chosen = pyqtSignal(str)  # a click or Return on a usable dataset

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._current = ""
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        self.setIndentation(12)
        self.setStyleSheet(_STYLE)
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setExpandsOnDoubleClick(False)
        self.setAccessibleName("Datasets of the file")
        self.setItemDelegate(_Row(self))
        header = self.header()
        if header is not None:
            header.setStretchLastSection(False)
            header.setMinimumSectionSize(20)
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.itemClicked.connect(lambda item, _column: self._choose(item))

    def set_entries(self, root: str, entries: tuple[Entry, ...], current: str, tooltip: str = "") -> None:
        """Show the datasets under a root node (no root node when it is empty)."""
        self.ensurePolished()  # row heights are measured now and depend on the style sheet
        self.clear()
        self._current = current
        top: QTreeWidgetItem | None = None
        if root:
            top = QTreeWidgetItem([root, ""])
            top.setToolTip(0, as_written(tooltip or root))
            top.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.addTopLevelItem(top)
            top.setFirstColumnSpanned(True)
        nested: dict[str, dict | Entry] = {}
        for entry in entries:
            _insert(nested, entry)
        self._grow(top, nested)
        self.expandAll()
        self._recolour(theme.current())
        self._fit_columns()
        found = self.item_of(current)
        if found is not None:
            self.setCurrentItem(found)

    def item_of(self, path: str) -> QTreeWidgetItem | None:
        """The node of a dataset."""
        return next((item for item in self._leaves() if item.data(0, _ENTRY).path == path), None)

    def focused(self) -> Entry | None:
        """The dataset under the cursor, if there is one."""
        item = self.currentItem()
        entry = item.data(0, _ENTRY) if item is not None else None
        return entry if isinstance(entry, Entry) else None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: Return chooses."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose(self.currentItem())
            return
        super().keyPressEvent(event)

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._recolour(theme.current())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: share the width between names and shapes."""
        super().resizeEvent(event)
        self._fit_columns()

    def _choose(self, item: QTreeWidgetItem | None) -> None:
        if item is None:
            return
        entry = item.data(0, _ENTRY)
        if entry is None:
            item.setExpanded(not item.isExpanded())
        elif not entry.problem:
            self.dataset_chosen.emit(entry.path)

    def _grow(self, parent: QTreeWidgetItem | None, nested: dict) -> None:
        for name, child in nested.items():
            label = name
            while isinstance(child, dict) and len(child) == 1:
                (below, child) = next(iter(child.items()))
                label = f"{label} / {below}"
            item = QTreeWidgetItem([label, ""])
            if parent is None:
                self.addTopLevelItem(item)
            else:
                parent.addChild(item)
            if isinstance(child, dict):
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                item.setFirstColumnSpanned(True)
                item.setToolTip(0, as_written(label))
                self._grow(item, child)
            else:
                self._leaf(item, child)

    def _leaf(self, item: QTreeWidgetItem, entry: Entry) -> None:
        item.setData(0, _ENTRY, entry)
        text = shape_text(entry.shape, entry.dtype)
        item.setText(1, text)
        item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        tip = f"{entry.path}\n{text}" + (f"\n{entry.problem}" if entry.problem else "")
        for column in (0, 1):
            item.setToolTip(column, as_written(tip))
        if entry.path == self._current:
            font = QFont(self.font())
            font.setWeight(QFont.Weight.DemiBold)
            item.setFont(0, font)

    def _leaves(self) -> list[QTreeWidgetItem]:
        found, waiting = [], [self.topLevelItem(i) for i in range(self.topLevelItemCount())]
        while waiting:
            item = waiting.pop(0)
            if item is None:
                continue
            if item.data(0, _ENTRY) is not None:
                found.append(item)
            waiting.extend(item.child(i) for i in range(item.childCount()))
        return found

    def _recolour(self, colours: theme.Theme) -> None:
        muted, text, accent = (QBrush(QColor(c)) for c in (colours.muted, colours.text, colours.accent))
        for item in self._leaves():
            entry: Entry = item.data(0, _ENTRY)
            current = entry.path == self._current
            item.setForeground(0, muted if entry.problem else accent if current else text)
            item.setForeground(1, muted)

    def parts(self, index: QModelIndex) -> tuple[QRect, QRect]:
        """Where name and shape of a row are painted: both whole where that is possible."""
        name, shape = index.siblingAtColumn(0), index.siblingAtColumn(1)
        whole = self.visualRect(name).united(self.visualRect(shape))
        wanted = self.sizeHintForIndex(shape).width()
        spare = whole.width() - self.sizeHintForIndex(name).width()
        width = min(wanted, max(spare, round((1 - _NAME_SHARE) * whole.width())))
        return whole.adjusted(0, 0, -width, 0), whole.adjusted(whole.width() - width, 0, 0, 0)

    def _fit_columns(self) -> None:
        viewport = self.viewport()
        width = viewport.width() if viewport is not None else self.width()
        room, leaves = int(width * (1 - _NAME_SHARE)), self._leaves()
        for text in (shape_text, short_shape_text, lambda shape, _: short_shape_text(shape)):
            for item in leaves:
                entry: Entry = item.data(0, _ENTRY)
                item.setText(1, text(entry.shape, entry.dtype))
            if self.sizeHintForColumn(1) <= room:
                break
        wanted = min(self.sizeHintForColumn(1), room)
        self.setColumnWidth(1, max(wanted, 20))
        self.setColumnWidth(0, max(width - self.columnWidth(1), 20))

    def sizeHint(self) -> QSize:
        """Qt: modest, the dock decides."""
        return QSize(220, 160)


def _insert(nested: dict[str, dict | Entry], entry: Entry) -> None:
    pieces = [piece for piece in entry.path.split("/") if piece] or [entry.path]
    here = nested
    for piece in pieces[:-1]:
        below = here.setdefault(piece, {})
        if not isinstance(below, dict):  # a name that is a dataset and a group cannot come from a file
            break
        here = below
    here[pieces[-1]] = entry
