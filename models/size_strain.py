"""From spacings to strain, and from widths to particle size and microstrain.

Widths are full widths at half maximum (FWHM) in radians of 2theta; integral breadths where said. Errors are
1 sigma, propagated to first order; inputs are arrays (...) or numbers.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggscope.models.geometry import Instrument

Floats = NDArray[np.float64]
K_FWHM = 0.9  # Scherrer's constant for FWHM; 0.89 for a sphere, 0.94 for a cube along its edge
K_INTEGRAL = 1.0  # for integral breadths: the size is the volume-weighted length of columns
_GAUSS_BREADTH = float(np.sqrt(np.pi / np.log(2)) / 2)  # integral breadth of a Gaussian of FWHM 1


class Estimate(NamedTuple):
    """A value and its 1 sigma, each (...)."""

    value: Floats
    error: Floats


def strain(d: ArrayLike, d_err: ArrayLike, d0: ArrayLike, d0_err: ArrayLike = 0.0) -> Estimate:
    """Lattice strain d / d0 - 1 of a spacing against its reference, tension positive, dimensionless."""
    d, d0 = np.asarray(d, np.float64), np.asarray(d0, np.float64)
    error = np.hypot(np.asarray(d_err) / d0, d / d0**2 * np.asarray(d0_err))
    return Estimate(d / d0 - 1, error)


def weighted_mean(values: ArrayLike, errors: ArrayLike) -> Estimate:
    """Mean of finite values (N,) weighted by 1 / sigma², a reference from several frames; NaN without any.

    Its error is widened by the scatter where that exceeds the errors (reduced chi-square above 1).
    """
    values, errors = np.asarray(values, np.float64), np.asarray(errors, np.float64)
    good = np.isfinite(values) & np.isfinite(errors) & (errors > 0)
    if not good.any():
        return Estimate(np.asarray(np.nan), np.asarray(np.nan))
    weight = errors[good] ** -2
    mean = np.average(values[good], weights=weight)
    chi2 = np.sum(weight * (values[good] - mean) ** 2) / max(1, good.sum() - 1)
    return Estimate(np.asarray(mean), np.asarray(np.sqrt(max(1.0, chi2) / weight.sum())))


def angular_widths(
    instrument: Instrument,
    x: ArrayLike,
    y: ArrayLike,
    fwhm_major: ArrayLike,
    fwhm_minor: ArrayLike,
    angle: ArrayLike,
) -> tuple[Floats, Floats]:
    """FWHM (...) in rad along 2theta and along the azimuth of fitted ellipses at (x, y).

    ``fwhm_*`` px, ``angle`` rad of the long axis from +x towards +y. The ellipse is projected on the
    directions in which 2theta and azimuth grow, by their Jacobians, so tilt and unequal pixels count.
    """
    major, minor, angle = (np.asarray(a, np.float64) for a in (fwhm_major, fwhm_minor, angle))
    cos, sin = np.cos(angle), np.sin(angle)
    radial, around = (
        np.hypot(major * (j[..., 0] * cos + j[..., 1] * sin), minor * (j[..., 1] * cos - j[..., 0] * sin))
        for j in instrument.jacobians(x, y)
    )
    return radial, around


def voigt_parts(fwhm: ArrayLike, eta: ArrayLike) -> tuple[Floats, Floats]:
    """FWHM (...) of the Gaussian and the Lorentzian whose convolution looks like a pseudo-Voigt.

    ``eta``: fraction of the Lorentzian by height, as fitted. Source: Thompson, Cox and Hastings, J. Appl.
    Cryst. 20, 79 (1987), whose fraction is by area.
    """
    fwhm, eta = np.asarray(fwhm, np.float64), np.clip(np.asarray(eta, np.float64), 0.0, 1.0)
    lorentzian = eta * np.pi / 2
    area = lorentzian / (lorentzian + (1 - eta) * _GAUSS_BREADTH)
    gauss2 = 1 - 0.74417 * area - 0.24781 * area**2 - 0.00810 * area**3
    lorentz = 0.72928 * area + 0.19289 * area**2 + 0.07783 * area**3
    return fwhm * np.sqrt(np.maximum(gauss2, 0.0)), fwhm * lorentz


def voigt_fwhm(gauss: ArrayLike, lorentz: ArrayLike) -> Floats:
    """FWHM (...) of a Gaussian convolved with a Lorentzian, from theirs, within 0.5 %; same source."""
    g, h = np.asarray(gauss, np.float64), np.asarray(lorentz, np.float64)
    powers = (1.0, 2.69269, 2.42843, 4.47163, 0.07842, 1.0)
    return np.asarray(sum(c * g ** (5 - i) * h**i for i, c in enumerate(powers)) ** 0.2)


def without_instrument(
    fwhm: ArrayLike,
    instrument_fwhm: ArrayLike,
    eta: ArrayLike = 0.0,
    instrument_eta: ArrayLike = 0.0,
) -> tuple[Floats, Floats]:
    """FWHM (...) of the Gaussian and the Lorentzian part that the sample adds; NaN where it adds nothing.

    Gaussian parts subtract in quadrature, Lorentzian parts linearly. Both eta 0: plain quadrature.
    """
    gauss, lorentz = voigt_parts(fwhm, eta)
    own_gauss, own_lorentz = voigt_parts(instrument_fwhm, instrument_eta)
    left_gauss = np.sqrt(np.maximum(gauss**2 - own_gauss**2, 0.0))
    left_lorentz = np.maximum(lorentz - own_lorentz, 0.0)
    nothing = (left_gauss == 0) & (left_lorentz == 0)
    return np.where(nothing, np.nan, left_gauss), np.where(nothing, np.nan, left_lorentz)


def breadth(gauss: ArrayLike, lorentz: ArrayLike, kind: Literal["fwhm", "integral"] = "fwhm") -> Floats:
    """FWHM or integral breadth (area / height) of a Voigt profile, from the FWHM of its parts (...), rad."""
    g, h = np.asarray(gauss, np.float64), np.asarray(lorentz, np.float64)
    if kind == "fwhm":
        return voigt_fwhm(g, h)
    from scipy.special import voigt_profile

    sigma, gamma = g / np.sqrt(8 * np.log(2)), h / 2
    with np.errstate(divide="ignore"):
        return np.asarray(1 / voigt_profile(0.0, sigma, gamma))


def scherrer(
    breadth_rad: ArrayLike,
    breadth_err: ArrayLike,
    two_theta: ArrayLike,
    wavelength_angstrom: float,
    k: float = K_FWHM,
) -> Estimate:
    """Size (...) in Å, K wavelength / (breadth cos theta): Scherrer 1918; Langford and Wilson 1978."""
    breadth_rad = np.asarray(breadth_rad, np.float64)
    size = k * wavelength_angstrom / (breadth_rad * np.cos(np.asarray(two_theta) / 2))
    return Estimate(size, size * np.asarray(breadth_err) / breadth_rad)


class WilliamsonHall(NamedTuple):
    """Size in Å, microstrain (breadth = 4 e tan theta), 1 sigma of each, reduced chi-square.

    ``size`` is infinite where the line meets no positive breadth at q = 0: no broadening by size is seen.
    """

    size_angstrom: float
    size_err: float
    microstrain: float
    microstrain_err: float
    chi2: float


def williamson_hall(
    breadth_rad: ArrayLike,
    breadth_err: ArrayLike,
    two_theta: ArrayLike,
    wavelength_angstrom: float,
    k: float = K_FWHM,
) -> WilliamsonHall:
    """Size and microstrain from several orders (N,): breadth cos theta = K wavelength / size + 4 e sin theta.

    Weighted straight line; errors are widened by the scatter where that exceeds them. Raises ValueError where
    fewer than two different angles are given. Source: Williamson and Hall, Acta Metall. 1, 22 (1953).
    """
    theta = np.asarray(two_theta, np.float64) / 2
    y = np.asarray(breadth_rad, np.float64) * np.cos(theta)
    sigma = np.broadcast_to(np.asarray(breadth_err, np.float64), y.shape) * np.cos(theta)
    x = 4 * np.sin(theta)
    good = np.isfinite(x) & np.isfinite(y) & np.isfinite(sigma) & (sigma > 0)
    if np.count_nonzero(good) < 2 or np.ptp(x[good]) < 1e-6:
        raise ValueError("A Williamson-Hall line needs widths of at least two orders.")
    design = np.stack([np.ones(good.sum()), x[good]], axis=1) / sigma[good, None]
    normal = design.T @ design
    constant, slope = np.linalg.solve(normal, design.T @ (y[good] / sigma[good]))
    covariance = np.linalg.inv(normal)
    residual = y[good] / sigma[good] - design @ np.array([constant, slope])
    chi2 = float(residual @ residual / (good.sum() - 2)) if good.sum() > 2 else float("nan")
    covariance *= max(1.0, chi2) if np.isfinite(chi2) else 1.0
    size = k * wavelength_angstrom / constant if constant > 0 else float("inf")
    size_err = size * float(np.sqrt(covariance[0, 0])) / constant if constant > 0 else float("nan")
    return WilliamsonHall(float(size), float(size_err), float(slope), float(np.sqrt(covariance[1, 1])), chi2)
