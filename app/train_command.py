"""The command that trains: from simulation, from patches in BraggNN's published format, or on a series."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.app.commands import check_output, opened, progress_bar
from braggscope.app.engine.checkpoint import RefusedError
from braggscope.app.engine.measured import is_published
from braggscope.app.export.tables import check_folder
from braggscope.app.options import CommandError, read_parameters, with_suggestions
from braggscope.app.sources.reader import Reader
from braggscope.models.paired import Change

if TYPE_CHECKING:
    from braggscope.app.engine.trained import TrainingReport

REFUSED = 1
DISKS = ("disks", "disks-fcunet")


def train(options: argparse.Namespace) -> int:
    """Train a network. Returns 1 where a fine-tuning was refused, because the old weights are better."""
    check_folder(options.output)
    if options.output.suffix.lower() != ".safetensors":
        raise CommandError(f"{options.output.name} has no suffix for weights; use .safetensors.")
    check_output(options)
    if options.what in DISKS:
        return _train_disks(options)
    if options.what == "cdi" or options.data is None or is_published(options.data):
        return _train(options)
    return _fine_tune(options)


def _train(options: argparse.Namespace) -> int:
    from braggscope.app.engine.training import train_network

    _refuse_thresholds(options)
    with progress_bar("training", "step") as context:
        report = train_network(
            options.what, options.output, data=None if options.data is None else Path(options.data),
            base=options.base, minutes=options.minutes, seed=options.seed, resume=options.resume,
            context=context,
        )  # fmt: skip
    if options.what == "cdi":
        _tell(report, "share of the object not explained, median", "", "simulated patterns")
    else:
        _tell(report, "median error", " px", "patches")
    return 0


def _refuse_thresholds(options: argparse.Namespace) -> None:
    given = [f"--{n}" for n in ("minval", "minscore") if getattr(options, n) is not None]
    if given:
        raise CommandError(
            f"{given[0]} belongs to training on a series of frames with --data; leave it away."
        )


def _tell(report: "TrainingReport", what: str, unit: str, of: str) -> None:
    before, after = report.before_px, report.after_px
    kept = "" if report.improved else "; the old weights were better and are kept"
    print(
        f"{report.out}: {report.steps} steps, {what} {before[0]:.3f} -> {after[0]:.3f}{unit}, "
        f"95th percentile {before[1]:.3f} -> {after[1]:.3f}{unit} on {report.held_out} held-out {of}{kept}",
        file=sys.stderr,
    )


def _train_disks(options: argparse.Namespace) -> int:
    """Train a disk network on simulation, or from --base towards the probe and the dose of a scan."""
    from braggscope.app.engine.disk_lessons import look_at, parameters_of
    from braggscope.app.engine.disk_recipes import open_base
    from braggscope.app.engine.training import train_network

    _refuse_thresholds(options)
    if options.data is not None and options.base is None:
        raise CommandError("A disk network adapts to a scan from weights that exist; give --base disks.")
    with progress_bar("training", "step") as context:
        lesson = None
        if options.data is not None:
            network, parameters = open_base(options.base)[0], parameters_of(options.parameters)
            lesson = look_at(options.data, network, parameters, context, options.frame_axis)
        try:
            report = train_network(
                options.what, options.output, base=options.base, minutes=options.minutes, seed=options.seed,
                resume=options.resume, context=context, lesson=lesson,
            )  # fmt: skip
        except RefusedError as refused:
            print(refused, file=sys.stderr)
            return REFUSED
    _tell(report, "median error", " px", "simulated patterns")
    return 0


def _fine_tune(options: argparse.Namespace) -> int:
    """Train on the peaks of a series; nothing is written if the old weights are better."""
    from braggscope.app.engine.finetune import fine_tune
    from braggscope.app.engine.tuned import FineTuning

    options.file = options.data
    parameters = read_parameters(options)
    check_output(options, parameters)
    with Reader() as reader:
        found = opened(reader, options)
        parameters = with_suggestions(parameters, options, found, reader)
    base = "" if options.base is None else str(options.base)
    job = FineTuning(
        options.data, parameters, options.output, options.what, base, options.frame_axis,
        options.minutes, options.seed,
    )  # fmt: skip
    with progress_bar("fine-tuning", "step") as context:
        tuned = fine_tune(job, context=context, resume=options.resume)
    if not tuned.verdict.accepted:
        print(tuned.verdict.sentence, file=sys.stderr)
        return REFUSED
    basis = tuned.basis
    print(
        f"{job.out}: {tuned.steps} steps on {basis.labels} peaks of {basis.frames} frames;"
        f" median and 95 % error on {basis.held_out} peaks of {basis.frames_held_out} held-out frames"
        f" {_arrow(tuned.measured)}, on simulation {_arrow(tuned.simulated)}"
        f" (fits themselves are known to {basis.label_error_px:.3f} px)",
        file=sys.stderr,
    )
    return 0


def _arrow(change: Change) -> str:
    (a, b), (c, d) = change.before, change.after
    return f"{a:.3f} / {b:.3f} -> {c:.3f} / {d:.3f} px"
