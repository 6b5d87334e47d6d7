"""Numba kernels that join the disks of a pattern to one lattice: scatter between disks, weights, the step.

Every disk has the information S about its place and a gradient g, so that alone it would move by S^-1 g.
What the disks scatter more than their counts explain is a variance tau^2 of every place in both directions,
found by the method of moments (Paule and Mandel, 1982), and heavy tails: weights of Student's t distribution.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

from braggscope.models.disks.precise_kernels import backward, factor, forward

TAIL = 4.0  # degrees of freedom of Student's t
ROUNDS = 3
MOST = 1.0  # px^2: largest tau^2
EXACT = 1e-3  # share to which tau^2 is found
KNOWN = 1.0  # px: a direction in which the place is known no better does not tell of scatter
UNKNOWNS = 6
ALIKE = 4.0  # disks whose scatter goes together, as their insides are alike: measured on simulations
BEYOND = 1.15  # by what errors exceed those of the counts where disks do not scatter: measured likewise
TURNS, SETTLED = 12, 0.02  # of weights and lattice in turn; sigma: a shorter step ends them
SINGULAR = 1e-12  # of a pivot, the diagonal being 1


@njit(cache=True, nogil=True)
def axes(system, out):
    """Of ``system`` S xx, xy, yy and gradient: eigenvalues, direction of the first, gradient along each."""
    xx, xy, yy = system[0], system[1], system[2]
    mean, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    radius = math.hypot(half, xy)
    angle = 0.5 * math.atan2(xy, half)
    cos, sin = math.cos(angle), math.sin(angle)
    out[0], out[1], out[2], out[3] = max(mean + radius, 1e-9), max(mean - radius, 1e-9), cos, sin
    out[4] = cos * system[3] + sin * system[4]
    out[5] = -sin * system[3] + cos * system[4]


@njit(cache=True, nogil=True)
def _excess(turned, weight, variance):
    """Squared deviations in standard deviations, and minus their derivative by the variance."""
    total, fall = 0.0, 0.0
    for i in range(len(turned)):
        for k in range(2):
            known = turned[i, k]
            if known * KNOWN * KNOWN > 1.0:
                shrink = 1.0 / (1.0 + variance * known)
                part = weight[i] * turned[i, 4 + k] * turned[i, 4 + k] * shrink / known
                total += part
                fall += part * shrink * known
    return total, fall


@njit(cache=True, nogil=True)
def scatter(turned, weight):
    """tau^2 in px^2; ``weight`` (n,) of every disk is set."""
    n, count = len(turned), 0
    for i in range(n):
        weight[i] = 1.0
        for k in range(2):
            if turned[i, k] * KNOWN * KNOWN > 1.0:
                count += 1
    wanted = max(count - UNKNOWNS, 1)
    variance = 0.0
    for _ in range(ROUNDS):
        variance = 0.0
        for _ in range(20):  # Newton's method on 1 / excess, which is nearly straight (Moré 1978)
            total, fall = _excess(turned, weight, variance)
            if total <= wanted * (1.0 + EXACT) or variance >= MOST or not fall > 0.0:
                break
            variance = min(variance + (total / wanted - 1.0) * total / fall, MOST)
        for i in range(n):
            z = 0.0
            for k in range(2):
                z += turned[i, 4 + k] ** 2 / (turned[i, k] * (1.0 + variance * turned[i, k]))
            weight[i] = (TAIL + 2.0) / (TAIL + z)
    return variance


@njit(cache=True, nogil=True)
def join(indices, turned, weight, variance, matrix, gradient):
    """Normal equations of the lattice (6, 6), (6,) from disks of ``indices`` (n, 2)."""
    matrix[:] = 0.0
    gradient[:] = 0.0
    row = np.empty(UNKNOWNS)
    for i in range(len(indices)):
        h, k = indices[i, 0], indices[i, 1]
        cos, sin = turned[i, 2], turned[i, 3]
        for axis in range(2):
            ux, uy = (cos, sin) if axis == 0 else (-sin, cos)
            shrink = weight[i] / (1.0 + variance * turned[i, axis])
            push, pull = shrink * turned[i, 4 + axis], shrink * turned[i, axis]
            row[0], row[1], row[2], row[3], row[4], row[5] = ux, uy, h * ux, h * uy, k * ux, k * uy
            for p in range(UNKNOWNS):
                gradient[p] += push * row[p]
                for q in range(p + 1):
                    matrix[p, q] += pull * row[p] * row[q]
    for p in range(UNKNOWNS):
        for q in range(p):
            matrix[q, p] = matrix[p, q]


@njit(cache=True, nogil=True)
def move(indices, step, turned):
    """Gradients after a step of the lattice (6,), where places answer to it in straight lines."""
    for i in range(len(indices)):
        dx = step[0] + indices[i, 0] * step[2] + indices[i, 1] * step[4]
        dy = step[1] + indices[i, 0] * step[3] + indices[i, 1] * step[5]
        cos, sin = turned[i, 2], turned[i, 3]
        turned[i, 4] -= turned[i, 0] * (cos * dx + sin * dy)
        turned[i, 5] -= turned[i, 1] * (-sin * dx + cos * dy)


@njit(cache=True, nogil=True)
def _solve(matrix, vector, work, out):
    """``out`` (6,) from normal equations, scaled to a diagonal of 1; False where they cannot tell."""
    for p in range(UNKNOWNS):
        if not (matrix[p, p] > 0.0 and math.isfinite(vector[p])):
            return False
        for q in range(p + 1):
            work[p, q] = matrix[p, q] / math.sqrt(matrix[p, p] * matrix[q, q])
        out[p] = vector[p] / math.sqrt(matrix[p, p])
    if math.isnan(factor(work, UNKNOWNS)):
        return False
    for p in range(UNKNOWNS):  # the diagonal holds 1 / pivot
        if not work[p, p] * work[p, p] < 1.0 / SINGULAR:
            return False
    forward(work, UNKNOWNS, out)
    backward(work, UNKNOWNS, out)
    for p in range(UNKNOWNS):
        out[p] /= math.sqrt(matrix[p, p])
    return True


@njit(cache=True, nogil=True)
def settle(indices, turned, weight, matrix, total):
    """The step ``total`` (6,) of the lattice with scatter and weights that go with it.

    ``turned`` moves along. Gives its square in standard deviations, or NaN where the disks do not tell a
    lattice, and tau^2.
    """
    gradient, step, work = np.empty(UNKNOWNS), np.empty(UNKNOWNS), np.empty((UNKNOWNS, UNKNOWNS))
    total[:] = 0.0
    spread = 0.0
    for _ in range(TURNS):
        spread = scatter(turned, weight)
        join(indices, turned, weight, spread, matrix, gradient)
        if not _solve(matrix, gradient, work, step):
            return math.nan, spread
        total += step
        move(indices, step, turned)
        if (step * gradient).sum() < SETTLED * SETTLED:
            break
    square = 0.0
    for p in range(UNKNOWNS):
        for q in range(UNKNOWNS):
            square += total[p] * matrix[p, q] * total[q]
    return square, spread


@njit(cache=True, nogil=True)
def covariance_of(indices, turned, weight, spread, doubt):
    """(6, 6) of the lattice: from the counts, from what the disks scatter, and from ``doubt`` (n,) px^2.

    The latter is the variance of each place that comes with an edge which is not quite that of the model; the
    weights do not know of it, so it is carried through the estimate as it is: H^-1 (sum J' K t K J) H^-1.
    """
    matrix, scratch = np.empty((UNKNOWNS, UNKNOWNS)), np.empty(UNKNOWNS)
    join(indices, turned, weight, ALIKE * spread, matrix, scratch)
    out = np.linalg.inv(matrix)
    join(indices, turned, weight, spread, matrix, scratch)
    inverse = np.linalg.inv(matrix)
    unsure = turned.copy()  # of these eigenvalues join makes K t K
    for i in range(len(turned)):
        for k in range(2):
            shrink = weight[i] / (1.0 + spread * turned[i, k])
            unsure[i, k] = (shrink * turned[i, k]) ** 2 * doubt[i]
    join(indices, unsure, np.ones(len(turned)), 0.0, matrix, scratch)
    return (out + inverse @ matrix @ inverse) * BEYOND**2
