"""Trains the networks and keeps their files: checkpoints that survive a kill, weights, learning curve."""

import hashlib
import json
import math
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import (
    RefusedError,
    TrainingError,
    checkpoint_folder,
    file_sha256,
    load_checkpoint,
    save_checkpoint,
)
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.recipes import Recipe, Start, Trained, recipe, simulation_version
from braggscope.app.engine.trained import TrainingReport, curve_header, read_report, write_trained
from braggscope.resources.loader import manifest, weights_hash

if TYPE_CHECKING:
    from braggscope.app.engine.disk_lessons import Lesson
    from braggscope.models.trainer import AveragedTrainer

CHECKPOINT_SECONDS = 15.0
CURVE_STEPS = 1000


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was asked for."""

    what: Trained
    out: Path
    data: Path | None
    base: Path | None
    minutes: float
    seed: int
    window: int
    steps: int | None
    lesson: "Lesson | None"

    def identity(self) -> str:
        """Hash of what decides the result, so that the checkpoint of another training is not continued."""
        length = f"steps={self.steps}" if self.steps is not None else f"minutes={self.minutes!r}"
        parts = [
            f"seed={self.seed}",
            f"window={self.window}",
            length,
            f"simulation={simulation_version(self.what)}",
        ]
        if self.what != "braggnn":
            parts.append(f"network={self.what}")
        data = None if self.what == "cdi" else self.data  # only keeps what the seed decides
        for name, path in (("data", data), ("base", self.base)):
            if path is not None and str(path) in manifest():
                parts.append(f"{name}={weights_hash(str(path))}")
                continue
            if path is not None and not path.is_file():
                raise TrainingError(f"There is no file {path}; check the path given to --{name}.")
            parts.append(f"{name}={'' if path is None else file_sha256(path)}")
        if self.lesson is not None:
            probe = hashlib.sha256(self.lesson.probe.image.tobytes()).hexdigest()
            parts.append(f"scan={self.lesson.identity} {probe}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass
class _Run:
    """One training under way: what it trains, what it is measured on, and its learning curve."""

    trainer: "AveragedTrainer[Any]"
    recipe: Recipe
    identity: str
    before: tuple[float, float]
    seconds: float
    curve: list[str]
    strict: bool = False  # weights that are no better than the base are refused
    loss: float = math.nan  # mean over the latest steps


def train_network(
    what: Trained,
    out: Path,
    *,
    data: Path | None = None,
    base: Path | None = None,
    minutes: float = 30.0,
    seed: int = 0,
    resume: bool = False,
    context: Context,
    window: int = 11,
    steps: int | None = None,
    lesson: "Lesson | None" = None,
) -> TrainingReport:
    """Train and write ``out`` (safetensors, outputs in the order x, y) with its learning curve beside it.

    From scratch on simulated patches; from ``base`` where given; for BraggNN with measured patches of
    ``data`` in half of every batch where given (then ``base`` defaults to the shipped weights, at 11 px).
    ``minutes`` is turned into a number of steps at the start, by the speed of this machine, unless
    ``steps`` says it. Stops within one step when cancelled, leaving a checkpoint in ``out.checkpoint/``
    for ``resume`` and nothing new under ``out``.
    ``lesson``: of a scan that a disk network is to adapt to, from ``base``.
    Raises TrainingError, RefusedError where that made it no better, WeightsError for an unusable ``base``.
    """
    if minutes <= 0 and steps is None:
        raise TrainingError(
            f"Training needs a positive time, not {minutes:g} minutes; give --minutes above 0."
        )
    plan = _Plan(what, out, data, base, minutes, seed, window, steps, lesson)
    identity = plan.identity()
    if resume and out.exists() and not checkpoint_folder(out).exists():
        return read_report(out, identity)
    run = _prepare(plan, identity, resume, context)
    try:
        _loop(run, out, context)
    except (Cancelled, KeyboardInterrupt):
        _save(run, out)
        raise
    report = _deliver(run, out)
    shutil.rmtree(checkpoint_folder(out), ignore_errors=True)
    return report


def train_braggnn(out: Path, **options: Any) -> TrainingReport:
    """See :func:`train_network`."""
    return train_network("braggnn", out, **options)


def _prepare(plan: _Plan, identity: str, resume: bool, context: Context) -> _Run:
    strict = plan.lesson is not None
    chosen = recipe(plan.what, Start(plan.data, plan.base, plan.seed, plan.window, plan.lesson))
    context.check()
    saved = load_checkpoint(plan.out) if resume else None
    if saved is None:
        shutil.rmtree(checkpoint_folder(plan.out), ignore_errors=True)
        steps = plan.steps
        if steps is None:
            steps = steps_for(plan.minutes, chosen.trainer(1000), context)
        fresh = chosen.trainer(steps)
        return _Run(fresh, chosen, identity, chosen.measure(fresh.average), 0.0, [], strict)
    if saved.get("identity") != identity:
        raise TrainingError(
            f"The checkpoint in {checkpoint_folder(plan.out)} belongs to a training with other data, base"
            " weights, time or seed; give the same ones, or run without --resume."
        )
    restored = chosen.trainer(int(saved["steps"]))
    restored.restore(saved["trainer"])
    before = (float(saved["before"][0]), float(saved["before"][1]))
    run = _Run(restored, chosen, identity, before, float(saved["seconds"]), list(saved["curve"]), strict)
    run.loss = float(saved.get("loss", math.nan))
    return run


def steps_for(minutes: float, trial: "AveragedTrainer[Any]", context: Context) -> int:
    """Steps that fit into the time, from the speed of a few on a throw-away network."""
    for _ in range(3):
        context.check()
        trial.advance()
    start, count = time.perf_counter(), 0
    while count < 20 and (count == 0 or time.perf_counter() - start < 6 * minutes):
        context.check()
        trial.advance()
        count += 1
    return max(1, int(60 * minutes * count / (time.perf_counter() - start)))


def _loop(run: _Run, out: Path, context: Context) -> None:
    trainer, total = run.trainer, run.trainer.schedule.steps
    every = min(CURVE_STEPS, max(1, total // 20))
    started, saved = time.monotonic() - run.seconds, time.monotonic()
    while trainer.step < total:
        rate = trainer.rate()
        loss = trainer.advance()
        run.loss = loss if math.isnan(run.loss) else 0.99 * run.loss + 0.01 * loss
        run.seconds = time.monotonic() - started
        if trainer.step % every == 0 or trainer.step == total:
            median, p95 = run.recipe.measure(trainer.average)
            samples = trainer.step * trainer.schedule.batch
            run.curve.append(
                f"{trainer.step},{samples},{run.seconds:.1f},{rate:.3e},{run.loss:.4f},{median:.5f},{p95:.5f}"
            )
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(run, out)
            saved = time.monotonic()
        context.progress(trainer.step, total, f"loss {run.loss:.3f}")


def _save(run: _Run, out: Path) -> None:
    state = {
        "identity": run.identity,
        "steps": run.trainer.schedule.steps,
        "trainer": run.trainer.state(),
        "before": list(run.before),
        "seconds": run.seconds,
        "curve": run.curve,
        "loss": run.loss,
        "settings": json.dumps(asdict(run.recipe.settings(run.trainer))),
    }
    save_checkpoint(out, state)


def _deliver(run: _Run, out: Path) -> TrainingReport:
    """Write the better of the old and the new weights."""
    trainer, base = run.trainer, run.recipe.base
    run.recipe.finish(trainer.average, trainer.step * trainer.schedule.batch)
    after = run.recipe.measure(trainer.average)
    improved = base is None or after[0] <= run.before[0]
    if not improved and run.strict:
        shutil.rmtree(checkpoint_folder(out), ignore_errors=True)
        raise RefusedError(
            f"The training made no better weights ({run.before[0]:.3f} px before, {after[0]:.3f} px after, in"
            f" the median on {run.recipe.held_out} held-out patterns), so nothing was written; train longer,"
            " or keep the old ones."
        )
    chosen = trainer.average if improved or base is None else base
    record = {
        "steps": trainer.step,
        "samples": trainer.step * trainer.schedule.batch,
        "seconds": round(run.seconds, 1),
        "held_out": run.recipe.held_out,
        "before_px": run.before,
        "after_px": after,
        "improved": improved,
        "settings": asdict(run.recipe.settings(trainer)),
        "base": dict(run.recipe.history),
    }
    header = curve_header(run.recipe.metadata["network"])
    write_trained(out, chosen.state_dict(), run.recipe.metadata, run.identity, record, run.curve, header)
    return read_report(out, run.identity)
