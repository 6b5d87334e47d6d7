"""Levenberg-Marquardt for windows with one to three peaks, in numba: float64, one thread, no lock held.

Marquardt's scaling of the normal equations (J. SIAM 11, 431, 1963); eta is kept in [0, 1] by an active set;
counting statistics by Fisher scoring. Covariances come from the undamped normal equations.
"""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.fitting.kernels import (
    deviance,
    model_and_jacobian,
    normal_equations,
    pearson,
    solve_factored,
    solve_scaled,
    squares,
)
from braggscope.models.fitting.lone import evaluate_lone
from braggscope.models.fitting.starts import start_values

MAX_COMPONENTS = 3
STRIDE = 7  # of a component in Solution.parameters: amplitude, x, y, a, b, c, eta
MAX_ITERATIONS = 60
STEP_PX = 2e-6  # a shorter step ends the fit; what remains is then below 1e-7 px
SLACK = 100.0  # steps so many times longer are accepted when the iterations run out
STEP_SHAPE = 1e-4  # of the form, the amplitude and eta, relative
NARROWEST, WIDEST = 0.15, 2.0  # bounds of sigma: px, and windows
FIRST_DAMPING = 1e-4


class Solution(NamedTuple):
    """What a solver returns for N windows. Positions in px relative to the middle pixel."""

    parameters: NDArray[np.float64]  # (N, 22) three components of 7, unused ones 0, then the background
    covariance: NDArray[
        np.float64
    ]  # (N, 3) var x, var y, cov xy of the first component, px²; NaN if singular
    amplitude_err: NDArray[np.float64]  # (N, 3) counts; NaN if singular
    objective: NDArray[np.float64]  # (N,) half the sum of squares, or minus the Poisson log-likelihood
    chi2: NDArray[np.float64]  # (N,) sum of r² / max(model, 1) over degrees of freedom
    converged: NDArray[np.bool_]  # (N,)


def blank_solution(n: int) -> Solution:
    """A solution in which nothing has converged."""
    return Solution(
        np.zeros((n, MAX_COMPONENTS * STRIDE + 1)),
        np.full((n, 3), np.nan),
        np.full((n, MAX_COMPONENTS), np.nan),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.zeros(n, np.bool_),
    )


@njit(cache=True, nogil=True, forceinline=True)
def _compact(values, side, px, py, value, live):
    """Valid pixels of a window, padded to a multiple of eight. Returns their number and the padded one."""
    half = side // 2
    n = 0
    for i in range(side):
        for j in range(side):
            number = values[i * side + j]
            if not math.isnan(number):
                px[n], py[n], value[n], live[n] = j - half, i - half, number, 1.0
                n += 1
    padded = (n + 7) // 8 * 8
    for t in range(n, padded):
        px[t], py[t], value[t], live[t] = 0.0, 0.0, 0.0, 0.0
    return n, padded


@njit(cache=True, nogil=True, forceinline=True)
def _evaluate(theta, count, stride, poisson, pixels, n, jacobian, buffers, matrix, gradient):
    """Objective at ``theta``; fills model, residuals and the normal equations."""
    if count == 1 and stride == 6 and not poisson:
        return evaluate_lone(theta, pixels, n, buffers, matrix, gradient)
    px, py, value, live = pixels
    model, residual, weight, spare = buffers
    model_and_jacobian(theta, count, stride, px, py, live, n, jacobian, model, spare)
    if poisson:
        objective = deviance(value, model, live, n, residual, weight)
    else:
        objective = squares(value, model, live, n, residual)
    p = count * stride + 1
    normal_equations(jacobian, residual, weight, spare, p, n, poisson, matrix, gradient)
    return objective


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
def _hold_bound_etas(theta, count, matrix, gradient, p):
    """Hold each eta that lies on a bound and is pushed against it."""
    for k in range(count):
        e = k * 7 + 6
        if (theta[e] <= 0.0 and gradient[e] <= 0.0) or (theta[e] >= 1.0 and gradient[e] >= 0.0):
            _hold(matrix, gradient, p, e, 0.0)


@njit(cache=True, nogil=True, forceinline=True)
def _step(theta, count, stride, damping, matrix, gradient, space, step):
    """Damped step that keeps each eta in [0, 1]. May change matrix and gradient (those of a copy)."""
    factor, scale = space
    p = count * stride + 1
    if stride == 6:
        return solve_scaled(matrix, gradient, p, damping, factor, scale, step)
    _hold_bound_etas(theta, count, matrix, gradient, p)
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
def _possible(theta, count, stride, side):
    """Whether every component is an ellipse of sensible size not far outside the window."""
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
def _small(theta, step, count, stride, slack):
    """Whether a step is too short to matter."""
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


@njit(cache=True, nogil=True, forceinline=True)
def _copy(matrix, gradient, to_matrix, to_gradient, p):
    for i in range(p):
        to_gradient[i] = gradient[i]
        for j in range(i + 1):
            to_matrix[i, j] = matrix[i, j]


