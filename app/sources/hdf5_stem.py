"""4D-STEM in HDF5: which dataset of an EMD file is the datacube, and what its axes are worth."""

from typing import Any

import numpy as np

from braggscope.app.sources.hdf5_choose import Choice, attribute, text, with_warning
from braggscope.app.sources.hdf5_links import follow
from braggscope.app.sources.protocol import DatasetEntry, SourceError
from braggscope.app.sources.quantities import convert, electron_quantities

_OWN = ("pixel_inv_angstrom", "scan_step_nm", "voltage_kV")  # written with the unit in the name
_PATTERN, _SCAN = ("Q_pixel", "K_pixel", "K_pix", "Q_pix"), ("R_pixel", "R_pix")
_VOLTAGES = ("accelerating_voltage", "voltage", "beam_energy", "high_tension")
_GROUPS = ("metadatabundle/calibration", "metadata/metadata_0/calibration", "metadata/metadata_0/microscope")
_UNREADABLE = (SourceError, OSError, RuntimeError, ValueError, TypeError, KeyError, IndexError)


def datacube(file: Any, usable: dict[str, DatasetEntry]) -> Choice | None:
    """The four-dimensional array of an EMD group (py4DSTEM's files and EMD 1.0), the largest of several."""
    found = {}
    for path, entry in usable.items():
        if len(entry.shape) == 4:
            group = follow(file, path.rpartition("/")[0])
            if attribute(group, "emd_group_type") or attribute(group, "python_class"):
                found[path] = int(np.prod(entry.shape, dtype=object))
    if not found:
        return None
    best = max(found, key=lambda path: found[path])
    return with_warning(best, list(found))


def calibration(
    file: Any, path: str, entries: tuple[DatasetEntry, ...]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """(quantities, warnings): ``pixel_inv_angstrom scan_step_nm voltage_kV`` of the cube at ``path``.

    From scalars or attributes of those names, the dimension vectors of EMD, or py4DSTEM's calibration.
    """
    top = "/" + path.strip("/").split("/", 1)[0]
    values = _scalars(file, top, entries) | _attributes(file, path, top)
    known = {name: value for name in _OWN if (value := _positive(values.get(name))) is not None}
    for name in _VOLTAGES:
        volts = _positive(values.get(name))
        if volts is not None:
            known.setdefault("voltage_kV", volts / 1e3 if volts > 2e3 else volts)
    steps = _dimensions(file, path)
    for axis, names in (("pattern", _PATTERN), ("scan", _SCAN)):
        for name in names:
            size, unit = _positive(values.get(f"{name}_size")), values.get(f"{name}_units")
            if size is not None and str(unit or "").lower() not in ("", "pixels"):
                steps[axis] = (size, str(unit))
    found, notes = electron_quantities(steps, known)
    return found | known, () if "pixel_inv_angstrom" in known else notes


def _scalars(file: Any, top: str, entries: tuple[DatasetEntry, ...]) -> dict[str, Any]:
    wanted = {*_OWN, *_VOLTAGES, *(f"{n}_{what}" for n in _PATTERN + _SCAN for what in ("size", "units"))}
    found: dict[str, Any] = {}
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        inside = entry.path.startswith(top + "/") and not entry.path.startswith("/truth/")
        if inside and name in wanted and entry.shape in ((), (1,)):
            try:
                dataset = follow(file, entry.path)
                number = dataset.dtype.kind in "iuf"
                found.setdefault(
                    name, float(np.asarray(dataset[()]).flat[0]) if number else text(dataset[()])
                )
            except _UNREADABLE:
                continue
    return found


def _attributes(file: Any, path: str, top: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (path, path.rpartition("/")[0], *(f"{top}/{group}" for group in _GROUPS)):
        try:
            node = follow(file, name)
            for key, value in node.attrs.items():
                plain = np.asarray(value)
                found.setdefault(key, float(plain.flat[0]) if plain.dtype.kind in "iuf" else text(value))
        except _UNREADABLE:
            continue
    return found


def _positive(value: Any) -> float | None:
    return value if isinstance(value, float) and np.isfinite(value) and value > 0 else None


def _dimensions(file: Any, path: str) -> dict[str, tuple[float, str]]:
    """Steps of the fastest axes of scan and pattern, of EMD's ``dim0`` (1.0) or ``dim1`` (before) and on."""
    found: dict[str, tuple[float, str]] = {}
    try:
        group = follow(file, path.rpartition("/")[0])
        first = 0 if "dim0" in group else 1
        for axis, number in (("scan", first + 1), ("pattern", first + 3)):
            vector = follow(group, f"dim{number}")
            step, unit = float(vector[1] - vector[0]), attribute(vector, "units")
            if unit and step and (unit == "mrad" or _known(axis, unit)):
                found[axis] = (abs(step), unit)
    except _UNREADABLE:
        return found
    return found


def _known(axis: str, unit: str) -> bool:
    return convert("pixel_inv_angstrom" if axis == "pattern" else "scan_step_nm", 1.0, unit) is not None
