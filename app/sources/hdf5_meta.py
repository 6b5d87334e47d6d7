"""What an HDF5 file says beside its frames: experiment, per-frame axes, pixel mask."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.hdf5_checks import plain_values
from braggscope.app.sources.hdf5_choose import attribute, text
from braggscope.app.sources.hdf5_links import follow
from braggscope.app.sources.protocol import DatasetEntry, SourceError
from braggscope.app.sources.quantities import complete, convert, shown

MAX_AXES = 32
# quantity: names of the scalar in NeXus and Dectris files, and a word its parent's path must hold
_SCALARS: dict[str, tuple[tuple[str, ...], str]] = {
    "energy_keV": (
        ("incident_energy", "photon_energy", "energy"),
        "beam|monochromator|detectorSpecific|crystal",
    ),
    "wavelength_angstrom": (("incident_wavelength", "wavelength"), "beam|monochromator|crystal|instrument"),
    "distance_m": (("detector_distance", "distance"), "detector"),
    "pixel_size_x_m": (("x_pixel_size",), "detector"),
    "pixel_size_y_m": (("y_pixel_size",), "detector"),
    "beam_x_px": (("beam_center_x",), "detector"),
    "beam_y_px": (("beam_center_y",), "detector"),
    "exposure_s": (("count_time", "exposure_time"), ""),
    "period_s": (("frame_time",), ""),
    "saturation": (("saturation_value", "countrate_correction_count_cutoff"), "detector"),
    "thickness_m": (("sensor_thickness",), ""),
}
_TEXTS = {
    "title": ("title", ""),
    "sample": ("name", "sample"),
    "start time": ("start_time", ""),
    "detector": ("description", "detector"),
    "sensor": ("sensor_material", ""),
    "instrument": ("name", "instrument"),
    "written by": ("program_name", ""),
}


def entry_of(path: str) -> str:
    """First group of a path: what belongs to one measurement."""
    return "/" + path.strip("/").split("/", 1)[0] if path.count("/") > 1 else "/"


def experiment(
    file: Any, path: str, entries: tuple[DatasetEntry, ...]
) -> tuple[dict[str, float], dict[str, str]]:
    """(quantities, metadata) of the measurement to which the dataset at ``path`` belongs."""
    top = entry_of(path).rstrip("/") + "/"
    scalars = [
        e.path for e in entries if e.path.startswith(top) and e.dtype and e.shape in ((), (1,), (1, 1))
    ]
    scalars.sort(key=lambda p: (p.count("/"), p))
    quantities: dict[str, float] = {}
    for quantity, (names, parent) in _SCALARS.items():
        for found in _matching(scalars, names, parent):
            value = _number(file, found, quantity)
            if value is not None:
                quantities[quantity] = value
                break
    lines = {}
    for title, (name, parent) in _TEXTS.items():
        for found in _matching(scalars, (name,), parent)[:1]:
            lines[title] = _text(file, found)
    complete(quantities)
    return quantities, {k: v for k, v in lines.items() if v} | shown(quantities)


def _matching(paths: list[str], names: tuple[str, ...], parent: str) -> list[str]:
    found = []
    for name in names:
        for path in paths:
            folder, _, last = path.rpartition("/")
            if last == name and re.search(parent, folder):
                found.append(path)
    return found


def _number(file: Any, path: str, quantity: str) -> float | None:
    try:
        dataset = follow(file, path)
        value = float(np.asarray(plain_values(dataset)).flat[0])
    except (SourceError, OSError, RuntimeError, ValueError, TypeError, IndexError):
        return None
    return convert(quantity, value, attribute(dataset, "units"))


def _text(file: Any, path: str) -> str:
    try:
        return text(plain_values(follow(file, path)))[:200].strip()
    except (SourceError, OSError, RuntimeError, ValueError, TypeError):
        return ""


def axes(
    file: Any, path: str, entries: tuple[DatasetEntry, ...], frames: int
) -> dict[str, NDArray[np.float64]]:
    """Numbers given once per frame, nearest to the frames first; (frames,) float64, unit in the name."""
    if frames < 2:
        return {}
    folder = path.rpartition("/")[0] + "/"
    top = entry_of(path).rstrip("/") + "/"
    found = [e for e in entries if e.shape == (frames,) and e.path.startswith(top) and e.path != path]
    found = [e for e in found if re.match(r"(float|int|uint)\d", e.dtype)]
    found.sort(key=lambda e: (not e.path.startswith(folder), e.path.count("/"), e.path))
    result: dict[str, NDArray[np.float64]] = {}
    for entry in found[:MAX_AXES]:
        try:
            dataset = follow(file, entry.path)
            values = np.asarray(plain_values(dataset), np.float64)
        except (SourceError, OSError, RuntimeError, ValueError, TypeError):
            continue
        name = _axis_name(entry.path, attribute(dataset, "units"))
        if name in result:
            name = f"{entry.path.split('/')[-2]}_{name}"
        result.setdefault(name, values)
    return result


def _axis_name(path: str, unit: str) -> str:
    name = re.sub(r"\W+", "_", path.rpartition("/")[2]).strip("_") or "axis"
    unit = {"degree": "deg", "degrees": "deg", "°": "deg", "seconds": "s", "second": "s"}.get(unit, unit)
    suffix = re.sub(r"\W+", "_", unit.replace("/", "_per_")).strip("_")
    return name if not suffix or name.endswith(f"_{suffix}") else f"{name}_{suffix}"


def pixel_mask(
    file: Any, path: str, entries: tuple[DatasetEntry, ...], shape: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """NeXus pixel mask of the frames at ``path``: a pixel is bad where any of the low 16 bits is set."""
    top = entry_of(path).rstrip("/") + "/"
    masks = [e for e in entries if e.path.endswith("/pixel_mask") and e.shape[-2:] == shape and e.dtype]
    masks = [e for e in masks if len(e.shape) == 2 or set(e.shape[:-2]) == {1}]
    masks.sort(key=lambda e: (not e.path.startswith(top), e.path.count("/"), e.path))
    for entry in masks:
        if not re.match(r"(u?int\d|bool)", entry.dtype):
            continue
        try:
            values = np.asarray(plain_values(follow(file, entry.path))).reshape(shape)
        except (OSError, RuntimeError, MemoryError) as error:
            raise SourceError(
                f"The pixel mask {file.filename}::{entry.path} cannot be read ({error}); check that file."
            ) from error
        return values if values.dtype.kind == "b" else (values.astype(np.int64) & 0xFFFF) != 0
    return None
