"""Strain maps: what is measured, what is shown of it, and how far the measurement has come."""

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from braggscope.widgets.elided import ElidedLabel
from braggscope.widgets.icons import icon
from braggscope.widgets.prepare_fields import Segmented, small_button
from braggscope.widgets.scan_canvas import LINE
from braggscope.widgets.snug_combo import SnugComboBox
from braggscope.widgets.strain_map_row import MapPicture, MapRow
from braggscope.widgets.strain_methods import METHODS
from braggscope.widgets.strain_plots import StrainPlots

SHOWN = (("strain", "Strain"), ("error", "1 σ"), ("validity", "Validity"))
COMPONENTS = {"exx": "εxx", "eyy": "εyy", "exy": "εxy", "theta": "θ"}
EXPORTS = {
    "h5": "NeXus HDF5…", "tif": "TIFF, one page per map…", "csv": "CSV, one row per position…",
    "png": "Figure as PNG…", "pdf": "Figure as PDF…",
}  # fmt: skip
COPIES = {"python": "Copy as Python", "command": "Copy as command line"}
TOOLS = {"reference": ("rectangle", "Draw the reference region: what is called unstrained"),
         LINE: ("line", "Draw a profile line")}  # fmt: skip
RUN, RESUME = "Measure scan", "Resume"


