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

TAIL = 4.0  # degrees of freedom of Student's t
ROUNDS = 3
MOST = 1.0  # px^2: largest tau^2
KNOWN = 1.0  # px: a direction in which the place is known no better does not tell of scatter
UNKNOWNS = 6


@njit(cache=True, nogil=True)
def axes(system, out):
    """Eigenvalues of S, the direction of the first, and squared standard deviations moved along each."""
    xx, xy, yy = system[0], system[1], system[2]
    mean, half = 0.5 * (xx + yy), 0.5 * (xx - yy)
    radius = math.hypot(half, xy)
    angle = 0.5 * math.atan2(xy, half)
    cos, sin = math.cos(angle), math.sin(angle)
    first, second = max(mean + radius, 1e-9), max(mean - radius, 1e-9)
    along = cos * system[3] + sin * system[4]
    across = -sin * system[3] + cos * system[4]
    out[0], out[1], out[2], out[3] = first, second, cos, sin
    out[4], out[5] = along * along / first, across * across / second


@njit(cache=True, nogil=True)
def _excess(turned, weight, variance):
    total = 0.0
    for i in range(len(turned)):
        for k in range(2):
            if turned[i, k] * KNOWN * KNOWN > 1.0:
                total += weight[i] * turned[i, 4 + k] / (1.0 + variance * turned[i, k])
    return total


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
        low, high = 0.0, 0.0
        if _excess(turned, weight, 0.0) > wanted:
            low, high = math.log(1e-7), math.log(MOST)
            for _ in range(16):
                middle = 0.5 * (low + high)
                if _excess(turned, weight, math.exp(middle)) > wanted:
                    low = middle
                else:
                    high = middle
            variance = math.exp(high)
        else:
            variance = 0.0
        for i in range(n):
            z = turned[i, 4] / (1.0 + variance * turned[i, 0]) + turned[i, 5] / (
                1.0 + variance * turned[i, 1]
            )
            weight[i] = (TAIL + 2.0) / (TAIL + z)
    return variance


@njit(cache=True, nogil=True)
def join(indices, systems, turned, weight, variance, matrix, gradient):
    """Normal equations of the lattice (6, 6), (6,) from disks of ``indices`` (n, 2)."""
    matrix[:] = 0.0
    gradient[:] = 0.0
    row = np.empty((2, UNKNOWNS))
    for i in range(len(indices)):
        h, k = indices[i, 0], indices[i, 1]
        cos, sin = turned[i, 2], turned[i, 3]
        for axis in range(2):
            ux, uy = (cos, sin) if axis == 0 else (-sin, cos)
            shrink = weight[i] / (1.0 + variance * turned[i, axis])
            push = shrink * (ux * systems[i, 3] + uy * systems[i, 4])
            pull = shrink * turned[i, axis]
            row[axis, 0], row[axis, 1] = ux, uy
            row[axis, 2], row[axis, 3] = h * ux, h * uy
            row[axis, 4], row[axis, 5] = k * ux, k * uy
            for p in range(UNKNOWNS):
                gradient[p] += push * row[axis, p]
                for q in range(UNKNOWNS):
                    matrix[p, q] += pull * row[axis, p] * row[axis, q]
