"""Fine-tunes a network on the peaks of a series, and keeps the result only if it is better."""

import hashlib
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import Gate
from braggscope.app.engine.checkpoint import (
    TrainingError,
    checkpoint_folder,
    load_checkpoint,
    save_checkpoint,
)
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.lessons import Lessons, collect
from braggscope.app.engine.recipes import simulation_version
from braggscope.app.engine.setup import input_files_key
from braggscope.app.engine.trainable import Exam, Trainable, open_trainable
from braggscope.app.engine.training import CHECKPOINT_SECONDS, steps_for
from braggscope.app.engine.tuned import FineTuned, FineTuning, deliver, read_tuned, write_job
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.paired import paired_change
from braggscope.models.results import PeakTable
from braggscope.models.tuning import EXAMPLES, Basis, Example, LearningPoint, Live, judge

if TYPE_CHECKING:
    from torch import Tensor, nn

    from braggscope.models.trainer import AveragedTrainer

LOOKS = 30  # at the held-out patches on the way
LOOK_PATCHES = 500  # of each kind, at such a look
SIMULATED = 3000  # peaks of the exam
FOR_STEPS = 0.9  # of the time; the rest is for looks
SMOOTHING = 0.02  # of the loss that is shown
CHUNK = 256  # patches between two looks at the cancel flag
REPORT_S = 0.2


@dataclass
class _Run:
    """One fine-tuning under way."""

    job: FineTuning
    identity: str
    subject: Trainable
    lessons: Lessons
    basis: Basis
    measured: Exam
    simulated: Exam
    group: NDArray[np.int64]  # frames of the measured patches
    trainer: "AveragedTrainer"
    steps: int
    seconds: float = 0.0
    loss: float = float("nan")
    curve: list[LearningPoint] = field(default_factory=list)

    def live(self) -> Live:
        """How it stands."""
        return Live(self.trainer.step, self.steps, self.basis, tuple(self.curve))


def fine_tune(
    job: FineTuning, *, context: Context, resume: bool = False, gate: Gate | None = None
) -> FineTuned:
    """Train from the present weights on peaks like those of a series, and on its own fitted peaks.

    Frames are read and fitted, a fifth of them held out; half of every batch is simulated from the measured
    distribution, half are fitted peaks. ``job.minutes`` is the time for all of it, unless ``job.steps`` says
    how long to train. :func:`braggscope.models.tuning.judge` decides by held-out frames and by held-out
    simulation; only accepted weights are written, to ``job.out``, with their record. Progress carries
    :class:`Live`. Stops within one step when cancelled, leaving a checkpoint for ``resume``; ``gate``: the
    training waits there. Raises TrainingError, SourceError, WeightsError.
    """
    from braggscope.models.threads import use_one_thread

    if job.minutes <= 0 and job.steps is None:
        raise TrainingError(
            f"Training needs a positive time, not {job.minutes:g} minutes; give --minutes above 0."
        )
    use_one_thread()
    begun = time.monotonic()
    subject = open_trainable(job.network, job.weights)
    context.check()
    with Reader() as reader:
        info = reader.open(job.location, job.frame_axis, cancelled=context.cancelled)
        identity = _identity(job, subject, info)
        if resume and job.out.exists() and not checkpoint_folder(job.out).exists():
            return read_tuned(job.out, identity)
        saved = load_checkpoint(job.out) if resume else None
        if saved is not None and saved.get("identity") != identity:
            raise TrainingError(
                f"The checkpoint in {checkpoint_folder(job.out)} belongs to a training with another series,"
                " other parameters, base weights, time or seed; give the same ones, or start anew."
            )
        size = subject.window + 2
        lessons = collect(reader, info, job.parameters, size, job.seed, context, gate)
    run = _prepare(job, identity, subject, lessons, saved, begun, context)
    try:
        _loop(run, context, gate)
        return _finish(run, info, context)
    except (Cancelled, KeyboardInterrupt):
        _save(run)
        raise


def _identity(job: FineTuning, subject: Trainable, info: SourceInfo) -> str:
    fitted = job.parameters.with_localize(methods=("fit",))
    length = f"steps={job.steps}" if job.steps is not None else f"minutes={job.minutes!r}"
    parts = [
        job.network, subject.provenance.sha256, info.identity, fitted.fingerprint("all"),
        input_files_key(fitted), f"{job.seed}", length, f"{simulation_version(job.network)}",
    ]  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _prepare(
    job: FineTuning,
    identity: str,
    subject: Trainable,
    lessons: Lessons,
    saved: dict | None,
    begun: float,
    context: Context,
) -> _Run:
    from braggscope.models.braggnn.evaluate import HELD_OUT_SEED

    like = lessons.distribution
    learned, table = lessons.patches(held=False)
    asked, held_table = lessons.patches(held=True)
    bound, own = _error(table), _error(held_table)
    basis = Basis(like, len(lessons.frames), len(lessons.frames_held_out), len(table), len(held_table), own)
    context.progress(0, 1, "measuring", Live(0, 0, basis, ()))
    exams = (
        subject.measured(asked, bound),
        subject.simulated(SIMULATED, HELD_OUT_SEED + 5000 + job.seed, like),
    )
    context.check()

    def trainer(steps: int) -> "AveragedTrainer":
        return subject.trainer(steps, job.seed, like, learned, bound)

    if saved is not None:
        steps = int(saved["steps"])
    elif job.steps is not None:
        steps = job.steps
    else:
        left = job.minutes - (time.monotonic() - begun) / 60
        steps = steps_for(FOR_STEPS * max(left, job.minutes / 2), trainer(1000), context)
    run = _Run(
        job, identity, subject, lessons, basis, *exams, held_table["frame"], trainer(steps), steps
    )  # fmt: skip
    if saved is None:
        shutil.rmtree(checkpoint_folder(job.out), ignore_errors=True)
        write_job(job)
        return run
    run.trainer.restore(saved["trainer"])
    run.seconds, run.loss = float(saved["seconds"]), float(saved["loss"])
    run.curve = [LearningPoint(*point) for point in saved["curve"]]
    return run


