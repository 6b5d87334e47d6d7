"""What the window shows, as a command line or a Python script that gives the same numbers."""

import shlex

from braggscope.app.sources.many import SEPARATOR
from braggscope.models.parameters import Parameters


def as_command(location: str, parameters: Parameters, frame_axis: int | None = None) -> str:
    """A shell command; everything the flags cannot say travels in a here-document of parameters."""
    plain = Parameters().with_detect(**dict(parameters.detect))
    detect = parameters.detect
    files = [shlex.quote(part) for part in location.split(SEPARATOR)]
    words = ["braggscope", "peaks", *files, "-o", "peaks.h5"]
    words += ["--minval", repr(detect.minval), "--minscore", repr(detect.minscore)]
    words += ["--detector", detect.detector]
    if frame_axis is not None:
        words += ["--frame-axis", str(frame_axis)]
    if plain == parameters:
        return " ".join(words)
    heredoc = f"cat > parameters.json <<'END'\n{parameters.model_dump_json(indent=1)}\nEND\n"
    return heredoc + " ".join([*words, "--parameters", "parameters.json"])


def as_python(
    location: str, parameters: Parameters, frame: int | None = None, frame_axis: int | None = None
) -> str:
    """A script that prints the peaks of the frame on screen, or of the whole series."""
    axis = "" if frame_axis is None else f", frame_axis={frame_axis}"
    frames = "" if frame is None else f", frames=range({frame}, {frame + 1})"
    return f'''"""Peaks of a series, with the parameters of the Braggscope window."""

from braggscope.app.api import analyse_series
from braggscope.models.parameters import Parameters

parameters = Parameters.model_validate_json(
    r"""{parameters.model_dump_json()}"""
)

if __name__ == "__main__":
    table = analyse_series({location!r}, parameters{frames}{axis})
    for name in ("peak", "score", "x", "y", "x_err", "y_err"):
        print(name, table[name])
'''
