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


@njit(cache=True, nogil=True)
def between(size, fine, dx, dy, out):
    """Rows and columns of six of ``size`` places of a table for a centre dx, dy px from the middle pixel.

    ``out`` (3, 6): what the nearest place, its four neighbours and the next corner weigh (a parabola with its
    mixed term, so that derivatives go on from place to place), and derivatives of that along x and y, per px.
    """
    middle = (size - 1) // 2
    across, down = dx * fine + middle, dy * fine + middle
    j = min(max(math.floor(across + 0.5), 1), size - 2)
    i = min(max(math.floor(down + 0.5), 1), size - 2)
    u, v = min(max(across - j, -1.0), 1.0), min(max(down - i, -1.0), 1.0)
    right, below = u >= 0.0, v >= 0.0
    p, q = 1.0 if right else -1.0, 1.0 if below else -1.0
    corner = (abs(u * v), fine * p * q * v, fine * p * q * u)
    parts = (
        (1.0 - u * u - v * v, 0.5 * (u * u + u), 0.5 * (u * u - u), 0.5 * (v * v + v), 0.5 * (v * v - v)),
        (-2.0 * fine * u, fine * (u + 0.5), fine * (u - 0.5), 0.0, 0.0),
        (-2.0 * fine * v, 0.0, 0.0, fine * (v + 0.5), fine * (v - 0.5)),
    )
    for row in range(3):
        part, c = parts[row], corner[row]
        out[row, 0] = part[0] + c
        out[row, 1] = part[1] - (c if right else 0.0)
        out[row, 2] = part[2] - (0.0 if right else c)
        out[row, 3] = part[3] - (c if below else 0.0)
        out[row, 4] = part[4] - (0.0 if below else c)
        out[row, 5] = c
    return (i, j), (i, j + 1), (i, j - 1), (i + 1, j), (i - 1, j), (i + int(q), j + int(p))


@njit(cache=True, nogil=True, fastmath=FAST)
def design(table, places, shares, out):
    """Phi from places of the table and what they weigh (6,)."""
    o, r, m, b, t, c = places
    w0, w1, w2, w3, w4, w5 = shares[0], shares[1], shares[2], shares[3], shares[4], shares[5]
    for k in range(table.shape[2]):
        here, right, left = table[o[0], o[1], k], table[r[0], r[1], k], table[m[0], m[1], k]
        below, above, corner = table[b[0], b[1], k], table[t[0], t[1], k], table[c[0], c[1], k]
        row = out[k]
        for n in range(len(here)):
            row[n] = (
                w0 * here[n] + w1 * right[n] + w2 * left[n] + w3 * below[n] + w4 * above[n] + w5 * corner[n]
            )


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
def expected(table, places, shares, coefficients, corners, out):
    """``out`` (3, n): counts of the disk, and their derivatives by the place of its centre along x and y."""
    count, n = table.shape[2], table.shape[3]
    corners[:] = 0.0
    for q in range(6):
        image = table[places[q][0], places[q][1]]
        for k in range(count):
            c = np.float32(coefficients[k])
            for t in range(n):
                corners[q, t] += c * image[k, t]
    out[:] = 0.0
    for row in range(3):
        for q in range(6):
            share = shares[row, q]
            for t in range(n):
                out[row, t] += share * corners[q, t]


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
