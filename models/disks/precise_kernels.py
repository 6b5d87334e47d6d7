"""Numba kernels of the precise lattice fit: one disk with its inside projected out.

A window (s, s) around the rounded place of a disk holds counts y of weight w. The model is E f + b: E the
edge at height 1, f a polynomial in Chebyshev products T_a(x) T_b(y), a + b <= D, whose coefficients have a
Gaussian prior, b a constant. Inner products of the polynomials are sums of Chebyshev moments of the window, so
that the normal matrix costs a few moments and no product of matrices.
"""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums may be reordered; NaN and infinity keep their meaning
BACKGROUND_PRECISION = 1e-8  # of the constant, counts^-2: free


@njit(cache=True, nogil=True, fastmath=FAST)
def moments(window, powers, degree, across, out):
    """``out[a, b]`` = sum of T_a(x) T_b(y) window, a + b <= degree; ``across`` is scratch (>= degree + 1, s)."""
    s = window.shape[0]
    for a in range(degree + 1):
        for r in range(s):
            total = 0.0
            for t in range(s):
                total += powers[a, t] * window[r, t]
            across[a, r] = total
    for a in range(degree + 1):
        for b in range(degree + 1 - a):
            total = 0.0
            for r in range(s):
                total += powers[b, r] * across[a, r]
            out[a, b] = total


@njit(cache=True, nogil=True, fastmath=FAST)
def gram(moment, order, count, out):
    """Lower triangle of the inner products of the first ``count`` polynomials ``order`` (J, 2)."""
    for i in range(count):
        a, b = order[i, 0], order[i, 1]
        for j in range(i + 1):
            c, d = order[j, 0], order[j, 1]
            p, q = abs(a - c), abs(b - d)
            out[i, j] = 0.25 * (
                moment[a + c, b + d] + moment[p, b + d] + moment[a + c, q] + moment[p, q]
            )


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
def edge_at(table, dx, dy, fine, out):
    """Edge and its slopes along x and y, ``out`` (3, s, s), for a centre dx, dy px from the middle pixel."""
    middle = (table.shape[0] - 1) // 2
    u = min(max(dx * fine + middle, 0.0), 2.0 * middle - 1e-6)
    v = min(max(dy * fine + middle, 0.0), 2.0 * middle - 1e-6)
    i, j = int(v), int(u)
    v, u = v - i, u - j
    w00, w01, w10, w11 = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u
    for k in range(3):
        a, b, c, d = table[i, j, k], table[i, j + 1, k], table[i + 1, j, k], table[i + 1, j + 1, k]
        for r in range(a.shape[0]):
            for t in range(a.shape[1]):
                out[k, r, t] = w00 * a[r, t] + w01 * b[r, t] + w10 * c[r, t] + w11 * d[r, t]


@njit(cache=True, nogil=True, fastmath=FAST)
def inside(coefficients, order, count, powers, out, row):
    """The polynomial on the window."""
    s = out.shape[0]
    degree = order[count - 1, 0] + order[count - 1, 1]
    for r in range(s):
        for a in range(degree + 1):
            row[a] = 0.0
        for j in range(count):
            row[order[j, 0]] += coefficients[j] * powers[order[j, 1], r]
        for t in range(s):
            out[r, t] = row[0]
        for a in range(1, degree + 1):
            for t in range(s):
                out[r, t] += row[a] * powers[a, t]


@njit(cache=True, nogil=True, fastmath=FAST)
def disk_normal(values, weight, edge, basis, space, matrix, vector):
    """Normal equations of polynomial and constant, without prior: ``matrix`` lower, ``vector`` (J + 1)."""
    powers, order = basis
    first, second, third, across, moment = space
    count, s = len(order), values.shape[0]
    degree = order[count - 1, 0] + order[count - 1, 1]
    level, sum_w = 0.0, 0.0
    for r in range(s):
        for t in range(s):
            e, w = edge[0, r, t], weight[r, t]
            first[r, t] = w * e * e
            second[r, t] = w * e
            third[r, t] = w * e * values[r, t]
            level += w * values[r, t]
            sum_w += w
    moments(first, powers, 2 * degree, across, moment)
    gram(moment, order, count, matrix)
    moments(second, powers, degree, across, moment)
    for j in range(count):
        matrix[count, j] = moment[order[j, 0], order[j, 1]]
    matrix[count, count] = sum_w + BACKGROUND_PRECISION
    moments(third, powers, degree, across, moment)
    for j in range(count):
        vector[j] = moment[order[j, 0], order[j, 1]]
    vector[count] = level


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
def choose_prior(matrix, vector, priors, height, work, right):
    """Number of the prior with the highest evidence (MacKay 1992, eq. 2.5; log of a Gaussian integral)."""
    precisions, logarithms = priors
    count, best, which = len(vector) - 1, -math.inf, 0
    for k in range(len(logarithms)):
        with_prior(matrix, precisions[k], height, count, work)
        logarithm = factor(work, count + 1)
        right[:] = vector
        forward(work, count + 1, right)
        evidence = 0.5 * (logarithms[k] - logarithm)
        for j in range(count + 1):
            evidence += 0.5 * right[j] * right[j]
        if evidence > best:
            best, which = evidence, k
    return which


@njit(cache=True, nogil=True, fastmath=FAST)
def position_system(values, weight, edge, shape, basis, space, factored, level, sides, out):
    """Information S (xx, xy, yy) and gradient (x, y) of the place of a disk, the rest projected out.

    ``shape`` (s, s): the polynomial; ``level`` the constant; ``sides`` (2, J + 1) scratch; ``out`` (6,): S,
    gradient and the weighted sum of squared residuals.
    """
    powers, order = basis
    first, second, _, across, moment = space
    count, s = len(order), values.shape[0]
    degree = order[count - 1, 0] + order[count - 1, 1]
    out[:] = 0.0
    for axis in range(2):
        slope, total = edge[1 + axis], 0.0
        for r in range(s):
            for t in range(s):
                first[r, t] = -weight[r, t] * slope[r, t] * shape[r, t]
                second[r, t] = first[r, t] * edge[0, r, t]
                total += first[r, t]
        moments(second, powers, degree, across, moment)
        for j in range(count):
            sides[axis, j] = moment[order[j, 0], order[j, 1]]
        sides[axis, count] = total
        forward(factored, count + 1, sides[axis])
        along, other, gradient = 0.0, 0.0, 0.0
        for r in range(s):
            for t in range(s):
                along -= first[r, t] * slope[r, t] * shape[r, t]
                other -= first[r, t] * edge[1, r, t] * shape[r, t]
                gradient += first[r, t] * (values[r, t] - edge[0, r, t] * shape[r, t] - level)
        out[2 * axis] = along
        out[1] = other  # of the last axis: y against x
        out[3 + axis] = gradient
    for r in range(s):
        for t in range(s):
            rest = values[r, t] - edge[0, r, t] * shape[r, t] - level
            out[5] += weight[r, t] * rest * rest
    for j in range(count + 1):
        out[0] -= sides[0, j] * sides[0, j]
        out[1] -= sides[0, j] * sides[1, j]
        out[2] -= sides[1, j] * sides[1, j]


def scratch(side: int, degree: int) -> tuple[np.ndarray, ...]:
    """Arrays that :func:`disk_normal` and :func:`position_system` write over."""
    windows = np.empty((3, side, side))
    return (*windows, np.empty((2 * degree + 1, side)), np.zeros((2 * degree + 1, 2 * degree + 1)))
