"""Fourier transforms of volumes, complex64 and unitary, with zero frequency and origin at index 0.

Arrays of the outside have their origin in the middle, at n // 2 of every axis; :func:`to_corner` and
:func:`to_centre` go between the two. Without the shifts an iteration costs two transforms and little else.
"""

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Complex = NDArray[np.complex64]
Real = NDArray[np.float32]


def to_corner(array: NDArray) -> NDArray:
    """The same with the origin moved from the middle to index 0, contiguous."""
    return np.ascontiguousarray(scipy.fft.ifftshift(array))


def to_centre(array: NDArray) -> NDArray:
    """The same with the origin moved from index 0 to the middle, contiguous."""
    return np.ascontiguousarray(scipy.fft.fftshift(array))


def forward(obj: NDArray) -> NDArray:
    """Unitary transform, exp(-2 pi i k x), origin at index 0; keeps single precision."""
    spectrum: NDArray = scipy.fft.fftn(obj, norm="ortho")
    return spectrum


def backward(spectrum: NDArray) -> NDArray:
    """Inverse of :func:`forward`; the memory of ``spectrum`` may be used."""
    obj: NDArray = scipy.fft.ifftn(spectrum, norm="ortho", overwrite_x=True)
    return obj


def diffract(obj: NDArray) -> NDArray:
    """Transform of an object whose origin is in the middle; zero frequency in the middle."""
    return to_centre(forward(to_corner(obj)))


def smooth(array: Real, sigma: float) -> Real:
    """Periodic Gaussian smoothing of a real volume, ``sigma`` in voxels."""
    if sigma <= 0:
        return array
    spectrum = scipy.fft.rfftn(array)
    for axis, length in enumerate(array.shape):
        last = axis == array.ndim - 1
        k = scipy.fft.rfftfreq(length) if last else scipy.fft.fftfreq(length)
        damping = np.exp(-2 * (np.pi * sigma * k) ** 2).astype(np.float32)
        spectrum *= damping.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    out: Real = scipy.fft.irfftn(spectrum, s=array.shape, overwrite_x=True)
    return out


def fit_centre(array: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Cut or zero-pad every axis around the middle (index n // 2) to ``shape``."""
    out = np.zeros(shape, array.dtype)
    source, target = [], []
    for old, new in zip(array.shape, shape, strict=True):
        start = old // 2 - new // 2
        lo, hi = max(start, 0), min(start + new, old)
        source.append(slice(lo, hi))
        target.append(slice(lo - start, hi - start))
    out[tuple(target)] = array[tuple(source)]
    return out


def resample(obj: Complex, shape: tuple[int, ...]) -> Complex:
    """The same object on a finer or coarser grid of the same field of view, origin at index 0.

    Cuts or pads the spectrum; the sum of |obj|^2 inside the common band is kept.
    """
    spectrum = fit_centre(to_centre(forward(obj)), shape)
    return backward(to_corner(spectrum))


def good_length(length: int) -> int:
    """Largest even length of factors 2, 3, 5 that is not above ``length``."""
    for candidate in range(length - length % 2, 1, -2):
        rest = candidate
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return candidate
    return length


def pyramid(shape: tuple[int, ...], coarsest: int = 32) -> list[tuple[int, ...]]:
    """Shapes from coarse to full; every level halves the sides of at least twice ``coarsest``."""
    levels = [shape]
    while max(levels[0]) >= 2 * coarsest:
        half = tuple(n if n < 2 * coarsest else n // 2 + n // 2 % 2 for n in levels[0])
        levels.insert(0, half)
    return levels
