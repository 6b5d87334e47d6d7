"""The command that turns a 4D-STEM scan into strain maps, resumable."""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from braggscope.app.commands import check_output, opened, progress_bar
from braggscope.app.engine.journal import Journal
from braggscope.app.errors import sentence
from braggscope.app.files import check_not_input
from braggscope.app.options import CommandError, parameters_file, worker_count
from braggscope.app.sources.many import absolute
from braggscope.app.sources.raw import raw_location
from braggscope.app.sources.reader import Reader
from braggscope.app.wording import counted
from braggscope.models.disks.parameters import Rectangle
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.app.engine.strain_result import StrainResult


def strain(options: argparse.Namespace) -> int:
    """Measure the strain of a scan."""
    from braggscope.app.engine.scan import Scan  # late: compiled kernels
    from braggscope.app.engine.strain import run_strain
    from braggscope.app.engine.strain_key import strain_key, with_calibration
    from braggscope.app.export.strain import output_paths, provenance_of, write_strain

    outputs = output_paths(options.output)
    workers = worker_count(options.workers)
    parameters = strain_parameters(options)
    region = _rectangle("--region", options.region)
    _check_regions(region, parameters.strain.reference)
    options.file = _location(options)
    _check_outputs(options, outputs, parameters)
    with Reader() as reader:
        found = opened(reader, options)
        scan = Scan.of(found, parameters, options.frame_axis)
        for part in (region, parameters.strain.reference, parameters.strain.probe_region):
            scan.at(part)
        if parameters.strain.probe_file is not None:  # what cannot work is said before anything is written
            reader.open(parameters.strain.probe_file)
    parameters = with_calibration(parameters, found)
    key = strain_key(found, parameters, region)
    folder = options.output.with_name(options.output.name + ".journal")
    if options.resume and Journal.is_finished(folder, key, outputs[0]):
        print(f"{options.output} is finished; nothing to do.", file=sys.stderr)
        return 0
    device = _device(options.device, parameters)
    begin = Journal.resume if options.resume else Journal.start
    with contextlib.closing(begin(folder, key)) as journal:
        with progress_bar("strain", "pattern") as context:
            result = run_strain(
                options.file, parameters, journal, context,
                frame_axis=options.frame_axis, region=region, device=device, workers=workers,
            )  # fmt: skip
        write_strain(options.output, result, provenance_of(result, device))
        _tell(result, options.output)
        if not result.problems:
            journal.finish(outputs[0])
    return 0


def strain_parameters(options: argparse.Namespace) -> Parameters:
    """Parameters from the file, overridden by flags. Raises CommandError."""
    parameters = Parameters() if options.parameters is None else parameters_file(options.parameters)
    given = {
        "method": options.method,
        "probe_file": None if options.probe is None else absolute(os.path.expanduser(options.probe)),
        "scan_shape": _whole("--scan-shape", options.scan_shape, 2),
        "probe_radius": options.probe_radius,
        "reference": _rectangle("--reference", options.reference),
        "probe_region": _rectangle("--probe-region", options.probe_region),
    }
    for entry in options.weights:
        name, _, file = entry.partition("=")
        if name != "disks" or not file:
            raise CommandError(f"--weights {entry} is not known; use disks=FILE.")
        given["weights_file"] = file
    try:
        parameters = parameters.with_strain(**{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise CommandError(f"The options make no sense together: {sentence(error)}") from error
    if options.mask is not None:
        parameters = parameters.with_prepare(mask_file=os.path.abspath(os.path.expanduser(options.mask)))
    return parameters


def _location(options: argparse.Namespace) -> str:
    """The source; a raw file with its shape."""
    if options.raw_shape is None:
        return str(options.file)
    shape = _whole("--raw-shape", options.raw_shape, None)
    assert shape is not None
    return raw_location(options.file, shape, options.raw_dtype)


def _whole(flag: str, text: str | None, count: int | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(int(part) for part in text.split(","))
        if min(values) < 1 or (count is not None and len(values) != count):
            raise ValueError
    except ValueError:
        wanted = "R,C" if count else "R,C,H,W"
        raise CommandError(f"{flag} {text} is no shape; give whole numbers above 0 as {wanted}.") from None
    return values


def _rectangle(flag: str, text: str | None) -> Rectangle | None:
    if text is None:
        return None
    try:
        rows, columns = text.split(",")
        r0, r1, c0, c1 = (int(part) for side in (rows, columns) for part in side.split(":"))
        if not (0 <= r0 < r1 and 0 <= c0 < c1):
            raise ValueError
    except ValueError:
        raise CommandError(
            f"{flag} {text} is no region of the scan; give R0:R1,C0:C1, 0-based and half-open."
        ) from None
    return r0, r1, c0, c1


def _check_regions(region: Rectangle | None, reference: Rectangle | None) -> None:
    """Raise CommandError where nothing of the reference would be measured."""
    if region is None or reference is None:
        return
    rows = max(region[0], reference[0]) < min(region[1], reference[1])
    columns = max(region[2], reference[2]) < min(region[3], reference[3])
    if not (rows and columns):
        wanted, inside = ("{}:{},{}:{}".format(*part) for part in (reference, region))
        raise CommandError(
            f"--reference {wanted} lies outside --region {inside}, so none of it would be measured; give a"
            " reference inside the region, or leave it away for the median."
        )


def _check_outputs(options: argparse.Namespace, outputs: tuple[Path, ...], parameters: Parameters) -> None:
    check_output(options, parameters)
    inputs = [options.file, parameters.strain.probe_file, parameters.strain.weights_file]
    inputs += [None if options.parameters is None else str(options.parameters)]
    for path in outputs:
        check_not_input(path, inputs)


def _device(name: str, parameters: Parameters) -> str:
    """``auto`` becomes what there is; the processor where no network is asked for."""
    if name == "cpu" or (name == "auto" and parameters.strain.method != "network"):
        return "cpu"
    from braggscope.models.device import resolve

    return resolve(name)


def _tell(result: "StrainResult", output: Path) -> None:
    for position, problem in sorted(result.problems.items())[:10]:
        print(f"position {position} failed: {problem}", file=sys.stderr)
    for note in (*result.notes, *result.doubts):
        print(note, file=sys.stderr)
    measured = int(result.strain.valid.sum())
    words = [f"strain at {counted(measured, 'position')} of {result.scan.positions:,}"]
    words.append(f"{len(result.disks) / max(len(np.unique(result.disks.pattern)), 1):.1f} disks a pattern")
    print(f"{output}: {', '.join(words)}", file=sys.stderr)
    if result.problems:
        print(
            f"{counted(len(result.problems), 'pattern')} failed; --resume tries them again.", file=sys.stderr
        )
