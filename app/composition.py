"""Putting the program together: store, lanes, window, presenters, actions."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QByteArray, QObject, Qt, QTimer
from PyQt6.QtGui import QGuiApplication, QPixmapCache
from PyQt6.QtWidgets import QApplication, QMessageBox

from braggscope.app.engine.localizers import NETWORK_TITLES, weights_in_use
from braggscope.app.main_window import MainWindow
from braggscope.app.presenters.bench import BenchPresenter
from braggscope.app.presenters.clipboard import ClipboardPresenter
from braggscope.app.presenters.coherent import CoherentPresenter
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.exports import ExportPresenter
from braggscope.app.presenters.following import FollowPresenter
from braggscope.app.presenters.frames import WITHOUT_PEAKS, FramePresenter
from braggscope.app.presenters.handlers import Handlers
from braggscope.app.presenters.instrument import InstrumentPresenter
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.landscape import LandscapePresenter
from braggscope.app.presenters.peaks import PeakPresenter
from braggscope.app.presenters.playback import PlaybackPresenter
from braggscope.app.presenters.preferences import PreferencesPresenter
from braggscope.app.presenters.preparation import PreparationPresenter
from braggscope.app.presenters.readiness import get_ready_behind
from braggscope.app.presenters.readout import ReadoutPresenter
from braggscope.app.presenters.reports import ReportPresenter
from braggscope.app.presenters.runs import RunPresenter
from braggscope.app.presenters.sessions import SessionPresenter
from braggscope.app.presenters.sources import SourcePresenter
from braggscope.app.presenters.strain import StrainPresenter
from braggscope.app.presenters.tracks import TracksPresenter
from braggscope.app.presenters.training import TrainingPresenter
from braggscope.app.presenters.watching import WatchPresenter
from braggscope.app.presenters.weights import WeightShelf
from braggscope.app.shell.collector import Collector
from braggscope.app.shell.delivery import Delivery
from braggscope.app.shell.logs import LogBridge, error_report, route_qt_messages
from braggscope.app.shell.settings import Settings, load_settings, save_settings
from braggscope.app.state.plan import plan
from braggscope.app.state.session import Session
from braggscope.app.state.store import Store

log = logging.getLogger(__name__)
SWITCH_S = 0.0005  # workers hand the interpreter back to the window (and get it) ten times as fast


class Program(QObject):
    """The running program. Everything lives as long as this does."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        sys.setswitchinterval(SWITCH_S)
        self.collector = Collector(self)
        self.settings = settings or load_settings()
        self.delivery = Delivery()
        self.store = Store()
        self.desk = Desk(self.store, self.settings, self.delivery)
        self.collector.give_back_in(self.desk.lanes.small)
        self.desk.setParent(self)  # goes with the program, and what listens to it
        self.preferences = PreferencesPresenter(self.desk)
        self.preferences.begin_theme()
        self.window = window = MainWindow()
        self.preferences.apply_theme()
        desk = self.desk
        self.jobs = JobBoard(desk, window.jobs_panel)
        self.shelf = WeightShelf(desk)
        self.sources = SourcePresenter(desk, window, self.jobs, self.shelf)
        self.following = FollowPresenter(desk, window, self.sources)
        self.frames = FramePresenter(desk, window)
        self.landscape = LandscapePresenter(desk, window)
        self.readout = ReadoutPresenter(desk, window)
        self.playback = PlaybackPresenter(desk, window)
        self.peaks = PeakPresenter(desk, window, self.shelf)
        self.runs = RunPresenter(desk, window, self.jobs, self.shelf, self.peaks)
        self.training = TrainingPresenter(desk, window, self.jobs, self.peaks)
        self.preparation = PreparationPresenter(desk, window)
        self.bench = BenchPresenter(desk, window, self.shelf)
        self.instrument = InstrumentPresenter(desk, window, self.runs)
        self.sessions = SessionPresenter(desk, window, self.sources)
        self.exports = ExportPresenter(desk, window, self.jobs, self.runs, self.peaks, self.shelf)
        self.clipboard = ClipboardPresenter(desk, window)
        self.tracks = TracksPresenter(desk, window, self.jobs, self.runs, self.exports)
        self.strain = StrainPresenter(desk, window, self.jobs, self.sources, self.preparation)
        self.coherent = CoherentPresenter(desk, window, self.jobs)
        self.watching = WatchPresenter(desk, window, self.sources, self.runs)
        self.reports = ReportPresenter(desk, window, self.jobs, self.runs, self.exports)
        self.preferences.attach(window, self.sessions)
        self.bridge = LogBridge(self.delivery, window.log_panel.append)
        window.install_actions(self.handlers())
        self._connect()
        self._restore_layout()
        self.frames.restart()
        self._refresh()

    def _connect(self) -> None:
        window, desk = self.window, self.desk
        self.store.subscribe(self._on_state)
        desk.notice.connect(window.notices.show_notice)
        desk.settled.connect(window.notices.remove)
        window.notices.action_clicked.connect(self.trigger)
        desk.busy_changed.connect(self._refresh)
        desk.peaks_shown.connect(self._refresh)
        desk.picture_shown.connect(self._refresh)
        desk.opened.connect(self._refresh)
        desk.weights_changed.connect(self._refresh)
        window.palette_overlay.chosen.connect(self.trigger)
        window.overlays_held.connect(window.frame_view.hold_overlays)
        window.log_panel.report_requested.connect(self.copy_report)
        window.closing.connect(self.close)
        window.frame_view.demo_requested.connect(self.open_demo)
        coherent = window.coherent
        coherent.page.open_requested.connect(self.sources.ask_file)
        coherent.volume.choose_file_requested.connect(self.preparation.ask_file)
        coherent.volume.file_cleared.connect(lambda name: self.preparation.change(**{name: None}))

    # -- state --------------------------------------------------------------------------------

    def _on_state(self, old: Session, new: Session) -> None:
        requests = plan(old, new)
        self.frames.on_plan(requests)
        self.preparation.on_plan(requests)
        self.runs.on_plan(requests)
        self.sessions.on_plan(requests)
        if old.workspace != new.workspace:
            self.window.set_workspace(new.workspace)
            self.exports.show()
        self._refresh()

    def _refresh(self) -> None:
        state, window = self.store.state, self.window
        opened = self.desk.engine is not None
        window.threshold_panel.setEnabled(opened)
        window.sets_panel.setEnabled(opened)
        window.enable_actions(self.desk.engine is not None, self.peaks.selected_row() is not None)
        actions, display = window.actions_by_key, state.display
        localize = state.parameters.localize
        for key, on in (
            ("follow", state.follow), ("log_scale", display.scale == "log"),
            ("show_peaks", display.show_peaks), ("show_mask", display.show_mask),
            ("show_background", display.show_background),
            ("show_rings", display.show_rings), ("noise_poisson", localize.noise == "poisson"),
            ("constant_background", localize.background == "constant"),
            ("patch_thresholded", localize.patch == "thresholded"),
            *((f"window_{size}", localize.window == size) for size in ("auto", 11, 15, 21)),
        ):  # fmt: skip
            actions[key].setChecked(on)
        actions["undo"].setEnabled(self.store.can_undo)
        actions["redo"].setEnabled(self.store.can_redo)
        actions["cancel_run"].setEnabled(self.runs.running)
        window.set_status(self._status())

    @property
    def networks_ready(self) -> bool:
        """Whether all networks that the parameters ask for are loaded."""
        parameters = self.store.state.parameters
        return self.shelf.ready(parameters).complete(parameters.localize.methods)

    def _status(self) -> str:
        engine = self.desk.engine
        parts = [self.desk.device]
        if engine is not None:
            parts.append(f"{self.frames.latency_ms:.0f} ms a frame")
            parts.append(f"cache {engine.cached_bytes / 1e9:.1f} of {self.desk.memory / 1e9:.1f} GB")
        parameters = self.store.state.parameters
        names = weights_in_use(parameters.localize)
        if names and self.store.state.workspace not in WITHOUT_PEAKS:
            text = ", ".join(f"{NETWORK_TITLES[method]} {Path(name).stem}" for method, name in names.items())
            parts.append(text + ("" if self.networks_ready else " (loading)"))
        return "  ·  ".join(parts)

    # -- actions ------------------------------------------------------------------------------

    def trigger(self, key: str) -> None:
        """Run an action by its key."""
        action = self.window.actions_by_key.get(key)
        if action is not None and action.isEnabled():
            action.trigger()

    def handlers(self) -> dict[str, Callable[[], object]]:
        """What every action does."""
        return Handlers(self).table()

    def change_display(self, **changes: object) -> None:
        """Replace some values of the display state."""
        self.store.update(display=self.store.state.display.model_copy(update=changes))

    def open_demo(self) -> None:
        """Open the demo of the workspace on screen."""
        self.trigger("open_demo_scan" if self.store.state.workspace == "strain" else "open_demo")

    def copy_report(self) -> None:
        """Put an error report on the clipboard."""
        desk, state = self.desk, self.store.state

        def show(report: str) -> None:
            clipboard = QGuiApplication.clipboard()
            if clipboard is not None:
                clipboard.setText(report)
            desk.say("info", "Error report copied; paste it into your message.")

        desk.lanes.small.submit(lambda _: error_report(state), show, on_error=desk.fail)

    def about(self) -> None:
        """Say what this program is."""
        from braggscope.app.version import VERSION

        box = QMessageBox(self.window)
        box.setWindowTitle("About Braggscope")
        box.setText(
            f"Braggscope {VERSION}\nGPL-3.0-or-later\nPeaks, fits and networks for diffraction series."
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # -- life ---------------------------------------------------------------------------------

    def start(self, locations: list[str]) -> None:
        """Show the window, then open what was asked for, or the last session."""
        self.window.show()
        get_ready_behind(self.window, self.desk, self.collector.keep_what_is_there)
        if locations:
            self.sources.open_several(locations)
        else:
            self.sessions.restore()
        self.training.look(tell=True)

    def close(self) -> None:
        """Save, stop all work, let go of files and children."""
        self.playback.play(False)
        self.settings.layouts = self.window.layouts()
        self.settings.geometry = self.window.saveGeometry().toBase64().data().decode()
        try:
            self.sessions.save_now()
            save_settings(self.settings)
        except OSError as error:
            log.error("The session could not be saved: %s", error)
        for timer in self.window.findChildren(QTimer):  # or they would ask lanes that are gone
            timer.stop()
        self.preferences.close()
        self.bridge.close()
        self.desk.close()
        QPixmapCache.clear()  # of icons that go with the window

    def _restore_layout(self) -> None:
        if self.settings.geometry:
            self.window.restoreGeometry(QByteArray.fromBase64(self.settings.geometry.encode()))
        self.window.restore_layouts(self.settings.layouts)
        self.window.set_workspace(self.store.state.workspace)


def run_window(locations: list[str]) -> int:
    """Start the event loop with a window on the given locations. Returns the exit code."""
    started = time.perf_counter()
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    route_qt_messages()
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Braggscope")
    program = Program()
    program.start(locations)
    QTimer.singleShot(0, lambda: log.info("window after %.2f s", time.perf_counter() - started))
    return leave(program, app.exec())


def leave(program: Program, code: int) -> int:
    """The exit code; at once where a lane could not end in time: the interpreter must not end before it.

    A thread that comes back from compiled code into an interpreter that is gone aborts the process.
    """
    if program.desk.lanes.alive():
        logging.shutdown()
        os._exit(code)
    return code
