"""Shapes of a Bragg peak on the detector, sampled at pixel centres.

Both profiles are functions of the quadratic form ``q = a dx² + 2 b dx dy + c dy²``, where (a, b, c) in
px^-2 is the inverse of the covariance of the Gaussian. At ``q = 2 ln 2`` both are at half their height, so
that a Gaussian, a Lorentzian and every mixture of them share one full width at half maximum (FWHM).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
HALF_MAXIMUM = 2.0 * math.log(2.0)  # q at which a profile has fallen to one half


def fwhm_from_sigma(sigma: ArrayLike) -> Array:
    """FWHM in px of a Gaussian with standard deviation ``sigma`` in px."""
    return np.asarray(sigma, np.float64) * FWHM_PER_SIGMA


def sigma_from_fwhm(fwhm: ArrayLike) -> Array:
    """Standard deviation in px of a Gaussian of full width ``fwhm`` in px."""
    return np.asarray(fwhm, np.float64) / FWHM_PER_SIGMA


def form_from_axes(
    fwhm_major: ArrayLike, fwhm_minor: ArrayLike, angle: ArrayLike
) -> tuple[Array, Array, Array]:
    """(a, b, c) in px^-2 of an ellipse. ``angle`` rad: the long axis, from +x towards +y. Broadcasts."""
    major = 1.0 / sigma_from_fwhm(fwhm_major) ** 2
    minor = 1.0 / sigma_from_fwhm(fwhm_minor) ** 2
    cos, sin = np.cos(angle), np.sin(angle)
    a = cos * cos * major + sin * sin * minor
    b = cos * sin * (major - minor)
    c = sin * sin * major + cos * cos * minor
    return np.asarray(a), np.asarray(b), np.asarray(c)


def axes_from_form(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> tuple[Array, Array, Array]:
    """FWHM of the long and the short axis in px, and the angle of the long axis in (-pi/2, pi/2] rad.

    NaN where the form is not positive definite.
    """
    a, b, c = (np.asarray(value, np.float64) for value in (a, b, c))
    half_sum = 0.5 * (a + c)
    radius = np.hypot(0.5 * (a - c), b)
    with np.errstate(divide="ignore", invalid="ignore"):
        large = half_sum + radius
        small = (a * c - b * b) / large  # without the cancellation of half_sum - radius
        bad = ~((small > 0) & (large > 0))
        major = FWHM_PER_SIGMA / np.sqrt(np.where(bad, np.nan, small))
        minor = FWHM_PER_SIGMA / np.sqrt(np.where(bad, np.nan, large))
    angle = 0.5 * np.arctan2(-2.0 * b + 0.0, c - a)
    angle = np.where(angle <= -0.5 * np.pi, 0.5 * np.pi, angle)
    return major, minor, np.where(bad, np.nan, angle)


def quadratic(dx: ArrayLike, dy: ArrayLike, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Array:
    """``a dx² + 2 b dx dy + c dy²``, dimensionless, for offsets in px from the centre. Broadcasts."""
    dx, dy = np.asarray(dx, np.float64), np.asarray(dy, np.float64)
    return dx * (np.asarray(a) * dx + 2.0 * np.asarray(b) * dy) + np.asarray(c) * dy * dy


def profile(q: ArrayLike, eta: ArrayLike = 0.0) -> Array:
    """Height 0-1 at a quadratic form ``q``; ``eta``: Lorentzian fraction of a pseudo-Voigt, 0 a Gaussian."""
    q, eta = np.asarray(q, np.float64), np.asarray(eta, np.float64)
    return np.asarray((1.0 - eta) * np.exp(-0.5 * q) + eta / (1.0 + q / HALF_MAXIMUM))


def peak(
    shape: tuple[int, int],
    x: float,
    y: float,
    amplitude: float,
    fwhm_major: float,
    fwhm_minor: float | None = None,
    angle: float = 0.0,
    eta: float = 0.0,
) -> Array:
    """One peak on a frame of ``shape`` (rows, columns): float64, in the unit of ``amplitude``.

    ``x`` column and ``y`` row in px; round without ``fwhm_minor``; ``angle`` as in :func:`form_from_axes`.
    """
    form = form_from_axes(fwhm_major, fwhm_major if fwhm_minor is None else fwhm_minor, angle)
    dx = np.arange(shape[1], dtype=np.float64)[None, :] - x
    dy = np.arange(shape[0], dtype=np.float64)[:, None] - y
    return np.asarray(amplitude * profile(quadratic(dx, dy, *form), eta))
