"""Trains BraggNN and keeps its files: checkpoints that survive a kill, weights, learning curve."""

import hashlib
import json
import math
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from braggscope.app.engine.checkpoint import (
    TrainingError,
    checkpoint_folder,
    file_sha256,
    load_checkpoint,
    save_checkpoint,
)
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.measured import read_measured
from braggscope.app.engine.trained import TrainingReport, read_report, write_trained
from braggscope.resources.loader import load_weights

if TYPE_CHECKING:
    from torch import Tensor

    from braggscope.models.braggnn.measured import Measured
    from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
    from braggscope.models.braggnn.train import Trainer, TrainSettings

CHECKPOINT_SECONDS = 15.0
CURVE_STEPS = 1000
FINE_TUNE_RATE = 3e-4
FINE_TUNE_AVERAGE = 0.998
SHIPPED, SHIPPED_WINDOW = "braggnn", 11


class _HeldOut(NamedTuple):
    image: "Tensor"
    centre: "Tensor"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What was asked for."""

    out: Path
    data: Path | None
    base: Path | None
    minutes: float
    seed: int
    window: int
    steps: int | None

    def identity(self) -> str:
        """Hash of what decides the result, so that the checkpoint of another training is not continued."""
        from braggscope.models.braggnn.simulate import SIMULATION_VERSION

        length = f"steps={self.steps}" if self.steps is not None else f"minutes={self.minutes!r}"
        parts = [f"seed={self.seed}", f"window={self.window}", length, f"simulation={SIMULATION_VERSION}"]
        for name, path in (("data", self.data), ("base", self.base)):
            if path is not None and not path.is_file():
                raise TrainingError(f"There is no file {path}; check the path given to --{name}.")
            parts.append(f"{name}={'' if path is None else file_sha256(path)}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass
class _Run:
    """One training under way: what it trains, what it is measured on, and its learning curve."""

    trainer: "Trainer"
    base: "BraggNN | None"
    held_out: _HeldOut
    identity: str
    before: tuple[float, float]
    seconds: float
    curve: list[str]


def train_braggnn(
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
) -> TrainingReport:
    """Train and write ``out`` (safetensors, outputs in the order x, y) with its learning curve beside it.

    From scratch on simulated patches; from ``base`` where given; with measured patches of ``data`` in half
    of every batch where given (then ``base`` defaults to the shipped weights, at 11 px). ``minutes`` is
    turned into a number of steps at the start, by the speed of this machine, unless ``steps`` says it. Stops
    within one step when cancelled, leaving a checkpoint in ``out.checkpoint/`` for ``resume`` and nothing
    new under ``out``.
    Raises TrainingError, and WeightsError for an unusable ``base``.
    """
    if minutes <= 0 and steps is None:
        raise TrainingError(
            f"Training needs a positive time, not {minutes:g} minutes; give --minutes above 0."
        )
    plan = _Plan(out, data, base, minutes, seed, window, steps)
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


def _prepare(plan: _Plan, identity: str, resume: bool, context: Context) -> _Run:
    from braggscope.models.braggnn.network import BraggNNConfig

    base = _base_network(plan)
    config = BraggNNConfig(plan.window) if base is None else base.config
    measured, held_out = _patches(plan.data, config.window)
    context.check()

    def trainer(steps: int) -> "Trainer":
        from braggscope.models.braggnn.train import Trainer

        return Trainer(_settings(steps, plan.seed, config, base is not None), base, measured)

    saved = load_checkpoint(plan.out) if resume else None
    if saved is None:
        shutil.rmtree(checkpoint_folder(plan.out), ignore_errors=True)
        steps = plan.steps if plan.steps is not None else _steps_for(plan.minutes, trainer(1000), context)
        fresh = trainer(steps)
        before = _measure(fresh.average, held_out)
        return _Run(fresh, base, held_out, identity, before, 0.0, [])
    if saved.get("identity") != identity:
        raise TrainingError(
            f"The checkpoint in {checkpoint_folder(plan.out)} belongs to a training with other data, base"
            " weights, time or seed; give the same ones, or run without --resume."
        )
    restored = trainer(int(saved["steps"]))
    restored.restore(saved["trainer"])
    before = (float(saved["before"][0]), float(saved["before"][1]))
    return _Run(restored, base, held_out, identity, before, float(saved["seconds"]), list(saved["curve"]))


def _settings(steps: int, seed: int, config: "BraggNNConfig", fine: bool) -> "TrainSettings":
    from braggscope.models.braggnn.simulate import Scene
    from braggscope.models.braggnn.train import TrainSettings

    scene = Scene(config.window)
    if not fine:
        return TrainSettings(steps, seed, config, scene=scene)
    return TrainSettings(steps, seed, config, scene=scene, rate=FINE_TUNE_RATE, average=FINE_TUNE_AVERAGE)


def _base_network(plan: _Plan) -> "BraggNN | None":
    """Network to start from, with its outputs in the order (x, y); None to start from nothing."""
    from braggscope.models.weights import build_braggnn, detect_axis_order, swap_axes

    name = plan.base
    if name is None:
        if plan.data is None or plan.window != SHIPPED_WINDOW:
            return None
        state, provenance = load_weights(SHIPPED)
    else:
        state, provenance = load_weights(name)
    try:
        network = build_braggnn(state)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
    order = provenance.axis_order or detect_axis_order(network)
    return swap_axes(network) if order == "yx" else network


def _patches(data: Path | None, window: int) -> tuple["Measured | None", _HeldOut]:
    from braggscope.models.braggnn.evaluate import HELD_OUT_SEED
    from braggscope.models.braggnn.simulate import Scene, simulate

    if data is not None:
        measured, held_out = read_measured(data, window)
        return measured, _HeldOut(*held_out.middle())
    drawn = simulate(2000, HELD_OUT_SEED - 1, Scene(window))
    return None, _HeldOut(drawn.image, drawn.centre)


def _steps_for(minutes: float, trial: "Trainer", context: Context) -> int:
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
    trainer, total = run.trainer, run.trainer.settings.steps
    every = min(CURVE_STEPS, max(1, total // 20))
    mean_loss, started, saved = math.nan, time.monotonic() - run.seconds, time.monotonic()
    while trainer.step < total:
        rate = trainer.rate()
        loss = trainer.advance()
        mean_loss = loss if math.isnan(mean_loss) else 0.99 * mean_loss + 0.01 * loss
        run.seconds = time.monotonic() - started
        if trainer.step % every == 0 or trainer.step == total:
            median, p95 = _measure(trainer.average, run.held_out)
            samples = trainer.step * trainer.settings.batch
            run.curve.append(
                f"{trainer.step},{samples},{run.seconds:.1f},{rate:.3e},{mean_loss:.4f},{median:.5f},{p95:.5f}"
            )
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            _save(run, out)
            saved = time.monotonic()
        context.progress(trainer.step, total, f"loss {mean_loss:.3f}")


def _measure(network: "BraggNN", held_out: _HeldOut) -> tuple[float, float]:
    from braggscope.models.braggnn.evaluate import errors, predict

    result = errors(predict(network, held_out.image), held_out.centre)
    return result.median_px, result.p95_px


def _save(run: _Run, out: Path) -> None:
    state = {
        "identity": run.identity,
        "steps": run.trainer.settings.steps,
        "trainer": run.trainer.state(),
        "before": list(run.before),
        "seconds": run.seconds,
        "curve": run.curve,
        "settings": json.dumps(asdict(run.trainer.settings)),
    }
    save_checkpoint(out, state)


def _deliver(run: _Run, out: Path) -> TrainingReport:
    """Write the better of the old and the new weights."""
    trainer = run.trainer
    after = _measure(trainer.average, run.held_out)
    improved = run.base is None or after[0] <= run.before[0]
    chosen = trainer.average if improved or run.base is None else run.base
    record = {
        "steps": trainer.step,
        "samples": trainer.step * trainer.settings.batch,
        "seconds": round(run.seconds, 1),
        "held_out": len(run.held_out.image),
        "before_px": run.before,
        "after_px": after,
        "improved": improved,
        "settings": asdict(trainer.settings),
    }
    write_trained(out, chosen.state_dict(), run.identity, record, run.curve)
    return read_report(out, run.identity)
