"""Fine-tuning a network on the open series, in the background, and putting the result to use."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.app.engine.checkpoint import TrainingError, checkpoint_folder
from braggscope.app.engine.jobs import Context, Progress, give_way
from braggscope.app.engine.tuned import FineTuned, FineTuning, unfinished
from braggscope.app.folders import weights_folder
from braggscope.app.presenters.desk import Desk
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.peaks import PeakPresenter
from braggscope.models.tuning import Live
from braggscope.resources.loader import manifest
from braggscope.widgets.training_panel import Standing

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow

TITLES = {"braggnn": "BraggNN", "net": "Localiser network"}
PANEL, HEIGHT = "training", 520  # px


class TrainingPresenter:
    """Starts, shows, resumes and uses a fine-tuning. There is one at a time; it goes on if another series
    is opened.
    """

    def __init__(self, desk: Desk, window: MainWindow, jobs: JobBoard, peaks: PeakPresenter) -> None:
        self._desk, self._window, self._jobs, self._peaks = desk, window, jobs, peaks
        self._panel = window.training_panel
        self._running = ""  # key of the job
        self._stopped: FineTuning | None = None  # can be resumed
        self._tuned: FineTuned | None = None
        self._proposed = ""
        panel = self._panel
        panel.start_requested.connect(self.start)
        panel.cancel_requested.connect(self.cancel)
        panel.resume_requested.connect(self.resume)
        panel.discard_requested.connect(self.discard)
        panel.use_requested.connect(self.use)
        available = manifest()
        panel.set_networks([(key, title) for key, title in TITLES.items() if key in available])
        desk.opened.connect(self._opened)

    @property
    def running(self) -> bool:
        """Whether a network is being trained."""
        return bool(self._running)

    # -- gestures -----------------------------------------------------------------------------

    def show(self) -> None:
        """Bring the panel to the front."""
        self._window.show_panel(PANEL, HEIGHT)

    def start(self, network: str, name: str, minutes: float) -> None:
        """Train with the present parameters on the open series, for weights of this name."""
        info = self._desk.info
        if info is None or self.running:
            return
        state = self._desk.store.state
        out = weights_folder() / f"{_safe(name)}.safetensors"
        job = FineTuning(
            info.location, state.parameters, out, network, frame_axis=state.frame_axis, minutes=minutes
        )
        self._submit(job, resume=False)

    def resume(self) -> None:
        """Go on with the training that was interrupted."""
        if self._stopped is not None and not self.running:
            self._submit(self._stopped, resume=True)

    def cancel(self) -> None:
        """Stop; a checkpoint stays."""
        if self._running:
            self._jobs.cancel(self._running)

    def discard(self) -> None:
        """Forget the training that was interrupted."""
        job = self._stopped
        if job is None or self.running:
            return
        self._stopped = None
        self._panel.set_standing(Standing())
        self._desk.lanes.small.submit(
            lambda _: shutil.rmtree(checkpoint_folder(job.out), ignore_errors=True), lambda _: self.look()
        )

    def use(self) -> None:
        """Locate peaks with the new weights."""
        if self._tuned is None:
            return
        job, settings = self._tuned.job, self._desk.store.state.parameters.localize
        methods: tuple[str, ...] = settings.methods
        if job.network not in methods:
            methods = (*methods, job.network)
        self._peaks.localize(**{job.network: str(job.out)}, methods=methods)

    # -- the job ------------------------------------------------------------------------------

    def _submit(self, job: FineTuning, resume: bool) -> None:
        self._stopped = self._tuned = None
        panel = self._panel
        panel.set_outcome(None)
        panel.set_basis(None)
        panel.set_curve(())
        panel.set_standing(Standing("running", note="reading frames"))
        self._running = self._jobs.submit(
            self._desk.lanes.training,
            f"Fine-tune {TITLES[job.network]} · {job.out.stem}",
            partial(self._work, job, resume),
            self._done,
            on_progress=self._progressed,
            about=job.out,
            on_end=self._ended,
        )

    def _work(self, job: FineTuning, resume: bool, context: Context) -> FineTuned:
        from braggscope.app.engine.finetune import fine_tune

        give_way()
        if job.out.exists() and not resume:
            raise TrainingError(f"There are weights called {job.out.stem} already; give another name.")
        return fine_tune(job, context=context, resume=resume, gate=self._desk.gate)

    def _progressed(self, progress: Progress) -> None:
        live = progress.payload
        if isinstance(live, Live):
            self._panel.set_basis(live.basis)
            self._panel.set_curve(live.curve)
        self._panel.set_standing(
            Standing("running", progress.done, progress.total, progress.remaining, progress.note)
        )

    def _done(self, tuned: FineTuned) -> str:
        self._tuned = tuned
        self._panel.set_standing(Standing("done"))
        self._panel.set_basis(tuned.basis)
        self._panel.set_curve(tuned.curve)
        self._panel.set_outcome(
            tuned.verdict, tuned.measured, tuned.simulated, tuned.basis.label_error_px, tuned.examples
        )
        return tuned.verdict.sentence

    def _ended(self) -> None:
        self._running = ""
        self._panel.set_standing(Standing())
        self.look()

    # -- what was left --------------------------------------------------------------------------

    def look(self, *, tell: bool = False) -> None:
        """Look for a training that was interrupted; ``tell``: say so in the notice bar."""

        def found(jobs: list[FineTuning]) -> None:
            if self.running or self._tuned is not None or not jobs:
                return
            self._stopped = jobs[0]
            name, series = jobs[0].out.stem, _stem(jobs[0].location)
            note = f"The training of {name} on {series} was interrupted; it can go on where it stopped."
            self._panel.set_standing(Standing("stopped", note=note))
            if tell:
                self._desk.say("info", note, "Show", "fine_tune")

        self._desk.lanes.small.submit(lambda _: list(unfinished(weights_folder())), found)

    def _opened(self) -> None:
        info = self._desk.info
        self._panel.set_possible(info is not None)
        name = self._panel.name.text()
        if info is not None and name in ("", self._proposed):
            self._proposed = _stem(info.location)
            self._panel.set_name(self._proposed)


def _stem(location: str) -> str:
    """Name of a series without folder and suffix."""
    return Path(location.partition("::")[0].rstrip("/")).name.partition(".")[0] or "series"


def _safe(name: str) -> str:
    """The name without what a file cannot be called."""
    return re.sub(r"[^\w .+=-]", "_", name).strip(" .") or "weights"
