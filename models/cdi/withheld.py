"""Voxels kept from the phasing, so that there is something to judge it by."""

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

BRIGHT = 0.015  # share of the largest amplitude from which on voxels are always used


def free_voxels(
    amplitude: NDArray[np.float32], share: float, seed: int, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """(Z, Y, X) bool: small crosses of voxels, together about ``share`` of all, never the bright ones.

    Neighbours are withheld together because they are correlated where the pattern is oversampled
    (Favre-Nicolin et al., J. Appl. Cryst. 53, 1404 (2020)). ``mask``: True = not measured anyway.
    """
    if not share:
        return np.zeros(amplitude.shape, np.bool_)
    rng = np.random.default_rng([seed, 7])
    cross = ndimage.generate_binary_structure(amplitude.ndim, 1)
    seeds = rng.random(amplitude.shape) < -np.log1p(-share) / cross.sum()
    free: NDArray[np.bool_] = ndimage.binary_dilation(seeds, cross)
    free &= amplitude < BRIGHT * amplitude.max()
    return free if mask is None else free & ~mask


def photon_unit(intensity: NDArray, mask: NDArray[np.bool_] | None = None) -> float:
    """One photon in the unit of ``intensity``.

    The smallest positive value where all small values are multiples of it (counts, also after scaling),
    else 1 for values that look like counts at all, else a 1e-6th of the largest.
    """
    values = intensity[(intensity > 0) if mask is None else (intensity > 0) & ~mask]
    if not values.size:
        return 1.0
    unit = float(values.min())
    few = values[values < 50 * unit].astype(np.float64) / unit
    if few.size >= 20 and np.abs(few - np.rint(few)).max() < 0.02:
        return unit
    return 1.0 if float(values.max()) > 1e3 else 1e-6 * float(values.max())
