"""Where a pixel lies in reciprocal space, for a flat detector perpendicular to the beam."""

import math
from dataclasses import dataclass
from typing import NamedTuple

HC_KEV_ANGSTROM = 12.398419843320026  # Planck's constant times the speed of light (CODATA 2018, exact)


class Direction(NamedTuple):
    """Scattering angle in rad, |q| = 4 pi sin(theta) / wavelength in 1/Å, and d = 2 pi / q in Å."""

    two_theta: float
    q_inv_angstrom: float
    d_angstrom: float


@dataclass(frozen=True, slots=True)
class Geometry:
    """Beam centre in px (pixel centre = integer), distance and pixel size in m, wavelength in Å."""

    centre_px: tuple[float, float]
    distance_m: float
    pixel_size_m: tuple[float, float]
    wavelength_angstrom: float

    @classmethod
    def from_quantities(cls, quantities: dict[str, float]) -> "Geometry | None":
        """Geometry from the quantities of a source, None unless all it needs is there and positive."""
        known = dict(quantities)
        if "wavelength_angstrom" not in known and known.get("energy_keV", 0) > 0:
            known["wavelength_angstrom"] = HC_KEV_ANGSTROM / known["energy_keV"]
        known.setdefault("pixel_size_y_m", known.get("pixel_size_x_m", 0.0))
        lengths = [
            known.get(name, 0.0)
            for name in ("distance_m", "pixel_size_x_m", "pixel_size_y_m", "wavelength_angstrom")
        ]
        if min(lengths) <= 0 or "beam_x_px" not in known or "beam_y_px" not in known:
            return None
        distance, size_x, size_y, wavelength = lengths
        return cls((known["beam_x_px"], known["beam_y_px"]), distance, (size_x, size_y), wavelength)

    def direction(self, x: float, y: float) -> Direction:
        """Direction of the pixel position (x, y)."""
        across = (x - self.centre_px[0]) * self.pixel_size_m[0]
        down = (y - self.centre_px[1]) * self.pixel_size_m[1]
        two_theta = math.atan2(math.hypot(across, down), self.distance_m)
        q = 4 * math.pi * math.sin(two_theta / 2) / self.wavelength_angstrom
        return Direction(two_theta, q, 2 * math.pi / q if q > 0 else math.inf)
