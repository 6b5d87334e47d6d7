"""What the Instrument panel says of a refinement."""

import math

from braggscope.models.ring_refinement import Refinement

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
        ("Peaks on rings", f"{found.used:,} of {len(found.ring):,}"),
    ]
    for name, (title, unit, factor) in _SHOWN.items():
        if name in found.errors:
            items.append((title, with_error(values[name] * factor, found.errors[name] * factor, unit)))
    if "tilt_x_rad" in found.errors:
        error = max(found.errors["tilt_x_rad"], found.errors["tilt_y_rad"])
        items.append(("Tilt", with_error(math.degrees(beam.tilt), math.degrees(error), "°")))
    return items


def with_error(value: float, error: float, unit: str) -> str:
    """``1003.312 ± 0.037 px``: two digits of the error."""
    digits = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 3
    return f"{value:.{min(digits, 8)}f} ± {error:.{min(digits, 8)}f} {unit}"
