"""What the commands do. Progress and messages go to stderr, results to files or stdout."""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import Context, Progress, Ticket
from braggscope.app.engine.journal import Journal, read_manifest
from braggscope.app.engine.localizers import open_localizer, weights_hash
from braggscope.app.engine.peaks import PatchLocalizer
from braggscope.app.engine.setup import input_files_key, make_preparer
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import check_folder, check_suffix, write_peaks
from braggscope.app.files import check_not_input
from braggscope.app.options import (
    CommandError,
    check_rate,
    parse_range,
    read_parameters,
    resolved_device,
    with_suggestions,
    worker_count,
)
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters


@contextmanager
def progress_bar(title: str, unit: str = "frame") -> Iterator[Context]:
    """A context whose progress is a bar on stderr; leaving it early cancels what still runs."""
    from tqdm import tqdm

    bar: tqdm[Any] = tqdm(desc=title, unit=unit, file=sys.stderr, disable=None, leave=False)

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


def demo(options: argparse.Namespace) -> int:
    """Write demo data."""
    from braggscope.app.demo import write_demo_series

    check_folder(options.output)
    _check_output(options)
    with progress_bar("demo series") as context:
        write_demo_series(options.output, options.seed, context=context)
    print(options.output)
    return 0


def info(options: argparse.Namespace) -> int:
    """Say what a file is."""
    with Reader() as reader:
        found = reader.open(options.file)
    if options.json:
        print(json.dumps(_plain(found.as_dict()), indent=1, allow_nan=False))
        return 0
    rows = _description(found)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
    return 0


def _description(found: SourceInfo) -> list[tuple[str, str]]:
    height, width = found.shape
    rows = [
        ("source", found.location), ("format", found.format), ("frames", f"{found.frames}"),
        ("shape", f"{height} rows x {width} columns"), ("dtype", found.dtype),
        ("mask", "none" if found.masked_pixels is None else f"{found.masked_pixels} bad pixels"),
        *found.metadata.items(),
    ]  # fmt: skip
    for name, values in found.axes.items():
        rows.append((name, f"{values[0]:g} … {values[-1]:g}" if len(values) else "empty"))
    for entry in found.datasets:
        if len(entry.shape) < 2:  # settings and axes of the measurement, not frames
            continue
        size = " x ".join(str(n) for n in entry.shape)
        rows.append(("dataset", f"{entry.path}  {size}  {entry.dtype}  {entry.problem}".rstrip()))
    return rows + [("warning", text) for text in found.warnings]


