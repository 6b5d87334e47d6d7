"""The Coherent workspace: a stack is read, prepared, phased, looked at and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import QTimer

from braggscope.app.engine.coherent_geometry import geometry_note, known_geometry
from braggscope.app.engine.coherent_parameters import again, fresh
from braggscope.app.engine.jobs import Context
from braggscope.app.presenters.coherent_exports import CoherentExports
from braggscope.app.presenters.coherent_preparing import CoherentPreparing
from braggscope.app.presenters.coherent_run import CoherentRun
from braggscope.app.presenters.coherent_scans import CoherentScans
from braggscope.app.presenters.coherent_show import CoherentShow
from braggscope.app.presenters.coherent_spec import CoherentSpec
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.state.session import Session
from braggscope.app.wording import counted
from braggscope.models.cdi.parameters import Phasing

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_volume import Volume
    from braggscope.app.main_window import MainWindow

AUTOMATIC_BYTES = 256 << 20  # stacks up to this size are read without being asked for
SETTLE_MS = 120
LEAST = 8  # frames
WAITING = "The stack was not read yet"
SMALL = "Press Prepare to read and prepare it."
LARGE = "It is {size:.1f} GB. " + SMALL
AGAIN = " {number} of it will be shown again."
FLAT = (
    "{name} holds {frames} frame{s}; a crystal needs the rocking curve of one Bragg peak, {least} frames or"
    " more."
)


class CoherentPresenter:
    """Keeps the panels of the workspace true."""

    def __init__(self, desk: Desk, window: MainWindow, jobs: JobBoard) -> None:
        self.desk, self.window, self.jobs = desk, window, jobs
        self.panels = window.coherent
        self.volume: Volume | None = None
        self._left: dict[str, Phasing] = {}  # parameters of stacks that were phased, by their identity
        self._then_run = False
        self._explicit = False
        self._timer = QTimer(window)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.timeout.connect(self._prepare)
        self.preparing = CoherentPreparing(self)
        self.show = CoherentShow(self)
        self.run = CoherentRun(self)
        self.exports = CoherentExports(self)
        self.scans = CoherentScans(self)
        self.spec = CoherentSpec(self)
        panel = self.panels.volume
        panel.phasing_changed.connect(self.set_phasing)
        panel.prepare_requested.connect(self.prepare)
        panel.cancel_requested.connect(self.preparing.cancel)
        panel.instrument.metadata_requested.connect(self._fill_in)
        self.panels.phasing.phasing_changed.connect(self.set_phasing)
        self.panels.page.demo_requested.connect(self.open_demo)
        self.panels.page.data.stroke_drawn.connect(self._stroke)
        desk.leaving.connect(self._leaving)
        desk.opened.connect(self._opened)
        desk.store.subscribe(self._on_state)
        self._opened()

    @property
    def phasing(self) -> Phasing:
        """Parameters in use."""
        return self.desk.store.state.parameters.phasing

    # -- state --------------------------------------------------------------------------------

    def set_phasing(self, value: Phasing) -> None:
        """Take over other parameters."""
        store = self.desk.store
        parameters = store.state.parameters.model_copy(update={"phasing": value})
        store.replace(store.state.with_parameters(parameters))

    def _on_state(self, old: Session, new: Session) -> None:
        before, after = old.parameters, new.parameters
        if before.phasing != after.phasing or before.prepare != after.prepare or old.active != new.active:
            self._show_parameters()
            if self.volume is not None and not self.volume.fits(after):
                self._timer.start()
            elif before.phasing != after.phasing:
                self.show.parameters_changed()
        if new.workspace == "coherent" and old.workspace != "coherent":
            self._look()
        if old.coherent != new.coherent:
            self.show.look_changed()

    def _show_parameters(self) -> None:
        panels, parameters = self.panels, self.desk.store.state.parameters
        panels.volume.set_phasing(parameters.phasing)
        panels.volume.set_files(dict(parameters.prepare))
        panels.volume.instrument.set_note(geometry_note(self.volume, parameters.phasing))
        panels.phasing.set_phasing(parameters.phasing)

    # -- the stack ----------------------------------------------------------------------------

    def _leaving(self) -> None:
        """What belongs to a stack that was phased comes back with it."""
        info = self.desk.info
        if info is not None and self.volume is not None and self.run.holds(self.volume):
            self._left[info.identity] = self.phasing

    def _opened(self) -> None:
        """Another source, or none."""
        self.preparing.drop()
        self.volume, self._explicit, self._then_run = None, False, False
        self._timer.stop()
        self.run.leave()
        self.show.forget()
        info, panel = self.desk.info, self.panels.volume
        panel.set_steps({})
        panel.set_error("")
        panel.set_possible(info is not None)
        self.panels.phasing.set_possible(info is not None)
        left = None if info is None else self._left.get(info.identity)
        if left is not None and self.phasing == fresh(self.phasing):
            self.set_phasing(again(left, self.phasing))
        self._show_parameters()
        self._look()

    def _look(self) -> None:
        """Read a stack that is small enough without being asked, or say what to do."""
        info, page = self.desk.info, self.panels.page
        if self.volume is not None or self.preparing.running:
            return
        if info is None:
            page.set_empty()
            return
        if info.frames < LEAST:
            page.set_empty("This is no rocking curve", _flat(info.location, info.frames))
            return
        size = info.frames * info.frame_bytes
        self._wait(size)
        if size <= AUTOMATIC_BYTES and self.desk.store.state.workspace == "coherent":
            self._prepare()

    def _wait(self, size: int) -> None:
        """Say that a stack of ``size`` bytes was not read yet."""
        info = self.desk.info
        known = 0 if info is None else self.run.kept.count(info.location)
        what = LARGE.format(size=size / 1e9) if size > AUTOMATIC_BYTES else SMALL
        more = AGAIN.format(number=counted(known, "reconstruction")) if known else ""
        self.panels.page.set_empty(WAITING, what + more)

    def prepare(self) -> None:
        """Read and prepare the stack, by a gesture."""
        self._explicit = True
        self._timer.stop()
        self.desk.store.update(workspace="coherent")
        self._prepare()

    def prepare_and_run(self) -> None:
        """The same, and then phase it."""
        self._then_run = True
        self.prepare()

    def _prepare(self) -> None:
        info = self.desk.info
        if info is None:
            return
        if info.frames < LEAST:
            self.failed(_flat(info.location, info.frames))
        else:
            self.preparing.begin()

    def prepared(self, volume: Volume) -> None:
        """A stack was prepared, or cannot be."""
        self.volume = volume
        panel, pattern = self.panels.volume, volume.pattern
        panel.set_error(volume.problem)
        panel.set_steps({} if pattern is None else pattern.steps, () if pattern is None else pattern.notes)
        panel.instrument.set_note(geometry_note(volume, volume.parameters))
        self.panels.page.set_working()
        self.show.data(volume)
        wanted = self._then_run
        if volume.problem:
            self._tell(volume.problem)
        else:
            self.show.parameters_changed()  # the geometry may be another
        self.run.take_up(volume)
        if not volume.fits(self.desk.store.state.parameters):  # they were changed meanwhile
            self._timer.start()
        self._explicit = self._then_run = False
        if wanted and not volume.problem:
            self.run.start()

    def stopped(self) -> None:
        """The preparation was cancelled; what was there stays."""
        info = self.desk.info
        if self.volume is None and info is not None:
            self._wait(info.frames * info.frame_bytes)
        self._explicit = self._then_run = False

    def failed(self, said: str) -> None:
        """The stack cannot be read; what was there stays."""
        self.panels.volume.set_error(said)
        if self.volume is None:
            self.panels.page.set_empty("This stack cannot be used", said)
        self._tell(said)
        self._explicit = self._then_run = False

    def _tell(self, said: str) -> None:
        if self._explicit:
            self.desk.say("warning", said)

    def _stroke(self, places: tuple[tuple[int, int, int], ...]) -> None:
        """The brush went over voxels of the data."""
        if self.volume is None:
            return
        page, value = self.panels.page, self.phasing
        stroke = self.volume.strokes(places, float(page.radius.value()), page.eraser.isChecked())
        self.set_phasing(value.model_copy(update={"brushed": (*value.brushed, stroke)}))

    def _fill_in(self) -> None:
        """Take what the file knows of the geometry."""
        info = self.desk.info
        known = {} if info is None else known_geometry(info)
        if not known:
            self.panels.volume.set_error("The file says nothing about its geometry; type the numbers.")
            return
        self.panels.volume.set_error("")
        self.panels.volume.instrument.take(known)

    # -- the demo -----------------------------------------------------------------------------

    def open_demo(self) -> None:
        """Make the demo crystal if it is not there yet, and open it with its geometry."""

        def work(context: Context) -> tuple[str, dict[str, object]]:
            from braggscope.app import demo_coherent

            path, known = demo_coherent.ensure_demo_coherent(context=context)
            return str(path), known._asdict()

        def done(found: tuple[str, dict[str, object]]) -> str:
            location, known = found
            self.desk.store.update(workspace="coherent")
            self._when_open(location, known)
            self.window.files_dropped.emit([location])
            return "written"

        self.jobs.submit(self.desk.lanes.small, "Demo crystal", work, done)

    def _when_open(self, location: str, known: dict[str, object]) -> None:
        """Set what is known of a stack once it is open."""

        def opened() -> None:
            self.desk.opened.disconnect(opened)
            info, store = self.desk.info, self.desk.store
            if info is not None and info.location.startswith(location):
                store.replace(store.state.with_parameters(store.state.parameters.with_phasing(**known)))

        self.desk.opened.connect(opened)


def _flat(location: str, frames: int) -> str:
    name = location.rpartition("/")[2]
    return FLAT.format(name=name, frames=frames, s="s" * (frames != 1), least=LEAST)
