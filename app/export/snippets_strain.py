"""A strain map of the window as a command line or a Python script that gives the same numbers."""

import shlex

from braggscope.models.parameters import Parameters


def strain_as_command(
    location: str,
    parameters: Parameters,
    frame_axis: int | None = None,
    region: tuple[int, int, int, int] | None = None,
    *,
    device: str = "cpu",
) -> str:
    """A shell command; what the flags cannot say travels in a here-document of all parameters."""
    settings = parameters.strain
    words = ["braggscope", "strain", location, "-o", "strain.h5", "--method", settings.method]
    said: dict[str, object] = {"method": settings.method}
    if settings.scan_shape is not None:
        words += ["--scan-shape", ",".join(map(str, settings.scan_shape))]
        said["scan_shape"] = settings.scan_shape
    for flag, name in (("--reference", "reference"), ("--probe-region", "probe_region")):
        if (part := getattr(settings, name)) is not None:
            words += [flag, _spoken(part)]
            said[name] = part
    if region is not None:
        words += ["--region", _spoken(region)]
    if settings.probe_file is not None:
        words += ["--probe", settings.probe_file]
        said["probe_file"] = settings.probe_file
    if frame_axis is not None:
        words += ["--frame-axis", str(frame_axis)]
    if device != "cpu":
        words += ["--device", device]
    before = ""
    if Parameters().with_strain(**said) != parameters:
        before = f"cat > parameters.json <<'END'\n{parameters.model_dump_json(indent=1)}\nEND\n"
        words += ["--parameters", "parameters.json"]
    return before + shlex.join(words)


def _spoken(region: tuple[int, int, int, int]) -> str:
    r0, r1, c0, c1 = region
    return f"{r0}:{r1},{c0}:{c1}"


def strain_as_python(
    location: str,
    parameters: Parameters,
    frame_axis: int | None = None,
    region: tuple[int, int, int, int] | None = None,
    *,
    device: str = "cpu",
) -> str:
    """A script that measures the maps, prints their medians and writes them to ``strain.h5``."""
    known = {"frame_axis": frame_axis, "region": region, "device": None if device == "cpu" else device}
    words = [f"{name}={value!r}" for name, value in known.items() if value is not None]
    return f'''"""Strain of a 4D-STEM scan, with the parameters of the Braggscope window."""

import numpy as np

from braggscope.app.api import map_strain, write_strain
from braggscope.models.parameters import Parameters

parameters = Parameters.model_validate_json(
    r"""{parameters.model_dump_json()}"""
)

if __name__ == "__main__":
    result = map_strain({", ".join([repr(location), "parameters", *words])})
    for name in ("exx", "eyy", "exy", "theta"):
        print(name, np.nanmedian(getattr(result.strain, name)))
    write_strain("strain.h5", result)
'''
