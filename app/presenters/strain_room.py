"""What the presenters of the Strain workspace share: the scan, its parameters, and what is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from PyQt6.QtCore import QObject, pyqtSignal

from braggscope.app.engine.scan import Scan
from braggscope.app.engine.strain_key import with_calibration
from braggscope.app.presenters.desk import Desk
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.app.state.session import Session
from braggscope.app.state.strain import StrainView
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Probe

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow
    from braggscope.app.shell.strain_panels import StrainPanels

WORKSPACE = "strain"
DEMO = "Open a 4D-STEM scan (HDF5, EMD, MIB, DM4, BLO, npy, raw), or the demo scan."
NO_SHAPE = "A series of {frames:,} patterns: type rows × columns in the Scan panel to see it as a scan."
REFUSED_KEY = "strain value"  # of notices
ONE_IMAGE = "This is a single image, no scan. Open a 4D-STEM scan, or the demo scan."


class StrainRoom(QObject):
    """Lives in the GUI thread. ``scan`` is None while the open source is none; ``problem`` then says why."""

    changed = pyqtSignal()  # another scan, or none
    refused = pyqtSignal()  # a number that makes no sense: the old one is to be shown again
    entered = pyqtSignal()  # the workspace is on screen now
    probe_changed = pyqtSignal()
    images_changed = pyqtSignal(object)  # VirtualImages

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        super().__init__(window)
        self.desk = desk
        self.window = window
        self.panels: StrainPanels = window.strain
        self.scan: Scan | None = None
        self._reader: Reader | None = None  # that has the scan open
        self.problem = DEMO
        self.probe: Probe | None = None
        self.probe_known = False  # whether it was looked for, found or not
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self.look)

    # -- what there is ------------------------------------------------------------------------

    @property
    def active(self) -> bool:
        """Whether the workspace is on screen."""
        return self.desk.store.state.workspace == WORKSPACE

    @property
    def view(self) -> StrainView:
        """What is shown."""
        return self.desk.store.state.strain

    @property
    def strain(self) -> Strain:
        """Parameters of 4D-STEM."""
        return self.desk.store.state.parameters.strain

    @property
    def position(self) -> tuple[int, int] | None:
        """Row and column of the pattern on screen."""
        if self.scan is None:
            return None
        row, column = divmod(self.desk.store.state.frame, self.scan.scan_shape[1])
        return row, column

    @property
    def step(self) -> tuple[float, str] | None:
        """Distance of two positions, where the file says so."""
        nm = None if self.scan is None else self.scan.info.quantities.get("scan_step_nm")
        return None if nm is None else (nm, "nm")

    @property
    def file_pixel(self) -> float | None:
        """Size of a pixel of the prepared pattern / Angstrom⁻¹, where the file knows it."""
        if self.scan is None:
            return None
        parameters = self.desk.store.state.parameters.with_strain(pixel_inv_angstrom=None)
        return with_calibration(parameters, self.scan.info).strain.pixel_inv_angstrom

    def look(self) -> None:
        """See whether the open source is a scan."""
        info, state = self.desk.info, self.desk.store.state
        before, reader = self.scan, None if self.desk.engine is None else self.desk.engine.reader
        self.scan, self.problem = None, DEMO
        if info is not None:
            try:
                self.scan = Scan.of(info, state.parameters, state.frame_axis)
            except SourceError as error:
                self.problem = str(error)
                if self.strain.scan_shape is None:
                    self.problem = ONE_IMAGE if info.frames == 1 else NO_SHAPE.format(frames=info.frames)
        if reader is self._reader and _same(before, self.scan):
            self.scan = before  # what is under way for it still counts
            return
        self._reader = reader
        self.probe, self.probe_known = None, False
        self.changed.emit()

    # -- changes ------------------------------------------------------------------------------

    def go_to(self, row: int, column: int) -> None:
        """Show the pattern of a position, the nearest there is."""
        if self.scan is not None:
            rows, columns = self.scan.scan_shape
            row, column = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
            self.desk.store.update(frame=row * columns + column)

    def step_by(self, rows: int, columns: int) -> None:
        """Move in the scan; at its edge it ends."""
        at = self.position
        if at is not None:
            self.go_to(at[0] + rows, at[1] + columns)

    def show(self, **changes: Any) -> None:
        """Change what is shown."""
        store = self.desk.store
        try:
            view = StrainView.model_validate({**dict(self.view), **changes})
        except ValidationError as error:
            self.refuse(error)
            return
        store.update(strain=view)

    def change(self, merge: str = "", **changes: Any) -> None:
        """Change parameters; one sentence where they make no sense."""
        store = self.desk.store
        try:
            parameters = store.state.parameters.with_strain(**changes)
        except ValidationError as error:
            self.refuse(error)
            return
        self.desk.settle(REFUSED_KEY)
        store.replace(store.state.with_parameters(parameters), merge=merge)

    def refuse(self, error: ValidationError) -> None:
        """Say what is wrong with a number, and show the old one again."""
        first = error.errors()[0]
        name = " ".join(str(part) for part in first["loc"][:1]).replace("_", " ")
        message = first["msg"].removeprefix("Value error, ")
        text = f"{name or 'Strain'}: {message}; the old value stays.".capitalize()
        self.desk.say("warning", text, key=REFUSED_KEY)
        self.refused.emit()

    def take_probe(self, probe: Probe | None) -> None:
        """Use a probe from now on; None: there is none to be found."""
        self.probe, self.probe_known = probe, True
        self.probe_changed.emit()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.parameters.strain.scan_shape != new.parameters.strain.scan_shape or (
            old.parameters.prepare.binning != new.parameters.prepare.binning
        ):
            self.look()
        if old.workspace != new.workspace and new.workspace == WORKSPACE:
            self.entered.emit()


def _same(before: Scan | None, now: Scan | None) -> bool:
    """Whether both are the same scan; infos are not compared as a whole, they may hold arrays."""
    if before is None or now is None:
        return False

    def about(scan: Scan) -> tuple[object, ...]:
        info = scan.info
        shapes = scan.scan_shape, scan.raw_shape, scan.shape
        return info.identity, info.location, info.frames, scan.frame_axis, shapes

    return about(before) == about(now)
