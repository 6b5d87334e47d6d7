"""What the window shows, as a command line or a Python script that gives the same numbers."""

import shlex

from braggscope.app.export.poni import poni_text
from braggscope.app.sources.many import SEPARATOR
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters


def as_command(
    location: str,
    parameters: Parameters,
    frame_axis: int | None = None,
    *,
    frames: str = "",
    instrument: Instrument | None = None,
) -> str:
    """A shell command; what the flags cannot say travels in here-documents: parameters, instrument.

    ``frames``: ``A:B:C``, default all. ``instrument``: default that of the metadata.
    """
    plain = Parameters().with_detect(**dict(parameters.detect))
    detect = parameters.detect
    files = [shlex.quote(part) for part in location.split(SEPARATOR)]
    words = ["braggscope", "peaks", *files, "-o", "peaks.h5"]
    words += ["--minval", repr(detect.minval), "--minscore", repr(detect.minscore)]
    words += ["--detector", detect.detector]
    if frame_axis is not None:
        words += ["--frame-axis", str(frame_axis)]
    if frames:
        words += ["--frames", frames]
    before = ""
    if instrument is not None:
        before += _here("instrument.poni", poni_text(instrument).rstrip())
        words += ["--poni", "instrument.poni"]
    if plain != parameters:
        before += _here("parameters.json", parameters.model_dump_json(indent=1))
        words += ["--parameters", "parameters.json"]
    return before + " ".join(words)


def _here(name: str, text: str) -> str:
    return f"cat > {name} <<'END'\n{text}\nEND\n"


def as_python(
    location: str,
    parameters: Parameters,
    frames: range | None = None,
    frame_axis: int | None = None,
    *,
    instrument: Instrument | None = None,
) -> str:
    """A script that prints the peaks of some frames (one: those on screen), or of the whole series.

    ``instrument``: default that of the metadata.
    """
    known = {"frames": frames, "frame_axis": frame_axis}
    words = [f"{name}={value!r}" for name, value in known.items() if value is not None]
    models = [("Parameters", "parameters", parameters.model_dump_json())]
    if instrument is not None:
        models.append(("Instrument", "geometry", instrument.model_dump_json()))
        words.append("instrument=instrument")
    imports = "".join(f"from braggscope.models.{m} import {c}\n" for c, m, _ in reversed(models))
    values = "".join(
        f'{c.lower()} = {c}.model_validate_json(\n    r"""{text}"""\n)\n' for c, _, text in models
    )
    return f'''"""Peaks of a series, with the parameters of the Braggscope window."""

from braggscope.app.api import analyse_series
{imports}
{values}
if __name__ == "__main__":
    table = analyse_series({", ".join([repr(location), "parameters", *words])})
    for name in ("peak", "score", "x", "y", "x_err", "y_err", "d"):
        print(name, table[name])
'''