def _plain(value: Any) -> Any:
    """The same in what JSON knows: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def peaks(options: argparse.Namespace) -> int:
    """Analyse a series into a peak table."""
    output: Path = options.output
    check_suffix(output)
    workers = worker_count(options.workers)
    parameters = read_parameters(options)
    _check_output(options, parameters)
    folder = output.with_name(output.name + ".journal")
    manifest = read_manifest(folder) if options.resume else None
    with Reader() as reader:
        found = _opened(reader, options)
        make_preparer(
            parameters.prepare, found, reader
        )  # what cannot work is said before anything is written
        parameters = _resumed_thresholds(parameters, options, manifest) or with_suggestions(
            parameters, options, found, reader
        )
    frames = parse_range(options.frames, found.frames)
    key = _journal_key(found, parameters, frames)
    if options.resume and Journal.is_finished(folder, key, output):
        print(f"{output} is finished; nothing to do.", file=sys.stderr)
        return 0
    device = resolved_device(options.device, parameters)
    localizer = _localizer(parameters, device)
    journal = Journal.resume(folder, key) if options.resume else Journal.start(folder, key)
    try:
        job = SeriesJob(options.file, frames, parameters, options.frame_axis, device, workers)
        _run_batch(job, found, frames, localizer, journal, output)
    finally:
        journal.close()
    return 0


def _check_output(options: argparse.Namespace, parameters: Parameters | None = None) -> None:
    """Raise OverwriteError where the output, or the JSON beside it, is one of the files that are read."""
    inputs = [getattr(options, name, None) for name in ("file", "data", "base")]
    inputs += [options.parameters, *(entry.partition("=")[2] for entry in options.weights)]
    if parameters is not None:
        prepare = parameters.prepare
        inputs += [prepare.mask_file, prepare.dark_file, prepare.flat_file, parameters.localize.braggnn]
    named = [None if name is None else str(name) for name in inputs]
    for path in (options.output, options.output.with_name(options.output.name + ".json")):
        check_not_input(path, named)


def _opened(reader: Reader, options: argparse.Namespace) -> SourceInfo:
    """The source of a command; what is odd about it is said on stderr."""
    found = reader.open(options.file, options.frame_axis)
    for warning in found.warnings:
        print(warning, file=sys.stderr)
    return found


def _journal_key(found: SourceInfo, parameters: Parameters, frames: range) -> dict[str, str]:
    parts = [parameters.fingerprint("all"), f"{frames.start}:{frames.stop}:{frames.step}"]
    return {
        "source": found.identity,
        "parameters": " ".join([*parts, input_files_key(parameters)]),
        "detect": parameters.detect.model_dump_json(),
    }


def _resumed_thresholds(
    parameters: Parameters, options: argparse.Namespace, manifest: dict[str, str] | None
) -> Parameters | None:
    """Thresholds of the run to be resumed, where none are given now."""
    given = options.parameters is not None or options.minval is not None or options.minscore is not None
    if manifest is None or given:
        return None
    try:
        detect = json.loads(manifest["detect"])
        return parameters.with_detect(minval=detect["minval"], minscore=detect["minscore"])
    except (KeyError, TypeError, ValueError):  # not one of ours: the key tells
        return None


def _localizer(parameters: Parameters, device: str) -> PatchLocalizer | None:
    if "braggnn" not in parameters.localize.methods:
        return None
    return open_localizer(parameters.localize.braggnn, device)


def _run_batch(
    job: SeriesJob,
    found: SourceInfo,
    frames: range,
    localizer: PatchLocalizer | None,
    journal: Journal,
    output: Path,
) -> None:
    with progress_bar("peaks") as context:
        problems = run_series(job, localizer, context, journal=journal)
    for frame, problem in sorted(problems.items())[:10]:
        print(f"frame {frame} failed: {problem}", file=sys.stderr)
    if len(problems) == len(frames):
        raise CommandError(f"No frame of {found.location} could be analysed; {output} was not written.")
    tables = (table for _, table in journal.tables())
    rows = write_peaks(output, tables, _provenance(job, found, frames), sorted(journal.done()))
    print(f"{output}: {rows} peaks in {len(frames) - len(problems)} frames", file=sys.stderr)
    if problems:
        print(f"{len(problems)} frames failed; --resume tries them again.", file=sys.stderr)
    else:
        journal.finish(output)


def _provenance(job: SeriesJob, found: SourceInfo, frames: range) -> Provenance:
    name = job.parameters.localize.braggnn if "braggnn" in job.parameters.localize.methods else ""
    sha = weights_hash(name) if name else ""
    chosen = f"{frames.start}:{frames.stop}:{frames.step}"
    return Provenance(found.location, found.identity, job.parameters, name, sha, job.device, chosen)


def movie(options: argparse.Namespace) -> int:
    """Write an overlay movie."""
    from braggscope.app.engine.movies import MovieJob, make_movie
    from braggscope.app.export.movie import check_movie_path

    check_movie_path(options.output)
    check_rate(options.fps)
    parameters = read_parameters(options)
    _check_output(options, parameters)
    with Reader() as reader:
        found = _opened(reader, options)
        frames = parse_range(options.frames, found.frames)
        parameters = with_suggestions(parameters, options, found, reader)
    device = resolved_device(options.device, parameters)
    localizer = _localizer(parameters, device)
    job = MovieJob(
        options.file, frames, parameters, options.output,
        fps=options.fps, frame_axis=options.frame_axis, device=device,
    )  # fmt: skip
    with progress_bar("movie") as context:
        make_movie(job, localizer, context)
    print(f"{options.output}: {len(frames)} frames", file=sys.stderr)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train BraggNN."""
    from braggscope.app.engine.training import train_braggnn

    check_folder(options.output)
    if options.output.suffix.lower() != ".safetensors":
        raise CommandError(f"{options.output.name} has no suffix for weights; use .safetensors.")
    _check_output(options)
    with progress_bar("training", "step") as context:
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
