"""The command that trains: from simulation, from patches in BraggNN's published format, or on a series."""

import argparse
import sys
from pathlib import Path

from braggscope.app.commands import check_output, opened, progress_bar
from braggscope.app.engine.measured import is_published
from braggscope.app.export.tables import check_folder
from braggscope.app.options import CommandError, read_parameters, with_suggestions
from braggscope.app.sources.reader import Reader
from braggscope.models.paired import Change

REFUSED = 1


def train(options: argparse.Namespace) -> int:
    """Train a network. Returns 1 where a fine-tuning was refused, because the old weights are better."""
    check_folder(options.output)
    if options.output.suffix.lower() != ".safetensors":
        raise CommandError(f"{options.output.name} has no suffix for weights; use .safetensors.")
    check_output(options)
    if options.data is None or is_published(options.data):
        return _train(options)
    return _fine_tune(options)


def _train(options: argparse.Namespace) -> int:
    from braggscope.app.engine.training import train_network

    given = [f"--{n}" for n in ("minval", "minscore") if getattr(options, n) is not None]
    if given:
        raise CommandError(f"{given[0]} belongs to training on a series; give one with --data.")
    with progress_bar("training", "step") as context:
        report = train_network(
            options.what, options.output, data=None if options.data is None else Path(options.data),
            base=options.base, minutes=options.minutes, seed=options.seed, resume=options.resume,
            context=context,
        )  # fmt: skip
    before, after = report.before_px, report.after_px
    kept = "" if report.improved else "; the old weights were better and are kept"
    print(
        f"{report.out}: {report.steps} steps, median error {before[0]:.3f} -> {after[0]:.3f} px, "
        f"95th percentile {before[1]:.3f} -> {after[1]:.3f} px on {report.held_out} held-out patches{kept}",
        file=sys.stderr,
    )
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
