"""Numba kernels of the precise lattice fit: one disk with its inside projected out.

The n pixels around the rounded place of a disk hold counts y of weight w. The model is Phi c + b: rows of Phi
(J, n) are polynomials inside the aperture, blurred by pixel and camera, from a table over places of the
disk; c has a Gaussian prior; b is a constant, whose row of ones is the last of Phi.
"""

# ruff: noqa: ANN001, ANN201
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums may be reordered; NaN and infinity keep their meaning
FREE = 1e-8  # precision of the constant, counts^-2
MIXING = 5  # steps


@njit(cache=True, nogil=True, fastmath=FAST)
def factor(matrix, n):
    """Cholesky factor of the lower triangle in place, 1 / pivot on the diagonal; log determinant or NaN."""
    logarithm = 0.0
    for j in range(n):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        if not pivot > 0.0:
            return math.nan
        logarithm += math.log(pivot)
        inverse = 1.0 / math.sqrt(pivot)
        matrix[j, j] = inverse
        for i in range(j + 1, n):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total * inverse
    return logarithm


@njit(cache=True, nogil=True, fastmath=FAST)
def forward(factored, n, vector):
    """Solve L z = v in place; |z|^2 is v' M^-1 v."""
    for i in range(n):
        total = vector[i]
        for k in range(i):
            total -= factored[i, k] * vector[k]
        vector[i] = total * factored[i, i]


@njit(cache=True, nogil=True, fastmath=FAST)
def backward(factored, n, vector):
    """Solve L' c = z in place."""
    for i in range(n - 1, -1, -1):
        total = vector[i] * factored[i, i]
        vector[i] = total
        for k in range(i):
            vector[k] -= factored[i, k] * total


@njit(cache=True, nogil=True, fastmath=FAST)
def with_prior(matrix, precision, height, count, out):
    """``out`` = lower ``matrix`` + ``precision`` / height^2 on the polynomial."""
    scale = 1.0 / (height * height)
    for i in range(count):
        for j in range(i + 1):
            out[i, j] = matrix[i, j] + precision[i, j] * scale
    for j in range(count + 1):
        out[count, j] = matrix[count, j]


@njit(cache=True, nogil=True)
def weigh_priors(matrix, vector, priors, height, work, right, evidence):
    """Log ``evidence`` (K,) of every prior but for a constant: a Gaussian integral (MacKay 1992, eq. 2.5)."""
    precisions, logarithms = priors
    count = len(vector) - 1
    for k in range(len(logarithms)):
        with_prior(matrix, precisions[k], height, count, work)
        logarithm = factor(work, count + 1)
        right[:] = vector
        forward(work, count + 1, right)
        evidence[k] = 0.5 * (logarithms[k] - logarithm)
        for j in range(count + 1):
            evidence[k] += 0.5 * right[j] * right[j]
        if math.isnan(evidence[k]):
            evidence[k] = -math.inf


@njit(cache=True, nogil=True)
def settle_priors(evidence, chosen):
    """Numbers of the priors of n disks from their log ``evidence`` (n, K).

    How common each prior is in this pattern is learned from all disks (a mixture, by expectation and
    maximisation), so that faint disks, which say little themselves, are taken to be like the others.
    """
    n, kinds = evidence.shape
    share, new = np.full(kinds, 1.0 / kinds), np.empty(kinds)
    for _ in range(MIXING):
        new[:] = 1.0 / n
        for i in range(n):
            row = evidence[i] + np.log(share)
            row = np.exp(row - row.max())
            new += row / row.sum()
        share = new / new.sum()
    for i in range(n):
        chosen[i] = np.argmax(evidence[i] + np.log(share))


@njit(cache=True, nogil=True, fastmath=FAST)
def design(table, fine, dx, dy, out):
    """Phi for a centre dx, dy px from the middle pixel; the places of the table it lies between."""
    middle = (table.shape[0] - 1) // 2
    u = min(max(dx * fine + middle, 0.0), 2.0 * middle - 1e-6)
    v = min(max(dy * fine + middle, 0.0), 2.0 * middle - 1e-6)
    i, j = int(v), int(u)
    v, u = np.float32(v - i), np.float32(u - j)
    one = np.float32(1.0)
    w00, w01, w10, w11 = (one - v) * (one - u), (one - v) * u, v * (one - u), v * u
    for k in range(table.shape[2]):
        a, b, c, d = table[i, j, k], table[i, j + 1, k], table[i + 1, j, k], table[i + 1, j + 1, k]
        row = out[k]
        for t in range(len(a)):
            row[t] = w00 * a[t] + w01 * b[t] + w10 * c[t] + w11 * d[t]
    return i, j, u, v


@njit(cache=True, nogil=True, fastmath=FAST)
def normal_equations(phi, weight, values, space, matrix, vector):
    """Without prior: ``matrix`` lower, ``vector`` (J + 1,), and the weighted sum of squares of the counts."""
    weighted, product = space
    rows, n = phi.shape
    squares = 0.0
    for t in range(n):
        squares += weight[t] * values[t] * values[t]
    for i in range(rows):
        total = 0.0
        for t in range(n):
            weighted[i, t] = phi[i, t] * weight[t]
            total += weighted[i, t] * values[t]
        vector[i] = total
    np.dot(weighted, phi.T, product)
    for i in range(rows):
        for j in range(i + 1):
            matrix[i, j] = product[i, j]
    matrix[rows - 1, rows - 1] += FREE
    return squares


@njit(cache=True, nogil=True, fastmath=FAST)
def expected(table, at, fine, coefficients, corners, out):
    """``out`` (3, n): counts of the disk, and their derivatives by the place of its centre along x and y."""
    i, j, u, v = at
    count, n = table.shape[2], table.shape[3]
    corners[:] = 0.0
    for q in range(4):
        image = table[i + q // 2, j + q % 2]
        for k in range(count):
            c = np.float32(coefficients[k])
            for t in range(n):
                corners[q, t] += c * image[k, t]
    one = np.float32(1.0)
    a, b, c, d = corners
    for t in range(n):
        top, low = (one - u) * a[t] + u * b[t], (one - u) * c[t] + u * d[t]
        out[0, t] = (one - v) * top + v * low
        out[1, t] = fine * ((one - v) * (b[t] - a[t]) + v * (d[t] - c[t]))
        out[2, t] = fine * (low - top)


@njit(cache=True, nogil=True, fastmath=FAST)
def position_system(phi, weighted, weight, values, level, mean, factored, sides, out):
    """Information S (xx, xy, yy) and gradient (x, y) of the place of a disk, the rest projected out.

    ``mean`` (3, n) of :func:`expected`; ``level`` the constant; ``sides`` (2, J + 1) scratch; ``out`` (6,):
    S, gradient and the weighted sum of squared residuals.
    """
    rows, n = phi.shape
    out[:] = 0.0
    for axis in range(2):
        slope = mean[1 + axis]
        for k in range(rows):
            total = 0.0
            for t in range(n):
                total += weighted[k, t] * slope[t]
            sides[axis, k] = total
        forward(factored, rows, sides[axis])
    for t in range(n):
        w, x, y = weight[t], mean[1, t], mean[2, t]
        rest = values[t] - mean[0, t] - level
        out[0] += w * x * x
        out[1] += w * x * y
        out[2] += w * y * y
        out[3] += w * x * rest
        out[4] += w * y * rest
        out[5] += w * rest * rest
    for k in range(rows):
        out[0] -= sides[0, k] * sides[0, k]
        out[1] -= sides[0, k] * sides[1, k]
        out[2] -= sides[1, k] * sides[1, k]
