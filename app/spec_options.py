"""Options for the geometry of a rocking curve, which a file of SPEC may give."""

import argparse
import sys
from pathlib import Path

from braggscope.app.errors import sentence
from braggscope.app.options import CommandError
from braggscope.app.sources.protocol import SourceInfo
from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.models.parameters import Parameters

NEEDED = {
    "energy_keV": "the energy (--spec-names energy=NAME)", "distance_m": "the distance (--distance M)",
    "pixel_row": "the pixel size (--pixel UM)", "pixel_column": "the pixel size (--pixel UM)",
}  # fmt: skip


def add_geometry_options(phase: argparse.ArgumentParser) -> None:
    """Add voxel size, Q, and what a file of SPEC gives."""
    phase.add_argument("--voxel-size", metavar="Z,Y,X", help="nm, of the object before cropping")
    phase.add_argument(
        "--q", metavar="Z,Y,X", help="scattering vector in 1/angstrom, for displacement and strain"
    )
    phase.add_argument(
        "--spec", type=Path, metavar="FILE", help="data file of SPEC with energy, detector angles and step"
    )
    phase.add_argument("--scan", metavar="N", help="number of the scan in it; N.2 for a second scan N")
    phase.add_argument(
        "--spec-names",
        default="",
        metavar="LIST",
        help="which motors count where it is unclear: energy=NAME,delta=NAME,gamma=-NAME,step=NAME,axis=x",
    )
    phase.add_argument("--distance", type=float, metavar="M", help="crystal to detector, beside --spec")
    phase.add_argument("--pixel", metavar="UM[,UM]", help="height, width of a pixel, beside --spec")


def check_spec_options(options: argparse.Namespace) -> None:
    """Raise CommandError where one of the options needs another."""
    if options.spec is None:
        for name in ("scan", "spec_names", "distance", "pixel"):
            if getattr(options, name):
                raise CommandError(f"--{name.replace('_', '-')} belongs to --spec FILE, which is missing.")
    elif options.scan is None:
        raise CommandError("--spec needs the number of the scan; give it as --scan N.")
    _pixel(options.pixel)


def with_spec(
    parameters: Parameters, options: argparse.Namespace, info: SourceInfo, frames: range
) -> Parameters:
    """The parameters with the geometry of the scan; the rest of it from options, parameters and metadata.

    What was taken is said on stderr. Raises CommandError, SourceError.
    """
    if options.spec is None:
        return parameters
    from braggscope.app.engine.coherent_geometry import known_geometry
    from braggscope.app.engine.coherent_spec import geometry_of_scan, parse_names
    from braggscope.app.sources.spec import read_scan

    found = geometry_of_scan(read_scan(options.spec, options.scan), parse_names(options.spec_names))
    before = parameters.phasing.geometry
    known: dict[str, float] = {}
    if before is not None:
        known = before.model_dump(exclude={"pixel_um", "axis"})
        known["pixel_row"], known["pixel_column"] = before.pixel_um
    known |= known_geometry(info) | found.known
    known["step_deg"] *= frames.step
    height_width = _pixel(options.pixel)
    if height_width is not None:
        known["pixel_row"], known["pixel_column"] = height_width
    if options.distance is not None:
        known["distance_m"] = options.distance
    missing = [words for name, words in NEEDED.items() if name not in known]
    if missing:
        raise CommandError(
            f"The geometry still needs {missing[0]}; neither {options.spec} nor the stack has it."
        )
    axis = found.axis or ("y" if before is None else before.axis)
    try:
        geometry = BraggGeometry(
            pixel_um=(known.pop("pixel_row"), known.pop("pixel_column")), axis=axis, **known
        )
    except ValueError as error:
        raise CommandError(f"The geometry of scan {options.scan} is not usable: {sentence(error)}") from error
    print(found.said(axis), file=sys.stderr)
    for note in found.doubts(info.frames):
        print(note, file=sys.stderr)
    return parameters.with_phasing(geometry=geometry)


def _pixel(text: str | None) -> tuple[float, float] | None:
    """(height, width) in micrometres."""
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 2):
        raise CommandError(f"--pixel {text} is no size; give micrometres, one number or height,width.")
    return values[0], values[-1]
