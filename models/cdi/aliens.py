"""Alien peaks: scattering of other grains in the window of a coherent pattern.

The pattern of a crystal is centrosymmetric but for its strain: at -q about as much is scattered as at q. What
has no counterpart there, away from the middle, belongs to something else.
"""

from collections.abc import Callable

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

RATIO = 10.0  # times what is seen around -q
COUNTS = 10.0  # above this, smoothed, at all
NEAR = 0.12  # share of a side around the middle that is never alien
REACH = 5  # voxels around -q that are looked at: strain moves and distorts
GROWN = 2  # voxels added around what was found


def aliens(
    values: NDArray, bad: NDArray[np.bool_], check: Callable[[], None] = lambda: None
) -> tuple[NDArray[np.bool_], int]:
    """(mask, number of alien peaks) of an intensity (Z, Y, X) with its peak at n // 2.

    ``bad``: not measured. Where the place of -q was not measured or lies outside, nothing is called alien.
    ``check`` is called between the filters and may raise to stop.
    """
    if min(values.shape) < 4 * REACH:
        return np.zeros(values.shape, np.bool_), 0
    good = (~bad).astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(good, 1.0), 1e-3)
    check()
    smooth = ndimage.gaussian_filter(np.where(bad, 0, values).astype(np.float32), 1.0) / weight
    check()
    opposite = ndimage.maximum_filter(_inverted(smooth, 0.0), REACH)
    check()
    known = _inverted(good, 0.0) > 0
    lone = known & ~bad & (smooth > RATIO * opposite + COUNTS)
    lone &= ~_middle(values.shape)
    labels, count = ndimage.label(lone, ndimage.generate_binary_structure(3, 2))
    if not count:
        return np.zeros(values.shape, np.bool_), 0
    check()
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = sizes >= 5  # a voxel or two are hot, not a peak
    large[0] = False
    found: NDArray[np.bool_] = large[labels]
    grown = ndimage.binary_dilation(found, iterations=GROWN) if found.any() else found
    return np.asarray(grown & ~_middle(values.shape)), int(large.sum())


def _inverted(values: NDArray, outside: float) -> NDArray:
    """Values at -q, the middle at n // 2 kept; ``outside`` where there is no voxel."""
    out = np.full(values.shape, outside, values.dtype)
    source, target = [], []
    for n in values.shape:
        first = 1 - n % 2
        target.append(slice(first, n))
        source.append(slice(n - 1, None if first == 0 else 0, -1))
    out[tuple(target)] = values[tuple(source)]
    return out


def _middle(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The ellipsoid around the peak that belongs to the crystal whatever it looks like."""
    axes = [(np.arange(n) - n // 2) / (NEAR * n) for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.asarray(z * z + y * y + x * x < 1)
