"""The main window: which widget stands where. It knows no engine; presenters bring it to life."""

from __future__ import annotations

import base64
from collections.abc import Callable

from PyQt6.QtCore import QByteArray, Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QResizeEvent,
)
from PyQt6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMenuBar,
    QStackedWidget,
    QStatusBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from braggscope.app.shell.actions import ACTIONS, GESTURES, MENUS, Action
from braggscope.app.shell.coherent_panels import CoherentPanels
from braggscope.app.shell.docks import DOCKS, VERSION, WORKSPACES, arrange, set_title_bars
from braggscope.app.shell.strain_panels import StrainPanels
from braggscope.app.shell.toolbar import Toolbar
from braggscope.widgets import theme
from braggscope.widgets.agreement_plot import AgreementPlot
from braggscope.widgets.bench_view import BenchView
from braggscope.widgets.command_palette import Command, CommandPalette
from braggscope.widgets.error_plot import ErrorPlot
from braggscope.widgets.export_panel import ExportPanel
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.help_overlay import HelpOverlay
from braggscope.widgets.icons import icon
from braggscope.widgets.instrument_panel import InstrumentPanel
from braggscope.widgets.jobs_panel import JobsPanel
from braggscope.widgets.levels_panel import LevelsPanel
from braggscope.widgets.log_panel import LogPanel
from braggscope.widgets.metadata_panel import MetadataPanel
from braggscope.widgets.notice_bar import NoticeBar
from braggscope.widgets.parameter_sets import ParameterSetsPanel
from braggscope.widgets.patch_view import PatchView
from braggscope.widgets.peak_table import PeakTableView
from braggscope.widgets.prepare_panel import PreparePanel
from braggscope.widgets.region_panel import RegionPanel
from braggscope.widgets.source_panel import SourcePanel
from braggscope.widgets.threshold_panel import ThresholdPanel
from braggscope.widgets.timeline import Timeline
from braggscope.widgets.track_table import TrackTable
from braggscope.widgets.tracks_plot import TracksPlot
from braggscope.widgets.training_panel import TrainingPanel
from braggscope.widgets.waterfall import WaterfallView

GAP = 8  # px between the edge of a dock and what is in it


