"""Numbers of an experiment in the program's units, and how they are shown."""

import math
import re
from collections.abc import Mapping

from braggscope.models.constants import HC_KEV_ANGSTROM

_LENGTH = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "micron": 1e-6, "microns": 1e-6, "nm": 1e-9}
_LENGTH |= {"metre": 1.0, "meter": 1.0, "angstrom": 1e-10, "angstroms": 1e-10, "a": 1e-10, "å": 1e-10}
_LENGTH |= {
    "micrometer": 1e-6,
    "micrometre": 1e-6,
    "millimeter": 1e-3,
    "millimetre": 1e-3,
    "µm": 1e-6,
    "μm": 1e-6,
}
_TIME = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_TIME |= {"min": 60.0, "h": 3600.0}
_ENERGY = {"kev": 1.0, "ev": 1e-3, "mev": 1e3, "j": 6.241509074e15}
_VOLTAGE = {"kv": 1.0, "v": 1e-3}
_INVERSE = {"a": 1.0, "å": 1.0, "angstrom": 1.0, "nm": 0.1, "n_m": 0.1, "pm": 100.0, "m": 1e-10}
_RECIPROCAL = {
    form.format(name): value
    for name, value in _INVERSE.items()
    for form in ("1/{}", "{}^-1", "{}^{{-1}}", "[{}^-1]")
}
_ONE = {"": 1.0, "pixel": 1.0, "pixels": 1.0, "px": 1.0, "counts": 1.0, "count": 1.0}

# quantity: units it may come in, its own unit in terms of those, title, number format, shown unit, factor
_KNOWN: dict[str, tuple[dict[str, float], float, str, str, str, float]] = {
    "energy_keV": (_ENERGY, 1.0, "energy", ".4f", "keV", 1.0),
    "wavelength_angstrom": (_LENGTH, 1e-10, "wavelength", ".5f", "Å", 1.0),
    "distance_m": (_LENGTH, 1.0, "distance", ".2f", "mm", 1e3),
    "pixel_size_x_m": (_LENGTH, 1.0, "pixel size", ".4g", "µm", 1e6),
    "pixel_size_y_m": (_LENGTH, 1.0, "pixel height", ".4g", "µm", 1e6),
    "thickness_m": (_LENGTH, 1.0, "sensor thickness", ".4g", "µm", 1e6),
    "beam_x_px": (_ONE, 1.0, "beam centre x", ".2f", "px", 1.0),
    "beam_y_px": (_ONE, 1.0, "beam centre y", ".2f", "px", 1.0),
    "exposure_s": (_TIME, 1.0, "exposure", ".6g", "s", 1.0),
    "period_s": (_TIME, 1.0, "frame period", ".6g", "s", 1.0),
    "voltage_kV": (_VOLTAGE, 1.0, "voltage", ".6g", "kV", 1.0),
    "pixel_inv_angstrom": (_RECIPROCAL, 1.0, "pattern pixel", ".5g", "1/Å", 1.0),
    "scan_step_nm": (_LENGTH | {"n_m": 1e-9, "[n_m]": 1e-9}, 1e-9, "scan step", ".5g", "nm", 1.0),
    "saturation": (_ONE, 1.0, "saturation", ".10g", "counts", 1.0),
}


def convert(name: str, value: float, unit: str) -> float | None:
    """``value`` in the unit that ends ``name``; None if the unit is unknown or the value makes no sense."""
    units, own = _KNOWN[name][:2]
    factor = units.get(unit.strip().lower())
    if factor is None or not math.isfinite(value) or (value <= 0 and not name.startswith("beam")):
        return None
    return value * factor / own


def complete(quantities: dict[str, float]) -> dict[str, float]:
    """Add the wavelength from the energy or the other way round."""
    energy, wavelength = quantities.get("energy_keV"), quantities.get("wavelength_angstrom")
    if energy and not wavelength:
        quantities["wavelength_angstrom"] = HC_KEV_ANGSTROM / energy
    elif wavelength and not energy:
        quantities["energy_keV"] = HC_KEV_ANGSTROM / wavelength
    return quantities


def electron_wavelength_angstrom(voltage_kV: float) -> float:
    """De Broglie wavelength of electrons, relativistic."""
    volts = 1e3 * voltage_kV
    return 12.264259 / math.sqrt(volts * (1 + 0.97847556e-6 * volts))


