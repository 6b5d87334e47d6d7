"""Fine-tuning of a disk network to the probe and dose of one's own scan, in a process that can be ended."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import RefusedError, TrainingError, checkpoint_folder, write_whole
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.app.engine.recipes import Trained
    from braggscope.app.engine.trained import TrainingReport

MODULE = "braggscope.app.engine.disk_tuning_child"
JOB = ".disks.json"
POLL_S = 0.05
Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DiskTuning:
    """What is to be adapted to what. ``base``: name or file of the weights to start from."""

    location: str
    parameters: Parameters
    out: Path
    base: str = "disks"
    frame_axis: int | None = None
    minutes: float = 10.0
    seed: int = 0

    @property
    def note(self) -> Path:
        """Where the job is kept while it is not finished."""
        return self.out.with_suffix(JOB)

    def plain(self) -> str:
        """As JSON."""
        fields: Message = {name: getattr(self, name) for name in type(self).__slots__}
        parameters = self.parameters.model_dump(mode="json")
        return json.dumps(fields | {"parameters": parameters, "out": str(self.out.absolute())})

    @classmethod
    def parse(cls, text: str) -> "DiskTuning":
        """From JSON. Raises ValueError, KeyError, TypeError."""
        fields = json.loads(text)
        parameters = Parameters.model_validate(fields["parameters"])
        return cls(**(fields | {"parameters": parameters, "out": Path(fields["out"])}))


@dataclass(frozen=True, slots=True)
class DiskTuned:
    """Outcome: errors in px on ``held_out`` simulated patterns like the scan's, median and 95 %."""

    out: Path
    steps: int
    held_out: int
    before_px: tuple[float, float]
    after_px: tuple[float, float]

    @classmethod
    def of(cls, report: "TrainingReport") -> "DiskTuned":
        """What a training reports."""
        return cls(report.out, report.steps, report.held_out, report.before_px, report.after_px)


def train_here(job: DiskTuning, resume: bool, context: Context) -> DiskTuned:
    """Look at the scan, then train, in this thread; checkpoints stay where it is interrupted.

    Raises SourceError, StrainError, WeightsError, TrainingError, RefusedError (no better), Cancelled.
    """
    from braggscope.app.engine.disk_lessons import look_at
    from braggscope.app.engine.disk_recipes import TITLES, open_base
    from braggscope.app.engine.training import train_network

    context.progress(0, 0, "looking at the scan")
    network = open_base(job.base)[0]
    what: Trained = "disks-fcunet" if type(network).__name__ == TITLES["disks-fcunet"] else "disks"
    lesson = look_at(job.location, network, job.parameters, context, job.frame_axis)
    context.progress(0, 0, "simulating patterns like those of the scan")
    report = train_network(
        what, job.out, base=Path(job.base), minutes=job.minutes, seed=job.seed, resume=resume,
        context=context, lesson=lesson,
    )  # fmt: skip
    return DiskTuned.of(report)


def tune(job: DiskTuning, context: Context, *, resume: bool = False) -> DiskTuned:
    """As :func:`train_here`, in a process of its own, which a cancellation ends within 0.2 s.

    What the last checkpoint holds, every 15 s, is gone on with by ``resume``.
    """
    if job.out.exists() and not resume:
        raise TrainingError(f"There are weights called {job.out.stem} already; give another name.")
    write_whole(job.note, lambda path: path.write_text(job.plain(), encoding="utf-8"))
    try:
        with _child(job, resume) as messages:
            answer = _listen(messages, context)
    finally:
        if not (checkpoint_folder(job.out) / "state.pt").exists():
            job.note.unlink(missing_ok=True)
    if "done" in answer:
        steps, held_out, before, after = answer["done"]
        return DiskTuned(job.out, steps, held_out, tuple(before), tuple(after))
    raise (RefusedError if answer.get("refused") else TrainingError)(answer["failed"])


def unfinished(folder: Path) -> list[DiskTuning]:
    """Trainings in a folder that were interrupted, the newest first; what cannot be read is left out."""
    found = []
    for path in folder.glob(f"[!.]*{JOB}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            job = DiskTuning.parse(path.read_text("utf-8"))
            if (checkpoint_folder(job.out) / "state.pt").exists():
                found.append((path.stat().st_mtime, job))
    return [job for _, job in sorted(found, key=lambda pair: -pair[0])]


@contextmanager
def _child(job: DiskTuning, resume: bool) -> Iterator["queue.Queue[Message | None]"]:
    """Messages of a training process, None at its end. The process is gone afterwards."""
    command = [sys.executable, "-P", "-m", MODULE, job.plain(), "resume" if resume else "start"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    flags = 0x08000000 if sys.platform == "win32" else 0  # no console window
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        creationflags=flags,
    )  # fmt: skip
    messages: queue.Queue[Message | None] = queue.Queue()
    assert process.stdout is not None
    assert process.stdin is not None  # its end tells the child that we are gone
    thread = threading.Thread(target=_hear, args=(process.stdout, messages), name="tuning", daemon=True)
    thread.start()
    try:
        yield messages
    finally:
        process.kill()
        process.stdin.close()
        process.wait()
        thread.join()
        process.stdout.close()


def _hear(stream: IO[bytes], messages: "queue.Queue[Message | None]") -> None:
    for line in stream:
        with contextlib.suppress(ValueError):
            messages.put(json.loads(line))
    messages.put(None)


def _listen(messages: "queue.Queue[Message | None]", context: Context) -> Message:
    """Pass progress on until the answer comes. Raises TrainingError where none does."""
    while True:
        context.check()
        with contextlib.suppress(queue.Empty):
            message = messages.get(timeout=POLL_S)
            if message is None:
                raise TrainingError(
                    "The training ended without an answer (too little memory?); what its checkpoint holds can"
                    " be resumed."
                )
            if "progress" not in message:
                return message
            context.progress(*message["progress"])


def answer_of(job: DiskTuning, resume: bool, context: Context) -> Message:
    """What the process says at its end."""
    from braggscope.app.errors import sentence

    try:
        tuned = train_here(job, resume, context)
    except Cancelled:
        raise
    except Exception as error:
        return {"failed": sentence(error), "refused": isinstance(error, RefusedError)}
    return {"done": [tuned.steps, tuned.held_out, tuned.before_px, tuned.after_px]}