@njit(cache=True, nogil=True, forceinline=True)
def _descend(theta, count, stride, poisson, side, pixels, n, space):
    """Minimise from ``theta`` in place. Returns whether it converged, and the objective.

    ``space`` is left with the model and the normal equations of the minimum, or of a point closer to it
    than :data:`STEP_PX`.
    """
    jacobian, buffers, matrix, gradient, spare_matrix, spare_gradient, factor, scale, step, trial = space
    p = count * stride + 1
    objective = _evaluate(theta, count, stride, poisson, pixels, n, jacobian, buffers, matrix, gradient)
    damping, fresh, converged = FIRST_DAMPING, True, False
    for _ in range(MAX_ITERATIONS):
        _copy(matrix, gradient, spare_matrix, spare_gradient, p)
        solved = _step(theta, count, stride, damping, spare_matrix, spare_gradient, (factor, scale), step)
        if solved:
            for i in range(p):
                trial[i] = theta[i] + step[i]
            solved = _possible(trial, count, stride, side)
        if not solved:
            damping = max(damping, 1e-4) * 10.0
            continue
        if damping <= 1e-2 and _small(theta, step, count, stride, 1.0):
            for i in range(p):
                theta[i] = trial[i]
            converged = True
            break
        new = _evaluate(
            trial, count, stride, poisson, pixels, n, jacobian, buffers, spare_matrix, spare_gradient
        )
        fresh = new <= objective
        if fresh:
            objective = new
            for i in range(p):
                theta[i] = trial[i]
            _copy(spare_matrix, spare_gradient, matrix, gradient, p)
            damping *= 0.1
        else:
            damping = max(damping, 1e-4) * 10.0
    if not converged and damping <= 1e-2:
        converged = _small(theta, step, count, stride, SLACK)
    if not fresh:
        objective = _evaluate(theta, count, stride, poisson, pixels, n, jacobian, buffers, matrix, gradient)
    return converged, objective


@njit(cache=True, nogil=True, forceinline=True)
def _errors(theta, count, stride, variance, space, covariance, amplitude_err):
    """Covariances from the normal equations of the minimum; nothing where these are singular."""
    _, _, matrix, gradient, _, _, factor, scale, unit, _ = space
    p = count * stride + 1
    if stride == 7:
        _hold_bound_etas(theta, count, matrix, gradient, p)
    if not solve_scaled(matrix, gradient, p, 0.0, factor, scale, unit):
        return
    for k in range(-2, count):
        wanted = k + 3 if k < 0 else k * stride  # x, y, then the amplitudes
        for i in range(p):
            unit[i] = 0.0
        unit[wanted] = scale[wanted] * variance
        solve_factored(factor, p, unit)
        if k < 0:
            covariance[k + 2] = unit[wanted] * scale[wanted]
            covariance[2] = unit[3 - wanted] * scale[3 - wanted]
        else:
            amplitude_err[k] = math.sqrt(unit[wanted] * scale[wanted])


@njit(cache=True, nogil=True, forceinline=True)
def _solve(
    values,
    starts,
    count,
    stride,
    poisson,
    side,
    parameters,
    covariance,
    amplitude_err,
    objective,
    chi2,
    converged,
):
    """Fit every window; all have ``count`` components."""
    p = count * stride + 1
    room = (side * side + 7) // 8 * 8
    px, py, value, live = np.empty(room), np.empty(room), np.empty(room), np.empty(room)
    pixels = (px, py, value, live)
    jacobian = np.empty((p, room))
    buffers = (np.empty(room), np.empty(room), np.empty(room), np.empty(room))
    matrix, spare_matrix, factor = np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    gradient, spare_gradient, scale = np.empty(p), np.empty(p), np.empty(p)
    step, trial, theta = np.empty(p), np.empty(p), np.empty(p)
    space = (jacobian, buffers, matrix, gradient, spare_matrix, spare_gradient, factor, scale, step, trial)
    for k in range(values.shape[0]):
        valid, n = _compact(values[k], side, px, py, value, live)
        if valid <= p or not start_values(
            theta, count, stride, starts[k], side, px, py, value, live, n, valid,
            jacobian, buffers[1], (matrix, gradient, factor, scale, step),
        ):  # fmt: skip
            continue
        converged[k], objective[k] = _descend(theta, count, stride, poisson, side, pixels, n, space)
        chi2[k] = pearson(buffers[0], buffers[1], n) / (valid - p)
        variance = chi2[k] if poisson else 2.0 * objective[k] / (valid - p)
        _errors(theta, count, stride, variance, space, covariance[k], amplitude_err[k])
        for i in range(count):
            for j in range(stride):
                parameters[k, 7 * i + j] = theta[i * stride + j]
        parameters[k, 21] = theta[p - 1]


def solve(values: NDArray[np.float64], starts: NDArray[np.float64], voigt: bool, poisson: bool) -> Solution:
    """Fit (N, window²) windows, NaN = not valid; ``starts`` (N, K, 2): x, y of the peaks from the middle."""
    result = blank_solution(len(values))
    side = math.isqrt(values.shape[1])
    _solve(values, starts, starts.shape[1], 7 if voigt else 6, poisson, side, *result)
    return result