class StrainMapsPanel(QWidget):
    """``view_changed``: dict of what somebody chose: ``method beside component shown limit limit_deg``.

    ``tool_requested``: ``reference``, ``line`` or empty. ``export_requested``: a suffix; ``copy_requested``:
    ``python`` or ``command``. ``offer_taken``: of what :meth:`set_offer` offers. ``demo_requested``: of the
    empty state.
    """

    view_changed = pyqtSignal(dict)
    run_requested = pyqtSignal()
    offer_taken = pyqtSignal()
    cancel_requested = pyqtSignal()
    tool_requested = pyqtSignal(str)
    export_requested = pyqtSignal(str)
    copy_requested = pyqtSignal(str)
    clear_reference_requested = pyqtSignal()
    demo_requested = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.maps, self.plots = MapRow(self), StrainPlots(self)
        self.hint, self.demo = QLabel(self), QPushButton("Open demo scan", self)
        self._make_controls()
        self._make_progress()
        self._lay_out()
        self.set_running(False)
        self.set_possible(False)
        self.set_offer("")
        self.set_pictures([], "")

    # ---- values in ----

    def set_pictures(self, pictures: list[MapPicture], hint: str) -> None:
        """Show maps, or a sentence that says how to get them."""
        self.maps.set_pictures(pictures)
        self.hint.setText(hint)
        self.stack.setCurrentWidget(self.body if pictures else self.nothing)
        for widget in (self.export, *self.tools.values(), self.shown, self.limit, self.limit_deg):
            widget.setEnabled(bool(pictures))

    def set_view(self, view: Mapping[str, Any]) -> None:
        """Show what is chosen: keys as of ``view_changed``."""
        for name in ("method", "beside", "component"):
            box = getattr(self, name)
            box.setCurrentIndex(max(box.findData(view[name]), 0))
        compared, angle = bool(view["beside"]), view["component"] == "theta"
        self.component.setVisible(compared)
        self.shown.setVisible(not compared)
        self.limit.setVisible(not (compared and angle))
        self.limit_deg.setVisible(not compared or angle)
        self.shown.set_value(view["shown"])

    def set_limits(self, limit: float, limit_deg: float) -> None:
        """Show the ends of the colour scales in % and degrees."""
        for spin, value in ((self.limit, limit), (self.limit_deg, limit_deg)):
            blocked = spin.blockSignals(True)
            spin.setValue(value)
            spin.blockSignals(blocked)

    def set_offer(self, text: str, tip: str = "") -> None:
        """What can be measured next in one click; empty: nothing."""
        self.offer.setText(text)
        self.offer.setToolTip(tip)
        self.offer.setVisible(bool(text))

    def set_tool(self, tool: str) -> None:
        """Show which tool is in hand."""
        for name, button in self.tools.items():
            button.setChecked(name == tool)
        self.maps.set_tool(tool if tool in self.tools else "")

    def set_possible(self, possible: bool, resumable: bool = False, demo: bool = True) -> None:
        """Whether there is a scan to measure, and whether part of it is done already."""
        self.run.setEnabled(possible)
        self.run.setText(RESUME if resumable else RUN)
        self.demo.setVisible(demo)

    def set_running(self, running: bool, done: int = 0, total: int = 0, text: str = "") -> None:
        """Progress of a measurement."""
        self.progress.setVisible(running)
        self.either.setCurrentWidget(self.cancel if running else self.run)
        self.bar.setRange(0, total if total or not running else 0)
        self.bar.setValue(done)
        self.progress_text.setText(text)

    def set_note(self, text: str) -> None:
        """One line about the maps on screen."""
        self.note.setText(text)
        self.note.setVisible(bool(text))

    # ---- building ----

    def _make_controls(self) -> None:
        self.run = QPushButton(icon("play", "on_accent"), RUN, self)
        self.run.setProperty("role", "primary")
        self.run.setToolTip("Measure the strain at every position with the chosen method (Ctrl+Shift+R)")
        self.cancel = QPushButton(icon("stop"), "Cancel", self)
        self.cancel.setToolTip("Stop; what is done stays and can be resumed")
        self.either = QStackedWidget(self)  # as wide as the wider one: nothing beside them moves
        self.either.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        for button in (self.run, self.cancel):
            button.setIconSize(QSize(14, 14))
            self.either.addWidget(button)
        self.offer = QPushButton(self)
        self.offer.setStyleSheet("padding-left: 8px; padding-right: 8px;")
        self.method, self.beside, self.component = (SnugComboBox(self) for _ in range(3))
        self.beside.addItem("alone", "")
        for key, style in METHODS.items():
            self.method.addItem(style.title, key)
            self.beside.addItem(f"beside {style.title}", key)
        self.method.setToolTip("Who measures the disks")
        self.beside.setToolTip("Show another method's map beside it, and their difference")
        for key, title in COMPONENTS.items():
            self.component.addItem(title, key)
        self.component.setToolTip("Which component is compared")
        self.shown = Segmented(SHOWN, "Maps", self)
        tips = ("Strain and rotation", "Their errors, 1 σ", "Where there is a strain, disks used, residual")
        for (key, _), tip in zip(SHOWN, tips, strict=True):
            self.shown.button(key).setToolTip(tip)
        self.limit = _limit(" %", "Largest strain on the colour scale", self)
        self.limit_deg = _limit(" °", "Largest rotation on the colour scale", self)
        self._connect_controls()

    def _connect_controls(self) -> None:
        self.run.clicked.connect(lambda: self.run_requested.emit())
        self.offer.clicked.connect(lambda: self.offer_taken.emit())
        self.cancel.clicked.connect(lambda: self.cancel_requested.emit())
        self.demo.clicked.connect(lambda: self.demo_requested.emit())
        for name in ("method", "beside", "component"):
            box = getattr(self, name)
            box.activated.connect(lambda _, n=name, b=box: self.view_changed.emit({n: b.currentData()}))
        self.shown.chosen.connect(lambda key: self.view_changed.emit({"shown": key}))
        for name in ("limit", "limit_deg"):
            getattr(self, name).valueChanged.connect(lambda v, n=name: self.view_changed.emit({n: v}))
        self.tools: dict[str, QToolButton] = {}
        for name, (glyph, tip) in TOOLS.items():
            button = small_button(glyph, tip, self)
            button.setCheckable(True)
            button.clicked.connect(lambda on, n=name: self.tool_requested.emit(n if on else ""))
            self.tools[name] = button
        self.export = QToolButton(self)
        self.export.setIcon(icon("export"))
        self.export.setToolTip("Export the maps, or copy what makes them")
        self.export.setAccessibleName("Export")
        self.export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.export)
        for entries, signal in ((EXPORTS, self.export_requested), (COPIES, self.copy_requested)):
            for key, text in entries.items():
                action = self.menu.addAction(text)
                assert action is not None
                action.triggered.connect(lambda _, k=key, s=signal: s.emit(k))
            self.menu.addSeparator()
        forget = self.menu.addAction("Refer to the median instead of a region")
        assert forget is not None
        forget.triggered.connect(lambda: self.clear_reference_requested.emit())
        scales = self.menu.addAction("Choose the colour scales by the data")
        assert scales is not None
        scales.triggered.connect(lambda: self.view_changed.emit({"limit": None, "limit_deg": None}))
        self.export.setMenu(self.menu)

    def _make_progress(self) -> None:
        self.progress = QWidget(self)
        self.bar, self.progress_text = QProgressBar(self.progress), QLabel(self.progress)
        self.progress_text.setProperty("role", "muted")
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(90, 8)
        row = QHBoxLayout(self.progress)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.bar)
        row.addWidget(self.progress_text)
        self.note = ElidedLabel(role="muted", parent=self)
        self.note.mode = Qt.TextElideMode.ElideRight
        policy = self.note.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # a note that comes must not push the window apart
        self.note.setSizePolicy(policy)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        for first in (self.either, self.method, self.beside, self.component, self.offer):
            head.addWidget(first)
        head.addStretch(1)
        head.addWidget(self.shown)
        for widget in (self.limit, self.limit_deg, _separator(self), *self.tools.values(), self.export):
            head.addWidget(widget)
        about = QHBoxLayout()
        about.setContentsMargins(10, 0, 4, 0)
        about.addWidget(self.progress)
        about.addWidget(self.note, 1)
        self.body = QSplitter(Qt.Orientation.Horizontal, self)
        self.body.addWidget(self.maps)
        self.body.addWidget(self.plots)
        self.body.setStretchFactor(0, 4)
        self.body.setStretchFactor(1, 1)
        self.plots.setMinimumWidth(190)
        self.body.setSizes([1000, 250])
        self.nothing = QWidget(self)
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        empty = QVBoxLayout(self.nothing)
        empty.addStretch(1)
        empty.addWidget(self.hint)
        empty.addWidget(self.demo, 0, Qt.AlignmentFlag.AlignHCenter)
        empty.addStretch(1)
        self.stack = QStackedWidget(self)
        self.stack.addWidget(self.body)
        self.stack.addWidget(self.nothing)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 2, 0, 0)
        column.setSpacing(5)
        column.addLayout(head)
        column.addLayout(about)
        column.addWidget(self.stack, 1)


def _limit(suffix: str, tip: str, parent: QWidget) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(parent)
    spin.setLocale(spin.locale().c())
    spin.setPrefix("± ")
    spin.setSuffix(suffix)
    spin.setDecimals(2)
    spin.setRange(0.01, 50.0)
    spin.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
    spin.setKeyboardTracking(False)
    spin.setValue(1.0)
    spin.setToolTip(tip)
    spin.setFixedWidth(spin.fontMetrics().horizontalAdvance("± 00.00 %") + 40)
    return spin


def _separator(parent: QWidget) -> QFrame:
    line = QFrame(parent)
    line.setProperty("role", "separator")
    line.setFixedWidth(1)
    line.setStyleSheet("max-height: 20px;")
    return line
