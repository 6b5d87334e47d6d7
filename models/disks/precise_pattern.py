"""Numba kernels of the precise lattice fit: one pattern from its start to lattice, covariance and disks."""

# ruff: noqa: ANN001, ANN201, ANN202, RUF046
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

from braggscope.models.disks.precise_kernels import (
    backward,
    design,
    expected,
    factor,
    forward,
    normal_equations,
    position_system,
    settle_priors,
    weigh_priors,
    with_prior,
)
from braggscope.models.disks.precise_weights import axes, join, scatter

SEEN = 0.6  # share of a disk's pixels that must be good and in the pattern
VISIBLE = 3.0  # sigma of its counts over its surroundings
LONGEST = 1.0  # px that a disk may move in one step
CLOSE = 0.05  # sigma: a step shorter than this ends the fit
ALIKE = 4.0  # disks whose scatter goes together, as their insides are alike: measured on simulations
BEYOND = 1.15  # by what errors exceed those of the counts where disks do not scatter: measured likewise
CHOOSING = (0, 2)  # steps in which priors are chosen anew


@njit(cache=True, nogil=True)
def place(lattice, h, k):
    """Where disk (h, k) lies."""
    return lattice[0] + h * lattice[2] + k * lattice[4], lattice[1] + h * lattice[3] + k * lattice[5]


@njit(cache=True, nogil=True)
def _brightness(image, good, x, y, ring):
    """Counts of a disk above the ring around it, their sigma / sqrt(gain), and the share of good pixels."""
    radius, outer = ring
    inner, around, n, m, whole = 0.0, 0.0, 0, 0, 0
    reach = int(outer) + 1
    for r in range(int(round(y)) - reach, int(round(y)) + reach + 1):
        for t in range(int(round(x)) - reach, int(round(x)) + reach + 1):
            far = math.hypot(r - y, t - x)
            whole += far <= radius
            if far > outer or r < 0 or t < 0 or r >= image.shape[0] or t >= image.shape[1] or not good[r, t]:
                continue
            if far <= radius:
                inner += image[r, t]
                n += 1
            elif far > outer - 1.5:
                around += image[r, t]
                m += 1
    ground = around / m if m > 0 else 0.0
    return inner - n * ground, math.sqrt(max(inner, 1.0)), n / max(whole, 1)


@njit(cache=True, nogil=True)
def choose(image, good, lattice, candidates, rule, kept, height):
    """Numbers of the candidates that can be seen, the brightest first if too many; how many."""
    radius, outer, gain, margin, most = rule
    counts = np.full(len(candidates), -1.0)
    for i in range(len(candidates)):
        x, y = place(lattice, candidates[i, 0], candidates[i, 1])
        if min(x, y) < margin or x > image.shape[1] - 1 - margin or y > image.shape[0] - 1 - margin:
            continue
        above, sigma, share = _brightness(image, good, x, y, (radius, outer))
        if share >= SEEN and above > VISIBLE * math.sqrt(gain) * sigma:
            counts[i] = above
    order = np.argsort(-counts)
    n = 0
    while n < min(most, len(order)) and counts[order[n]] > 0:
        kept[n] = order[n]
        height[n] = counts[order[n]] / (math.pi * radius * radius)
        n += 1
    return n


@njit(cache=True, nogil=True)
def cut(image, good, x, y, pixels, allowed, noise, values, use, variance):
    """Pixels about the pixel x, y: counts, 1 where they are used, variances from the mean of 3 x 3."""
    gain, least = noise
    for i in range(len(values)):
        values[i], use[i], variance[i] = 0.0, 0.0, 1.0
        if i >= len(pixels) or not allowed[i]:
            continue
        t, r = x + pixels[i, 0], y + pixels[i, 1]
        if r < 0 or t < 0 or r >= image.shape[0] or t >= image.shape[1] or not good[r, t]:
            continue
        values[i], use[i] = image[r, t], 1.0
        total, n = 0.0, 0
        for rr in range(max(r - 1, 0), min(r + 2, image.shape[0])):
            for tt in range(max(t - 1, 0), min(t + 2, image.shape[1])):
                if good[rr, tt]:
                    total += image[rr, tt]
                    n += 1
        variance[i] = gain * max(total / n, 0.0) + least


