"""Fused loops of an iteration. Volumes are complex64 or float32; a target below 0 means: not measured."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_TINY = np.float32(1e-30)
# A blur keeps at least its central weight of an intensity: less than this share (a width of 4 voxels along
# all axes) is rounding, and dividing by it would make the value as large as one likes.
_LEAST = np.float32(1e-3)


def replace_modulus(spectrum: NDArray, target: NDArray) -> tuple[float, float]:
    """Give ``spectrum`` (contiguous) the measured modulus where there is one.

    Returns the sums of the squared and of the absolute changes.
    """
    squares, sizes = _replace(_pairs(spectrum), target.reshape(-1))
    return float(squares), float(sizes)


def replace_blurred(spectrum: NDArray, blurred: NDArray, target: NDArray) -> tuple[float, float]:
    """The same where the detector sees ``blurred``, the intensity after partial coherence."""
    squares, sizes = _replace_blurred(_pairs(spectrum), blurred.reshape(-1), target.reshape(-1))
    return float(squares), float(sizes)


def combine(
    obj: NDArray, projected: NDArray, support: NDArray, keep: float, inside: float, outside: float
) -> None:
    """In place: inside x = inside p, outside x = keep x + outside p, with p = ``projected``.

    All three contiguous, complex64, complex64, bool.
    """
    _combine(
        _pairs(obj), _pairs(projected), support.reshape(-1), np.float32(keep), np.float32(inside),
        np.float32(outside),
    )  # fmt: skip


def _pairs(volume: NDArray) -> NDArray:
    """(N, 2) float32 view of real and imaginary parts: loops over it vectorise, over complex they do not."""
    return volume.reshape(-1).view(np.float32).reshape(-1, 2)


@njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})
def _replace(values: NDArray, wanted: NDArray) -> tuple[float, float]:
    change: Any = 0.0
    total: Any = 0.0
    for i in range(wanted.size):
        modulus = np.sqrt(values[i, 0] * values[i, 0] + values[i, 1] * values[i, 1] + _TINY)
        known = wanted[i] >= 0
        factor: Any = wanted[i] / modulus if known else np.float32(1)
        off: Any = wanted[i] - modulus if known else np.float32(0)
        values[i, 0] *= factor
        values[i, 1] *= factor
        change += off * off
        total += abs(off)
    return change, total


@njit(cache=True, nogil=True, fastmath={"nsz", "arcp", "contract", "reassoc"})
def _replace_blurred(values: NDArray, seen: NDArray, wanted: NDArray) -> tuple[float, float]:
    change: Any = 0.0
    total: Any = 0.0
    for i in range(wanted.size):
        own = values[i, 0] * values[i, 0] + values[i, 1] * values[i, 1]
        modulus = np.sqrt(max(seen[i], _LEAST * own) + _TINY)
        known = wanted[i] >= 0
        factor: Any = wanted[i] / modulus if known else np.float32(1)
        off: Any = wanted[i] - modulus if known else np.float32(0)
        values[i, 0] *= factor
        values[i, 1] *= factor
        change += off * off
        total += abs(off)
    return change, total


@njit(cache=True, nogil=True, fastmath={"nsz", "contract"})
def _combine(x: NDArray, p: NDArray, inner: NDArray, keep: Any, inside: Any, outside: Any) -> None:
    for i in range(inner.size):
        a: Any = np.float32(0) if inner[i] else keep
        b = inside if inner[i] else outside
        x[i, 0] = a * x[i, 0] + b * p[i, 0]
        x[i, 1] = a * x[i, 1] + b * p[i, 1]
