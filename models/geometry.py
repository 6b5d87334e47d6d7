"""Where a pixel lies in reciprocal space, for a flat detector that may be tilted.

Laboratory axes, right-handed, origin in the sample: x along the detector's columns, y along its rows
(downwards), z along the beam. Rotations are pyFAI's: ``rot1`` about its axis 1 (our y) and ``rot2`` about its
axis 2 (our x), then ``rot3`` about the beam. The point of normal incidence (PONI) counts, as in pyFAI, from
the outer corner of the first pixel; pixel positions have integer centres, so x = 0 lies half a pixel from
there. Source: Kieffer and Karkoulis, J. Phys. Conf. Ser. 425, 202012 (2013).
"""

import math
from collections.abc import Mapping
from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

from braggscope.models.constants import HC_KEV_ANGSTROM

Positive = Annotated[float, Field(gt=0)]
Floats = NDArray[np.float64]


class Beam(NamedTuple):
    """The same geometry seen from the beam, as Fit2D and most headers give it.

    ``centre_px``: (x, y) where the beam meets the detector's plane; ``distance_m``: from the sample to there;
    ``tilt``: rad between the beam and the detector's normal; ``tilt_direction``: rad from +x towards +y in
    the detector's plane, from the PONI to the beam centre; ``twist``: rad about the beam after the tilt.
    """

    centre_px: tuple[float, float]
    distance_m: float
    tilt: float = 0.0
    tilt_direction: float = 0.0
    twist: float = 0.0


