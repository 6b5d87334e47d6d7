"""Reconstructions: started, watched while they run, ranked when they are done."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from PyQt6.QtGui import QGuiApplication

from braggscope.app.engine.cdi_network import weights_record
from braggscope.app.engine.coherent_kept import Kept
from braggscope.app.engine.coherent_parameters import stack_name
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

DONE = "The reconstruction of {name} is done, {said}; it is kept and shown when that stack is open again."
LOST = "The reconstructions of {name} had to go: there is no more room in memory for so many."


@dataclass(eq=False, slots=True)
class _Run:
    """A reconstruction under way, and what was seen of it."""

    volume: Volume
    standing: PhasingStanding
    job: str = ""
    points: list[tuple[int, float, float, str]] = field(default_factory=list)


class CoherentRun:
    """Phases prepared stacks, one after the other; the reconstructions of one pattern are compared.

    They go on, and stay, while other stacks are open, and are shown with their own stack only.
    """

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._runs: list[_Run] = []
        self._watched: _Run | None = None  # on screen
        self._key = ""  # of the pattern whose reconstructions are on screen
        self.kept = Kept()
        panels = room.panels
        panels.phasing.start_requested.connect(self.start)
        panels.phasing.cancel_requested.connect(self.cancel)
        panels.phasing.python_requested.connect(lambda: self.copy("python"))
        panels.phasing.command_requested.connect(lambda: self.copy("command"))
        panels.starts.chosen.connect(self.choose)
        panels.starts.clear_requested.connect(self.clear)

    @property
    def running(self) -> bool:
        """Whether the open stack is being phased."""
        return self._own is not None

    @property
    def results(self) -> list[Candidate]:
        """Reconstructions on screen, the most likely first."""
        return self.kept.rows(self._key)

    def holds(self, volume: Volume) -> bool:
        """Whether there is a reconstruction of the stack of a volume, or will be."""
        return bool(self.kept.find(volume)) or any(r.volume.stack_key == volume.stack_key for r in self._runs)

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
        """Stop phasing the open stack; what was found before stays."""
        if self._own is not None:
            self._room.jobs.cancel(self._own.job)

    def choose(self, row: int) -> None:
        """Look at another reconstruction."""
        results = self.results
        if 0 <= row < len(results):
            self._room.panels.starts.mark(row)
            self._room.show.candidate(results[row])

    def clear(self) -> None:
        """Forget all reconstructions of this pattern."""
        self.kept.drop(self._key)
        self._show_rows(-1)
        self._room.show.candidate(None)

    def leave(self) -> None:
        """Another stack is open: what there is of the former goes on behind."""
        self._watched, self._key = None, ""
        self._show_rows(-1)
        self._room.panels.curves.clear()
        self._set_standing(PhasingStanding())

    def take_up(self, volume: Volume) -> None:
        """Show what is known of a stack that was prepared, and the reconstruction that runs."""
        key = self.kept.find(volume)
        if key and key != self._key and (key == volume.key or not (self._key or volume.problem)):
            self._show_pattern(key, 0)
        if self._own is not None and self._own is not self._watched:
            self._watch(self._own)

    def copy(self, kind: str) -> None:
        """Put a script or a command line with the same result on the clipboard."""
        state = self._room.desk.store.state
        make = phasing_as_python if kind == "python" else phasing_as_command
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(make(state.location or "FILE", state.parameters, state.frame_axis))
        self._room.desk.say("info", "Python script copied." if kind == "python" else "Command line copied.")

    # -- the job ------------------------------------------------------------------------------

    @property
    def _own(self) -> _Run | None:
        """The reconstruction of the open stack that runs or waits."""
        return next((run for run in self._runs if self._is_open(run)), None)

    def _is_open(self, run: _Run) -> bool:
        volume = self._room.volume
        return volume is not None and volume.stack_key == run.volume.stack_key

    def _submit(self, volume: Volume, parameters: Parameters) -> None:
        room, location = self._room, volume.stack.location
        note = "waiting for another reconstruction" if self._runs else "preparing"
        run = _Run(volume, PhasingStanding(True, note=note))
        self._runs.append(run)
        self._watch(run)
        run.job = room.jobs.submit(
            room.desk.lanes.phasing, f"Reconstruction {stack_name(location)}",
            partial(_work, volume, parameters), partial(self._done, run),
            on_progress=partial(self._progressed, run), on_end=partial(self._ended, run), about=location,
        )  # fmt: skip

    def _watch(self, run: _Run) -> None:
        """Bring a reconstruction that runs on screen."""
        self._watched = run
        self._room.panels.curves.clear()
        self._room.panels.curves.add_points(run.points)
        self._room.show.begin()
        self._set_standing(run.standing)

    def _progressed(self, run: _Run, progress: Progress) -> None:
        from braggscope.app.engine.coherent_live import Glimpse

        glimpse, note = progress.payload, progress.note.partition(",")[0]
        run.standing = PhasingStanding(True, progress.done, progress.total, progress.remaining, note)
        points = [(p.iteration, p.chi, p.R, p.stage) for p in getattr(glimpse, "points", ())]
        run.points += points
        if run is not self._watched:
            return
        if isinstance(glimpse, Glimpse):
            self._room.panels.curves.add_points(points)
            self._room.show.glimpse(glimpse)
        self._set_standing(run.standing)

    def _done(self, run: _Run, found: list[Candidate]) -> str:
        best, location = found[0], run.volume.stack.location
        said = f"chi {best.chi:.4f}, R {best.R:.4f}"
        lost = self.kept.add(run.volume, found, self._key)
        if self._is_open(run):
            results = self.kept.rows(run.volume.key)
            self._show_pattern(
                run.volume.key, next((k for k, entry in enumerate(results) if entry is best), 0)
            )
        else:
            self._room.desk.say("info", DONE.format(name=stack_name(location), said=said))
        for other in lost:
            self._room.desk.say("warning", LOST.format(name=stack_name(other)))
        return said

    def _ended(self, run: _Run) -> None:
        self._runs.remove(run)
        if run is self._watched:
            self._watched = None
            self._set_standing(PhasingStanding())
            self._room.show.end()

    def _set_standing(self, standing: PhasingStanding) -> None:
        self._room.panels.phasing.set_standing(standing)

    def _show_pattern(self, key: str, row: int) -> None:
        """Show the reconstructions of a pattern, one of them in full."""
        self._key = key
        self.kept.touch(key)
        self._show_rows(row)
        self._room.show.candidate(self.results[row])

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
