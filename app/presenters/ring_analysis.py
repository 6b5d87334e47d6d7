"""What the peaks on rings tell: a better instrument, size and strain of the sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.rings import refine_on_peaks
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.outcomes import outcome, size_outcome
from braggscope.models.cells import Cell
from braggscope.models.geometry import Instrument
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.app.engine.size import SizeReport
    from braggscope.app.main_window import MainWindow
    from braggscope.app.presenters.runs import RunPresenter
    from braggscope.models.ring_refinement import Free, Refinement

UNKNOWN = "The instrument is not known; type its numbers in the Instrument panel, or load a PONI file there."


class _Subject(NamedTuple):
    """What is analysed; results for another one are not shown."""

    instrument: Instrument
    cell: Cell
    identity: str
    shape: tuple[int, int]
    binning: int


class RingAnalysis:
    """A refinement is a proposal until it is applied; ``cell`` says whose rings, ``changed`` hears of it."""

    def __init__(
        self,
        desk: Desk,
        window: MainWindow,
        runs: RunPresenter,
        cell: Callable[[], Cell],
        choose: Callable[[Instrument, str], object],
        changed: Callable[[], object],
    ) -> None:
        self._desk = desk
        self._panel = window.instrument_panel
        self._runs = runs
        self._cell = cell
        self._choose = choose
        self._changed = changed
        self.proposal: Refinement | None = None
        self._panel.refinement.refine_requested.connect(self.refine)
        self._panel.refinement.apply_requested.connect(self.apply)
        self._panel.refinement.discard_requested.connect(self.discard)
        self._panel.widths.analysis_requested.connect(self.size)

    def forget(self) -> None:
        """Another instrument, cell or source: what was found belongs to the old one."""
        self.proposal = None
        self._panel.refinement.set_result([])
        self._panel.widths.set_result([])

    def refine(self, free: tuple[Free, ...]) -> None:
        """Refine on the peaks of the whole series, as far as it is analysed, or of the frame on screen."""
        if not free:
            self._desk.say("warning", "Nothing is free to be refined; tick centre, distance or tilt.")
            return
        subject, tables = self._subject(), self._tables()
        if subject is None or tables is None:
            return

        def run(context: Context) -> Refinement:
            return refine_on_peaks(
                subject.instrument,
                subject.cell,
                tables(),
                subject.binning,
                subject.shape,
                free,
                context.check,
            )

        def done(found: Refinement) -> None:
            self.proposal = found if subject == self._subject() else None
            self._show()
            self._changed()

        self._panel.refinement.set_result([], running=True)
        self._desk.lanes.small.submit(run, done, on_error=self._failed)

    def apply(self) -> None:
        """Use the proposal."""
        if self.proposal is not None:
            self._choose(self.proposal.instrument, f"refined on {self._cell().name}")

    def discard(self) -> None:
        """Forget the proposal."""
        self.proposal = None
        self._show()
        self._changed()

    def size(self, instrument_fwhm: float) -> None:
        """Size, microstrain and strain from the same peaks; ``instrument_fwhm`` in rad of 2theta."""
        subject, tables = self._subject(), self._tables()
        if subject is None or tables is None:
            return

        def run(context: Context) -> SizeReport:
            from braggscope.app.engine.size import size_and_strain

            return size_and_strain(
                subject.instrument, subject.cell, tables(), subject.binning, subject.shape,
                instrument_fwhm, context.check,
            )  # fmt: skip

        def done(found: SizeReport) -> None:
            self._panel.widths.set_result(size_outcome(found) if subject == self._subject() else [])

        self._panel.widths.set_result([], running=True)
        self._desk.lanes.small.submit(run, done, on_error=self._failed)

    def _subject(self) -> _Subject | None:
        info, instrument = self._desk.info, self._desk.instrument
        if info is None or instrument is None:
            self._desk.say("warning", UNKNOWN)
            return None
        binning = self._desk.store.state.parameters.prepare.binning
        return _Subject(instrument, self._cell(), info.identity, info.shape, binning)

    def _tables(self) -> Callable[[], Iterable[PeakTable]] | None:
        """Peaks of the analysed frames, read from their journal on the lane, or those on screen."""
        record, table = self._runs.record(), self._desk.table
        if record is not None:
            return lambda: (stored for _, stored in record.key.tables())
        if table is not None:
            return lambda: [table]
        self._desk.say("warning", "There are no peaks to work on yet; wait for the frame.")
        return None

    def _failed(self, error: Exception) -> None:
        self._show()
        self._panel.widths.set_result([])
        self._desk.fail(error)

    def _show(self) -> None:
        found = self.proposal
        if found is None:
            self._panel.refinement.set_result([])
        else:
            summary = f"{found.before_px:.2g} → {found.after_px:.2g} px"
            self._panel.refinement.set_result(outcome(found), summary)
