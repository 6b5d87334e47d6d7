"""Reading and preparing the open stack: a job that can be cancelled, replaced by every newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from braggscope.app.engine.coherent_parameters import stack_name
from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.errors import sentence
from braggscope.app.presenters.jobs import QUICK_MS
from braggscope.widgets.jobs_panel import time_text
from braggscope.widgets.phasing_choices import PhasingStanding

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_volume import Volume
    from braggscope.app.presenters.coherent import CoherentPresenter

READING = "Reading the stack …"


class CoherentPreparing:
    """Only the newest request counts; what takes a moment only is not listed."""

    def __init__(self, room: CoherentPresenter) -> None:
        self._room = room
        self._job = ""
        self._asked: object | None = None  # the newest request, None without one

    @property
    def running(self) -> bool:
        """Whether a stack is being prepared."""
        return self._asked is not None

    def begin(self) -> None:
        """Prepare the open stack as the parameters say."""
        room, engine = self._room, self._room.desk.engine
        if engine is None:
            return
        info, known, parameters = engine.info, room.volume, room.desk.store.state.parameters
        asked = self._asked = object()
        if known is None:
            room.panels.page.set_empty(READING, info.location)

        def work(context: Context) -> Volume:
            from braggscope.app.engine.coherent_volume import make_volume

            return make_volume(engine.reader, info, parameters.prepare, parameters.phasing, context, known)

        def done(volume: Volume) -> str:
            if self._end(asked):
                room.prepared(volume)
            return volume.problem or " × ".join(f"{n:,}" for n in volume.layer.index.shape) + " voxels"

        def failed(error: Exception) -> None:
            if self._end(asked):
                room.failed(sentence(error))

        def cancelled() -> None:
            if self._end(asked):
                room.stopped()

        def progressed(progress: Progress) -> None:
            if self._asked is asked:
                self._progressed(progress)

        self._job = room.jobs.submit(
            room.desk.lanes.volume, f"Preparing {stack_name(info.location)}", work, done,
            on_progress=progressed, on_error=failed, on_stopped=cancelled, replaces=self._job,
            about=info.location,
        )  # fmt: skip

    def cancel(self) -> None:
        """Stop; what was prepared before stays."""
        self._room.jobs.cancel(self._job)

    def drop(self) -> None:
        """Another source: what is being prepared is not wanted any more."""
        self._end(self._asked)
        self.cancel()

    def _end(self, asked: object | None) -> bool:
        """Whether this was the newest request, which has ended now."""
        if self._asked is not asked:
            return False
        self._asked = None
        self._room.panels.volume.set_standing(PhasingStanding())
        return True

    def _progressed(self, progress: Progress) -> None:
        left, said = progress.remaining, progress.note
        if left is not None:
            said += f" · {time_text(left)} left"
        if self._room.volume is None:
            self._room.panels.page.set_empty(READING, said)
        if 1000 * progress.seconds >= QUICK_MS:
            self._room.panels.volume.set_standing(
                PhasingStanding(True, progress.done, progress.total, left, progress.note)
            )
