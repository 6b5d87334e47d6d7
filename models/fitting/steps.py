"""One step of Levenberg-Marquardt, and when it is allowed, and small. ``shape`` = (count, stride, ground)."""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

from numba import njit

from braggscope.models.fitting.kernels import solve_scaled
from braggscope.models.fitting.solution import NARROWEST, STEP_PX, STEP_SHAPE, WIDEST


@njit(cache=True, nogil=True, forceinline=True)
def _hold(matrix, gradient, p, e, by):
    """Take unknown ``e`` out of the system, its step being fixed at ``by``, which is left in the gradient."""
    for i in range(p):
        if i < e:
            gradient[i] -= matrix[e, i] * by
            matrix[e, i] = 0.0
        elif i > e:
            gradient[i] -= matrix[i, e] * by
            matrix[i, e] = 0.0
    matrix[e, e], gradient[e] = 0.0, by


@njit(cache=True, nogil=True, forceinline=True)
def hold_bound_etas(theta, count, matrix, gradient, p):
    """Hold each eta that lies on a bound and is pushed against it."""
    for k in range(count):
        e = k * 7 + 6
        if (theta[e] <= 0.0 and gradient[e] <= 0.0) or (theta[e] >= 1.0 and gradient[e] >= 0.0):
            _hold(matrix, gradient, p, e, 0.0)


@njit(cache=True, nogil=True, forceinline=True)
def damped_step(theta, shape, damping, matrix, gradient, space, step):
    """Damped step that keeps each eta in [0, 1]. May change matrix and gradient (those of a copy)."""
    count, stride, ground = shape
    factor, scale = space
    p = count * stride + ground
    if stride == 6:
        return solve_scaled(matrix, gradient, p, damping, factor, scale, step)
    hold_bound_etas(theta, count, matrix, gradient, p)
    if not solve_scaled(matrix, gradient, p, damping, factor, scale, step):
        return False
    for k in range(count):
        e = k * 7 + 6
        limited = min(max(theta[e] + step[e], 0.0), 1.0) - theta[e]
        if limited != step[e]:
            _hold(matrix, gradient, p, e, limited)
            if not solve_scaled(matrix, gradient, p, damping, factor, scale, step):
                return False
    for k in range(count):  # solving again for one eta may push an earlier one over its bound
        e = k * 7 + 6
        wanted = step[e] if matrix[e, e] > 0.0 else gradient[e]
        step[e] = min(max(theta[e] + wanted, 0.0), 1.0) - theta[e]
    return True


@njit(cache=True, nogil=True, forceinline=True)
def is_possible(theta, shape, side):
    """Whether every component is an ellipse of sensible size not far outside the window."""
    count, stride, _ = shape
    narrow, wide = 1.0 / (NARROWEST * NARROWEST), 1.0 / (WIDEST * side * WIDEST * side)
    for k in range(count):
        o = k * stride
        a, b, c = theta[o + 3], theta[o + 4], theta[o + 5]
        half_sum, radius = 0.5 * (a + c), math.sqrt(0.25 * (a - c) * (a - c) + b * b)
        if not (half_sum - radius > wide and half_sum + radius < narrow):
            return False
        if not (abs(theta[o + 1]) < side and abs(theta[o + 2]) < side):
            return False
    return True


@njit(cache=True, nogil=True, forceinline=True)
def is_small(theta, step, shape, slack):
    """Whether a step is too short to matter."""
    count, stride, _ = shape
    near, alike = slack * STEP_PX, slack * STEP_SHAPE
    for k in range(count):
        o = k * stride
        if abs(step[o + 1]) > near or abs(step[o + 2]) > near:
            return False
        if abs(step[o]) > alike * abs(theta[o]):
            return False
        form = alike * (theta[o + 3] + theta[o + 5])
        if abs(step[o + 3]) > form or abs(step[o + 4]) > form or abs(step[o + 5]) > form:
            return False
        if stride == 7 and abs(step[o + 6]) > alike:
            return False
    return True
