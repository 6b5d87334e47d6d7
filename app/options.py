"""From command-line options to frames, parameters and thresholds."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.app.engine.batch import read_raw
from braggscope.app.engine.setup import make_preparer
from braggscope.app.errors import sentence
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.models.prepare import Prepared

METHODS = ("fit", "braggnn", "net")
NETWORKS = ("braggnn", "net")


class CommandError(Exception):
    """One sentence for the user."""


def parse_range(text: str | None, count: int) -> range:
    """``A:B:C`` or one index, 0-based and half-open, to a range within ``count`` frames."""
    if text is None:
        return range(count)
    try:
        parts = [int(part) if part.strip() else None for part in text.split(":")]
        if len(parts) > 3 or parts == [None]:
            raise ValueError
        if len(parts) == 1 and parts[0] is not None:
            parts = [parts[0], parts[0] + 1 or None]
        frames = range(count)[slice(*parts)]
    except ValueError:
        raise CommandError(f"--frames {text} is no range; use A:B or A:B:C with whole numbers.") from None
    if not frames:
        raise CommandError(f"--frames {text} selects none of the {count} frames.")
    return frames


def read_parameters(options: argparse.Namespace) -> Parameters:
    """Parameters from the file, overridden by flags."""
    parameters = Parameters() if options.parameters is None else parameters_file(options.parameters)
    detect = {name: getattr(options, name) for name in ("minval", "minscore", "detector")}
    try:
        parameters = parameters.with_detect(**{k: v for k, v in detect.items() if v is not None})
    except ValueError as error:
        raise CommandError(f"--{sentence(error)}") from error
    if options.mask is not None:
        parameters = parameters.with_prepare(mask_file=os.path.abspath(os.path.expanduser(options.mask)))
    if options.localize is not None:
        parameters = parameters.with_localize(methods=_methods(options.localize))
    for entry in options.weights:
        name, _, file = entry.partition("=")
        if name not in NETWORKS or not file:
            raise CommandError(
                f"--weights {entry} is not known; use {' or '.join(f'{n}=FILE' for n in NETWORKS)}."
            )
        parameters = parameters.with_localize(**{name: file})
    return parameters


def parameters_file(path: Path) -> Parameters:
    """Parameters as the window copies them, or inside the JSON that stands beside an export."""
    try:
        values = json.loads(path.read_bytes())
        if isinstance(values, dict) and values.get("program") == "Braggscope":
            values = values.get("parameters")
        return Parameters.model_validate(values)
    except OSError as error:
        raise CommandError(f"{path} could not be read: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{path} holds no usable parameters: {sentence(error)}") from error


def _methods(text: str) -> tuple[str, ...]:
    methods = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in methods if word not in METHODS]
    if unknown or not methods:
        what = unknown[0] if unknown else "without a method"
        raise CommandError(f"--localize {what} is not known; use {', '.join(METHODS)} or both.")
    return tuple(method for method in METHODS if method in methods)


def with_suggestions(
    parameters: Parameters, options: argparse.Namespace, info: SourceInfo, reader: Reader
) -> Parameters:
    """Thresholds that were not given, proposed by the middle frame; said on stderr."""
    if options.parameters is not None or (options.minval is not None and options.minscore is not None):
        return parameters
    minval, minscore = suggested_thresholds(parameters, info, reader)
    changes = {
        "minval": minval if options.minval is None else options.minval,
        "minscore": minscore if options.minscore is None else options.minscore,
    }
    print(f"Thresholds: minval {changes['minval']:g}, minscore {changes['minscore']:g}", file=sys.stderr)
    return parameters.with_detect(**changes)


def suggested_thresholds(parameters: Parameters, info: SourceInfo, reader: Reader) -> tuple[float, float]:
    """(minval, minscore) counts that the middle frame proposes. Raises SourceError."""
    from braggscope.models.peaks.detect import suggest_thresholds

    prepared = _typical_frame(parameters, info, reader)
    return suggest_thresholds(prepared.image, prepared.excluded)


def _typical_frame(parameters: Parameters, info: SourceInfo, reader: Reader) -> Prepared:
    """The middle frame, or another where that one is damaged."""
    preparer = make_preparer(parameters.prepare, info, reader)
    last = info.frames - 1
    places = dict.fromkeys((info.frames // 2, info.frames // 4, 3 * info.frames // 4, 0, last))
    problem: SourceError | None = None
    for index in places:
        try:
            return preparer.apply(read_raw(reader, info, index, parameters.prepare.sum_frames))
        except SourceError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def worker_count(wanted: int | None) -> int:
    """Threads to use: as many as wanted, else one for each core that this process may use."""
    if wanted is not None and wanted < 1:
        raise CommandError(f"--workers {wanted} is not possible; use 1 or more.")
    if wanted is not None:
        return wanted
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_rate(fps: float) -> None:
    """Raise CommandError unless ``fps`` is a positive number."""
    if not (math.isfinite(fps) and fps > 0):
        raise CommandError(f"--fps {fps:g} is not possible; use a number above 0.")


def resolved_device(name: str, parameters: Parameters) -> str:
    """``auto`` becomes what there is; the processor where no network is asked for.

    Importing torch takes seconds, longer than it takes to fit a few frames.
    """
    if name == "cpu" or (name == "auto" and not set(NETWORKS) & set(parameters.localize.methods)):
        return "cpu"
    from braggscope.models.device import resolve

    return resolve(name)
