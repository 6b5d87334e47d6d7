"""Instrument files of hexrd: YAML, HDF5, and the settings that name one of them.

hexrd's laboratory has x to the right, y upwards and, for azimuth 90° and polar angle 90°, the beam along -z.
The origin of a panel is its middle; ``tilt`` is a rotation vector in rad; lengths are mm; ``size`` is (row,
column). Source: hexrd's documentation of instruments and its convention of planar detectors.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.instruments import LARGEST, InstrumentFile
from braggscope.app.sources.protocol import SourceError
from braggscope.models.constants import HC_KEV_ANGSTROM
from braggscope.models.geometry import Instrument

_FLIP = np.diag([1.0, -1.0, -1.0])  # hexrd's laboratory turned by half a turn about x is ours
Tree = dict[str, Any]


def parse_yaml(text: str, folder: Path, panel: str, shape: tuple[int, int] | None) -> InstrumentFile:
    """Instrument of a YAML file; settings lead to the instrument file beside them. Raises ValueError."""
    import yaml

    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML ({' '.join(str(error).split())[:120]})") from error
    if not isinstance(tree, dict):
        raise ValueError("it is no YAML with names and values")
    named = tree.get("instrument")
    if isinstance(named, dict):
        named = named.get("parameters", named)
    if not isinstance(named, str):
        return parse_instrument(named if isinstance(named, dict) else tree, panel, shape)
    return _follow(tree, folder, named, panel, shape)


def _follow(
    tree: Tree, folder: Path, named: str, panel: str, shape: tuple[int, int] | None
) -> InstrumentFile:
    """The instrument that settings name, for the panel of their images."""
    other = folder / str(tree.get("working_dir") or "") / named
    other = other if other.exists() or other.suffix else other.with_suffix(".yml")
    if not other.is_file():
        raise SourceError(
            f"The settings name the instrument {named}, which is not beside them; copy it to {folder}."
        )
    if not panel:
        series = tree.get("image_series")
        data = series.get("data") if isinstance(series, dict) else None
        panel = str(data[0].get("panel", "")) if isinstance(data, list) and data else ""
    with other.open("rb") as file:
        text = file.read(LARGEST)
    if text.startswith(b"\x89HDF\r\n\x1a\n"):
        return parse_instrument(tree_of_hdf5(other), panel, shape)
    import yaml

    content = yaml.safe_load(text)
    if not isinstance(content, dict):
        raise ValueError(f"{named} is no YAML with names and values")
    return parse_instrument(content, panel, shape)


def tree_of_hdf5(path: Path) -> Tree:
    """Nested names and plain values of an HDF5 file of hexrd. Raises ValueError."""
    import h5py

    from braggscope.app.sources.hdf5_checks import plain_values

    def plain(group: Any, depth: int = 0) -> Tree:
        found: Tree = {}
        for name in group if depth < 8 else ():
            item = group.get(name)
            if isinstance(item, h5py.Group):
                found[name] = plain(item, depth + 1)
            elif isinstance(item, h5py.Dataset) and item.size is not None and item.size <= 1000:
                value = plain_values(item)
                found[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return found

    with h5py.File(path, "r", locking=False) as file:
        found = plain(file)
    return found.get("instrument", found) if isinstance(found.get("instrument", found), dict) else {}


def parse_instrument(tree: Tree, panel: str, shape: tuple[int, int] | None) -> InstrumentFile:
    """One detector of an instrument. Raises ValueError, KeyError."""
    detectors = tree.get("detectors")
    if not isinstance(detectors, dict) or not detectors or not isinstance(tree.get("beam"), dict):
        raise ValueError("it has no parts 'beam' and 'detectors'")
    name = _chosen(detectors, panel, shape)
    detector = detectors[name]
    pixels, transform = detector["pixels"], detector["transform"]
    rows, columns = int(_numbers(pixels["rows"], 1)[0]), int(_numbers(pixels["columns"], 1)[0])
    down, across = _numbers(pixels["size"], 2) * 1e-3
    kind = str(detector.get("detector_type", "planar"))
    if kind != "planar":
        raise ValueError(f"the detector {name} is {kind}, and only planar ones are known here")
    energy, beam = _beam(tree["beam"])
    turn = _laboratory(beam)
    if "tilt" not in transform and "tilt_angles" in transform:
        raise ValueError("it is of an old format with tilt_angles; let hexrd write it again")
    rotation = _FLIP @ turn @ _rotation(_numbers(transform["tilt"], 3)) @ _FLIP
    point = _FLIP @ turn @ (_numbers(transform["translation"], 3) * 1e-3)
    instrument = Instrument.from_placement(
        HC_KEV_ANGSTROM / energy, (across, down), rotation, point, ((columns - 1) / 2, (rows - 1) / 2)
    )
    distorted = isinstance(detector.get("distortion"), dict)
    notes = (f"The distortion of {name} is not used; it moves peaks by a pixel or so.",) if distorted else ()
    return InstrumentFile(instrument, (rows, columns), notes)


def _chosen(detectors: Tree, panel: str, shape: tuple[int, int] | None) -> str:
    if panel:
        if panel not in detectors:
            raise ValueError(f"it has no detector {panel}, only {', '.join(map(str, detectors))}")
        return panel
    names = list(detectors)
    if len(names) > 1 and shape is not None:
        names = [n for n in names if _shape(detectors[n]) == tuple(shape)] or names
    if len(names) > 1:
        raise ValueError(
            f"{len(names)} of its detectors fit ({', '.join(map(str, names))}); name one, FILE::{names[0]}"
        )
    return str(names[0])


def _shape(detector: Tree) -> tuple[int, int]:
    pixels = detector["pixels"]
    return int(_numbers(pixels["rows"], 1)[0]), int(_numbers(pixels["columns"], 1)[0])


def _beam(tree: Tree) -> tuple[float, NDArray[np.float64]]:
    """Energy in keV and unit vector along the beam; the first of several beams."""
    if "energy" not in tree:
        tree = next((part for part in tree.values() if isinstance(part, dict) and "energy" in part), tree)
    energy = float(_numbers(tree["energy"], 1)[0])
    if not energy > 0:
        raise ValueError("its energy is not above 0 keV")
    vector = tree.get("vector") or {}
    azimuth = math.radians(float(_numbers(vector.get("azimuth", 90.0), 1)[0]))
    polar = math.radians(float(_numbers(vector.get("polar_angle", 90.0), 1)[0]))
    out = [math.sin(polar) * math.cos(azimuth), math.cos(polar), math.sin(polar) * math.sin(azimuth)]
    return energy, -np.array(out)


def _laboratory(beam: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) shortest rotation of hexrd's laboratory that brings the beam to -z."""
    axis = np.cross(beam, [0.0, 0.0, -1.0])
    length = float(np.linalg.norm(axis))
    angle = math.atan2(length, -beam[2])
    return _rotation(axis / length * angle) if length > 1e-12 else np.eye(3)


def _rotation(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3) matrix of a rotation vector (3,) in rad."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_rotvec(vector).as_matrix()


def _numbers(value: Any, count: int) -> NDArray[np.float64]:
    numbers = np.asarray(value, np.float64).ravel()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"where {count} number{'s' * (count > 1)} should stand, it has {value}")
    return numbers
