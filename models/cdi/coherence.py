"""Partial coherence: the measured intensity is the coherent one blurred in reciprocal space.

The blur multiplies the object's autocorrelation at lag d by g(s), s^2 = sum (width_i d_i / n_i)^2, where the
widths are standard deviations in reciprocal voxels: Gaussian g = exp(-2 pi^2 s^2), and for a pseudo-Voigt
blur (1 - eta) of that plus eta exp(-2 pi h s) with h = sqrt(2 ln 2), so that both parts have one half-width.
Source: Clark et al., Nature Communications 3, 993 (2012).
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from braggscope.models.cdi.fourier import Real

_HALF = math.sqrt(2 * math.log(2))


@dataclass(frozen=True, slots=True)
class Coherence:
    """``width``: (z, y, x) standard deviation of the blur in reciprocal voxels, >= 0; ``eta`` in [0, 1]."""

    width: tuple[float, float, float] = (0.0, 0.0, 0.0)
    eta: float = 0.0


class Lags:
    """Squared lags (d_i / n_i)^2 of the autocorrelation in the half layout of rfftn."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        z, y = (scipy.fft.fftfreq(n).astype(np.float32) ** 2 for n in shape[:2])
        x = scipy.fft.rfftfreq(shape[2]).astype(np.float32) ** 2
        self.squared = (z[:, None, None], y[None, :, None], x[None, None, :])

    def factor(self, coherence: Coherence) -> Real:
        """G at every lag, (Z, Y, X // 2 + 1) float32."""
        s2 = sum(np.float32(w * w) * lag for w, lag in zip(coherence.width, self.squared, strict=True))
        if not coherence.eta:
            return np.asarray(gauss(s2), np.float32)
        return np.asarray((1 - coherence.eta) * gauss(s2) + coherence.eta * lorentz(s2), np.float32)


def gauss(s2: NDArray) -> NDArray:
    """Gaussian part of g."""
    return np.exp(np.float32(-2 * np.pi**2) * s2)


def lorentz(s2: NDArray) -> NDArray:
    """Lorentzian part of g."""
    return np.exp(np.float32(-2 * np.pi * _HALF) * np.sqrt(s2))


def lorentz_slope(s2: NDArray, value: NDArray) -> NDArray:
    """Derivative of :func:`lorentz` by s^2, finite at 0 where the lag is 0."""
    return np.float32(-np.pi * _HALF) * value / np.sqrt(np.maximum(s2, np.float32(1e-9)))


def blur(intensity: Real, factor: Real) -> Real:
    """``intensity`` (origin at index 0) after a loss of coherence."""
    spectrum = scipy.fft.rfftn(intensity)
    spectrum *= factor
    out: Real = scipy.fft.irfftn(spectrum, s=intensity.shape, overwrite_x=True)
    return out
