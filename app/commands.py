"""What the commands do. Progress and messages go to stderr, results to files or stdout."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import Context, Progress, Ticket
from braggscope.app.engine.journal import Journal, read_manifest
from braggscope.app.engine.localizers import open_localizer, weights_hash
from braggscope.app.engine.setup import make_preparer
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import check_suffix, write_peaks
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import suggest_thresholds


class CommandError(Exception):
    """One sentence for the user."""


# -- arguments ------------------------------------------------------------------------------------


def parse_range(text: str | None, count: int) -> range:
    """``A:B:C`` or one index, 0-based and half-open, to a range within ``count`` frames."""
    if not text:
        return range(count)
    try:
        parts = [int(part) if part else None for part in text.split(":")]
        if len(parts) > 3 or not parts:
            raise ValueError
        one = parts[0] if len(parts) == 1 else None
        frames = range(count)[slice(*parts)] if one is None else range(count)[one : one + 1 or None]
    except ValueError:
        raise CommandError(f"--frames {text} is no range; use A:B or A:B:C with whole numbers.") from None
    if not len(frames):
        raise CommandError(f"--frames {text} selects none of the {count} frames.")
    return frames


def read_parameters(options: argparse.Namespace) -> Parameters:
    """Parameters from the file, overridden by flags."""
    parameters = Parameters()
    if options.parameters is not None:
        try:
            parameters = Parameters.model_validate_json(options.parameters.read_text("utf-8"))
        except OSError as error:
            raise CommandError(f"{options.parameters} could not be read: {error.strerror}.") from error
    detect = {
        name: getattr(options, name)
        for name in ("minval", "minscore", "detector")
        if getattr(options, name) is not None
    }
    parameters = parameters.with_detect(**detect)
    if options.mask:
        parameters = parameters.with_prepare(mask_file=str(Path(options.mask).absolute()))
    if options.localize is not None:
        parameters = parameters.with_localize(methods=_methods(options.localize))
    for entry in options.weights:
        name, _, file = entry.partition("=")
        if name != "braggnn" or not file:
            raise CommandError(f"--weights {entry} is not known; use braggnn=FILE.")
        parameters = parameters.with_localize(braggnn=file)
    return parameters


def _methods(text: str) -> tuple[str, ...]:
    methods = tuple(word.strip() for word in text.split(",") if word.strip())
    unknown = [word for word in methods if word not in ("fit", "braggnn")]
    if unknown:
        raise CommandError(f"--localize {unknown[0]} is not known; use fit, braggnn or both.")
    return methods


def with_suggestions(
    parameters: Parameters, options: argparse.Namespace, info: SourceInfo, reader: Reader
) -> Parameters:
    """Thresholds that were not given, proposed by the middle frame; said on stderr."""
    given = options.parameters is not None
    if given or (options.minval is not None and options.minscore is not None):
        return parameters
    preparer = make_preparer(parameters.prepare, info, reader)
    prepared = preparer.apply([reader.read(info.frames // 2)])
    minval, minscore = suggest_thresholds(prepared.image, prepared.excluded)
    detect = parameters.detect
    changes = {
        "minval": minval if options.minval is None else detect.minval,
        "minscore": minscore if options.minscore is None else detect.minscore,
    }
    print(f"Thresholds: minval {changes['minval']:g}, minscore {changes['minscore']:g}", file=sys.stderr)
    return parameters.with_detect(**changes)


@contextmanager
def progress_bar(title: str) -> Iterator[Context]:
    """A context whose progress is a bar on stderr; leaving it early cancels what still runs."""
    from tqdm import tqdm

    bar: tqdm[Any] = tqdm(desc=title, unit="frame", file=sys.stderr, disable=None, leave=False)

    def report(progress: Progress) -> None:
        bar.total = progress.total
        bar.n = progress.done
        bar.refresh()

    ticket = Ticket(0)
    try:
        yield Context(ticket, report)
    finally:
        ticket.cancel()
        bar.close()


# -- commands -------------------------------------------------------------------------------------


def demo(options: argparse.Namespace) -> int:
    """Write demo data."""
    from braggscope.app.demo import write_demo_series

    output = options.output or Path("demo_series.h5")
    with progress_bar("demo series") as context:
        write_demo_series(output, options.seed, context=context)
    print(output)
    if options.open:
        from braggscope.app.cli import main

        return main([str(output)])
    return 0


def info(options: argparse.Namespace) -> int:
    """Say what a file is."""
    with Reader() as reader:
        found = reader.open(options.file)
        mask = reader.mask()
        masked = 0 if mask is None else int(np.count_nonzero(mask))
    if options.json:
        print(json.dumps({**_plain(asdict(found)), "masked_pixels": masked}, indent=1))
        return 0
    height, width = found.shape
    rows = [
        ("source", found.location), ("format", found.format), ("frames", f"{found.frames}"),
        ("shape", f"{height} rows x {width} columns"), ("dtype", found.dtype),
        ("mask", f"{masked} bad pixels" if mask is not None else "none"),
        *found.metadata.items(),
    ]  # fmt: skip
    for name, values in found.axes.items():
        rows.append((name, f"{values[0]:g} … {values[-1]:g}" if len(values) else "empty"))
    for entry in found.datasets:
        size = " x ".join(str(n) for n in entry.shape)
        rows.append(("dataset", f"{entry.path}  {size}  {entry.dtype}  {entry.problem}".rstrip()))
    rows += [("warning", text) for text in found.warnings]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
    return 0


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def peaks(options: argparse.Namespace) -> int:
    """Analyse a series into a peak table."""
    output: Path = options.output
    check_suffix(output)
    parameters = read_parameters(options)
    with Reader() as reader:
        found = reader.open(options.file)
        folder = output.with_name(output.name + ".journal")
        manifest = read_manifest(folder) if options.resume else None
        parameters = _resumed_thresholds(parameters, options, manifest) or with_suggestions(
            parameters, options, found, reader
        )
    frames = parse_range(options.frames, found.frames)
    key = {
        "source": found.identity,
        "parameters": f"{parameters.fingerprint('all')}:{frames.start}:{frames.stop}:{frames.step}",
        "detect": parameters.detect.model_dump_json(),
    }
    journal = Journal.resume(folder, key) if options.resume else Journal.start(folder, key)
    if manifest is not None and manifest.get("finished") == output.name and output.exists():
        print(f"{output} is finished; nothing to do.", file=sys.stderr)
        journal.close()
        return 0
    _run_batch(options, found, frames, parameters, journal, output)
    return 0


def _resumed_thresholds(
    parameters: Parameters, options: argparse.Namespace, manifest: dict[str, str] | None
) -> Parameters | None:
    """Thresholds of the run to be resumed, where none are given now."""
    given = options.parameters is not None or options.minval is not None or options.minscore is not None
    if manifest is None or given or "detect" not in manifest:
        return None
    detect = json.loads(manifest["detect"])
    return parameters.with_detect(minval=detect["minval"], minscore=detect["minscore"])


def _run_batch(
    options: argparse.Namespace,
    found: SourceInfo,
    frames: range,
    parameters: Parameters,
    journal: Journal,
    output: Path,
) -> None:
    device = resolved_device(options.device)
    name = parameters.localize.braggnn
    wanted = "braggnn" in parameters.localize.methods
    localizer = open_localizer(name, device) if wanted else None
    workers = options.workers or os.cpu_count() or 1
    job = SeriesJob(found.location, frames, parameters, None, device, workers)
    try:
        with progress_bar("peaks") as context:
            problems = run_series(job, localizer, context, journal=journal)
        chosen = f"{frames.start}:{frames.stop}:{frames.step}"
        sha = weights_hash(name) if wanted else ""
        provenance = Provenance(
            found.location, found.identity, parameters, name if wanted else "", sha, device, chosen
        )
        rows = write_peaks(output, (table for _, table in journal.tables()), provenance)
        if not problems:
            journal.finish(output)
    finally:
        journal.close()
    print(f"{output}: {rows} peaks in {len(frames) - len(problems)} frames", file=sys.stderr)
    for frame, problem in list(sorted(problems.items()))[:10]:
        print(f"frame {frame} failed: {problem}", file=sys.stderr)
    if len(problems) == len(frames):
        raise CommandError(f"No frame of {found.location} could be analysed.")
    if problems:
        print(f"{len(problems)} frames failed; --resume tries them again.", file=sys.stderr)


def movie(options: argparse.Namespace) -> int:
    """Write an overlay movie."""
    from braggscope.app.engine.movies import MovieJob, make_movie

    parameters = read_parameters(options)
    with Reader() as reader:
        found = reader.open(options.file)
        parameters = with_suggestions(parameters, options, found, reader)
    frames = parse_range(options.frames, found.frames)
    device = resolved_device(options.device)
    wanted = "braggnn" in parameters.localize.methods
    localizer = open_localizer(parameters.localize.braggnn, device) if wanted else None
    job = MovieJob(found.location, frames, parameters, options.output, fps=options.fps, device=device)
    with progress_bar("movie") as context:
        make_movie(job, localizer, context)
    print(f"{options.output}: {len(frames)} frames", file=sys.stderr)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train BraggNN."""
    from braggscope.app.engine.training import train_braggnn

    with progress_bar("training") as context:
        report = train_braggnn(
            options.output, data=options.data, base=options.base, minutes=options.minutes,
            seed=options.seed, resume=options.resume, context=context,
        )  # fmt: skip
    before, after = report.before_px, report.after_px
    kept = "" if report.improved else "; the old weights were better and are kept"
    print(
        f"{report.out}: {report.steps} steps, median error {before[0]:.3f} -> {after[0]:.3f} px, "
        f"95th percentile {before[1]:.3f} -> {after[1]:.3f} px on {report.held_out} held-out patches{kept}",
        file=sys.stderr,
    )
    return 0


def resolved_device(name: str) -> str:
    """``auto`` becomes what there is. Torch is only imported where it decides."""
    if name == "cpu":
        return name
    from braggscope.models.device import resolve

    return resolve(name)

