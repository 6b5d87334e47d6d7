"""What a file says about the geometry of a rocking curve, and whether what was typed agrees with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.models.cdi.geometry import BraggGeometry, object_steps, scattering_vector
from braggscope.models.cdi.parameters import Phasing

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_volume import Volume

ROCKING = ("theta", "omega", "eta", "phi", "chi", "mu", "th", "om", "rocking", "angle")
_TOLERANCE = 0.2  # of the step


def known_geometry(info: SourceInfo) -> dict[str, float]:
    """Numbers by the names of :class:`BraggGeometry`; pixel_row and pixel_column in micrometres."""
    quantities = info.quantities
    names = ("energy_keV", "distance_m")
    known: dict[str, float] = {name: quantities[name] for name in names if name in quantities}
    if "energy_keV" not in known and "wavelength_angstrom" in quantities:
        known["energy_keV"] = 12.398419843 / quantities["wavelength_angstrom"]
    for name, key in (("pixel_row", "pixel_size_y_m"), ("pixel_column", "pixel_size_x_m")):
        if key in quantities:
            known[name] = 1e6 * quantities[key]
    step = rocking_step(info)
    if step is not None:
        known["step_deg"] = step
    return known


def rocking_step(info: SourceInfo) -> float | None:
    """Degrees between two frames from the axis of the file that turns, None without a steady one."""
    for name, values in info.axes.items():
        quantity, _, unit = name.lower().rpartition("_")
        if unit not in ("deg", "rad") or not any(word in quantity for word in ROCKING):
            continue
        steps = np.diff(values)
        if len(steps) and np.isfinite(steps).all():
            step = float(np.median(steps))
            if step and np.abs(steps - step).max() < 0.5 * abs(step):
                return step if unit == "deg" else float(np.rad2deg(step))
    return None


def check_step(info: SourceInfo, geometry: BraggGeometry | None, every: int = 1) -> None:
    """Raise SourceError where the step does not agree with the angles in the file.

    ``every``: so many frames of the file are one step.
    """
    problem = step_problem(info, geometry, every)
    if problem:
        raise SourceError(problem)


def step_problem(info: SourceInfo, geometry: BraggGeometry | None, every: int = 1) -> str:
    """One sentence where the step does not agree with the angles in the file, empty where it does."""
    measured = rocking_step(info)
    if geometry is None or measured is None:
        return ""
    measured *= every
    if measured * geometry.step_deg < 0:
        way = "grows" if measured > 0 else "falls"
        return (
            f"The step of {geometry.step_deg:+g}° has the wrong sign: the angle in the file {way}"
            f" from frame to frame; type {measured:+.5g}°."
        )
    if abs(measured - geometry.step_deg) > _TOLERANCE * abs(measured):
        return (
            f"The step of {geometry.step_deg:+g}° does not agree with the {measured:+.5g}° of the angles in"
            " the file; correct one of them."
        )
    return ""


def geometry_note(volume: Volume | None, parameters: Phasing) -> str:
    """What follows from the geometry for voxels and Q."""
    geometry = parameters.geometry
    if geometry is None:
        return ""
    q = float(np.linalg.norm(scattering_vector(geometry)))
    said = f"|Q| = {q:.4f} Å⁻¹, d = {2 * np.pi / q:.4f} Å"
    if volume is None or volume.pattern is None:
        return said + "."
    shape = volume.pattern.amplitude.shape
    extent = tuple(n * b for n, b in zip(shape, parameters.binning, strict=True))
    steps = object_steps(geometry, extent)
    sides = " × ".join(f"{side:.1f}" for side in np.linalg.norm(steps, axis=1))
    return f"{said}; oblique voxels of {sides} nm, cubes of {np.cbrt(abs(np.linalg.det(steps))):.1f} nm."
