"""The command that phases a coherent pattern."""

import argparse
import re
import sys
from typing import TYPE_CHECKING

from braggscope.app.commands import check_output, opened, progress_bar
from braggscope.app.errors import sentence
from braggscope.app.export.provenance import Provenance
from braggscope.app.options import CommandError, parameters_file, parse_range
from braggscope.app.sources.reader import Reader
from braggscope.app.spec_options import check_spec_options, with_spec
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.app.engine.cdi import Phased


def phase(options: argparse.Namespace) -> int:
    """Reconstruct an object from a 3-D coherent pattern."""
    from braggscope.app.engine.cdi import phase_stack, read_stack  # late: compiled kernels
    from braggscope.app.engine.cdi_network import weights_record
    from braggscope.app.engine.coherent_geometry import check_step
    from braggscope.app.export.phasing import check_phasing_path, write_phasing

    check_phasing_path(options.output)
    check_spec_options(options)
    parameters = _parameters(options)
    check_output(options, parameters)
    with Reader() as reader, progress_bar("reading") as context:
        found = opened(reader, options)
        frames = parse_range(options.frames, found.frames)
        parameters = with_spec(parameters, options, found, frames)
        check_step(found, parameters.phasing.geometry, frames.step)
        files = parameters.prepare
        stack = read_stack(reader, context, frames, files.mask_file, files.dark_file, files.flat_file)
    weights = weights_record(parameters.phasing)
    with progress_bar("phasing", "iteration") as context:
        result = phase_stack(stack, parameters.phasing, context)
    chosen = f"{frames.start}:{frames.stop}:{frames.step}"
    provenance = Provenance(
        found.location, found.identity, parameters, *weights, frames=chosen, files=found.parts
    )
    write_phasing(options.output, result, provenance)
    for note in result.pattern.notes:
        print(note, file=sys.stderr)
    for line in (*_unused(parameters), *_ranking(result), f"{options.output}: {_summary(result)}"):
        print(line, file=sys.stderr)
    return 0


def _parameters(options: argparse.Namespace) -> Parameters:
    parameters = Parameters() if options.parameters is None else parameters_file(options.parameters)
    given = {
        "method": options.method, "network": _network(options),
        "input": options.input, "iterations": options.iterations, "seed": options.seed,
        "starts": options.starts, "runs": options.runs, "crop": options.crop,
        "saturation": options.saturation,
        "voxel_nm": _vector(options.voxel_size, "--voxel-size"),
        "q_inv_angstrom": _vector(options.q, "--q"),
    }  # fmt: skip
    try:
        parameters = parameters.with_phasing(**{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise CommandError(re.sub(r"^\w+ is not valid: value error, ", "", sentence(error))) from error
    if options.mask is not None:
        parameters = parameters.with_prepare(mask_file=options.mask)
    if parameters.phasing.runs > parameters.phasing.starts:
        parameters = parameters.with_phasing(starts=parameters.phasing.runs)
    return parameters


def _network(options: argparse.Namespace) -> str | None:
    """Weights given for the network of coherent imaging."""
    file = None
    for entry in options.weights:
        name, _, file = entry.partition("=")
        if name != "cdi" or not file:
            raise CommandError(f"--weights {entry} is not used by phase; write cdi=FILE.")
    return file


def _vector(text: str | None, flag: str) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 3:
        raise CommandError(f"{flag} {text} is no vector; give three numbers as Z,Y,X.")
    return values


def _unused(parameters: Parameters) -> list[str]:
    """What was given and changes nothing, and why."""
    known = parameters.phasing
    if known.geometry is None and known.q_inv_angstrom is not None and known.voxel_nm is None:
        return ["No displacement and strain without the size of a voxel; give --voxel-size beside --q."]
    return []


def _ranking(result: "Phased") -> list[str]:
    """All runs in columns, the most likely one first, where there are several."""
    runs = result.outcome.runs
    if len(runs) < 2:
        return []
    lines = [f"{'rank':>4}  {'method':<12}  start      free     chi       R  voxels"]
    for rank, run in enumerate(runs, 1):
        fit = run.agreement
        lines.append(
            f"{rank:>4}  {run.method:<12}  {run.start + 1:>5}  {run.free:>8.3f}  {fit.chi:.4f}  {fit.R:.4f}"
            f"  {int(run.support.sum()):>6}"
        )
    return lines


def _summary(result: "Phased") -> str:
    best, refined = result.outcome.best, result.outcome.refined
    words = [f"method {best.method}", f"chi {best.agreement.chi:.4f}", f"R {best.agreement.R:.4f}"]
    if refined is not None:
        words += [f"chi_model {refined.agreement.chi:.4f}", f"R_model {refined.agreement.R:.4f}"]
    words.append(f"{int(result.outcome.final[1].sum())} voxels inside")
    if result.transfer is not None:
        words.append(f"resolution {result.transfer.resolution:.1f} voxels")
    return ", ".join(words)
