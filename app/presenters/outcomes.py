"""What the Instrument panel says of a refinement and of size and strain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from braggscope.models.ring_refinement import Refinement

if TYPE_CHECKING:
    from braggscope.app.engine.size import SizeReport

_SHOWN = {  # parameter of a refinement: title, unit, shown number per number
    "centre_x_px": ("Centre x", "px", 1.0),
    "centre_y_px": ("Centre y", "px", 1.0),
    "distance_m": ("Distance", "mm", 1e3),
}


def outcome(found: Refinement) -> list[tuple[str, str]]:
    """What a refinement says, with errors."""
    beam = found.instrument.beam
    assert beam is not None  # a refined beam meets the detector
    values = {
        "centre_x_px": beam.centre_px[0],
        "centre_y_px": beam.centre_px[1],
        "distance_m": beam.distance_m,
    }
    items = [
        ("RMS before", f"{found.before_px:.3g} px"),
        ("RMS after", f"{found.after_px:.3g} px"),
        ("Peaks", f"{found.used:,} of {len(found.ring):,}"),
    ]
    for name, (title, unit, factor) in _SHOWN.items():
        if name in found.errors:
            items.append((title, with_error(values[name] * factor, found.errors[name] * factor, unit)))
    if "tilt_x_rad" in found.errors:
        error = max(found.errors["tilt_x_rad"], found.errors["tilt_y_rad"])
        items.append(("Tilt", with_error(math.degrees(beam.tilt), math.degrees(error), "°")))
    return items


def size_outcome(found: SizeReport) -> list[tuple[str, str]]:
    """What a Williamson-Hall line says, with errors."""
    line = found.line
    if math.isfinite(line.size_angstrom):
        size = with_error(line.size_angstrom / 10, line.size_err / 10, "nm")
    else:
        size = "no broadening seen"
    return [
        ("Size", size),
        ("Microstrain", with_error(1e3 * line.microstrain, 1e3 * line.microstrain_err, "·10⁻³")),
        ("Strain", with_error(1e3 * float(found.strain.value), 1e3 * float(found.strain.error), "·10⁻³")),
        ("Rings", f"{len(found.labels)}"),
        ("Peaks", f"{found.peaks:,}"),
    ]


def with_error(value: float, error: float, unit: str) -> str:
    """``1003.312(37) px``: the error, in units of the last digit, has one or two digits (below 3)."""
    if not error > 0:
        return f"{value:.6g} {unit}"
    place = math.floor(math.log10(error))
    digits = max(0, (0 if error / 10.0**place >= 2.95 else 1) - place)
    return f"{value:.{digits}f}({round(error * 10**digits)}) {unit}"
