"""Fused loops of an iteration. Volumes are complex64 or float32; a target below 0 means: not measured."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TINY = np.float32(1e-30)


@njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})
def replace_modulus(spectrum: NDArray, target: NDArray) -> float:
    """Give ``spectrum`` the measured modulus where there is one. Returns the summed squared change."""
    values, wanted = spectrum.ravel(), target.ravel()
    change = 0.0
    for i in range(values.size):
        amplitude = wanted[i]
        if amplitude >= 0:
            real, imag = values[i].real, values[i].imag
            modulus = np.sqrt(real * real + imag * imag + _TINY)
            factor = amplitude / modulus
            values[i] = complex(real * factor, imag * factor)
            change += (amplitude - modulus) ** 2
    return change


@njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})
def replace_blurred(spectrum: NDArray, blurred: NDArray, target: NDArray) -> float:
    """The same where the detector sees ``blurred``, the intensity after partial coherence."""
    values, seen, wanted = spectrum.ravel(), blurred.ravel(), target.ravel()
    change = 0.0
    for i in range(values.size):
        amplitude = wanted[i]
        if amplitude >= 0:
            modulus = np.sqrt(max(seen[i], np.float32(0)) + _TINY)
            factor = amplitude / modulus
            values[i] = complex(values[i].real * factor, values[i].imag * factor)
            change += (amplitude - modulus) ** 2
    return change


@njit(cache=True, nogil=True)
def combine(
    obj: NDArray, projected: NDArray, support: NDArray, keep: float, inside: float, outside: float
) -> None:
    """In place: inside x = inside p, outside x = keep x + outside p, with p = ``projected``."""
    x, p, s = obj.ravel(), projected.ravel(), support.ravel()
    a, b, c = np.float32(keep), np.float32(inside), np.float32(outside)
    for i in range(x.size):
        if s[i]:
            x[i] = b * p[i]
        else:
            x[i] = complex(a * x[i].real + c * p[i].real, a * x[i].imag + c * p[i].imag)
