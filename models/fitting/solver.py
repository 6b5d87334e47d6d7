"""Levenberg-Marquardt for windows with one to three peaks, in numba: float64, one thread, no lock held.

Marquardt's scaling of the normal equations (J. SIAM 11, 431, 1963); eta is kept in [0, 1] by an active set;
counting statistics by Fisher scoring, :func:`.kernels.deviance`. Covariances come from the undamped normal
equations.
"""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

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
from braggscope.models.fitting.lone import evaluate_lone, evaluate_on_plane
from braggscope.models.fitting.prior import penalise
from braggscope.models.fitting.solution import (
    FIRST_DAMPING,
    GROUND,
    MAX_ITERATIONS,
    SLACK,
    SMALL_GAIN,
    STRIDE,
    Kind,
    Solution,
    blank_solution,
)
from braggscope.models.fitting.starts import start_values
from braggscope.models.fitting.steps import damped_step, hold_bound_etas, is_possible, is_small


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
def _evaluate(theta, shape, poisson, prior, pixels, n, jacobian, buffers, matrix, gradient):
    """Objective at ``theta``; fills model, residuals and the normal equations."""
    objective = _misfit(theta, shape, poisson, pixels, n, jacobian, buffers, matrix, gradient)
    if prior[0] > 0.0:
        objective += penalise(theta, shape, prior, buffers[2], matrix, gradient)
    return objective


@njit(cache=True, nogil=True, forceinline=True)
def _misfit(theta, shape, poisson, pixels, n, jacobian, buffers, matrix, gradient):
    count, stride, ground = shape
    if count == 1 and stride == 6 and not poisson:
        if ground == 1:
            return evaluate_lone(theta, pixels, n, buffers, matrix, gradient)
        return evaluate_on_plane(theta, pixels, n, buffers, jacobian[0], jacobian[1], matrix, gradient)
    px, py, value, live = pixels
    model, residual, weight, spare = buffers
    model_and_jacobian(theta, shape, px, py, live, n, jacobian, model, spare)
    if poisson:
        objective = deviance(value, model, live, n, residual, weight)
    else:
        objective = squares(value, model, live, n, residual)
    p = count * stride + ground
    normal_equations(jacobian, residual, weight, spare, p, n, poisson, matrix, gradient)
    return objective


@njit(cache=True, nogil=True, forceinline=True)
def _copy(matrix, gradient, to_matrix, to_gradient, p):
    for i in range(p):
        to_gradient[i] = gradient[i]
        for j in range(i + 1):
            to_matrix[i, j] = matrix[i, j]


@njit(cache=True, nogil=True, forceinline=True)
def _promise(step, gradient, p):
    """Twice what a step would take off the objective if that were a parabola."""
    total = 0.0
    for i in range(p):
        total += step[i] * gradient[i]
    return total


@njit(cache=True, nogil=True, forceinline=True)
def _descend(theta, shape, poisson, prior, side, pixels, n, space):
    """Minimise from ``theta`` in place. Returns whether it converged, and the objective.

    ``space`` is left with the model and the normal equations of the minimum, or of a point closer to it
    than ``STEP_PX``.
    """
    jacobian, buffers, matrix, gradient, spare_matrix, spare_gradient, factor, scale, step, trial = space
    count, stride, ground = shape
    p = count * stride + ground
    objective = _evaluate(theta, shape, poisson, prior, pixels, n, jacobian, buffers, matrix, gradient)
    damping, fresh, converged = FIRST_DAMPING, True, False
    for _ in range(MAX_ITERATIONS):
        _copy(matrix, gradient, spare_matrix, spare_gradient, p)
        solved = damped_step(theta, shape, damping, spare_matrix, spare_gradient, (factor, scale), step)
        if solved:
            for i in range(p):
                trial[i] = theta[i] + step[i]
            solved = is_possible(trial, shape, side)
        if not solved:
            damping = max(damping, 1e-4) * 10.0
            continue
        if damping <= 1e-2 and (
            is_small(theta, step, shape, 1.0) or _promise(step, gradient, p) < SMALL_GAIN * prior[0]
        ):
            for i in range(p):
                theta[i] = trial[i]
            converged = True
            break
        new = _evaluate(
            trial, shape, poisson, prior, pixels, n, jacobian, buffers, spare_matrix, spare_gradient
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
        converged = is_small(theta, step, shape, SLACK)
    if not fresh:
        objective = _evaluate(theta, shape, poisson, prior, pixels, n, jacobian, buffers, matrix, gradient)
    return converged, objective


@njit(cache=True, nogil=True, forceinline=True)
def _errors(theta, shape, variance, space, covariance, amplitude_err):
    """Covariances from the normal equations of the minimum; nothing where these are singular."""
    count, stride, ground = shape
    _, _, matrix, gradient, _, _, factor, scale, unit, _ = space
    p = count * stride + ground
    if stride == 7:
        hold_bound_etas(theta, count, matrix, gradient, p)
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
def _solve(values, starts, strength, shape, poisson, side, solution):
    """Fit every window; all have one ``shape``. ``solution``: the arrays of a :class:`Solution`."""
    parameters, covariance, amplitude_err, objective, chi2, converged = solution
    count, stride, ground = shape
    p = count * stride + ground
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
            theta, shape, starts[k], side, pixels, n, valid, jacobian, buffers[1],
            (matrix, gradient, factor, scale, step),
        ):  # fmt: skip
            continue
        prior = (strength[k], starts[k])
        converged[k], objective[k] = _descend(theta, shape, poisson, prior, side, pixels, n, space)
        chi2[k] = pearson(buffers[0], buffers[1], n) / (valid - p)
        if poisson:
            variance = chi2[k]
        else:
            variance = strength[k] if strength[k] > 0.0 else 2.0 * objective[k] / (valid - p)
        _errors(theta, shape, variance, space, covariance[k], amplitude_err[k])
        for i in range(count):
            for j in range(stride):
                parameters[k, STRIDE * i + j] = theta[i * stride + j]
        for i in range(ground):
            parameters[k, GROUND + i] = theta[count * stride + i]


def solve(
    values: NDArray[np.float64],
    starts: NDArray[np.float64],
    kind: Kind,
    strength: NDArray[np.float64] | None = None,
) -> Solution:
    """Fit (N, window²) windows, NaN = not valid; ``starts`` (N, K, 2): x, y of the peaks from the middle.

    ``strength`` (N,): variance of the noise where the priors of :mod:`braggscope.models.fitting.prior` take
    part, else 0.
    """
    result = blank_solution(len(values))
    shape = (starts.shape[1], kind.stride, kind.ground)
    given = np.zeros(len(values)) if strength is None else strength
    _solve(values, starts, given, shape, kind.poisson, math.isqrt(values.shape[1]), tuple(result))
    return result