class Instrument(BaseModel):
    """Wavelength in Å, distance of the plane in m, pixel size and PONI (x, y) in m, rotations in rad."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    wavelength_angstrom: Positive
    distance_m: Positive
    pixel_size_m: tuple[Positive, Positive]
    poni_m: tuple[float, float]
    rot_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def from_beam(cls, wavelength_angstrom: float, pixel_size_m: tuple[float, float], beam: Beam) -> Self:
        """Instrument from the view of the beam. Raises ValueError for a tilt of 90° or more."""
        if not 0 <= beam.tilt < math.pi / 2:
            raise ValueError("The tilt of a detector that the beam meets is at least 0 and below 90 degrees.")
        rotation = _turn(beam.twist) @ _leaning(beam.tilt, beam.tilt_direction)
        return cls.from_placement(
            wavelength_angstrom, pixel_size_m, rotation, np.array([0.0, 0.0, beam.distance_m]), beam.centre_px
        )

    @classmethod
    def from_placement(
        cls,
        wavelength_angstrom: float,
        pixel_size_m: tuple[float, float],
        rotation: Floats,
        point_m: Floats,
        pixel: tuple[float, float],
    ) -> Self:
        """Instrument with its detector turned by ``rotation`` (3, 3), ``pixel`` (x, y) at ``point_m``."""
        seen = rotation.T @ point_m  # the point in the axes of the detector
        corner = [(pixel[i] + 0.5) * pixel_size_m[i] for i in (0, 1)]
        return cls(
            wavelength_angstrom=wavelength_angstrom,
            distance_m=float(seen[2]),
            pixel_size_m=pixel_size_m,
            poni_m=(float(corner[0] - seen[0]), float(corner[1] - seen[1])),
            rot_rad=rotation_angles(rotation),
        )

    @classmethod
    def from_quantities(cls, quantities: Mapping[str, float]) -> Self | None:
        """Instrument from the quantities of a source, None unless all it needs is there and positive."""
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
        return cls.from_beam(
            wavelength, (size_x, size_y), Beam((known["beam_x_px"], known["beam_y_px"]), distance)
        )

    @property
    def energy_keV(self) -> float:
        """Photon energy."""
        return HC_KEV_ANGSTROM / self.wavelength_angstrom

    @property
    def beam(self) -> Beam | None:
        """The view from the beam; None where the beam never meets the detector's plane."""
        rotation = self.rotation()
        cos_tilt = rotation[2, 2]
        if cos_tilt <= 1e-9:
            return None
        distance = self.distance_m / cos_tilt
        x, y = self.pixel_of(np.array([0.0, 0.0, 1.0]))
        tilt = math.atan2(math.hypot(rotation[2, 0], rotation[2, 1]), cos_tilt)
        direction = math.atan2(rotation[2, 1], rotation[2, 0]) if tilt > 1e-12 else 0.0
        turn = rotation @ _leaning(tilt, direction).T
        return Beam((float(x), float(y)), distance, tilt, direction, math.atan2(turn[1, 0], turn[0, 0]))

    def rotation(self) -> Floats:
        """(3, 3) matrix from the axes of the detector (column, row, normal) to those of the laboratory."""
        (c1, c2, c3), (s1, s2, s3) = np.cos(self.rot_rad), np.sin(self.rot_rad)
        first = np.array([[1, 0, 0], [0, c1, s1], [0, -s1, c1]])
        second = np.array([[c2, 0, -s2], [0, 1, 0], [s2, 0, c2]])
        third = np.array([[c3, -s3, 0], [s3, c3, 0], [0, 0, 1]])
        return (third @ second @ first)[np.ix_(_SWAP, _SWAP)]

    def pixel_of(self, direction: Floats) -> tuple[Floats, Floats]:
        """Pixel positions x, y (...) where rays along ``direction`` (..., 3) meet the detector, else NaN."""
        seen = direction @ self.rotation()
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = np.where(seen[..., 2] > 0, self.distance_m / seen[..., 2], np.nan)
        x, y = ((seen[..., i] * scale + self.poni_m[i]) / self.pixel_size_m[i] - 0.5 for i in (0, 1))
        return x, y

    def position_m(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Laboratory positions (..., 3) in m of pixel positions x, y (...) in px."""
        across = (np.asarray(x, np.float64) + 0.5) * self.pixel_size_m[0] - self.poni_m[0]
        down = (np.asarray(y, np.float64) + 0.5) * self.pixel_size_m[1] - self.poni_m[1]
        across, down = np.broadcast_arrays(across, down)
        return np.stack([across, down, np.full(across.shape, self.distance_m)], axis=-1) @ self.rotation().T

    def two_theta(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Scattering angle (...) in rad."""
        place = self.position_m(x, y)
        return np.arctan2(np.hypot(place[..., 0], place[..., 1]), place[..., 2])

    def azimuth(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Angle (...) about the beam in rad, from +x towards +y, in (-pi, pi]: pyFAI's chi."""
        place = self.position_m(x, y)
        return np.arctan2(place[..., 1], place[..., 0])

    def q_inv_angstrom(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """|q| = 4 pi sin(theta) / wavelength (...) in 1/Å."""
        return q_of(self.two_theta(x, y), self.wavelength_angstrom)

    def d_angstrom(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Lattice spacing 2 pi / q (...) in Å; infinite in the beam."""
        with np.errstate(divide="ignore"):
            return 2 * np.pi / self.q_inv_angstrom(x, y)

    def scattering_vector(self, x: ArrayLike, y: ArrayLike) -> Floats:
        """Vectors q (..., 3) in 1/Å in the laboratory: 2 pi / wavelength times (direction - beam)."""
        place = self.position_m(x, y)
        ray = place / np.linalg.norm(place, axis=-1, keepdims=True)
        return 2 * np.pi / self.wavelength_angstrom * (ray - np.array([0.0, 0.0, 1.0]))

    def jacobians(self, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        """Derivatives of (2theta, azimuth) by (x, y): two (..., 2) arrays in rad/px; NaN in the beam."""
        place = self.position_m(x, y)
        steps = self.rotation()[:, :2] * np.array(self.pixel_size_m)  # (3, 2): what one pixel moves
        px, py, pz = (place[..., i, None] for i in range(3))
        radius = np.hypot(px, py)
        with np.errstate(divide="ignore", invalid="ignore"):
            outward = (px * steps[0] + py * steps[1]) / radius
            two_theta = (pz * outward - radius * steps[2]) / (radius**2 + pz**2)
            azimuth = (px * steps[1] - py * steps[0]) / radius**2
        return two_theta, azimuth


class Directions(NamedTuple):
    """Scattering angle and azimuth in rad, q in 1/Å, d in Å, each (...), and their 1 sigma."""

    two_theta: Floats
    azimuth: Floats
    q_inv_angstrom: Floats
    d_angstrom: Floats
    two_theta_err: Floats
    azimuth_err: Floats
    q_err: Floats
    d_err: Floats


def directions(
    instrument: Instrument,
    x: ArrayLike,
    y: ArrayLike,
    x_err: ArrayLike = np.nan,
    y_err: ArrayLike = np.nan,
    cov_xy: ArrayLike = 0.0,
) -> Directions:
    """Directions of positions (...) in px with the errors that follow from theirs, to first order.

    ``x_err``, ``y_err``: 1 sigma in px; ``cov_xy``: px², NaN counts as 0. The instrument counts as exact.
    """
    two_theta, wavelength = instrument.two_theta(x, y), instrument.wavelength_angstrom
    radial, around = instrument.jacobians(x, y)
    covariance = np.nan_to_num(np.asarray(cov_xy, np.float64))
    variances = (np.asarray(x_err) ** 2, np.asarray(y_err) ** 2, covariance)
    tt_err, az_err = _sigma(radial, *variances), _sigma(around, *variances)
    q = q_of(two_theta, wavelength)
    with np.errstate(divide="ignore", invalid="ignore"):
        d = 2 * np.pi / q
        q_err = 2 * np.pi / wavelength * np.cos(two_theta / 2) * tt_err
        d_err = d / (2 * np.tan(two_theta / 2)) * tt_err
    return Directions(two_theta, instrument.azimuth(x, y), q, d, tt_err, az_err, q_err, d_err)


def q_of(two_theta: ArrayLike, wavelength_angstrom: float) -> Floats:
    """|q| (...) in 1/Å of scattering angles in rad."""
    return 4 * np.pi * np.sin(np.asarray(two_theta, np.float64) / 2) / wavelength_angstrom


def two_theta_of(d_angstrom: ArrayLike, wavelength_angstrom: float) -> Floats:
    """Scattering angles (...) in rad of lattice spacings; NaN below half the wavelength."""
    sine = wavelength_angstrom / (2 * np.asarray(d_angstrom, np.float64))
    return 2 * np.arcsin(np.where(sine <= 1, sine, np.nan))


def rotation_angles(rotation: Floats) -> tuple[float, float, float]:
    """``rot_rad`` of a matrix (3, 3) as :meth:`Instrument.rotation` gives it; at rot2 = ±90° rot3 is 0."""
    m = rotation[np.ix_(_SWAP, _SWAP)]
    lean = math.hypot(m[2, 1], m[2, 2])
    rot2 = math.atan2(m[2, 0], lean)
    if lean < 1e-12:  # rot1 and rot3 turn about the same axis
        return math.atan2(m[0, 1] * np.sign(m[2, 0]), m[1, 1]), rot2, 0.0
    return math.atan2(0.0 - m[2, 1], m[2, 2]), rot2, math.atan2(m[1, 0], m[0, 0])


_SWAP = (1, 0, 2)  # pyFAI's axes (1, 2, 3) are our (y, x, z)


def _sigma(jacobian: Floats, var_x: Floats, var_y: Floats, covariance: Floats) -> Floats:
    along, down = jacobian[..., 0], jacobian[..., 1]
    variance = along**2 * var_x + down**2 * var_y + 2 * along * down * covariance
    return np.sqrt(np.maximum(variance, 0.0))


def _leaning(tilt: float, direction: float) -> Floats:
    """(3, 3) rotation by ``tilt`` that takes the detector's side at ``direction`` away from the sample."""
    turn = _turn(direction)
    c, s = math.cos(tilt), math.sin(tilt)
    return turn @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ turn.T


def _turn(angle: float) -> Floats:
    """(3, 3) rotation about the beam, from +x towards +y."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
