"""Refine an instrument on rings: positions of peaks or ridges against the spacings of a calibrant."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggscope.models.geometry import Beam, Instrument, two_theta_of

Free = Literal["centre", "distance", "tilt"]
NAMES: dict[Free, tuple[str, ...]] = {
    "centre": ("centre_x_px", "centre_y_px"),
    "distance": ("distance_m",),
    "tilt": ("tilt_x_rad", "tilt_y_rad"),  # tilt times cosine and sine of its direction
}
TOLERANCES_PX = (8.0, 4.0, 3.0)  # of the rounds; later ones follow the scatter
SEARCH_SAMPLE = 1500
UNKNOWN_PX = 0.5  # error of positions that come without
Floats = NDArray[np.float64]


class RefinementError(ValueError):
    """The positions do not determine what should be refined. One sentence."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """A refined instrument.

    ``errors``: 1 sigma by name (centre in px, distance in m along the beam, tilt components in rad), scaled
    by the square root of ``chi2`` where that is above 1. ``covariance``: (P, P) in the order of ``errors``.
    ``ring``: (N,) index of the ring each position belongs to, -1 for none. ``before_px``, ``after_px``: root
    mean square radial distance from the rings, of the positions used. ``chi2``: reduced.
    """

    instrument: Instrument
    errors: dict[str, float]
    covariance: Floats
    ring: NDArray[np.int64]
    before_px: float
    after_px: float
    chi2: float

    @property
    def used(self) -> int:
        """How many positions lie on a ring."""
        return int(np.count_nonzero(self.ring >= 0))


def refine(
    instrument: Instrument,
    x: ArrayLike,
    y: ArrayLike,
    d_angstrom: Sequence[float],
    *,
    x_err: ArrayLike = 0.5,
    y_err: ArrayLike = 0.5,
    free: Sequence[Free] = ("centre", "distance"),
    search_px: float = 32.0,
) -> Refinement:
    """Instrument whose rings of spacings ``d_angstrom`` pass through positions x, y (N,) px, 1 sigma in px.

    A coarse search (``search_px`` around the centre, distance within 2 %; 0: none) finds the rings; rounds of
    a robust fit (soft L1) with a closing tolerance follow, last a least-squares fit of what lies within
    3 sigma. Scatter beyond the errors is added to them. Positions near no ring are left out. Raises
    RefinementError where too few are left, or they do not determine what is free.
    """
    task = _Task.of(instrument, x, y, d_angstrom, x_err, y_err, free)
    values = task.values(instrument)
    if search_px > 0:
        values = task.search(values, search_px)
    for tolerance in TOLERANCES_PX:
        ring, offset = task.assign(values)
        near = np.abs(offset) <= tolerance
        task.check(near)
        values = task.widened(offset[near]).fit(values, ring, near, robust=True)
    ring, offset = task.assign(values)
    within = offset[np.abs(offset) <= TOLERANCES_PX[-1]]
    near = np.abs(offset) <= 3 * max(_scatter(within), float(np.median(task.sigma)))
    task.check(near)
    task = task.widened(offset[near])
    return task.result(task.fit(values, ring, near, robust=False), ring, near)


def nearest_rings(
    instrument: Instrument, x: ArrayLike, y: ArrayLike, two_theta: Floats
) -> tuple[NDArray[np.int64], Floats]:
    """Index (N,) into rising ``two_theta`` (R,) rad of the ring nearest to each position x, y (N,) px.

    Also the radial distance (N,) px from it, outward positive; infinite in the beam itself.
    """
    here = instrument.two_theta(x, y)
    above = np.clip(np.searchsorted(two_theta, here), min(1, len(two_theta) - 1), len(two_theta) - 1)
    below = np.maximum(above - 1, 0)
    ring = np.where(here - two_theta[below] < two_theta[above] - here, below, above)
    steepness = np.linalg.norm(instrument.jacobians(x, y)[0], axis=-1)
    offset = (here - two_theta[ring]) / steepness
    return ring, np.where(np.isfinite(offset), offset, np.inf)


@dataclass(frozen=True, slots=True)
class _Task:
    start: Instrument
    beam: Beam
    x: Floats
    y: Floats
    sigma: Floats  # (N,) px, radial
    two_theta: Floats  # (R,) rad, rising
    order: NDArray[np.int64]  # of the rings as given
    free: tuple[Free, ...]

    @classmethod
    def of(
        cls,
        instrument: Instrument,
        x: ArrayLike,
        y: ArrayLike,
        d_angstrom: Sequence[float],
        x_err: ArrayLike,
        y_err: ArrayLike,
        free: Sequence[Free],
    ) -> "_Task":
        beam = instrument.beam
        if beam is None:
            raise RefinementError("The beam does not meet the detector, so its centre cannot be refined.")
        two_theta = two_theta_of(d_angstrom, instrument.wavelength_angstrom)
        order = np.argsort(two_theta)[: np.count_nonzero(np.isfinite(two_theta))]
        if not free:
            raise RefinementError("Nothing is free to be refined; choose centre, distance or tilt.")
        if not len(order):
            raise RefinementError(
                "There is no ring to refine on; choose another calibrant, or check the energy."
            )
        x, y, x_err, y_err = (np.asarray(a, np.float64) for a in np.broadcast_arrays(x, y, x_err, y_err))
        radial = instrument.jacobians(x, y)[0]
        with np.errstate(invalid="ignore"):
            unit = radial / np.linalg.norm(radial, axis=-1, keepdims=True)
        sigma = np.hypot(unit[:, 0] * x_err, unit[:, 1] * y_err)
        known = np.isfinite(sigma) & (sigma > 0)
        sigma = np.where(known, sigma, np.median(sigma[known]) if known.any() else UNKNOWN_PX)
        return cls(instrument, beam, x, y, sigma, two_theta[order], order, tuple(dict.fromkeys(free)))

    @property
    def names(self) -> list[str]:
        return [name for group in self.free for name in NAMES[group]]

    def values(self, instrument: Instrument) -> dict[str, float]:
        """All five parameters of an instrument."""
        beam = instrument.beam or self.beam
        return {
            "centre_x_px": beam.centre_px[0], "centre_y_px": beam.centre_px[1], "distance_m": beam.distance_m,
            "tilt_x_rad": beam.tilt * math.cos(beam.tilt_direction),
            "tilt_y_rad": beam.tilt * math.sin(beam.tilt_direction),
        }  # fmt: skip

    def instrument(self, values: dict[str, float]) -> Instrument:
        """Inverse of :meth:`values`; the twist stays."""
        across, down = values["tilt_x_rad"], values["tilt_y_rad"]
        beam = Beam(
            (values["centre_x_px"], values["centre_y_px"]), values["distance_m"],
            min(math.hypot(across, down), 1.5), math.atan2(down, across), self.beam.twist,
        )  # fmt: skip
        return Instrument.from_beam(self.start.wavelength_angstrom, self.start.pixel_size_m, beam)

    def offsets(self, values: dict[str, float], two_theta: Floats, rows: NDArray | slice) -> Floats:
        """(M,) radial distance in px of positions ``rows`` from rings at ``two_theta``, outward positive."""
        instrument = self.instrument(values)
        x, y = self.x[rows], self.y[rows]
        steepness = np.linalg.norm(instrument.jacobians(x, y)[0], axis=-1)
        return (instrument.two_theta(x, y) - two_theta) / steepness

    def assign(
        self, values: dict[str, float], rows: NDArray | slice = slice(None)
    ) -> tuple[NDArray[np.int64], Floats]:
        """Nearest ring (M,) and radial distance (M,) px; infinite in the beam itself."""
        return nearest_rings(self.instrument(values), self.x[rows], self.y[rows], self.two_theta)

    def search(self, values: dict[str, float], reach: float) -> dict[str, float]:
        """The best of a grid of centres and distances: most positions near a ring."""
        rows = np.linspace(0, len(self.x) - 1, min(len(self.x), SEARCH_SAMPLE)).astype(int)
        shifts = np.arange(-reach, reach + 1, 4.0) if "centre" in self.free else np.zeros(1)
        scales = 1 + np.linspace(-0.02, 0.02, 9) if "distance" in self.free else np.ones(1)
        best, top = values, -1.0
        for scale in sorted(scales, key=lambda s: abs(s - 1)):
            for across in sorted(shifts, key=abs):
                for down in sorted(shifts, key=abs):
                    trial = values | {
                        "centre_x_px": values["centre_x_px"] + across,
                        "centre_y_px": values["centre_y_px"] + down,
                        "distance_m": values["distance_m"] * scale,
                    }
                    score = float(np.exp(-((self.assign(trial, rows)[1] / 3.0) ** 2)).sum())
                    if score > top * (1 + 1e-9):
                        best, top = trial, score
        return best

    def widened(self, offset: Floats) -> "_Task":
        """Errors widened by the scatter about the rings that they do not explain: strain, distortion."""
        extra = max(0.0, _scatter(offset) ** 2 - float(np.median(self.sigma)) ** 2)
        return replace(self, sigma=np.sqrt(self.sigma**2 + extra))

    def check(self, near: NDArray[np.bool_]) -> None:
        needed = max(8, 3 * len(self.names))
        if np.count_nonzero(near) < needed:
            raise RefinementError(
                f"Only {np.count_nonzero(near)} positions lie near a ring and at least {needed} are needed; "
                "check the calibrant and the energy, or start nearer."
            )

    def fit(
        self, values: dict[str, float], ring: NDArray[np.int64], near: NDArray[np.bool_], *, robust: bool
    ) -> dict[str, float]:
        """Least squares of the free parameters; rings stay assigned."""
        from scipy.optimize import least_squares  # takes a third of a second to import

        solution = least_squares(
            lambda v: self._residuals(dict(zip(self.names, v, strict=True)), values, ring, near),
            [values[name] for name in self.names],
            x_scale=[_SCALES[name] for name in self.names],
            loss="soft_l1" if robust else "linear",
        )
        return values | dict(zip(self.names, map(float, solution.x), strict=True))

    def _residuals(
        self, changed: dict[str, float], values: dict[str, float], ring: NDArray, near: NDArray
    ) -> Floats:
        values = values | changed | {"distance_m": abs((values | changed)["distance_m"])}
        return self.offsets(values, self.two_theta[ring[near]], near) / self.sigma[near]

    def result(self, values: dict[str, float], ring: NDArray, near: NDArray) -> Refinement:
        jacobian = np.empty((np.count_nonzero(near), len(self.names)))
        for i, name in enumerate(self.names):  # central differences
            step = 1e-3 * _SCALES[name]
            up, down = ({name: values[name] + sign * step} for sign in (1, -1))
            change = self._residuals(up, values, ring, near) - self._residuals(down, values, ring, near)
            jacobian[:, i] = change / 2e-3  # by parameters in units of their scale
        if np.linalg.cond(jacobian) > 1e6:
            raise RefinementError(
                f"The rings do not determine {' and '.join(self.free)} together; refine less at once."
            )
        residuals = self._residuals({}, values, ring, near)
        chi2 = float(residuals @ residuals / max(1, len(residuals) - len(self.names)))
        scale = np.array([_SCALES[name] for name in self.names])
        covariance = np.linalg.inv(jacobian.T @ jacobian) * np.outer(scale, scale) * max(1.0, chi2)
        errors = {name: float(e) for name, e in zip(self.names, np.sqrt(np.diag(covariance)), strict=True)}
        start = self.offsets(self.values(self.start), self.two_theta[ring[near]], near)
        end = residuals * self.sigma[near]
        chosen = np.where(near, self.order[ring], -1)
        return Refinement(
            self.instrument(values),
            errors,
            np.asarray(covariance, np.float64),
            chosen,
            _rms(start),
            _rms(end),
            chi2,
        )


_SCALES = {
    "centre_x_px": 1.0, "centre_y_px": 1.0, "distance_m": 1e-3, "tilt_x_rad": 1e-2, "tilt_y_rad": 1e-2,
}  # fmt: skip


def _scatter(offset: Floats) -> float:
    """Robust standard deviation."""
    return float(1.4826 * np.median(np.abs(offset))) if len(offset) else 0.0


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))
