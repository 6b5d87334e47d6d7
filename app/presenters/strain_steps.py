"""What the steps of calibration find, in numbers and pictures. No Qt, no state."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Disks, Floats, Lattice
from braggscope.widgets.frame_overlay import Curve
from braggscope.widgets.strain_overlay import ellipse_curve

if TYPE_CHECKING:
    from braggscope.models.disks import calibrate

ROUND, FOUND = "#ffffff", "#ffb000"
TELLING = 0.2  # fall of the curl from its worst angle to its best, below which the angle is chance
CELLS = {"square": (1.0, math.pi / 2), "hexagonal": (1.0, math.pi / 3)}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a step found. ``items``: for the panel; ``changes``: fields of Strain once it is applied."""

    key: str
    items: list[tuple[str, str]]
    changes: dict[str, Any]
    lattice: Lattice | None = None
    curves: tuple[tuple[str, Curve], ...] = ()
    maps: tuple[Floats, Floats] | None = None  # origin x, y less its mean, (rows, columns)
    curl: tuple[Floats, Floats, float] | None = field(default=None)  # degrees, curl, degrees found


def made_round(disks: Disks, shape: tuple[int, int], strain: Strain) -> Disks:
    """Disks with the ellipse of the camera made round about the middle of the pattern, as a run does."""
    from braggscope.models.disks import calibrate

    return calibrate.correct_ellipse(disks, *strain.ellipse, ((shape[1] - 1) / 2, (shape[0] - 1) / 2))


def first_lattice(disks: Disks, shape: tuple[int, int]) -> Lattice:
    """First reciprocal vectors. Raises ValueError."""
    from braggscope.models.disks.propose import propose

    return propose(disks, shape)


def find_lattice(disks: Disks, shape: tuple[int, int]) -> Proposal:
    """The same as a step."""
    return lattice_proposal(first_lattice(disks, shape))


def lattice_proposal(lattice: Lattice) -> Proposal:
    """A lattice found, or dragged by hand."""
    (ax, ay), (bx, by) = lattice.a, lattice.b
    angle = math.degrees(math.atan2(ax * by - ay * bx, ax * bx + ay * by))
    items = [
        ("a", f"{ax:.2f}, {ay:.2f} px"), ("b", f"{bx:.2f}, {by:.2f} px"),
        ("Lengths", f"{math.hypot(ax, ay):.2f}, {math.hypot(bx, by):.2f} px"), ("Angle", f"{angle:.2f}°"),
    ]  # fmt: skip
    return Proposal("lattice", items, {"lattice": (ax, ay, bx, by)}, lattice=lattice)


def find_origin(disks: Disks, scan_shape: tuple[int, int], kind: calibrate.OriginKind) -> Proposal:
    """Origin of every pattern by a model. Raises ValueError."""
    from braggscope.models.disks import calibrate

    model = calibrate.origins(disks, scan_shape, kind)
    own = calibrate.origins(disks, scan_shape, "measured")
    seen = np.unique(disks.pattern)
    residual = float(np.sqrt(np.mean(np.sum((own - model)[seen] ** 2, axis=1))))
    middle, reach = model.mean(axis=0), np.ptp(model, axis=0)
    maps = (model - middle).reshape(*scan_shape, 2)
    items = [
        ("Origin", f"{middle[0]:.2f}, {middle[1]:.2f} px"),
        ("Drift", f"{reach[0]:.2f} × {reach[1]:.2f} px"),
        ("Measured − model", "0 px" if kind == "measured" else f"{residual:.3f} px rms"),
        ("Patterns", f"{len(seen):,}"),
    ]
    return Proposal("origin", items, {"origin": kind}, maps=(maps[..., 0], maps[..., 1]))


