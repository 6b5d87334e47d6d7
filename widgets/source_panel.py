"""Left dock: the open file's datasets, the frame axis, following, and recent files."""

from dataclasses import dataclass
from pathlib import PurePath

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QBrush, QColor, QKeyEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets import theme
from braggscope.widgets.dataset_tree import DatasetTree, Entry
from braggscope.widgets.icons import icon
from braggscope.widgets.tips import as_written

__all__ = ["Entry", "Recent", "SourcePanel"]

_LOCATION = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class Recent:
    """A file opened before; ``exists`` is False when it is gone."""

    location: str
    exists: bool = True


class SourcePanel(QWidget):
    """Values in, gestures out. Setters never emit."""

    dataset_chosen = pyqtSignal(str)  # dataset path inside the file
    recent_chosen = pyqtSignal(str)  # location
    open_requested = pyqtSignal()
    follow_toggled = pyqtSignal(bool)
    axis_chosen = pyqtSignal(int)  # axis of the stack that counts frames

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tree = DatasetTree(self)
        self.tree.dataset_chosen.connect(self.dataset_chosen)
        self.empty = QLabel("No file is open.\nDrop one here, or press Open…", self)
        self.empty.setProperty("role", "muted")
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setWordWrap(True)
        self.recent = _RecentList(self)
        self.recent.chosen.connect(self.recent_chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        layout.addLayout(self._buttons())
        splitter = QSplitter(Qt.Orientation.Vertical, self)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self._upper())
        splitter.addWidget(self._lower())
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 1)
        layout.addWidget(splitter, 1)
        self.set_source("", (), "")

    def set_source(self, location: str, entries: tuple[Entry, ...], current: str) -> None:
        """Show a file (``file.h5::/path`` is fine) and its datasets; an empty location means no file."""
        path = location.split("::", 1)[0]
        is_open = bool(location)
        name = PurePath(path).name or path
        self.tree.set_entries(name, entries, current, tooltip=path)
        self.tree.setVisible(is_open)
        self.empty.setVisible(not is_open)
        self.follow.setEnabled(is_open)

    def set_recent(self, recent: tuple[Recent, ...]) -> None:
        """Show the files opened before, newest first."""
        self.recent.set_files(recent)
        self._recent_box.setMaximumHeight(self._recent_box.sizeHint().height())  # the rest is for datasets
        self._recent_box.setVisible(bool(recent))

    def set_follow(self, on: bool) -> None:
        """Show whether a growing file is followed."""
        self.follow.setChecked(on)

    def set_axes(self, stack_shape: tuple[int, ...], current: int) -> None:
        """Offer the axes of a stack of more than three dimensions as frame axis."""
        self.axis.clear()
        for axis, size in enumerate(stack_shape):
            self.axis.addItem(f"axis {axis}  ({size:,})", axis)
        self.axis.setCurrentIndex(current)
        self._axis_row.setVisible(len(stack_shape) > 3)

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.open_button = QPushButton(icon("open"), "Open…", self)
        self.open_button.setToolTip("Open a file, a folder or a series of images (Ctrl+O)")
        self.open_button.clicked.connect(lambda: self.open_requested.emit())
        self.follow = QPushButton(icon("follow"), "Follow", self)
        self.follow.setCheckable(True)
        self.follow.setToolTip("Show new frames as the file grows (Shift+F5)")
        self.follow.clicked.connect(self.follow_toggled)
        row.addWidget(self.open_button, 1)
        row.addWidget(self.follow, 1)
        return row

    def _upper(self) -> QWidget:
        box = QWidget(self)
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.tree, 1)
        column.addWidget(self.empty, 1)
        self._axis_row = QWidget(box)
        row = QHBoxLayout(self._axis_row)
        row.setContentsMargins(0, 0, 0, 0)
        label = QLabel("Frame axis", self._axis_row)
        label.setProperty("role", "muted")
        self.axis = QComboBox(self._axis_row)
        self.axis.setToolTip("The axis of this stack along which frames are counted")
        self.axis.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.axis.activated.connect(lambda index: self.axis_chosen.emit(self.axis.itemData(index)))
        label.setBuddy(self.axis)
        row.addWidget(label)
        row.addWidget(self.axis, 1)
        self._axis_row.hide()
        column.addWidget(self._axis_row)
        return box

    def _lower(self) -> QWidget:
        self._recent_box = QWidget(self)
        column = QVBoxLayout(self._recent_box)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        caption = QLabel("Recent", self._recent_box)
        caption.setProperty("role", "caption")
        caption.setIndent(0)
        column.addWidget(caption)
        column.addWidget(self.recent, 1)
        self._recent_box.hide()
        return self._recent_box


class _RecentList(QTreeWidget):
    """File names, with their folders muted beside them."""

    chosen = pyqtSignal(str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setIndentation(0)
        self.setUniformRowHeights(True)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("Recent files")
        header = self.header()
        if header is not None:
            header.setStretchLastSection(False)
            header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.itemClicked.connect(lambda item, _column: self._choose(item))

    def set_files(self, recent: tuple[Recent, ...]) -> None:
        """Replace the list."""
        self.clear()
        for file in recent:
            path = PurePath(file.location.split("::", 1)[0])
            item = QTreeWidgetItem([path.name or file.location, path.parent.name])
            item.setData(0, _LOCATION, file.location)
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            tip = file.location if file.exists else f"{file.location}\nThis file is no longer there."
            for column in (0, 1):
                item.setToolTip(column, as_written(tip))
            if not file.exists:
                item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.addTopLevelItem(item)
        self.updateGeometry()
        self._recolour()
        self._fit_columns()

    def sizeHint(self) -> QSize:
        """Qt: all files."""
        return QSize(200, self.topLevelItemCount() * self.minimumSizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Qt: one file."""
        self.ensurePolished()  # row heights depend on the style sheet
        return QSize(60, max(self.sizeHintForRow(0), 0) + 2 * self.frameWidth())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Qt: Return opens."""
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._choose(self.currentItem())
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Qt: share the width."""
        super().resizeEvent(event)
        self._fit_columns()

    def changeEvent(self, event: QEvent | None) -> None:
        """Qt: follow the theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange:
            self._recolour()

    def _choose(self, item: QTreeWidgetItem | None) -> None:
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.chosen.emit(item.data(0, _LOCATION))

    def _recolour(self) -> None:
        muted = QBrush(QColor(theme.current().muted))
        for i in range(self.topLevelItemCount()):
            item = self.topLevelItem(i)
            if item is not None:
                item.setForeground(1, muted)

    def _fit_columns(self) -> None:
        viewport = self.viewport()
        width = viewport.width() if viewport is not None else self.width()
        folder = min(self.sizeHintForColumn(1) + 4, int(width * 0.4))
        self.setColumnWidth(1, max(folder, 20))
        self.setColumnWidth(0, max(width - self.columnWidth(1), 20))
