"""When a new phase left its grain: what was before both were seen, from how they go on.

Its distance and its share of the intensity are taken to leave 0 smoothly and to come to rest.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
VISIBLE = 5.0  # SNR from which on a peak counts as seen
EARLY = 15  # steps after which a separation that grows must show
WINDOW = 60  # steps over which the curve of the separation is fitted
WIDTHS = np.array([4.0, 6, 8, 10, 15, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 100, 120, 140])  # steps


@njit(cache=True, nogil=True)
def lag(when: Floats, apart: Floats, target: float) -> float:
    """Steps before the birth at which the separation passed ``target`` px; below 0 if it did so later."""
    begun, took, height = _curve(when, apart)
    for t in np.arange(-begun, when[-1], 0.25):
        if height * _rise(np.array([(t + begun) / took]))[0] >= target:
            return -t
    return 0.0


@njit(cache=True, nogil=True)
def emerged(own: Integers, mate: Integers, pa: int, step: Integers, flux: Floats, snr: Floats) -> float:
    """Step at which a new phase reached :data:`VISIBLE`, from the share of intensity that it takes over."""
    early = own[: np.searchsorted(step[own], step[own[0]] + WINDOW)]
    parent = mate[: len(early)]
    born = step[own[0]]
    begun, took, height = _curve(
        (step[early] - born).astype(np.float64), flux[early] / (flux[early] + flux[parent])
    )
    for row in range(pa, mate[-1]):
        share = height * _rise(np.array([(step[row] - born + begun) / took]))[0]
        if share < 1 and snr[row] * share / (1 - share) >= VISIBLE:
            return float(step[row])
    return float(born)


@njit(cache=True, nogil=True)
def _curve(when: Floats, value: Floats) -> tuple[float, float, float]:
    """Steps before 0 at which it began, duration and height of the best curve u^2 (3 - 2u), which leaves 0
    smoothly and comes to rest.
    """
    best, begun, took, height = np.inf, 0.0, 1.0, 1.0
    for lag in range(WINDOW):
        for width in WIDTHS:
            g = _rise((when + lag) / width)
            norm = (g * g).sum()
            if g[0] < 0.02 or norm == 0:
                continue
            scale = (g * value).sum() / norm
            miss = ((value - scale * g) ** 2).sum()
            if miss < best:
                best, begun, took, height = miss, float(lag), width, scale
    return begun, took, height


@njit(cache=True, nogil=True)
def seen(a: int, b: int, step: Integers, snr: Floats) -> float:
    """Step at which a new phase that becomes brighter reached :data:`VISIBLE`, else minus infinity.

    What a phase takes over from another grows from nothing with the square of time at first, so its root
    is a straight line.
    """
    n, t, root = 0, np.empty(b - a), np.empty(b - a)
    for row in range(a, b):
        if step[row] > step[a] + 2 * EARLY:
            break
        if snr[row] > 0:
            t[n], root[n] = step[row] - step[a], np.sqrt(snr[row])
            n += 1
    if n < 4:
        return -np.inf
    at = t[:n].mean()
    slope = ((t[:n] - at) * root[:n]).sum() / ((t[:n] - at) ** 2).sum()
    return step[a] + at - (root[:n].mean() - np.sqrt(VISIBLE)) / slope if slope > 0 else -np.inf


@njit(cache=True, nogil=True)
def _rise(u: Floats) -> Floats:
    u = np.minimum(np.maximum(u, 0.0), 1.0)
    return u * u * (3.0 - 2.0 * u)
