"""A reconstruction of the window as a command line or a Python script that gives the same numbers."""

import shlex

from braggscope.app.sources.many import SEPARATOR
from braggscope.models.parameters import Parameters


def phasing_as_command(location: str, parameters: Parameters, frame_axis: int | None = None) -> str:
    """A shell command; the parameters travel in a here-document."""
    files = [shlex.quote(part) for part in location.split(SEPARATOR)]
    words = ["braggscope", "phase", *files, "-o", "crystal.h5", "--parameters", "parameters.json"]
    if frame_axis is not None:
        words += ["--frame-axis", str(frame_axis)]
    return f"cat > parameters.json <<'END'\n{parameters.model_dump_json(indent=1)}\nEND\n{' '.join(words)}"


def phasing_as_python(location: str, parameters: Parameters, frame_axis: int | None = None) -> str:
    """A script that phases the stack, says how good it is, and writes it."""
    return f'''"""Shape and strain of a crystal, with the parameters of the Braggscope window."""

from pathlib import Path

from braggscope.app.engine.cdi import phase_stack, read_stack
from braggscope.app.engine.cdi_network import weights_record
from braggscope.app.engine.coherent_geometry import check_step
from braggscope.app.engine.jobs import silent_context
from braggscope.app.export.phasing import write_phasing
from braggscope.app.export.provenance import Provenance
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters

parameters = Parameters.model_validate_json(
    r"""{parameters.model_dump_json()}"""
)

if __name__ == "__main__":
    context, files = silent_context(), parameters.prepare
    with Reader() as reader:
        info = reader.open({location!r}, {frame_axis!r})
        check_step(info, parameters.phasing.geometry)
        stack = read_stack(reader, context, None, files.mask_file, files.dark_file, files.flat_file)
    weights = weights_record(parameters.phasing)
    result = phase_stack(stack, parameters.phasing, context)
    best = result.outcome.best
    print(f"chi {{best.agreement.chi:.4f}}  R {{best.agreement.R:.4f}}")
    provenance = Provenance(info.location, info.identity, parameters, *weights, files=info.parts)
    write_phasing(Path("crystal.h5"), result, provenance)
'''
