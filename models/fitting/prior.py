"""What is known of peaks before they are fitted, for those that the data alone hardly determine.

Three weak Gaussian priors on each component, as further squares in the objective: its centre lies near its
pixel; it is rather round; its width is like that of the fitted peak. In units of noise: ``strength`` is the
variance of the noise (of the counting statistics: reduced chi-square), 0 leaves a fit as it is.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

from numba import njit

CENTRE = 1.0  # px, along x and y
ROUND = 0.5  # of sinh(ln(long axis / short axis)): at 2:1 one and a half sigma
ALIKE = 0.35  # of ln(width / width of the fitted peak), widths being geometric means of both axes


@njit(cache=True, nogil=True)
def _add(row, residual, strength, p, matrix, gradient):
    """Add a squared residual with its derivatives ``row`` to the normal equations; returns its half."""
    for i in range(p):
        if row[i] != 0.0:
            gradient[i] -= strength * residual * row[i]
            for j in range(i + 1):
                matrix[i, j] += strength * row[i] * row[j]
    return 0.5 * strength * residual * residual


@njit(cache=True, nogil=True)
def penalise(theta, shape, prior, row, matrix, gradient):
    """Add the priors to the normal equations at ``theta``; returns their part of the objective.

    ``prior`` = (strength, (count, 2) pixels of the peaks); ``row`` (at least p) is overwritten.
    """
    strength, starts = prior
    count, stride, ground = shape
    p = count * stride + ground
    a0, b0, c0 = theta[3], theta[4], theta[5]
    det0 = a0 * c0 - b0 * b0
    total = 0.0
    for i in range(p):
        row[i] = 0.0
    for k in range(count):
        o = k * stride
        for i in range(2):
            row[o + 1 + i] = 1.0 / CENTRE
            total += _add(row, (theta[o + 1 + i] - starts[k, i]) / CENTRE, strength, p, matrix, gradient)
            row[o + 1 + i] = 0.0
        a, b, c = theta[o + 3], theta[o + 4], theta[o + 5]
        det, half = a * c - b * b, 0.5 * (a - c)
        s = 1.0 / (math.sqrt(det) * ROUND)
        u = -0.5 * s / det  # the derivatives of s are u (c, -2b, a)
        row[o + 3], row[o + 4], row[o + 5] = (
            0.5 * s + half * u * c,
            -2.0 * half * u * b,
            half * u * a - 0.5 * s,
        )
        total += _add(row, half * s, strength, p, matrix, gradient)
        row[o + 3], row[o + 4], row[o + 5] = b * u * c, s - 2.0 * b * b * u, b * u * a
        total += _add(row, b * s, strength, p, matrix, gradient)
        if k > 0:
            w, w0 = -0.25 / (ALIKE * det), 0.25 / (ALIKE * det0)
            row[o + 3], row[o + 4], row[o + 5] = w * c, -2.0 * w * b, w * a
            row[3], row[4], row[5] = w0 * c0, -2.0 * w0 * b0, w0 * a0
            total += _add(row, 0.25 * math.log(det0 / det) / ALIKE, strength, p, matrix, gradient)
            row[3], row[4], row[5] = 0.0, 0.0, 0.0
        row[o + 3], row[o + 4], row[o + 5] = 0.0, 0.0, 0.0
    return total