def find_ellipse(
    disks: Disks, lattice_in: Callable[[Disks], Lattice], how: str,
    ring: tuple[float | None, float | None],
) -> Proposal:  # fmt: skip
    """Ellipse of a ring of disks, or of a lattice known to be square or hexagonal. Raises ValueError."""
    from braggscope.app.engine.disk_rings import measure_ring
    from braggscope.models.disks import calibrate

    if how in CELLS:
        lattice = lattice_in(disks)
        ratio, angle = calibrate.lattice_ellipse(lattice, *CELLS[how])
        centre, radius = lattice.origin, math.sqrt(math.hypot(*lattice.a) * math.hypot(*lattice.b))
        items = [("Ratio", f"{ratio:.4f}"), ("Angle", f"{math.degrees(angle):.1f}°")]
    else:
        found = measure_ring(disks, *ring)
        ratio, angle, centre, radius = found.ratio, found.angle, found.centre, (found.inner + found.outer) / 2
        error = (
            f" ± {found.error:.4f}" if math.isfinite(found.error) else ""
        )  # of one pattern nothing tells it
        items = [
            ("Ratio", f"{ratio:.4f}{error}"), ("Angle", f"{math.degrees(angle):.1f}°"),
            ("Ring", f"{found.inner:.0f} to {found.outer:.0f} px, if that is one order"),
        ]  # fmt: skip
    curves = (
        (ROUND, ellipse_curve(centre, radius)),
        (FOUND, ellipse_curve(centre, radius, ratio, angle)),
    )
    return Proposal("ellipse", items, {"ellipse": (ratio, angle)}, curves=curves)


def find_pixel(lattice: Lattice, spacing_angstrom: float) -> Proposal:
    """Pixel size by the spacing that vector a stands for. Raises ValueError."""
    from braggscope.models.disks import calibrate

    size = calibrate.pixel_size(lattice, spacing_angstrom, 1, 0)
    items = [("Size", f"{size:.6g} Å⁻¹"), ("|a|", f"{math.hypot(*lattice.a):.3f} px")]
    return Proposal("pixel", items, {"pixel_inv_angstrom": size}, lattice=lattice)


def find_rotation(com: NDArray) -> Proposal:
    """Turn between scan and pattern by centres of mass (rows, columns, 2). Raises ValueError."""
    from braggscope.models.disks import calibrate

    angle, transpose = calibrate.scan_rotation(com)
    degrees = np.linspace(-90, 90, 181)
    curl = _curls(com, np.radians(degrees), transpose)
    fall = 1 - float(curl.min()) / max(float(curl.max()), 1e-12)
    items = [
        ("Rotation", f"{math.degrees(angle):.2f}°"),
        ("Axes", "exchanged" if transpose else "as they are"),
        ("Half a turn", "cannot be told from none"),
        ("Curl", f"falls by {100 * fall:.0f} %" + (": too little to trust" if fall < TELLING else "")),
    ]
    changes = {"rotation": angle, "transpose": transpose}
    return Proposal("rotation", items, changes, curl=(degrees, curl, math.degrees(angle)))


def _curls(com: NDArray, angles: Floats, transpose: bool) -> Floats:
    """(N,) rms curl of the shifts turned by angles, 1 at most."""
    centred = np.where(np.isfinite(com), com, np.nanmedian(com, axis=(0, 1)))
    x, y = (centred[..., 1], centred[..., 0]) if transpose else (centred[..., 0], centred[..., 1])
    (x_down, x_along), (y_down, y_along) = np.gradient(x), np.gradient(y)
    curl, divergence = y_along - x_down, x_along + y_down
    found = [float(np.sqrt(np.mean((np.cos(t) * curl - np.sin(t) * divergence) ** 2))) for t in angles]
    return np.array(found) / max(*found, 1e-30)


def lattice_of(strain: Strain, origin: tuple[float, float] | None) -> Lattice | None:
    """The lattice given by hand, to be drawn at an origin."""
    if strain.lattice is None or origin is None:
        return None
    ax, ay, bx, by = strain.lattice
    return Lattice(origin, (ax, ay), (bx, by))
