"""How spots move: nearly constant velocity along x and along y, with white acceleration between frames.

Bar-Shalom, Li and Kirubarajan, *Estimation with Applications to Tracking and Navigation* (2001), ch. 6.2:
over ``dt`` steps the covariance of (position, velocity) grows by q [[dt^3/3, dt^2/2], [dt^2/2, dt]].
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POSITION, SPEED, P_XX, P_XV, P_VV = range(5)  # of the state of one axis


@njit(cache=True, nogil=True)
def predict(axis: Floats, dt: float, q: float) -> None:
    """Move the state of one axis (5,) on by ``dt`` steps."""
    axis[POSITION] += axis[SPEED] * dt
    axis[P_XX] += dt * (2 * axis[P_XV] + dt * (axis[P_VV] + q * dt / 3))
    axis[P_XV] += dt * (axis[P_VV] + q * dt / 2)
    axis[P_VV] += q * dt


@njit(cache=True, nogil=True)
def update(axis: Floats, measured: float, variance: float) -> None:
    """Take in a measured position with its variance px^2."""
    total = axis[P_XX] + variance
    gain_x, gain_v = axis[P_XX] / total, axis[P_XV] / total
    surprise = measured - axis[POSITION]
    axis[POSITION] += gain_x * surprise
    axis[SPEED] += gain_v * surprise
    axis[P_VV] -= gain_v * axis[P_XV]
    axis[P_XV] *= 1 - gain_x
    axis[P_XX] *= 1 - gain_x
