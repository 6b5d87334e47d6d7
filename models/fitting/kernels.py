"""Numba kernels of a fit: model, Jacobian, normal equations, and the linear algebra of small systems.

A window is given by its valid pixels only: ``px, py, value, live`` (n,) with n padded to a multiple of
eight; ``live`` is 1, and 0 on the padding. Parameters of a component: amplitude, x, y, a, b, c and, for a
pseudo-Voigt, eta, with (a, b, c) the inverse covariance of :mod:`braggscope.models.profiles`; last come the
``ground`` parameters of the background: 1, a constant, or 3, then its slopes along x and y. The loops are
split so that each is vectorised by the compiler; for that a division must not raise where it is by 0.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

from numba import njit

from braggscope.models.fitting.logarithm import log_positive
from braggscope.models.profiles import HALF_MAXIMUM

FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums may be reordered; NaN and infinity keep their meaning


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def exp_negative(x):
    """exp(x) for x <= 0, absolute error below 1e-15: a polynomial of x / 128, squared seven times."""
    t = max(x, -40.0) * (1.0 / 128.0)
    y = 1.0 + t * (1.0 + t * (1 / 2 + t * (1 / 6 + t * (1 / 24 + t * (1 / 120 + t * (1 / 720 + t / 5040))))))
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    y *= y
    return y * y


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def gaussian_values(x, y, a, b, c, px, py, live, n, out):
    """Height 0-1 of a Gaussian on every pixel, 0 on the padding."""
    for t in range(n):
        dx, dy = px[t] - x, py[t] - y
        out[t] = exp_negative(-0.5 * (dx * (a * dx + 2.0 * b * dy) + c * dy * dy)) * live[t]


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _slope_gaussian(amplitude, height, slope, n):
    for t in range(n):
        slope[t] = -0.5 * amplitude * height[t]


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", forceinline=True)
def _mix_lorentzian(theta, o, px, py, live, n, height, slope, mixing):
    """Turn Gaussian heights into those of a pseudo-Voigt; ``slope`` = dm/dq, ``mixing`` = dm/deta."""
    amplitude, x, y, a, b, c, eta = theta[o : o + 7]
    for t in range(n):
        dx, dy = px[t] - x, py[t] - y
        q = dx * (a * dx + 2.0 * b * dy) + c * dy * dy
        lorentz = live[t] / (1.0 + q * (1.0 / HALF_MAXIMUM))
        gauss = height[t]
        slope[t] = -amplitude * (0.5 * (1.0 - eta) * gauss + eta / HALF_MAXIMUM * lorentz * lorentz)
        mixing[t] = amplitude * (lorentz - gauss)
        height[t] = gauss + eta * (lorentz - gauss)


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def _shape_rows(theta, o, px, py, n, slope, jacobian):
    """Rows of the Jacobian for x, y, a, b, c from ``slope`` = dm/dq."""
    x, y, a, b, c = theta[o + 1], theta[o + 2], theta[o + 3], theta[o + 4], theta[o + 5]
    for t in range(n):
        jacobian[o + 1, t] = -2.0 * slope[t] * (a * (px[t] - x) + b * (py[t] - y))
    for t in range(n):
        jacobian[o + 2, t] = -2.0 * slope[t] * (b * (px[t] - x) + c * (py[t] - y))
    for t in range(n):
        jacobian[o + 3, t] = slope[t] * (px[t] - x) * (px[t] - x)
    for t in range(n):
        jacobian[o + 4, t] = 2.0 * slope[t] * (px[t] - x) * (py[t] - y)
    for t in range(n):
        jacobian[o + 5, t] = slope[t] * (py[t] - y) * (py[t] - y)


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def ground_rows(ground, px, py, live, n, rows):
    """The first ``ground`` of ``rows`` become 1, x and y on every pixel; 0 on the padding."""
    for t in range(n):
        rows[0, t] = live[t]
    if ground == 3:
        for t in range(n):
            rows[1, t] = px[t]
        for t in range(n):
            rows[2, t] = py[t]


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def ground_values(theta, last, ground, px, py, live, n, out):
    """The background of the parameters from ``last`` on; 0 on the padding."""
    level = theta[last]
    if ground == 3:
        rise, fall = theta[last + 1], theta[last + 2]
        for t in range(n):
            out[t] = level * live[t] + (rise * px[t] + fall * py[t])
    else:
        for t in range(n):
            out[t] = level * live[t]


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def model_and_jacobian(theta, kind, px, py, live, n, jacobian, model, slope):
    """Model (n,) and Jacobian (parameters, n) of the ``kind`` = (count, stride, ground)."""
    count, stride, ground = kind
    last = count * stride
    ground_rows(ground, px, py, live, n, jacobian[last:])
    ground_values(theta, last, ground, px, py, live, n, model)
    for k in range(count):
        o = k * stride
        height = jacobian[o]
        gaussian_values(
            theta[o + 1], theta[o + 2], theta[o + 3], theta[o + 4], theta[o + 5], px, py, live, n, height
        )
        if stride == 7:
            _mix_lorentzian(theta, o, px, py, live, n, height, slope, jacobian[o + 6])
        else:
            _slope_gaussian(theta[o], height, slope, n)
        _shape_rows(theta, o, px, py, n, slope, jacobian)
        amplitude = theta[o]
        for t in range(n):
            model[t] += amplitude * height[t]


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def squares(value, model, live, n, residual):
    """Residuals, and half the sum of their squares."""
    total = 0.0
    for t in range(n):
        residual[t] = value[t] * live[t] - model[t]
    for t in range(n):
        total += residual[t] * residual[t]
    return 0.5 * total


@njit(cache=True, nogil=True, fastmath={"contract"}, error_model="numpy", forceinline=True)
def _unlikeliness(k, m, above):
    """What a pixel of ``k`` counts adds to :func:`deviance`; its terms nearly cancel: in this order."""
    under = above - m
    return ((above - k) - k * log_positive(above / max(k, 1.0))) + under * (k - 1.0 + 0.5 * under)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", forceinline=True)
def deviance(value, model, live, n, residual, weight):
    """Weights 1 / max(model, 1), residuals, and the objective that has these weights as its scoring matrix.

    It is the Poisson log-likelihood where the model exceeds one count, continued as a parabola below, so
    that its gradient is the weighted residual everywhere. A constant of the data is left out.
    """
    total = 0.0
    for t in range(n):
        k, m = value[t], model[t]
        residual[t] = (k - m) * live[t]
        above = max(m, 1.0)
        weight[t] = live[t] / above
        total += live[t] * _unlikeliness(k, m, above)
    return total


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy", forceinline=True)
def pearson(model, residual, n):
    """Sum of r² / max(model, 1)."""
    total = 0.0
    for t in range(n):
        total += residual[t] * residual[t] / max(model[t], 1.0)
    return total


@njit(cache=True, nogil=True, fastmath=FAST, forceinline=True)
def normal_equations(jacobian, residual, weight, weighted, p, n, weights, matrix, gradient):
    """Lower triangle of JᵀWJ and JᵀWr for the first ``p`` parameters; W = 1 unless ``weights``."""
    for i in range(p):
        left = jacobian[i]
        if weights:
            for t in range(n):
                weighted[t] = left[t] * weight[t]
            left = weighted
        total = 0.0
        for t in range(n):
            total += left[t] * residual[t]
        gradient[i] = total
        for j in range(i + 1):
            right = jacobian[j]
            total = 0.0
            for t in range(n):
                total += left[t] * right[t]
            matrix[i, j] = total


@njit(cache=True, nogil=True)
def cholesky(matrix, p):
    """Factor the lower triangle in place. False where it is not positive definite.

    The diagonal is expected to be near one, so that a pivot below 1e-13 means linear dependence.
    """
    for j in range(p):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        if not pivot > 1e-13:
            return False
        inverse = 1.0 / math.sqrt(pivot)
        matrix[j, j] = inverse  # the reciprocal of the pivot is what the solver needs
        for i in range(j + 1, p):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total * inverse
    return True


@njit(cache=True, nogil=True)
def solve_factored(factor, p, vector):
    """Solve in place with the factor of :func:`cholesky`."""
    for i in range(p):
        total = vector[i]
        for k in range(i):
            total -= factor[i, k] * vector[k]
        vector[i] = total * factor[i, i]
    for i in range(p - 1, -1, -1):
        total = vector[i]
        for k in range(i + 1, p):
            total -= factor[k, i] * vector[k]
        vector[i] = total * factor[i, i]


@njit(cache=True, nogil=True)
def solve_scaled(matrix, vector, p, damping, factor, scale, out):
    """Solve (S M S + damping) S⁻¹ x = S v with S = diag(M)^-1/2: Marquardt's scaling. False if singular.

    ``matrix`` holds the lower triangle. A zero on the diagonal fixes that unknown at zero.
    ``factor`` and ``scale`` are left for further right-hand sides.
    """
    for i in range(p):
        free = matrix[i, i] > 0.0
        scale[i] = 1.0 / math.sqrt(matrix[i, i]) if free else 0.0
        for j in range(i):
            factor[i, j] = matrix[i, j] * scale[i] * scale[j]
        factor[i, i] = 1.0 + damping
        out[i] = vector[i] * scale[i]
    if not cholesky(factor, p):
        return False
    solve_factored(factor, p, out)
    for i in range(p):
        out[i] *= scale[i]
    return True
