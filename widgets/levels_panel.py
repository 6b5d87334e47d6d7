"""Contrast: which values are black and white, on which scale, in which colours."""

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QDoubleValidator, QIcon, QImage, QPixmap
from PyQt6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from braggscope.widgets import icons
from braggscope.widgets.levels_track import LevelsTrack, Scale, colours_of

MAPS = ("inferno", "magma", "viridis", "plasma", "cividis", "turbo", "gray")
SCALES: tuple[Scale, ...] = ("linear", "sqrt", "log")


def map_icon(name: str) -> QIcon:
    """A small strip of a colour map."""
    colours = np.ascontiguousarray(np.tile(colours_of(name), (16, 1)))
    image = QImage(colours.tobytes(), 256, 16, 1024, QImage.Format.Format_RGB32)
    return QIcon(QPixmap.fromImage(image.scaled(48, 16)))


class _LevelEdit(QLineEdit):
    """A number typed exactly, written as short as it can be read back."""

    entered = pyqtSignal(float)

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        validator = QDoubleValidator(self)
        validator.setLocale(validator.locale().c())
        self.setValidator(validator)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setAccessibleName(name)
        self.setToolTip(f"{name}: type an exact value")
        self._shown = ""
        self.editingFinished.connect(self._finish)

    def show_value(self, value: float) -> None:
        """Write a value, unless somebody is typing."""
        self._shown = f"{value:.5g}" if abs(value) < 1e5 else f"{value:.0f}"
        if not (self.hasFocus() and self.isModified()):
            self.setText(self._shown)

    def _finish(self) -> None:
        changed, self_text = self.isModified() and self.text() != self._shown, self.text()
        self.setModified(False)
        if changed:
            self.entered.emit(float(self_text))


class LevelsPanel(QWidget):
    """Histogram beside the frame. Setters never emit.

    ``levels_changed``: lower, upper. ``colormap_changed``: a name of matplotlib's, ``_r`` reversed.
    ``scale_changed``: ``linear``, ``sqrt`` or ``log``. ``auto_requested``: set levels from the frame.
    """

    levels_changed = pyqtSignal(float, float)
    colormap_changed = pyqtSignal(str)
    scale_changed = pyqtSignal(str)
    auto_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.track = LevelsTrack(self)
        self.upper_edit, self.lower_edit = _LevelEdit("Upper level", self), _LevelEdit("Lower level", self)
        self.menu = QMenu(self)
        self._reversed = QAction("Reversed", self.menu)
        self._maps, self._scales = QActionGroup(self.menu), QActionGroup(self.menu)
        self._fill_menu()
        self._lay_out()
        self.track.dragged.connect(self._dragged)
        self.track.auto_requested.connect(self.auto_requested)
        self.upper_edit.entered.connect(lambda value: self._typed(self.track.low, value))
        self.lower_edit.entered.connect(lambda value: self._typed(value, self.track.high))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._show_menu)
        self.setFixedWidth(112)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        self.set_levels(0.0, 1.0)
        self.set_colormap("inferno")
        self.set_scale("linear")

    def _fill_menu(self) -> None:
        auto = QAction(icons.icon("auto"), "Automatic contrast", self.menu)
        auto.triggered.connect(self.auto_requested)
        self.menu.addAction(auto)
        self.menu.addSeparator()
        for name in MAPS:
            action = QAction(name, self._maps)
            action.setData(name)
            action.setCheckable(True)
        self.menu.addActions(self._maps.actions())
        self._reversed.setCheckable(True)
        self.menu.addAction(self._reversed)
        self.menu.addSeparator()
        for scale in SCALES:
            action = QAction(f"{scale} scale", self._scales)
            action.setData(scale)
            action.setCheckable(True)
        self.menu.addActions(self._scales.actions())
        self.menu.aboutToShow.connect(self._paint_maps)
        self._maps.triggered.connect(self._map_chosen)
        self._reversed.triggered.connect(self._map_chosen)
        self._scales.triggered.connect(self._scale_chosen)

    def _paint_maps(self) -> None:
        """Strips of the colour maps; painted when the menu is first seen."""
        for action in self._maps.actions():
            if action.icon().isNull():
                action.setIcon(map_icon(action.data()))

    def _lay_out(self) -> None:
        self.auto = self._button("auto", "Automatic contrast (A)")
        self.auto.clicked.connect(self.auto_requested)
        self.colours = self._button("colours", "Colours and scale")
        self.colours.clicked.connect(lambda: self._show_menu(self.colours.geometry().bottomLeft()))
        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        buttons.addStretch()
        buttons.addWidget(self.auto)
        buttons.addWidget(self.colours)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 8, 8, 6)
        column.setSpacing(4)
        column.addWidget(self.upper_edit)
        column.addWidget(self.track, 1, Qt.AlignmentFlag.AlignRight)
        column.addWidget(self.lower_edit)
        column.addLayout(buttons)

    def _button(self, name: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setIcon(icons.icon(name))
        button.setIconSize(QSize(18, 18))
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    # ---- values in ----

    def set_histogram(self, counts: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
        """(N,) counts in bins with (N + 1,) rising edges. ValueError if the lengths do not match."""
        if len(edges) != len(counts) + 1:
            raise ValueError(f"{len(counts)} bins have {len(counts) + 1} edges, got {len(edges)}")
        self.track.set_histogram(counts, edges)

    def set_levels(self, lo: float, hi: float) -> None:
        """Show the values that are the first and the last colour."""
        self.track.set_levels(float(lo), float(hi))
        self.lower_edit.show_value(lo)
        self.upper_edit.show_value(hi)

    def set_colormap(self, name: str) -> None:
        """Show a colour map by its name, ``_r`` reversed. ValueError for an unknown one."""
        colours_of(name)
        self.track.colormap = name
        base = name.removesuffix("_r")
        self._reversed.setChecked(name.endswith("_r"))
        for action in self._maps.actions():
            action.setChecked(action.data() == base)
        self.track.update()

    def set_scale(self, name: Scale) -> None:
        """Show ``linear``, ``sqrt`` or ``log``."""
        if name not in SCALES:
            raise ValueError(f"no scale is called {name!r}")
        self.track.scale = name
        for action in self._scales.actions():
            action.setChecked(action.data() == name)
        self.track.update()

    # ---- gestures ----

    def _dragged(self, low: float, high: float) -> None:
        self.lower_edit.show_value(low)
        self.upper_edit.show_value(high)
        self.levels_changed.emit(low, high)

    def _typed(self, low: float, high: float) -> None:
        if high > low:
            self.set_levels(low, high)
            self.levels_changed.emit(low, high)
        else:  # a crossed pair is no contrast: show what holds
            self.set_levels(self.track.low, self.track.high)

    def _map_chosen(self) -> None:
        chosen = self._maps.checkedAction()
        base = str(chosen.data()) if chosen is not None else self.track.colormap.removesuffix("_r")
        name = base + ("_r" if self._reversed.isChecked() else "")
        self.set_colormap(name)
        self.colormap_changed.emit(name)

    def _scale_chosen(self, action: QAction) -> None:
        self.set_scale(action.data())
        self.scale_changed.emit(action.data())

    def _show_menu(self, at: QPoint) -> None:
        self.menu.popup(self.mapToGlobal(at))
