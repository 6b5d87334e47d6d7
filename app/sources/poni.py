"""PONI files of pyFAI, versions 1 to 3: lines of ``key: value``, the last of a key counts.

Source: pyFAI's documentation of the format. Lengths in m, angles in rad. ``Detector_config`` is
JSON; ``orientation`` says which corner of the array is the detector's first (3: the array as it is).
"""

import json
import re
from typing import Any

import numpy as np

from braggscope.app.sources.instruments import InstrumentFile
from braggscope.models.geometry import Instrument, rotation_angles

_LARGEST_VERSION = 3.0
_FLIPS = {0: (1, 1), 3: (1, 1), 1: (-1, -1), 2: (1, -1), 4: (-1, 1)}  # of (x, y) by orientation
# Detectors that PONI files name without their size: pixel in m, (rows, columns).
_PILATUS = {
    "100k": (195, 487), "200k": (407, 487), "300k": (619, 487), "300kw": (195, 1475), "900k": (619, 1475),
    "1m": (1043, 981), "2m": (1679, 1475), "6m": (2527, 2463),
}  # fmt: skip
_EIGER = {
    "500k": (514, 1030),
    "1m": (1065, 1030),
    "4m": (2167, 2070),
    "9m": (3269, 3110),
    "16m": (4371, 4150),
}
_EIGER2 = {
    "250k": (512, 512), "500k": (512, 1028), "1m": (1062, 1028), "1mw": (512, 2068), "4m": (2162, 2068),
    "9m": (3262, 3108), "16m": (4362, 4148),
}  # fmt: skip
_FAMILIES = (("pilatus", 172e-6, _PILATUS), ("eiger2", 75e-6, _EIGER2), ("eiger", 75e-6, _EIGER))


def parse_poni(
    text: str, shape: tuple[int, int] | None = None, wavelength_angstrom: float | None = None
) -> InstrumentFile:
    """Instrument of a PONI file; ``shape`` (rows, columns) is needed for a turned array of unknown size.

    The result has the axes of the array as stored: with an orientation other than 3 the azimuth counts
    along the array's own columns and rows. Raises ValueError, KeyError.
    """
    lines = _lines(text)
    if "poni1" not in lines or ("distance" not in lines and "dist" not in lines):
        raise ValueError("it has no lines 'Distance:' and 'Poni1:'")
    version = float(lines.get("poni_version", 1))
    if version > _LARGEST_VERSION:
        raise ValueError(f"version {version:g} of the format is not known here")
    wavelength = float(lines["wavelength"]) * 1e10 if "wavelength" in lines else wavelength_angstrom
    if wavelength is None:
        raise ValueError("it has no wavelength; add a line 'Wavelength: …' in metres")
    sizes, own_shape, orientation, notes = _detector(lines)
    poni = np.array([float(lines["poni2"]), float(lines["poni1"])])
    angles = [float(lines.get(f"rot{i}", 0)) for i in (1, 2, 3)]
    instrument = Instrument(
        wavelength_angstrom=wavelength,
        distance_m=float(lines.get("distance", lines.get("dist", 0))),
        pixel_size_m=sizes,
        poni_m=(poni[0], poni[1]),
        rot_rad=(angles[0], angles[1], angles[2]),
    )
    if _FLIPS[orientation] != (1, 1):
        instrument = _turned(instrument, _FLIPS[orientation], own_shape or shape)
    if lines.get("parallax", "").lower() == "true":
        notes = (*notes, "The parallax correction of the file is not used.")
    return InstrumentFile(instrument, own_shape, notes)


def _lines(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and not key.startswith("#"):
            found[key.strip().lower()] = value.strip()
    return {key: value for key, value in found.items() if value.lower() not in ("", "none")}


def _detector(
    lines: dict[str, str],
) -> tuple[tuple[float, float], tuple[int, int] | None, int, tuple[str, ...]]:
    """Pixel size (x, y) in m, shape, orientation, and what is not used."""
    config: Any = json.loads(lines.get("detector_config", "{}"))
    if not isinstance(config, dict):
        raise ValueError("its Detector_config is no JSON object")
    name = lines.get("detector", "Detector")
    size, shape = _known(name)
    down = config.get("pixel1") or lines.get("pixelsize1") or size
    across = config.get("pixel2") or lines.get("pixelsize2") or size
    if down is None or across is None:
        raise ValueError(
            f"the pixels of the detector {name!r} are not known; add pixel1 and pixel2 to its Detector_config"
        )
    given = config.get("max_shape")
    if isinstance(given, list) and len(given) == 2:
        shape = (int(given[0]), int(given[1]))
    if shape is not None and size is not None:  # binned
        shape = (round(shape[0] * size / float(down)), round(shape[1] * size / float(across)))
    orientation = int(config.get("orientation") or 3)
    if orientation not in _FLIPS:
        raise ValueError(f"orientation {orientation} is none of 1, 2, 3, 4")
    spline = config.get("splineFile") or lines.get("splinefile")
    notes = (f"The distortion in {spline} is not used.",) if spline else ()
    return (float(across), float(down)), shape, orientation, notes


def _known(name: str) -> tuple[float | None, tuple[int, int] | None]:
    """Pixel size in m and shape of a detector by its name; pyFAI, if it is installed, knows the rest."""
    plain = re.sub(r"[\s_\-]|cdte|si$", "", name.lower())
    for family, size, shapes in _FAMILIES:
        if plain.startswith(family) and plain.removeprefix(family) in shapes:
            return size, shapes[plain.removeprefix(family)]
    if plain in ("detector", "nexusdetector"):
        return None, None
    try:
        from pyFAI.detectors import Detector

        known = Detector.registry.get(name.lower())
        shape = getattr(known, "MAX_SHAPE", None)
        pixel = known().pixel1 if known is not None else None
    except (ImportError, TypeError, ValueError, RuntimeError):
        return None, None
    return pixel, None if shape is None else (int(shape[0]), int(shape[1]))


def _turned(instrument: Instrument, flips: tuple[int, int], shape: tuple[int, int] | None) -> Instrument:
    """The same detector in the axes of an array whose columns or rows run backwards."""
    if shape is None:
        raise ValueError("its detector is turned, and the size of the detector is not known; add max_shape")
    poni = [
        length if sign > 0 else count * size - length
        for length, sign, count, size in zip(
            instrument.poni_m, flips, (shape[1], shape[0]), instrument.pixel_size_m, strict=True
        )
    ]
    mirror = np.diag([*flips, 1]).astype(float)
    angles = rotation_angles(mirror @ instrument.rotation() @ mirror)
    return instrument.model_copy(update={"poni_m": (poni[0], poni[1]), "rot_rad": angles})