def _error(table: PeakTable) -> float:
    """Median 1 sigma of fits, x and y together, px."""
    return float(np.median(np.hypot(table["x_fit_err"], table["y_fit_err"])))


def _loop(run: _Run, context: Context, gate: Gate | None) -> None:
    trainer = run.trainer
    every = max(1, run.steps // LOOKS)
    started, saved, told = time.monotonic() - run.seconds, time.monotonic(), 0.0
    if np.isnan(run.loss):
        run.loss = float(trainer.loss(run.job.seed).detach())
    context.progress(trainer.step, run.steps, "training", run.live())
    while True:
        due = trainer.step % every == 0 or trainer.step == run.steps
        if due and (not run.curve or run.curve[-1].step < trainer.step):
            run.curve.append(_look(run, context))
            told = time.monotonic()
            context.progress(trainer.step, run.steps, "training", run.live())
        if trainer.step == run.steps:
            return
        if gate is not None:
            gate.wait()
        loss = trainer.advance()
        run.loss += SMOOTHING * (loss - run.loss)
        run.seconds = time.monotonic() - started
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(run)
            saved = time.monotonic()
        if time.monotonic() - told > REPORT_S:
            told = time.monotonic()
            context.progress(trainer.step, run.steps, f"loss {run.loss:.2f}")
        else:
            context.check()


def _look(run: _Run, context: Context) -> LearningPoint:
    """Losses and errors of the network as it is now, on some of the held-out patches."""
    some = slice(0, LOOK_PATCHES)
    losses, errors = [], []
    for exam in (run.measured.part(some), run.simulated.part(some)):
        found, loss = _answers(run.subject, run.trainer.average, exam, context)
        losses.append(loss)
        errors.append(float(np.median(_distance(found, exam))))
    return LearningPoint(run.trainer.step, run.seconds, run.loss, float(np.mean(losses)), *errors)


def _answers(
    subject: Trainable, network: "nn.Module", exam: Exam, context: Context
) -> "tuple[Tensor, float]":
    """(N, 2) (x, y) px and the mean loss, a chunk at a time, so that it can be cancelled."""
    import torch

    parts, total = [], 0.0
    for start in range(0, len(exam.centre), CHUNK):
        context.check()
        found, loss = subject.examine(network, exam.part(slice(start, start + CHUNK)))
        parts.append(found)
        total += loss * len(found)
    return torch.cat(parts), total / len(exam.centre)


def _distance(found: "Tensor", exam: Exam) -> NDArray[np.float64]:
    return np.asarray((found - exam.centre).double().norm(dim=1).numpy())


def _save(run: _Run) -> None:
    state = {
        "identity": run.identity,
        "steps": run.steps,
        "trainer": run.trainer.state(),
        "seconds": run.seconds,
        "loss": run.loss,
        "curve": [list(point) for point in run.curve],
    }
    save_checkpoint(run.job.out, state)


def _finish(run: _Run, info: SourceInfo, context: Context) -> FineTuned:
    """Compare old and new, and deliver or refuse."""
    run.subject.finish(run.trainer.average, run.basis.distribution, context.check)
    networks = run.subject.base, run.trainer.average
    changes, answers = [], []
    for exam, group in ((run.measured, run.group), (run.simulated, None)):
        old, new = (_answers(run.subject, network, exam, context)[0] for network in networks)
        before, after = _distance(old, exam), _distance(new, exam)
        changes.append(paired_change(before, after, group, seed=run.job.seed, check=context.check))
        answers.append((old.numpy(), new.numpy()))
    tuned = FineTuned(
        job=run.job, verdict=judge(*changes), basis=run.basis, measured=changes[0], simulated=changes[1],
        steps=run.trainer.step, seconds=run.seconds, curve=tuple(run.curve),
        examples=_examples(run, *answers[0]),
    )  # fmt: skip
    context.check()
    deliver(tuned, run.identity, run.trainer.average, run.subject, run.lessons, info)
    shutil.rmtree(checkpoint_folder(run.job.out), ignore_errors=True)
    return tuned


def _examples(run: _Run, before: NDArray, after: NDArray) -> tuple[Example, ...]:
    """Held-out patches from easy to hard for the old weights."""
    centre = run.measured.centre.numpy()
    order = np.argsort(np.hypot(*(before - centre).T))
    examples = []
    for quantile in EXAMPLES:
        k = int(order[round(quantile * (len(order) - 1))])
        image = run.measured.inputs[k].numpy().reshape(-1, run.subject.window, run.subject.window)[0]
        places = (tuple(float(v) for v in where[k]) for where in (centre, before, after))
        examples.append(Example(image, int(run.group[k]), *places))  # type: ignore[arg-type]
    return tuple(examples)
