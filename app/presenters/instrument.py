"""The instrument: panel, rings on the frame, files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.rings import frame_rings
from braggscope.app.engine.setup import beam_centre
from braggscope.app.export.poni import write_poni
from braggscope.app.files import check_not_input
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.ring_analysis import UNKNOWN, RingAnalysis
from braggscope.app.sources.instruments import InstrumentFile
from braggscope.app.state.session import ChosenInstrument, Session
from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.runs import RunPresenter

FILES = "Instruments (*.poni *.yml *.yaml *.hexrd *.h5);;All files (*)"


class InstrumentPresenter:
    """Keeps panel and rings true to the session; a proposed refinement is drawn instead."""

    def __init__(self, desk: Desk, window: MainWindow, runs: RunPresenter) -> None:
        self._desk = desk
        self._window = window
        self._drawn: object = None  # what the rings on screen belong to
        self._cells: tuple[Cell, ...] = ()
        self.analysis = RingAnalysis(desk, window, runs, self.cell, self.choose, self._draw_rings)
        panel = window.instrument_panel
        panel.instrument_changed.connect(lambda instrument: self.choose(instrument, "typed in"))
        panel.load_requested.connect(self.ask_file)
        panel.metadata_requested.connect(lambda: self.choose(None))
        panel.save_requested.connect(self.ask_save)
        panel.cell_changed.connect(lambda cell: desk.store.update(cell=cell))
        panel.cell_file_requested.connect(self.ask_cell)
        panel.rings_toggled.connect(self._show_rings)
        desk.store.subscribe(self._on_state)
        desk.opened.connect(self._restart)
        self.show()

    # -- state --------------------------------------------------------------------------------

    def cell(self) -> Cell:
        """Whose rings are drawn."""
        return self._desk.store.state.cell or self._substances()[0]

    def _substances(self) -> tuple[Cell, ...]:
        if not self._cells:
            from braggscope.models.calibrants import CALIBRANTS

            self._cells = tuple(CALIBRANTS.values())
            self._window.instrument_panel.set_cells(self._cells)
        return self._cells

    def choose(self, instrument: Instrument | None, origin: str = "") -> None:
        """Use an instrument for the open source, or with None what its metadata say."""
        info, store = self._desk.info, self._desk.store
        if info is None:
            self._desk.say("info", "Open a series first; the instrument belongs to its frames.")
            return
        old, new = self._desk.instrument, None
        if instrument is not None:
            new = ChosenInstrument(instrument=instrument, shape=info.shape, origin=origin)
        state = store.state.model_copy(update={"instrument": new})
        prepare = state.parameters.prepare
        known = None if old is None else beam_centre(info, prepare.binning, old)
        if prepare.background == "radial" and prepare.centre in (None, known):  # it follows the beam
            centre = beam_centre(info, prepare.binning, instrument)
            state = state.with_parameters(state.parameters.with_prepare(centre=centre))
        self.analysis.forget()
        store.replace(state)
        self.show()

    def _restart(self) -> None:
        self.analysis.forget()
        self.show()

    def _on_state(self, old: Session, new: Session) -> None:
        binning = new.parameters.prepare.binning != old.parameters.prepare.binning
        if (old.instrument, old.cell) != (new.instrument, new.cell):
            self.analysis.forget()
            self.show()
        elif binning or old.display.show_rings != new.display.show_rings:
            self._draw_rings()

    def show(self) -> None:
        """Bring panel and rings to the state."""
        desk, panel, info = self._desk, self._window.instrument_panel, self._desk.info
        self._substances()
        chosen, instrument = desk.store.state.instrument, desk.instrument
        own = chosen is not None and info is not None and chosen.shape == info.shape
        origin = chosen.origin if own and chosen is not None else "from metadata"
        panel.set_instrument(instrument, origin, {} if info is None else info.quantities)
        panel.setEnabled(info is not None)
        panel.set_cell(self.cell())
        self._draw_rings()
        desk.instrument_changed.emit()

    # -- rings --------------------------------------------------------------------------------

    def toggle_rings(self) -> None:
        """Draw rings, or no longer."""
        self._show_rings(not self._desk.store.state.display.show_rings)

    def _show_rings(self, on: bool) -> None:
        if on and self._desk.instrument is None:
            self._desk.say("warning", UNKNOWN)
            self._window.show_panel("instrument")
        display = self._desk.store.state.display
        self._desk.store.update(display=display.model_copy(update={"show_rings": on}))

    def _draw_rings(self) -> None:
        """Rings of the proposal, if there is one, else of the instrument."""
        desk, state, info = self._desk, self._desk.store.state, self._desk.info
        self._window.instrument_panel.set_rings_shown(state.display.show_rings)
        proposal = self.analysis.proposal
        instrument = desk.instrument if proposal is None else proposal.instrument
        if not state.display.show_rings or instrument is None or info is None:
            self._drawn = None
            self._window.frame_view.set_rings(())
            return
        wanted = (instrument, self.cell(), info.shape, state.parameters.prepare.binning)
        if wanted == self._drawn:
            return
        self._drawn = wanted

        def done(rings: Sequence) -> None:
            if wanted == self._drawn:
                self._window.frame_view.set_rings(rings)
                if not rings:
                    desk.say("info", f"No ring of {wanted[1].name} crosses this frame.")

        desk.lanes.small.submit(lambda _: frame_rings(*wanted), done, on_error=desk.fail)

    # -- files --------------------------------------------------------------------------------

    def ask_file(self) -> None:
        """Choose a PONI or hexrd file."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Load an instrument", self._folder(), FILES)
        if name:
            self.load(name)

    def load(self, name: str) -> None:
        """Use the instrument of a file, read in the reader process."""
        engine = self._desk.engine
        if engine is None:
            return
        info = engine.info

        def done(found: InstrumentFile) -> None:
            if self._desk.info is info:
                self.choose(found.instrument, Path(name.partition("::")[0]).name)
                for note in found.notes:
                    self._desk.say("info", note)

        wavelength = info.quantities.get("wavelength_angstrom")
        self._desk.lanes.small.submit(
            lambda context: engine.reader.load_instrument(name, info.shape, wavelength, context.cancelled),
            done,
            on_error=self._desk.fail,
        )

    def ask_cell(self) -> None:
        """Choose a CIF."""
        name, _ = QFileDialog.getOpenFileName(
            self._window, "Load a cell", self._folder(), "Crystal structures (*.cif);;All files (*)"
        )
        if name:
            self.load_cell(name)

    def load_cell(self, name: str) -> None:
        """Draw the rings of the structure in a CIF."""
        engine = self._desk.engine
        if engine is not None:
            self._desk.lanes.small.submit(
                lambda context: engine.reader.load_cell(name, context.cancelled),
                lambda cell: self._desk.store.update(cell=cell),
                on_error=self._desk.fail,
            )

    def ask_save(self) -> None:
        """Choose a name for a PONI file of the instrument in use."""
        name, _ = QFileDialog.getSaveFileName(
            self._window,
            "Save the instrument",
            str(Path(self._folder()) / "instrument.poni"),
            "PONI (*.poni)",
        )
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the instrument in use."""
        instrument, info = self._desk.instrument, self._desk.info
        if instrument is None or info is None:
            self._desk.say("warning", UNKNOWN)
            return

        def run(_: Context) -> None:
            check_not_input(path, [info.location])
            write_poni(path, instrument, info.shape)

        self._desk.lanes.state.submit(
            run,
            lambda _: self._desk.say("info", f"Instrument saved as {path.name}."),
            on_error=self._desk.fail,
        )

    def _folder(self) -> str:
        return self._desk.settings.last_folder