def electron_quantities(
    steps: Mapping[str, tuple[float, str]], known: Mapping[str, float]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """(quantities, warnings) of a 4D-STEM scan: ``known`` and what the steps along its axes say.

    ``steps``: ``pattern`` and ``scan``, the size of a pixel and its unit. Angles become inverse lengths where
    the voltage is known.
    """
    found, notes = dict(known), []
    value, unit = steps.get("scan", (0.0, ""))
    if (step := convert("scan_step_nm", abs(value), unit)) is not None:
        found["scan_step_nm"] = step
    value, unit = steps.get("pattern", (0.0, ""))
    angle = {"mrad": 1e-3, "rad": 1.0}.get(unit.strip().lower())
    if angle is None:
        size = convert("pixel_inv_angstrom", abs(value), unit)
        found |= {} if size is None else {"pixel_inv_angstrom": size}
    elif "voltage_kV" in found and value:
        found["pixel_inv_angstrom"] = abs(value) * angle / electron_wavelength_angstrom(found["voltage_kV"])
    elif value:
        notes.append(
            f"A pixel of the pattern is {abs(value):g} {unit}; without the voltage that gives no 1/Å, set it"
            " by hand."
        )
    return found, tuple(notes)


def shown(quantities: Mapping[str, float]) -> dict[str, str]:
    """Display name to text with unit; pixel sizes are joined."""
    lines = {}
    for name, (_, _, title, form, unit, factor) in _KNOWN.items():
        if name in quantities:
            lines[title] = f"{quantities[name] * factor:{form}} {unit}"
    height = lines.pop("pixel height", "")
    if height and "pixel size" in lines and height != lines["pixel size"]:
        lines["pixel size"] = f"{lines['pixel size'].split()[0]} × {height}"
    return lines


_NUMBER = r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)"
# Lines of the text header that Pilatus and Eiger write into CBF and TIFF files.
_DECTRIS = {
    "wavelength_angstrom": rf"Wavelength\s+{_NUMBER}\s+(A)\b",
    "distance_m": rf"Detector_distance\s+{_NUMBER}\s+(m)\b",
    "pixel_size_x_m": rf"Pixel_size\s+{_NUMBER}\s+(m)\b",
    "pixel_size_y_m": rf"Pixel_size\s+\S+\s+m\s+x\s+{_NUMBER}\s+(m)\b",
    "exposure_s": rf"Exposure_time\s+{_NUMBER}\s+(s)\b",
    "period_s": rf"Exposure_period\s+{_NUMBER}\s+(s)\b",
    "saturation": rf"Count_cutoff\s+{_NUMBER}\s+(counts)",
    "beam_x_px": rf"Beam_xy\s+\(\s*{_NUMBER}\s*,\s*[^)]*\)\s+(pixels)",
    "beam_y_px": rf"Beam_xy\s+\([^,]*,\s*{_NUMBER}\s*\)\s+(pixels)",
}
# Keys and units of ESRF data format headers; lower case.
_ESRF = {
    "wavelength": ("wavelength_angstrom", "m"),
    "sampledistance": ("distance_m", "m"),
    "psize_1": ("pixel_size_x_m", "m"),
    "psize_2": ("pixel_size_y_m", "m"),
    "exposuretime": ("exposure_s", "s"),
    "center_1": ("beam_x_px", "px"),
    "center_2": ("beam_y_px", "px"),
}


# What only describes the bytes of a CBF section.
_STRUCTURE = re.compile(r"(X-Binary-|Content-|conversions$|_array_data\.)")


def from_header(header: Mapping[str, object]) -> tuple[dict[str, float], dict[str, str]]:
    """(quantities, metadata) of an image's header. ESRF centres count from the first pixel's corner."""
    found: dict[str, float] = {}
    lines: dict[str, str] = {}
    for key, value in header.items():
        text = str(value)
        if "\n" in text or len(text) > 200:
            _dectris(text, found, lines)
            continue
        if len(lines) < 60 and text.strip() and not _STRUCTURE.match(str(key)):
            lines[str(key)] = text.strip()[:120]
        name, unit = _ESRF.get(str(key).lower(), ("", ""))
        number = re.match(rf"\s*{_NUMBER}", text)
        if name and number:
            value_in_unit = convert(name, float(number[1]) - 0.5 * name.startswith("beam"), unit)
            if value_in_unit is not None:
                found[name] = value_in_unit
    complete(found)
    return found, shown(found) | lines


def _dectris(text: str, found: dict[str, float], lines: dict[str, str]) -> None:
    for name, pattern in _DECTRIS.items():
        match = re.search(pattern, text)
        value = convert(name, float(match[1]), match[2]) if match else None
        if value is not None:
            found[name] = value
    for title, pattern in (("detector", r"Detector:\s*(.+)"), ("start time", r"#\s*(\d{4}-\d\d-\d\dT\S+)")):
        if match := re.search(pattern, text):
            lines[title] = match[1].strip()