@njit(cache=True, nogil=True)
def allow(lattice, pixels, radius, near):
    """(n,) bool: pixels that belong to a disk alone, none of a neighbour's, ``near`` (n, 2) indices."""
    out = np.ones(len(pixels), np.bool_)
    for i in range(len(pixels)):
        for k in range(len(near)):
            dx = near[k, 0] * lattice[2] + near[k, 1] * lattice[4]
            dy = near[k, 0] * lattice[3] + near[k, 1] * lattice[5]
            if math.hypot(pixels[i, 0] - dx, pixels[i, 1] - dy) <= radius:
                out[i] = False
    return out


@njit(cache=True, nogil=True)
def solve_disk(window, state, offset, model, noise, evidence, space, out):
    """Project one disk out; ``out`` (6,) of :func:`position_system`. False where it cannot be solved.

    ``window``: counts, use, variance, which is renewed; ``state``: number of the prior, height, counts,
    minus twice the log evidence less the misfit, renewed. ``evidence`` (K,) of the priors, or (0,).
    """
    values, use, variance = window
    table, fine, priors = model
    gain, least, floor = noise
    phi, weighted, product, matrix, work, vector, right, sides, corners, mean, weight = space
    count, n = table.shape[2], len(values)
    at = design(table, fine, offset[0], offset[1], phi)
    low = max(least, gain * floor * state[1])
    for t in range(n):
        weight[t] = use[t] / max(variance[t], low)
    squares = normal_equations(phi, weight, values, (weighted, product), matrix, vector)
    if len(evidence):
        weigh_priors(matrix, vector, priors, state[1], work, right, evidence)
    chosen = int(state[0])
    with_prior(matrix, priors[0][chosen], state[1], count, work)
    logarithm = factor(work, count + 1)
    if math.isnan(logarithm):
        return False
    right[:] = vector
    forward(work, count + 1, right)
    squares -= (right * right).sum()
    backward(work, count + 1, right)
    level = right[count]
    expected(table, at, fine, right, corners, mean)
    position_system(phi, weighted, weight, values, level, mean, work, sides, out)
    state[3] = squares - out[5] + logarithm - priors[1][chosen] + 2 * count * math.log(state[1])
    total, area = 0.0, 0.0
    for t in range(n):
        total += use[t] * mean[0, t]
        area += use[t] * phi[0, t]
        variance[t] = gain * max(mean[0, t] + level, 0.0) + least
    state[1] = max(total / max(area, 1.0), 1e-3 * gain)
    state[2] = total
    return True


@njit(cache=True, nogil=True)
def refine(windows, corners, indices, lattice, states, model, noise, steps, space, systems, turned, weight):
    """Gauss-Newton on the six numbers of ``lattice``, in place; its covariance, or NaN where it failed."""
    n = len(indices)
    values, use, variance = windows
    matrix, gradient = np.empty((6, 6)), np.empty(6)
    covariance = np.full((6, 6), math.nan)
    evidence = np.full((n, len(model[2][1])), -math.inf)
    states[:, 0] = evidence.shape[1] // 2
    for turn in range(steps):
        for i in range(n):
            x, y = place(lattice, indices[i, 0], indices[i, 1])
            window = (values[i], use[i], variance[i])
            offset = (x - corners[i, 0], y - corners[i, 1])
            wanted = evidence[i] if turn in CHOOSING else evidence[i, :0]
            if not solve_disk(window, states[i], offset, model, noise, wanted, space, systems[i]):
                systems[i] = 0.0
            axes(systems[i], turned[i])
        if turn in CHOOSING:
            settle_priors(evidence, states[:, 0])
        spread = scatter(turned, weight)
        join(indices, systems, turned, weight, spread, matrix, gradient)
        if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e12:
            return covariance
        step = np.linalg.solve(matrix, gradient)
        far = 0.0
        for i in range(n):
            dx = step[0] + indices[i, 0] * step[2] + indices[i, 1] * step[4]
            dy = step[1] + indices[i, 0] * step[3] + indices[i, 1] * step[5]
            far = max(far, math.hypot(dx, dy))
        lattice += step * min(1.0, LONGEST / max(far, 1e-12))
        if turn > CHOOSING[-1] and (step * gradient).sum() < CLOSE * CLOSE:
            break
    join(indices, systems, turned, weight, ALIKE * spread, matrix, gradient)
    return np.linalg.inv(matrix) * BEYOND**2


