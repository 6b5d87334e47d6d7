"""Reconstructions: started, watched while they run, ranked when they are done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PyQt6.QtGui import QGuiApplication

from braggscope.app.engine.cdi_network import weights_record
from braggscope.app.engine.jobs import Context, Progress, give_way
from braggscope.app.export.coherent_script import phasing_as_command, phasing_as_python
from braggscope.models.parameters import Parameters
from braggscope.widgets.phasing_choices import PhasingStanding
from braggscope.widgets.phasing_starts import StartRow

if TYPE_CHECKING:
    from braggscope.app.engine.cdi import Phased
    from braggscope.app.engine.coherent_results import Candidate
    from braggscope.app.engine.coherent_volume import Volume
    from braggscope.app.presenters.coherent import CoherentPresenter

KEPT = 40  # reconstructions of one pattern that are kept for comparison at most,
KEPT_BYTES = 1 << 30  # and what they may take with all that is known of them


class CoherentRun:
    """Phases the prepared stack; one reconstruction at a time, those of one pattern are compared."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._job = ""
        self._key = ""  # of the pattern that the results belong to
        self.results: list[Candidate] = []
        panels = room.panels
        panels.phasing.start_requested.connect(self.start)
        panels.phasing.cancel_requested.connect(self.cancel)
        panels.phasing.python_requested.connect(lambda: self.copy("python"))
        panels.phasing.command_requested.connect(lambda: self.copy("command"))
        panels.starts.chosen.connect(self.choose)
        panels.starts.clear_requested.connect(self.clear)

    @property
    def running(self) -> bool:
        """Whether a crystal is being phased."""
        return bool(self._job)

    # -- gestures -----------------------------------------------------------------------------

    def start(self) -> None:
        """Phase the prepared stack; prepare it first where that was not done as the parameters say."""
        volume, parameters = self._room.volume, self._room.desk.store.state.parameters
        if self.running or self._room.desk.info is None:
            return
        if volume is None or not volume.fits(parameters):
            self._room.prepare_and_run()
            return
        if volume.pattern is None:
            self._room.desk.say("warning", volume.problem)
            return
        self._submit(volume, parameters)

    def cancel(self) -> None:
        """Stop; what was found before stays."""
        if self._job:
            self._room.jobs.cancel(self._job)

    def choose(self, row: int) -> None:
        """Look at another reconstruction."""
        if 0 <= row < len(self.results):
            self._room.panels.starts.mark(row)
            self._room.show.candidate(self.results[row])

    def clear(self) -> None:
        """Forget all reconstructions of this pattern."""
        self.results = []
        self._show_rows(-1)
        self._room.show.candidate(None)

    def forget(self) -> None:
        """Another stack is open: stop, and forget everything."""
        self.cancel()
        self.results, self._key = [], ""
        self._room.panels.starts.set_rows(())
        self._room.panels.curves.clear()

    def copy(self, kind: str) -> None:
        """Put a script or a command line with the same result on the clipboard."""
        state = self._room.desk.store.state
        make = phasing_as_python if kind == "python" else phasing_as_command
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(make(state.location or "FILE", state.parameters, state.frame_axis))
        self._room.desk.say("info", "Python script copied." if kind == "python" else "Command line copied.")

    # -- the job ------------------------------------------------------------------------------

    def _submit(self, volume: Volume, parameters: Parameters) -> None:
        room = self._room
        room.panels.curves.clear()
        room.show.begin()
        self._set_standing(PhasingStanding(True, note="preparing"))
        self._job = room.jobs.submit(
            room.desk.lanes.phasing, "Reconstruction", partial(_work, volume, parameters),
            partial(self._done, volume), on_progress=self._progressed, on_end=self._ended,
        )  # fmt: skip

    def _progressed(self, progress: Progress) -> None:
        from braggscope.app.engine.coherent_live import Glimpse

        glimpse = progress.payload
        if isinstance(glimpse, Glimpse):
            self._room.panels.curves.add_points([(p.iteration, p.chi, p.R, p.stage) for p in glimpse.points])
            self._room.show.glimpse(glimpse)
        note = progress.note.partition(",")[0]
        self._set_standing(PhasingStanding(True, progress.done, progress.total, progress.remaining, note))

    def _done(self, volume: Volume, found: list[Candidate]) -> str:
        from braggscope.app.engine.coherent_results import held_bytes

        if self._room.volume is None or self._room.volume.stack is not volume.stack:
            return "another stack is open now"
        if volume.key != self._key:
            self.results, self._key = [], volume.key
        best, kept = found[0], list(found)
        for older in sorted(self.results, key=lambda row: -row.free)[: max(KEPT - len(found), 0)]:
            if held_bytes([*kept, older]) <= KEPT_BYTES:
                kept.append(older)
        self.results = sorted(kept, key=lambda row: -row.free)
        row = next((k for k, entry in enumerate(self.results) if entry is best), 0)
        self._show_rows(row)
        self._room.show.candidate(self.results[row])
        return f"chi {best.chi:.4f}, R {best.R:.4f}"

    def _ended(self) -> None:
        self._job = ""
        self._set_standing(PhasingStanding())
        self._room.show.end()

    def _set_standing(self, standing: PhasingStanding) -> None:
        self._room.panels.phasing.set_standing(standing)

    def _show_rows(self, current: int) -> None:
        rows = [StartRow(r.method, r.start, r.free, r.chi, r.R, r.chi_model, r.spread) for r in self.results]
        self._room.panels.starts.set_rows(rows, current)


def _work(volume: Volume, parameters: Parameters, context: Context) -> list[Candidate]:
    from braggscope.app.engine.cdi import phase_stack
    from braggscope.app.engine.coherent_live import LiveContext
    from braggscope.app.engine.coherent_results import candidates

    give_way()
    weights = weights_record(parameters.phasing)
    phased: Phased = phase_stack(volume.stack, parameters.phasing, LiveContext(context))
    context.check()
    return candidates(phased, parameters.prepare, weights)
