"""Where a track really was: a Kalman filter forwards and a smoother backwards over each of its axes.

Rauch, Tung and Striebel, AIAA Journal 3, 1445 (1965), for the motion of :mod:`.motion`. How restless a
track is along an axis, its q, is the one that makes its positions most likely, of those in :data:`LADDER`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.tracks.motion import P_VV, P_XV, P_XX, POSITION, SPEED, predict, update

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
LADDER = 10.0 ** np.arange(-8.0, 1.5)  # q, px^2/step^3
HALF = np.sqrt(10.0)  # and half way between its rungs
FLAT = 1.0  # px/step: before its first peak nothing is known of a speed but that it is of this size


@njit(cache=True, nogil=True)
def _filter(step: Integers, place: Floats, variance: Floats, q: float, states: Floats) -> float:
    """Filtered states (n, 5) into ``states``; returns the logarithm of the likelihood but for a constant."""
    axis = np.zeros(5)
    axis[POSITION], axis[P_XX], axis[P_VV] = place[0], variance[0], FLAT * FLAT
    states[0] = axis
    likelihood = 0.0
    for i in range(1, len(step)):
        predict(axis, float(step[i] - step[i - 1]), q)
        total = axis[P_XX] + variance[i]
        likelihood -= 0.5 * (np.log(total) + (place[i] - axis[POSITION]) ** 2 / total)
        update(axis, place[i], variance[i])
        states[i] = axis
    return likelihood


@njit(cache=True, nogil=True)
def _smooth(step: Integers, q: float, states: Floats) -> None:
    """Turn filtered states (n, 5) into smoothed ones, in place."""
    ahead = np.empty(5)
    for i in range(len(step) - 2, -1, -1):
        here, later = states[i], states[i + 1]
        dt = float(step[i + 1] - step[i])
        ahead[:] = here
        predict(ahead, dt, q)
        det = ahead[P_XX] * ahead[P_VV] - ahead[P_XV] ** 2
        a, b = here[P_XX] + dt * here[P_XV], here[P_XV]  # covariance of here with ahead: rows x, v
        c, d = here[P_XV] + dt * here[P_VV], here[P_VV]
        g_xx, g_xv = (a * ahead[P_VV] - b * ahead[P_XV]) / det, (b * ahead[P_XX] - a * ahead[P_XV]) / det
        g_vx, g_vv = (c * ahead[P_VV] - d * ahead[P_XV]) / det, (d * ahead[P_XX] - c * ahead[P_XV]) / det
        dx, dv = later[POSITION] - ahead[POSITION], later[SPEED] - ahead[SPEED]
        e_xx, e_xv = later[P_XX] - ahead[P_XX], later[P_XV] - ahead[P_XV]
        e_vv = later[P_VV] - ahead[P_VV]
        here[POSITION] += g_xx * dx + g_xv * dv
        here[SPEED] += g_vx * dx + g_vv * dv
        here[P_XX] += g_xx * g_xx * e_xx + 2 * g_xx * g_xv * e_xv + g_xv * g_xv * e_vv
        here[P_VV] += g_vx * g_vx * e_xx + 2 * g_vx * g_vv * e_xv + g_vv * g_vv * e_vv
        here[P_XV] += g_xx * g_vx * e_xx + (g_xx * g_vv + g_xv * g_vx) * e_xv + g_xv * g_vv * e_vv


@njit(cache=True, nogil=True)
def _best(step: Integers, place: Floats, variance: Floats, ladder: Floats, states: Floats) -> float:
    """Smoothed states (n, 5) of one axis of one track; returns its q."""
    best, rung = -np.inf, ladder[0]
    for q in ladder:
        value = _filter(step, place, variance, q, states)
        if value > best:
            best, rung = value, q
    chosen = rung
    for q in (rung * HALF, rung / HALF):
        value = _filter(step, place, variance, q, states)
        if value > best:
            best, chosen = value, q
    _filter(step, place, variance, chosen, states)
    _smooth(step, chosen, states)
    return chosen


@njit(cache=True, nogil=True)
def smooth_tracks(
    start: Integers, step: Integers, x: Floats, y: Floats, var_x: Floats, var_y: Floats, ladder: Floats
) -> tuple[Floats, Floats, Floats]:
    """Smoothed states of x and of y, (N, 5) each: position, speed, and their covariance; and q (K, 2).

    Rows are sorted by track, then by step; track k holds rows ``start[k]`` to ``start[k + 1]``.
    """
    along, down, q = np.empty((len(x), 5)), np.empty((len(x), 5)), np.empty((len(start) - 1, 2))
    for k in range(len(start) - 1):
        a, b = start[k], start[k + 1]
        q[k, 0] = _best(step[a:b], x[a:b], var_x[a:b], ladder, along[a:b])
        q[k, 1] = _best(step[a:b], y[a:b], var_y[a:b], ladder, down[a:b])
    return along, down, q