@njit(cache=True, nogil=True)
def work_space(count, n):
    """Arrays that :func:`solve_disk` writes over; the last row of the first stays 1."""
    single = np.float32
    return (
        np.ones((count + 1, n), single), np.empty((count + 1, n), single),
        np.empty((count + 1, count + 1), single), np.zeros((count + 1, count + 1)),
        np.zeros((count + 1, count + 1)), np.empty(count + 1), np.empty(count + 1), np.empty((2, count + 1)),
        np.empty((4, n), single), np.empty((3, n), single), np.empty(n, single),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def deviance(values, use, variance, noise):
    """Twice the log of the Poisson likelihood, less that of a perfect model, of pixels that were fitted."""
    gain, least, _ = noise
    total = 0.0
    for t in range(len(values)):
        if use[t] > 0.0:
            y, mean = max(values[t], 0.0) + least / gain, variance[t] / gain
            total += mean - y + (y * math.log(y / mean) if y > 0.0 else 0.0)
    return 2.0 * total / gain


@njit(cache=True, nogil=True)
def fit_pattern(image, good, lattice, candidates, rule, pixels, around, model, noise, steps, fewest):
    """Fit one pattern; ``lattice`` (6,) in place.

    ``pixels`` (n, 2) x, y of a disk's surroundings; ``around``: the radius of neighbours and their indices.
    Gives covariance (6, 6), the numbers of the disks among ``candidates``, and per disk (n, 10): counts,
    S (3), gradient (2), chi^2 per pixel, weight, tau^2, -2 log evidence. The covariance is NaN where the
    fit failed.
    """
    kept, height = np.empty(len(candidates), np.int64), np.empty(len(candidates))
    n = choose(image, good, lattice, candidates, rule, kept, height)
    if n < fewest:
        return np.full((6, 6), math.nan), kept[:0], np.empty((0, 10))
    indices, size = candidates[kept[:n]], model[0].shape[3]
    allowed = allow(lattice, pixels, around[0], around[1])
    values, use = np.empty((n, size), np.float32), np.empty((n, size), np.float32)
    variance = np.empty((n, size), np.float32)
    corners, states = np.empty((n, 2)), np.zeros((n, 4))
    for i in range(n):
        x, y = place(lattice, indices[i, 0], indices[i, 1])
        corners[i] = round(x), round(y)
        column, row = int(round(x)), int(round(y))
        cut(image, good, column, row, pixels, allowed, noise[:2], values[i], use[i], variance[i])
        states[i, 1] = max(height[i], noise[0] * 1e-3)
    systems, turned, weight = np.zeros((n, 6)), np.empty((n, 6)), np.empty(n)
    space = work_space(model[0].shape[2], size)
    covariance = refine(
        (values, use, variance), corners, indices, lattice, states, model, noise, steps, space, systems,
        turned, weight,
    )  # fmt: skip
    disks = np.empty((n, 10))
    for i in range(n):
        disks[i, 0], disks[i, 1:7], disks[i, 7] = states[i, 2], systems[i], weight[i]
        disks[i, 6] /= max(use[i].sum(), 1.0)
        disks[i, 9] = deviance(values[i], use[i], variance[i], noise) + states[i, 3]
    disks[:, 8] = scatter(turned, weight)
    return covariance, kept[:n], disks
