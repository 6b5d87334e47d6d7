"""Weights of the disk network: chosen, read from a file, or adapted to the open scan in the background."""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from functools import partial
from pathlib import Path

from PyQt6.QtWidgets import QFileDialog

from braggscope.app.engine.checkpoint import RefusedError, checkpoint_folder
from braggscope.app.engine.disk_tuning import DiskTuned, DiskTuning, tune, unfinished
from braggscope.app.engine.jobs import Context, Progress
from braggscope.app.files import remove_leftovers
from braggscope.app.folders import weights_folder
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.presenters.strain_room import StrainRoom
from braggscope.app.state.session import Session
from braggscope.resources.loader import SUFFIXES
from braggscope.widgets.strain_network import Tuning

WEIGHTS_KEY = "disk weights"  # of notices
BETTER = "{before:.3f} → {after:.3f} px median error on {count} held-out simulated patterns like this scan's."
STOPPED = "The adaptation {name} to {scan} was interrupted; it can go on from its last checkpoint."


class NetworkPresenter:
    """One adaptation at a time; it goes on if another scan is opened."""

    def __init__(self, room: StrainRoom, jobs: JobBoard) -> None:
        self._room = room
        self._jobs = jobs
        self._running = ""  # key of the job
        self._job: DiskTuning | None = None  # that runs, or can be resumed
        self._tuned: DiskTuned | None = None
        self._proposed = ""
        self._first: tuple[float, int] | None = None  # when the steps began, and how many were done
        panel = self._panel = room.panels.disks.network
        panel.weights_chosen.connect(self.choose)
        panel.file_requested.connect(self.ask_file)
        panel.start_requested.connect(self.start)
        panel.cancel_requested.connect(self.cancel)
        panel.resume_requested.connect(self.resume)
        panel.discard_requested.connect(self.discard)
        panel.use_requested.connect(self.use)
        room.changed.connect(self._restart)
        room.entered.connect(self.look)
        room.desk.store.subscribe(self._on_state)
        panel.set_weights(room.strain.weights_file)

    @property
    def running(self) -> bool:
        """Whether a network is being adapted."""
        return bool(self._running)

    # -- weights ------------------------------------------------------------------------------

    def choose(self, name: str) -> None:
        """Use weights once they prove to hold a disk network; else one sentence, and the old ones stay."""

        def run(_: Context) -> str:
            from braggscope.app.engine.disk_tools import open_disk_network

            open_disk_network(name)
            return name

        def done(checked: str) -> None:
            desk.settle(WEIGHTS_KEY)
            self._room.change(weights_file=checked, method="network")
            self._panel.set_weights(checked)

        desk = self._room.desk
        desk.lanes.models.submit(run, done, on_error=lambda error: desk.fail(error, WEIGHTS_KEY))

    def ask_file(self) -> None:
        """Choose a file of weights."""
        kinds = f"Weights (*{' *'.join(SUFFIXES)})"
        name, _ = QFileDialog.getOpenFileName(
            self._room.window, "Weights of the disk network", str(weights_folder()), kinds
        )
        if name:
            self.choose(name)

    # -- adaptation ---------------------------------------------------------------------------

    def start(self, name: str, minutes: float) -> None:
        """Adapt the weights in use to the open scan."""
        room, scan = self._room, self._room.scan
        if scan is None or self.running:
            return
        out = weights_folder() / f"{_safe(name)}.safetensors"
        parameters, base = room.desk.store.state.parameters, room.strain.weights_file
        self._submit(DiskTuning(scan.location, parameters, out, base, scan.frame_axis, minutes), resume=False)

    def resume(self) -> None:
        """Go on with what was interrupted."""
        if self._job is not None and not self.running:
            self._submit(self._job, resume=True)

    def cancel(self) -> None:
        """Stop; what the last checkpoint holds stays."""
        if self._running:
            self._jobs.cancel(self._running)

    def discard(self) -> None:
        """Forget what was interrupted."""
        job, self._job = self._job, None
        if job is None or self.running:
            return
        self._panel.set_tuning(Tuning())

        def run(_: Context) -> None:
            shutil.rmtree(checkpoint_folder(job.out), ignore_errors=True)
            job.note.unlink(missing_ok=True)

        self._room.desk.lanes.small.submit(run, lambda _: self.look())

    def use(self) -> None:
        """Find disks with the new weights."""
        if self._tuned is not None:
            self.choose(str(self._tuned.out))

    def _submit(self, job: DiskTuning, resume: bool) -> None:
        self._job, self._tuned, self._first = job, None, None
        self._panel.set_tuning(Tuning("running", text="starting"))
        self._running = self._jobs.submit(
            self._room.desk.lanes.training, f"Fine-tune disks · {job.out.stem}",
            partial(_run, job, resume), self._done, on_progress=self._progressed, on_end=self._ended,
            on_stopped=self.look, about=job.out,
        )  # fmt: skip

    def _progressed(self, progress: Progress) -> None:
        done, total = progress.done, progress.total
        if total and self._first is None:
            self._first = time.monotonic(), done
        text = f"{done:,} / {total:,} steps · {progress.note}" if total else progress.note
        if total and done == total:
            text = "calibrating the errors that it states"
        self._panel.set_tuning(Tuning("running", done, total, self._left(done, total), text))

    def _left(self, done: int, total: int) -> float | None:
        """Seconds, by the steps alone: what was done before them takes its own time."""
        began, first = self._first or (0.0, done)
        return None if done <= first else (time.monotonic() - began) * (total - done) / (done - first)

    def _done(self, tuned: DiskTuned | RefusedError) -> str:
        self._job = None
        if isinstance(tuned, RefusedError):
            self._panel.set_tuning(Tuning(text=str(tuned)))
            return str(tuned)
        self._tuned = tuned
        text = BETTER.format(before=tuned.before_px[0], after=tuned.after_px[0], count=tuned.held_out)
        self._panel.set_tuning(Tuning(text=text, good=True, usable=True))
        self.look()
        return text

    def _ended(self) -> None:
        self._running = ""
        self._panel.set_tuning(Tuning())

    # -- what there is ------------------------------------------------------------------------

    def look(self) -> None:
        """Look for own weights, and for an adaptation that was interrupted."""

        def run(_: Context) -> tuple[dict[str, str], list[DiskTuning]]:
            folder = weights_folder()
            for place in (folder, *folder.glob("*.checkpoint")):
                remove_leftovers(place)
            return own_weights(folder), unfinished(folder)

        def found(there: tuple[dict[str, str], list[DiskTuning]]) -> None:
            own, jobs = there
            self._panel.set_own(own)
            if self.running or self._tuned is not None or not jobs:
                return
            self._job = jobs[0]
            text = STOPPED.format(name=jobs[0].out.stem, scan=_stem(jobs[0].location))
            self._panel.set_tuning(Tuning("stopped", text=text))

        if self._room.active:
            self._room.desk.lanes.small.submit(run, found)

    def _restart(self) -> None:
        scan, name = self._room.scan, self._panel.name.text()
        self._panel.set_possible(scan is not None)
        if scan is not None and name in ("", self._proposed):
            self._proposed = f"{_stem(scan.location)} disks"
            self._panel.set_name(self._proposed)
        self.look()

    def _on_state(self, old: Session, new: Session) -> None:
        if old.parameters.strain.weights_file != new.parameters.strain.weights_file:
            self._panel.set_weights(new.parameters.strain.weights_file)


def own_weights(folder: Path) -> dict[str, str]:
    """Disk networks among the user's weights: names by file. Reads their headers only."""
    from safetensors import SafetensorError, safe_open

    from braggscope.app.engine.disk_recipes import TITLES

    found = {}
    for path in sorted(folder.glob("[!.]*.safetensors")):
        with contextlib.suppress(OSError, SafetensorError), safe_open(path, "np") as file:
            if (file.metadata() or {}).get("network") in TITLES.values():
                found[str(path)] = path.stem
    return found


def _run(job: DiskTuning, resume: bool, context: Context) -> DiskTuned | RefusedError:
    try:
        return tune(job, context, resume=resume)
    except RefusedError as refused:  # no mishap: the old weights are the better ones
        return refused


def _stem(location: str) -> str:
    """Name of a scan without folder and suffix."""
    return Path(location.partition("::")[0].partition("?")[0]).name.partition(".")[0] or "scan"


def _safe(name: str) -> str:
    """The name without what a file cannot be called."""
    return re.sub(r"[^\w .+=-]", "_", name).strip(" .") or "weights"
