"""The main window: which widget stands where. It knows no engine; presenters bring it to life."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import (
    QAction,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QStackedWidget,
    QStatusBar,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from braggscope.app.shell.coherent_panels import CoherentPanels
from braggscope.app.shell.layouts import Layouts
from braggscope.app.shell.menus import Menus
from braggscope.app.shell.strain_panels import StrainPanels
from braggscope.widgets.agreement_plot import AgreementPlot
from braggscope.widgets.bench_view import BenchView
from braggscope.widgets.command_palette import Command, CommandPalette
from braggscope.widgets.error_plot import ErrorPlot
from braggscope.widgets.export_panel import ExportPanel
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.help_overlay import HelpOverlay
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
from braggscope.widgets.still import Still
from braggscope.widgets.threshold_panel import ThresholdPanel
from braggscope.widgets.timeline import Timeline
from braggscope.widgets.track_table import TrackTable
from braggscope.widgets.tracks_plot import TracksPlot
from braggscope.widgets.training_panel import TrainingPanel
from braggscope.widgets.waterfall import WaterfallView

FIRST = "series"  # the workspace that stands there at the start


class MainWindow(QMainWindow):
    """Widgets in docks, actions in menus, and the few signals that belong to the window itself."""

    files_dropped = pyqtSignal(list)  # of paths
    closing = pyqtSignal()
    overlays_held = pyqtSignal(bool)

    def __init__(self) -> None:
        super().__init__()
        self.setWindowTitle("Braggscope")
        self.setAcceptDrops(True)
        self.setDocumentMode(True)
        self.resize(1600, 1000)
        self.actions_by_key: dict[str, QAction] = {}
        self._make_widgets()
        self.setCentralWidget(self._centre())
        self._layouts = Layouts(self, self._panels(), FIRST)
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
        bar.addWidget(Still(self._status), 1)
        bar.addPermanentWidget(self._readout)
        bar.setSizeGripEnabled(False)
        self.setStatusBar(bar)

    def install_actions(self, handlers: Mapping[str, Callable[[], object]]) -> None:
        """Make menus, keys and the tool bar from the table of actions."""
        self._menus = Menus(self, handlers)
        self._menus.add_panels(self._layouts.toggles())
        self.actions_by_key = self._menus.actions

    # -- what presenters ask ------------------------------------------------------------------

    def set_workspace(self, name: str) -> None:
        """Show the page of a workspace, and its docks as they were when it was left."""
        self._menus.show_workspace(name)
        self._layouts.enter(name)
        self.pages.setCurrentWidget(self._page_of[name])

    def show_panel(self, key: str, height: int = 0) -> None:
        """Bring a dock to the front, and make it as high as that (px), if there is room."""
        self._layouts.show(key, height)

    def enable_actions(self, frames: bool, peak: bool) -> None:
        """Grey out what cannot be done now."""
        self._menus.enable(frames, peak)

    def commands(self) -> list[Command]:
        """All actions, for palette and help."""
        return self._menus.commands()

    def help_entries(self) -> list[Command]:
        """All actions and the gestures that are none."""
        return self._menus.help_entries()

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
        """The docks of every workspace as text, for the settings."""
        return self._layouts.texts()

    def restore_layouts(self, layouts: Mapping[str, str]) -> None:
        """Inverse of :meth:`layouts`; anything unusable is ignored."""
        self._layouts.restore(layouts)

    def reset_layout(self) -> None:
        """Docks as delivered, in every workspace."""
        self._layouts.reset()

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
            self._menus.fit(self.width())

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Let the presenters put things in order."""
        if (typed := self.focusWidget()) is not None:
            typed.clearFocus()  # what stands in a field counts, and counts before all is saved
        self.closing.emit()
        super().closeEvent(event)
