"""Where the object is: supports from the autocorrelation and by shrink-wrap. Origin at index 0."""

import math

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.fourier import Complex, Real, backward, smooth

Support = NDArray[np.bool_]
FLOOR, CEILING = 0.002, 0.3  # shares of the field of view
NOISE, MOST = 3.0, 0.2  # of a Rayleigh distribution 1e-4 lie above 3 rms; largest share of the maximum


def autocorrelation(amplitude: Real) -> Real:
    """|autocorrelation| of the object, largest value 1; ``amplitude`` >= 0 everywhere."""
    found = np.abs(backward((amplitude * amplitude).astype(np.complex64)))
    return np.asarray(found / found.max(), np.float32)


def autocorrelation_support(amplitude: Real, threshold: float = 0.1) -> Support:
    """Voxels where the autocorrelation exceeds ``threshold`` x its maximum.

    At thresholds near 0 this holds the object of any shape (Fienup et al., JOSA 72, 610 (1982)); at 0.1 it
    has about the object's size.
    """
    return autocorrelation(amplitude) > threshold


def shrink_wrap(
    obj: Complex, sigma: float, threshold: float, floor: float = FLOOR, ceiling: float = CEILING
) -> Support:
    """Voxels whose smoothed modulus exceeds ``threshold`` x its maximum (Marchesini, PRB 68, 140101 (2003)).

    ``sigma`` in voxels. ``floor``, ``ceiling``: smallest and largest share of the field of view; beyond them
    the threshold gives way.
    """
    blurred = smooth(np.abs(obj).astype(np.float32, copy=False), sigma)
    level = threshold * float(blurred.max())
    support: Support = blurred > level
    share = np.count_nonzero(support) / support.size
    if not floor <= share <= ceiling:
        wanted = max(1, int((floor if share < floor else ceiling) * support.size))
        level = float(np.partition(blurred, support.size - wanted, axis=None)[support.size - wanted])
        support = blurred >= level
    return support


def significant(obj: Complex, support: Support, sigma: float, threshold: float) -> Support:
    """The same, with a level of at least :data:`NOISE` times the rms outside ``support``."""
    modulus = smooth(np.abs(obj).astype(np.float32, copy=False), sigma)
    noise = math.sqrt(float(np.mean(modulus**2, where=~support, dtype=np.float64)))
    top = max(float(modulus.max()), 1e-30)
    return shrink_wrap(obj, sigma, max(threshold, min(NOISE * noise / top, MOST)))


def grow_to_margin(support: Support, voxels: int = 1) -> Support:
    """The support and its neighbours within ``voxels`` steps along the axes."""
    grown = support.copy()
    for _ in range(voxels):
        before = grown.copy()
        for axis in range(support.ndim):
            grown |= np.roll(before, 1, axis) | np.roll(before, -1, axis)
    return grown
