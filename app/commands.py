"""What the commands do. Progress and messages go to stderr, results to files or stdout."""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from braggscope.app.engine.jobs import Context, Progress, Ticket
from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.setup import instrument_of
from braggscope.app.export.tables import check_folder
from braggscope.app.files import check_not_input
from braggscope.app.options import (
    check_rate,
    parse_range,
    read_parameters,
    resolved_device,
    with_suggestions,
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
    output: Path = options.output or Path(f"demo_{options.what}.h5")
    options.output = output
    check_folder(output)
    check_output(options)
    with progress_bar(f"demo {options.what}") as context:
        if options.what == "coherent":
            from braggscope.app.demo_coherent import write_demo_coherent

            write_demo_coherent(output, options.seed, context)
        elif options.what == "strain":
            from braggscope.app.demo_strain import write_demo_strain

            write_demo_strain(output, options.seed, context, options.cif, tuple(options.zone))
        else:
            from braggscope.app.demo import write_demo_series

            write_demo_series(output, options.seed, context=context)
    print(output)
    return 0


def info(options: argparse.Namespace) -> int:
    """Say what a file is."""
    with Reader() as reader:
        found = reader.open(options.file)
    if options.json:
        plain = found.as_dict() | {"instrument": _instrument(found)}
        print(json.dumps(_plain(plain), indent=1, allow_nan=False))
        return 0
    rows = _description(found)
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
    return 0


def _instrument(found: SourceInfo) -> dict[str, Any] | None:
    """What the metadata say about the instrument, if that is enough to tell q; angles in rad."""
    instrument = instrument_of(found)
    if instrument is None or instrument.beam is None:
        return None
    beam = {f"beam_{name}": value for name, value in instrument.beam._asdict().items()}
    return instrument.model_dump() | beam | {"energy_keV": instrument.energy_keV}


def _description(found: SourceInfo) -> list[tuple[str, str]]:
    height, width = found.shape
    rows = [
        ("source", found.location), ("format", found.format), ("frames", f"{found.frames}"),
        *_scan(found),
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


def _scan(found: SourceInfo) -> list[tuple[str, str]]:
    """Rows and columns, where frames are counted by two axes."""
    if len(found.stack_shape) != 2:
        return []
    return [("scan", f"{found.stack_shape[0]} rows x {found.stack_shape[1]} columns")]


def _plain(value: Any) -> Any:
    """The same in what JSON knows: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_output(options: argparse.Namespace, parameters: Parameters | None = None) -> None:
    """Raise OverwriteError where the output, or the JSON beside it, is one of the files that are read."""
    inputs = [getattr(options, name, None) for name in ("file", "data", "base", "poni")]
    inputs += [options.parameters, *(entry.partition("=")[2] for entry in options.weights)]
    if parameters is not None:
        prepare = parameters.prepare
        inputs += [prepare.mask_file, prepare.dark_file, prepare.flat_file]
        inputs += [parameters.localize.braggnn, parameters.localize.net]
    named = [None if name is None else str(name) for name in inputs]
    report = getattr(options, "report", None)
    outputs = [options.output, options.output.with_name(options.output.name + ".json")]
    for path in outputs if report is None else [*outputs, report]:
        check_not_input(path, named)


def opened(reader: Reader, options: argparse.Namespace) -> SourceInfo:
    """The source of a command; what is odd about it is said on stderr."""
    found = reader.open(options.file, options.frame_axis)
    for warning in found.warnings:
        print(warning, file=sys.stderr)
    return found


def movie(options: argparse.Namespace) -> int:
    """Write an overlay movie."""
    from braggscope.app.engine.movies import MovieJob, make_movie
    from braggscope.app.export.movie import check_movie_path

    check_movie_path(options.output)
    check_rate(options.fps)
    parameters = read_parameters(options)
    check_output(options, parameters)
    with Reader() as reader:
        found = opened(reader, options)
        frames = parse_range(options.frames, found.frames)
        parameters = with_suggestions(parameters, options, found, reader)
    device = resolved_device(options.device, parameters)
    networks = open_networks(parameters.localize, device)
    job = MovieJob(
        options.file, frames, parameters, options.output,
        fps=options.fps, frame_axis=options.frame_axis, device=device,
    )  # fmt: skip
    with progress_bar("movie") as context:
        make_movie(job, networks, context)
    print(f"{options.output}: {len(frames)} frames", file=sys.stderr)
    return 0