class MainWindow(QMainWindow):
    """Widgets in docks, actions in menus, and the few signals that belong to the window itself."""

    files_dropped = pyqtSignal(list)  # of paths
    closing = pyqtSignal()
    overlays_held = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Braggscope")
        self.setAcceptDrops(True)
        self.setDockNestingEnabled(True)
        self.setDocumentMode(True)
        self.resize(1600, 1000)
        self.actions_by_key: dict[str, QAction] = {}
        self._enabled: dict[str, bool] = {}  # by what actions need
        self._workspace = "series"
        self._layouts: dict[str, QByteArray] = {}  # of workspaces that were left
        self._make_widgets()
        self.setCentralWidget(self._centre())
        self._make_docks()
        self._make_status()

    # -- building -----------------------------------------------------------------------------

    def _make_widgets(self) -> None:
        self.frame_view = FrameView()
        self.levels_panel = LevelsPanel()
        self.timeline = Timeline()
        self.notices = NoticeBar()
        self.source_panel = SourcePanel()
        self.metadata_panel = MetadataPanel()
        self.prepare_panel = PreparePanel()
        self.region_panel = RegionPanel()
        self.instrument_panel = InstrumentPanel()
        self.threshold_panel = ThresholdPanel()
        self.patch_view = PatchView()
        self.sets_panel = ParameterSetsPanel()
        self.peak_table = PeakTableView()
        self.error_plot = ErrorPlot()
        self.agreement_plot = AgreementPlot()
        self.jobs_panel = JobsPanel()
        self.log_panel = LogPanel()
        self.export_panel = ExportPanel()
        self.bench_view = BenchView()
        self.training_panel = TrainingPanel()
        self.track_table = TrackTable()
        self.tracks_plot = TracksPlot()
        self.waterfall = WaterfallView()
        self.strain = StrainPanels(self.frame_view)
        self.coherent = CoherentPanels()
        self.palette_overlay = CommandPalette(self)
        self.help_overlay = HelpOverlay(self)

    def _centre(self) -> QWidget:
        picture = QHBoxLayout()
        picture.setSpacing(0)
        picture.addWidget(self.frame_view, 1)
        picture.addWidget(self.levels_panel)
        series = QWidget()
        layout = QVBoxLayout(series)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(picture, 1)
        layout.addWidget(self.timeline)
        self.pages = QStackedWidget()
        self.accuracy_tabs = QTabWidget()
        self.accuracy_tabs.setDocumentMode(True)
        self.accuracy_tabs.addTab(self.bench_view, "Simulation bench")
        self._page_of: dict[str, QWidget] = {
            "series": series,
            "tracks": series,
            "strain": series,
            "coherent": self.coherent.page,
            "accuracy": self.accuracy_tabs,
            "export": self.export_panel,
        }
        for page in dict.fromkeys(self._page_of.values()):  # workspaces may share a page
            self.pages.addWidget(page)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.notices)
        column.addWidget(self.pages, 1)
        return centre

    def _make_docks(self) -> None:
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.BottomDockWidgetArea)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self._docks: dict[str, QDockWidget] = {}
        for key, widget in self._panels().items():
            dock = QDockWidget(DOCKS[key], self)
            dock.setObjectName(f"dock-{key}")
            dock.setWidget(_padded(widget))
            self._docks[key] = dock
        arrange(self, self._docks, self._workspace)

    def _panels(self) -> dict[str, QWidget]:
        """The widget of every dock."""
        return {
            "file": self.source_panel,
            "frame": self.metadata_panel,
            "prepare": self.prepare_panel,
            "regions": self.region_panel,
            "instrument": self.instrument_panel,
            "thresholds": self.threshold_panel,
            "patch": self.patch_view,
            "sets": self.sets_panel,
            "peaks": self.peak_table,
            "jobs": self.jobs_panel,
            "log": self.log_panel,
            "error": self.error_plot,
            "agreement": self.agreement_plot,
            "training": self.training_panel,
            "tracks": self.track_table,
            "track_plot": self.tracks_plot,
            "waterfall": self.waterfall,
            **self.strain.docks(),
            **self.coherent.docks(),
        }

    def _make_status(self) -> None:
        self._status = QLabel("")
        self._status.setProperty("role", "muted")
        self._readout = QLabel("")
        self._readout.setProperty("role", "value")
        bar = QStatusBar(self)
        bar.addWidget(self._status, 1)
        bar.addPermanentWidget(self._readout)
        bar.setSizeGripEnabled(False)
        self.setStatusBar(bar)

    def install_actions(self, handlers: dict[str, Callable[[], object]]) -> None:
        """Make menus, keys and the tool bar from the table of actions."""
        bar = QMenuBar(self)
        bar.setNativeMenuBar(False)
        self.setMenuBar(bar)
        menus = {name: QMenu(name, bar) for name in MENUS}
        for menu in menus.values():
            bar.addMenu(menu)
        for spec in ACTIONS:
            action = self._action(spec, handlers[spec.key])
            menus[spec.menu].addAction(action)
            self.addAction(action)
            self.actions_by_key[spec.key] = action
        panels = QMenu("Panels", menus["View"])
        menus["View"].addMenu(panels)
        for dock in self._docks.values():
            panels.addAction(dock.toggleViewAction())
        self._make_toolbar()
        theme.on_change(self._refresh_icons)

    def _action(self, spec: Action, handler: Callable[[], object]) -> QAction:
        action = QAction(spec.title, self)
        action.setShortcuts([QKeySequence(keys) for keys in spec.shortcuts])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.setCheckable(spec.checkable)
        keys = f"  ({spec.shortcuts[0]})" if spec.shortcuts else ""
        action.setToolTip(spec.title.rstrip("…") + keys)
        action.triggered.connect(lambda *_: handler())
        return action

    def _make_toolbar(self) -> None:
        self._toolbar = Toolbar(self.actions_by_key, self)
        self._fit_toolbar()
        menus = self.menuBar()
        if menus is not None:  # one row for menus and tools: height is precious on small screens
            menus.setCornerWidget(self._toolbar, Qt.Corner.TopRightCorner)

    def _fit_toolbar(self) -> None:
        menus = self.menuBar()
        self._toolbar.fit(self.width())
        if menus is not None:
            menus.updateGeometry()

    def _refresh_icons(self, _: theme.Theme) -> None:
        for spec in ACTIONS:
            if spec.icon:
                self.actions_by_key[spec.key].setIcon(icon(spec.icon))

    # -- what presenters ask ------------------------------------------------------------------

    def set_workspace(self, name: str) -> None:
        """Show the page of a workspace, and its docks as they were when it was left."""
        self._toolbar.show_workspace(name)
        if name != self._workspace:
            self._layouts[self._workspace] = self.saveState(VERSION)
            self._workspace = name
            self._lay_out()
        self.pages.setCurrentWidget(self._page_of[name])

    def _lay_out(self) -> None:
        kept = self._layouts.get(self._workspace)
        for dock in self._docks.values():  # or those of both workspaces stand there for a moment, and the
            self.removeDockWidget(dock)  # window grows until they all fit
        if kept is not None and self.restoreState(kept, VERSION):
            set_title_bars(self._docks, self._workspace)
        else:
            arrange(self, self._docks, self._workspace)

    def enable_actions(self, frames: bool, peak: bool) -> None:
        """Grey out what cannot be done now."""
        wanted = {"frames": frames, "peak": frames and peak}
        if wanted == self._enabled:
            return
        self._enabled = wanted
        for spec in ACTIONS:
            if spec.needs:
                self.actions_by_key[spec.key].setEnabled(wanted[spec.needs])

    def commands(self) -> list[Command]:
        """All actions, for palette and help."""
        return [
            Command(a.key, a.title, " ".join(a.shortcuts[:1]), a.menu, self.actions_by_key[a.key].isEnabled())
            for a in ACTIONS
        ]

    def help_entries(self) -> list[Command]:
        """All actions and the gestures that are none."""
        gestures = [Command(title, title, keys, section, True) for title, keys, section in GESTURES]
        return self.commands() + gestures

    def show_panel(self, key: str, height: int = 0) -> None:
        """Bring a dock to the front, and make it as high as that (px), if there is room."""
        dock = self._docks[key]
        dock.show()
        dock.raise_()
        if height > dock.height():
            self.resizeDocks([dock], [height], Qt.Orientation.Vertical)

    def set_readout(self, text: str) -> None:
        """What is under the cursor."""
        self._readout.setText(text)

    def set_status(self, text: str) -> None:
        """Device, speed, memory, weights."""
        self._status.setText(text)

    def set_file_title(self, location: str) -> None:
        """Name of the open file in the title bar."""
        name = location.rpartition("/")[2] if "::" not in location else location.rpartition("::")[0]
        name = name.rpartition("/")[2]
        self.setWindowTitle(f"{name} — Braggscope" if name else "Braggscope")

    def layouts(self) -> dict[str, str]:
        """Docks and tool bars of every workspace as text, for the settings."""
        self._layouts[self._workspace] = self.saveState(VERSION)
        return {name: base64.b64encode(state.data()).decode() for name, state in self._layouts.items()}

    def restore_layouts(self, layouts: dict[str, str]) -> None:
        """Inverse of :meth:`layouts`; anything unusable is ignored."""
        self._layouts = {
            name: QByteArray(base64.b64decode(text, validate=False))
            for name, text in layouts.items()
            if name in WORKSPACES
        }
        self._lay_out()

    def reset_layout(self) -> None:
        """Docks as delivered, in every workspace."""
        self._layouts = {}
        self._lay_out()

    # -- events -------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent | None) -> None:
        """Files may be dropped anywhere."""
        data = event.mimeData() if event is not None else None
        if event is not None and data is not None and data.hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Open what was dropped."""
        data = event.mimeData() if event is not None else None
        paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()] if data is not None else []
        if paths:
            self.files_dropped.emit(paths)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Holding H hides the overlays."""
        if event is not None and event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.overlays_held.emit(True)
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent | None) -> None:
        """See :meth:`keyPressEvent`."""
        if event is not None and event.key() == Qt.Key.Key_H and not event.isAutoRepeat():
            self.overlays_held.emit(False)
        else:
            super().keyReleaseEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Make room for all menus."""
        super().resizeEvent(event)
        if self.actions_by_key:
            self._fit_toolbar()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let the presenters put things in order."""
        if (typed := self.focusWidget()) is not None:
            typed.clearFocus()  # what stands in a field counts, and counts before all is saved
        self.closing.emit()
        super().closeEvent(event)


def _padded(widget: QWidget) -> QWidget:
    """The widget with some air around it."""
    frame = QWidget()
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(GAP, GAP // 2, GAP, GAP // 2)
    layout.addWidget(widget)
    return frame
