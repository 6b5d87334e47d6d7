"""Two spots of one grain: phases that have parted still turn through the Bragg condition together.

They keep the shape of the grain and its rocking curve: while intensity is exchanged their sum stays, and once
none is exchanged any more their ratio. This tells them from neighbours even where they are first seen when
they no longer move apart.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
PART = 8  # common steps over which intensities are averaged
PARTS = 6  # of them that are needed
VARIED = 0.15  # standard deviation of the logarithm of either intensity that is needed to judge
ALIKE = 0.2  # of that: what may be left in their ratio
SIMILAR = 0.12  # logarithm of the ratio of the widths
GROWN = 0.3  # logarithm by which the ratio has grown since the birth
HANDED = 60  # steps after the birth in which one gains what the other loses
ENOUGH = 8  # of them in which both must be seen
GAINED = 0.1  # of the sum of both: what the new one must gain at least
AGAINST = -0.75  # correlation of both intensities at most
KEPT = 0.4  # of the gain: what the sum may change
SAME = 0.0125  # logarithm of the ratio of the widths, of phases that exchange intensity
EARLIER = (60, 40)  # steps before the birth in which the older one had it all
WHOLE = 0.27  # logarithm of what it had then over the sum


@njit(cache=True, nogil=True)
def common(a: int, b: int, pa: int, pb: int, step: Integers, flux: Floats) -> tuple[Integers, Integers]:
    """Rows of the first and of the second track, of the same steps, where both intensities are known."""
    own, other = np.empty(b - a, np.int64), np.empty(b - a, np.int64)
    n, p = 0, pa
    for row in range(a, b):
        while p < pb and step[p] < step[row]:
            p += 1
        if p < pb and step[p] == step[row] and flux[row] > 0 and flux[p] > 0:
            own[n], other[n] = row, p
            n += 1
    return own[:n], other[:n]


@njit(cache=True, nogil=True)
def related(own: Integers, other: Integers, flux: Floats, sigma: Floats) -> bool:
    """Whether a new spot is a phase of the grain of an older one, given their rows of the same steps.

    Their ratio must come to rest while both vary, and grow before: otherwise the newer may be the older
    phase, which was hidden for a while.
    """
    parts = len(own) // PART
    if parts < PARTS or not abs(np.mean(np.log(sigma[own] / sigma[other]))) < SIMILAR:
        return False
    x, y = _means(flux[own], parts), _means(flux[other], parts)
    for k in range(1, parts - PARTS + 1):
        varied = min(x[k:].std(), y[k:].std())
        if varied > VARIED and (x[k:] - y[k:]).std() < ALIKE * varied:
            return (x[k:] - y[k:]).mean() - (x[0] - y[0]) > GROWN
    return False


@njit(cache=True, nogil=True)
def exchanged(
    own: Integers, other: Integers, first: int, step: Integers, flux: Floats, sigma: Floats
) -> bool:  # fmt: skip
    """Whether a new spot takes over what an older one loses, given their rows of the same steps.

    Their sum stays, before the birth too, and they have one width. ``first``: row with which the
    older begins.
    """
    n = np.searchsorted(step[own], step[own[0]] + HANDED) if len(own) else 0
    if n < ENOUGH or not abs(np.mean(np.log(sigma[own[:n]] / sigma[other[:n]]))) < SAME:
        return False
    new, old = flux[own[:n]], flux[other[:n]]
    t = step[own[:n]].astype(np.float64)
    gain, change, total = _change(t, new), _change(t, new + old), new + old
    if gain < GAINED * total.mean() or abs(change) > KEPT * gain or np.corrcoef(new, old)[0, 1] > AGAINST:
        return False
    ago = step[own[0]] - step[first : other[0]]
    before = flux[first : other[0]][(ago <= EARLIER[0]) & (ago > EARLIER[1])]
    return len(before) > 0 and abs(np.log(np.median(before) / total[:PART].mean())) < WHOLE


@njit(cache=True, nogil=True)
def _change(t: Floats, values: Floats) -> float:
    """By how much a straight line through values rises over all times."""
    u = t - t.mean()
    return (t[-1] - t[0]) * (u * values).sum() / (u * u).sum()


@njit(cache=True, nogil=True)
def _means(flux: Floats, parts: int) -> Floats:
    """(parts,) means of the logarithm over every eight values, up to the last."""
    means = np.empty(parts)
    for k in range(parts):
        end = len(flux) - (parts - 1 - k) * PART
        means[k] = np.log(flux[end - PART : end]).mean()
    return means
