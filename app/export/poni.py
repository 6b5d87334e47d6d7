"""Writing an instrument as a PONI file (version 2.1), which pyFAI and its relatives load."""

import json
from pathlib import Path

from braggscope.app.files import atomic_path
from braggscope.models.geometry import Instrument


def poni_text(instrument: Instrument, shape: tuple[int, int] | None = None) -> str:
    """``instrument`` as a PONI file for a detector of ``shape`` (rows, columns), in the axes of the array."""
    across, down = instrument.pixel_size_m
    config = {"pixel1": down, "pixel2": across, "max_shape": shape and list(shape), "orientation": 3}
    rot1, rot2, rot3 = instrument.rot_rad
    lines = [
        "# 1 is along the rows' index (y), 2 along the columns' (x); lengths in m, angles in rad",
        "poni_version: 2.1",
        "Detector: Detector",
        f"Detector_config: {json.dumps(config)}",
        f"Distance: {instrument.distance_m!r}",
        f"Poni1: {instrument.poni_m[1]!r}",
        f"Poni2: {instrument.poni_m[0]!r}",
        f"Rot1: {rot1!r}",
        f"Rot2: {rot2!r}",
        f"Rot3: {rot3!r}",
        f"Wavelength: {instrument.wavelength_angstrom * 1e-10!r}",
        "",
    ]
    return "\n".join(lines)


def write_poni(path: Path, instrument: Instrument, shape: tuple[int, int] | None = None) -> None:
    """Write what :func:`poni_text` says."""
    with atomic_path(path) as temporary:
        temporary.write_text(poni_text(instrument, shape), "utf-8")
