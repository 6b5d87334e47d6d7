"""The Strain workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import Qt

from braggscope.app.engine.jobs import Context
from braggscope.app.folders import cache_folder
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.strain_calibration import CalibrationPresenter
from braggscope.app.presenters.strain_live import LivePresenter
from braggscope.app.presenters.strain_maps import MapsPresenter
from braggscope.app.presenters.strain_network import NetworkPresenter
from braggscope.app.presenters.strain_overlay import OverlayPresenter
from braggscope.app.presenters.strain_room import WORKSPACE, StrainRoom
from braggscope.app.presenters.strain_runs import StrainRuns
from braggscope.app.presenters.strain_scan import ScanPresenter
from braggscope.app.state.session import Session
from braggscope.widgets.raw_dialog import ScanShapeDialog

if TYPE_CHECKING:
    from braggscope.app.engine.strain_result import StrainResult
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.preparation import PreparationPresenter
    from braggscope.app.presenters.sources import SourcePresenter


NOTHING = (
    "No scan open yet",
    "Drop a 4D-STEM scan here: HDF5, EMD, MIB, DM4, BLO, npy, raw.\nOr look around in the demo scan first.",
)
BARE = "Merlin"  # files of one trigger a pattern say nothing of the scan
DEMO = "strained-multilayer-1-seed0.h5"  # another number when the simulation changes


class StrainPresenter:
    """Joins the panels of the workspace with its engine."""

    def __init__(
        self, desk: Desk, window: MainWindow, jobs: JobBoard, sources: SourcePresenter,
        preparation: PreparationPresenter,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._window = window
        self._jobs = jobs
        self._sources = sources
        self.room = StrainRoom(desk, window)
        self.overlay = OverlayPresenter(self.room)
        self.scan = ScanPresenter(self.room, self.overlay, jobs, preparation)
        self.live = LivePresenter(self.room, self.overlay, jobs, self.scan.tool)
        self.network = NetworkPresenter(self.room, jobs)
        self.calibration = CalibrationPresenter(self.room, self.overlay, self.live, jobs)
        self.runs = StrainRuns(self.room, jobs)
        self.maps = MapsPresenter(self.room, self.runs, self.scan.tool)
        self.runs.finished.connect(self._finished)
        window.strain.maps.demo_requested.connect(self.open_demo)
        desk.picture_shown.connect(self.scan.show_title)
        desk.opened.connect(self._ask_shape)
        desk.store.subscribe(self._on_state)
        self.room.changed.connect(self._arrange)
        self.room.look()

    def _finished(self, result: StrainResult) -> None:
        self.calibration.take_disks(result.disks, result.lattice.origin, result.parameters)

    def _ask_shape(self) -> None:
        """Ask for rows and columns where a detector's own format leaves them open."""
        info = self._desk.info
        bare = info is not None and info.format.startswith(BARE) and len(info.stack_shape) == 1
        if info is None or not (self.room.active and bare and info.frames > 1) or self.room.scan is not None:
            return
        dialog = ScanShapeDialog(Path(info.location).name, info.frames, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.chosen.connect(lambda shape: self.room.change(scan_shape=shape))
        dialog.open()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.workspace != new.workspace:
            self._arrange()

    def _arrange(self) -> None:
        """In a scan one moves on its image: the timeline gives its room to the pattern."""
        scanned = self.room.active and self.room.scan is not None
        self._window.timeline.setVisible(not scanned)
        self._window.strain.handles.steps = scanned
        if self._desk.engine is None:
            self._window.frame_view.clear(*(NOTHING if self.room.active else ()))

    def open_demo(self) -> None:
        """Make the demo scan if it is not there yet, and open it in this workspace."""

        def run(context: Context) -> str:
            from braggscope.app.demo_strain import write_demo_strain

            path = cache_folder() / DEMO
            if not path.exists():
                write_demo_strain(path, context=context)
            return str(path)

        def done(path: str) -> str:
            self._desk.store.update(workspace=WORKSPACE)
            self._sources.open(path)
            return f"{Path(path).name} written"

        self._jobs.submit(self._desk.lanes.small, "Demo scan", run, done)
