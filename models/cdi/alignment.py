"""Bringing reconstructions of one pattern together: twin, shift and phase offset do not show in the data."""

from collections.abc import Callable

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from braggscope.models.cdi.fourier import to_centre, to_corner


def twin_of(obj: NDArray) -> NDArray:
    """The object that diffracts to the same intensity: conjugate and inverted through the middle (n // 2)."""
    return to_centre(np.conj(np.roll(np.flip(to_corner(obj)), 1, axis=tuple(range(obj.ndim)))))


def shifted(obj: NDArray, shift: NDArray | tuple[float, ...]) -> NDArray:
    """``obj`` moved by ``shift`` voxels (periodic, by Fourier interpolation where it is not whole)."""
    whole = np.rint(shift)
    if np.allclose(whole, shift, atol=1e-6):
        return np.roll(obj, tuple(int(s) for s in whole), axis=tuple(range(obj.ndim)))
    spectrum = scipy.fft.fftn(obj)
    for axis, (length, step) in enumerate(zip(obj.shape, shift, strict=True)):
        ramp = np.exp(-2j * np.pi * step * scipy.fft.fftfreq(length)).astype(spectrum.dtype)
        spectrum *= ramp.reshape([-1 if a == axis else 1 for a in range(obj.ndim)])
    moved: NDArray = scipy.fft.ifftn(spectrum, overwrite_x=True)
    return moved


def aligned(
    obj: NDArray, reference: NDArray, check: Callable[[], None] = lambda: None
) -> tuple[NDArray, bool]:
    """``obj`` or its twin, moved and turned onto ``reference``: (object, whether it is the twin).

    Shift: maximum of the cross-correlation, refined by a parabola along every axis. The modulus is kept.
    ``check`` is called between the transforms and may raise to stop.
    """
    fixed = np.conj(scipy.fft.fftn(reference))
    best: tuple[float, NDArray, bool] | None = None
    for candidate, twin in ((obj, False), (twin_of(obj), True)):
        check()
        height = _peak(scipy.fft.ifftn(scipy.fft.fftn(candidate) * fixed))[0]
        if best is None or height > best[0]:
            best = (height, candidate, twin)
    assert best is not None
    _, chosen, twin = best
    return moved_onto(chosen, reference, check), twin


def moved_onto(obj: NDArray, reference: NDArray, check: Callable[[], None] = lambda: None) -> NDArray:
    """``obj`` itself, not its twin, moved and turned onto ``reference``."""
    fixed = np.conj(scipy.fft.fftn(reference))
    shift = _peak(scipy.fft.ifftn(scipy.fft.fftn(obj) * fixed))[1]
    check()
    moved = shifted(obj, -shift)
    check()
    again = _peak(scipy.fft.ifftn(scipy.fft.fftn(moved) * fixed))[1]
    check()
    moved = shifted(obj, -(shift + again))
    return (moved * np.exp(-1j * np.angle(np.vdot(reference, moved)))).astype(obj.dtype)


def _peak(correlation: NDArray) -> tuple[float, NDArray[np.float64]]:
    """(height, place) of the maximum of |correlation|, place in (-n/2, n/2] with a fraction."""
    height = np.abs(correlation)
    top = np.unravel_index(int(height.argmax()), height.shape)
    place = np.empty(height.ndim)
    for axis, length in enumerate(height.shape):
        sides = []
        for step in (-1, 1):
            index = list(top)
            index[axis] = (index[axis] + step) % length
            sides.append(float(height[tuple(index)]))
        middle = float(height[top])
        bend = sides[0] - 2 * middle + sides[1]
        fraction = 0.5 * (sides[0] - sides[1]) / bend if bend < 0 else 0.0
        whole = int(top[axis])
        place[axis] = (whole if whole <= length // 2 else whole - length) + fraction
    return float(height[top]), place
