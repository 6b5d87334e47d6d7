"""Numba kernels of the precise lattice fit: one pattern from its start to lattice, covariance and disks."""

# ruff: noqa: ANN001, ANN201, ANN202
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

from braggscope.models.disks.precise_kernels import (
    backward,
    choose_prior,
    disk_normal,
    edge_at,
    factor,
    forward,
    inside,
    position_system,
    with_prior,
)
from braggscope.models.disks.precise_weights import axes, join, scatter

SEEN = 0.6  # share of a disk's pixels that must be good and in the pattern
VISIBLE = 3.0  # sigma of its counts over its surroundings
LONGEST = 1.0  # px that a disk may move in one step
CLOSE = 0.05  # sigma: a step shorter than this ends the fit
CHOOSING = 3  # steps in which priors are chosen anew


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
def cut(image, good, x, y, allowed, values, weight, variance, noise):
    """A window about the pixel x, y: counts, 1 where they are used, variances from the mean of 3 x 3."""
    gain, least = noise
    s = values.shape[0]
    half = (allowed.shape[0] - 1) // 2
    values[:] = 0.0
    weight[:] = 0.0
    variance[:] = 1.0
    for i in range(min(s, 2 * half + 1)):
        for j in range(min(s, 2 * half + 1)):
            r, t = y + i - half, x + j - half
            if r < 0 or t < 0 or r >= image.shape[0] or t >= image.shape[1] or not good[r, t]:
                continue
            if not allowed[i, j]:
                continue
            values[i, j], weight[i, j] = image[r, t], 1.0
            total, n = 0.0, 0
            for rr in range(max(r - 1, 0), min(r + 2, image.shape[0])):
                for tt in range(max(t - 1, 0), min(t + 2, image.shape[1])):
                    if good[rr, tt]:
                        total += image[rr, tt]
                        n += 1
            variance[i, j] = gain * total / n + least


@njit(cache=True, nogil=True)
def allow(lattice, half, radius, reach, near, out):
    """Pixels of a window that belong to its disk alone: none of a neighbour's, ``near`` (n, 2) indices."""
    for i in range(2 * half + 1):
        for j in range(2 * half + 1):
            y, x = i - half, j - half
            out[i, j] = math.hypot(x, y) <= reach
            for k in range(len(near)):
                dx = near[k, 0] * lattice[2] + near[k, 1] * lattice[4]
                dy = near[k, 0] * lattice[3] + near[k, 1] * lattice[5]
                if math.hypot(x - dx, y - dy) <= radius:
                    out[i, j] = False


@njit(cache=True, nogil=True)
def solve_disk(window, state, offset, model, noise, first, space, out):
    """Project one disk out; ``out`` (6,) of :func:`position_system`. False where it cannot be solved.

    ``window``: counts, use, variance, which is renewed; ``state``: prior number and height, renewed.
    """
    values, use, variance = window
    table, fine, basis, priors = model
    gain, least, floor = noise
    edge, weight, shape, row, matrix, work, vector, right, sides, arrays = space
    powers, order = basis
    count = len(order)
    edge_at(table, offset[0], offset[1], fine, edge)
    low = max(least, gain * floor * state[1])
    for r in range(values.shape[0]):
        for t in range(values.shape[1]):
            weight[r, t] = use[r, t] / max(variance[r, t], low)
    disk_normal(values, weight, edge, basis, arrays, matrix, vector)
    if first:
        state[0] = choose_prior(matrix, vector, priors, state[1], work, right)
    with_prior(matrix, priors[0][int(state[0])], state[1], count, work)
    if math.isnan(factor(work, count + 1)):
        return False
    right[:] = vector
    forward(work, count + 1, right)
    backward(work, count + 1, right)
    inside(right, order, count, powers, shape, row)
    level = right[count]
    position_system(values, weight, edge, shape, basis, arrays, work, level, sides, out)
    total, area = 0.0, 0.0
    for r in range(values.shape[0]):
        for t in range(values.shape[1]):
            mean = edge[0, r, t] * shape[r, t]
            total += use[r, t] * mean
            area += use[r, t] * edge[0, r, t]
            variance[r, t] = gain * max(mean + level, 0.0) + least
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
    for turn in range(steps):
        for i in range(n):
            x, y = place(lattice, indices[i, 0], indices[i, 1])
            window = (values[i], use[i], variance[i])
            offset = (x - corners[i, 0], y - corners[i, 1])
            if not solve_disk(window, states[i], offset, model, noise, turn < CHOOSING, space, systems[i]):
                systems[i] = 0.0
            axes(systems[i], turned[i])
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
        if turn >= CHOOSING and (step * gradient).sum() < CLOSE * CLOSE:
            break
    return np.linalg.inv(matrix)


@njit(cache=True, nogil=True)
def work_space(side, count, degree):
    """Arrays that :func:`solve_disk` writes over."""
    arrays = (
        np.empty((side, side)), np.empty((side, side)), np.empty((side, side)),
        np.empty((2 * degree + 1, side)), np.zeros((2 * degree + 1, 2 * degree + 1)),
    )  # fmt: skip
    return (
        np.empty((3, side, side)), np.empty((side, side)), np.empty((side, side)), np.empty(degree + 1),
        np.zeros((count + 1, count + 1)), np.zeros((count + 1, count + 1)), np.empty(count + 1),
        np.empty(count + 1), np.empty((2, count + 1)), arrays,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def deviance(values, use, variance, noise):
    """Twice the log of the Poisson likelihood, less that of a perfect model, of a window that was fitted."""
    gain, least, _ = noise
    total = 0.0
    for r in range(values.shape[0]):
        for t in range(values.shape[1]):
            if use[r, t] > 0.0:
                y, mean = max(values[r, t], 0.0) + least / gain, variance[r, t] / gain
                total += mean - y + (y * math.log(y / mean) if y > 0.0 else 0.0)
    return 2.0 * total / gain


@njit(cache=True, nogil=True)
def fit_pattern(image, good, lattice, candidates, rule, window, near, model, noise, steps, fewest, space):
    """Fit one pattern; ``lattice`` (6,) in place.

    Gives covariance (6, 6), the numbers of the disks among ``candidates``, and per disk (n, 10): counts,
    S (3), gradient (2), chi^2 per pixel, weight, tau^2, deviance. The covariance is NaN where the fit failed.
    """
    side, half, radius, reach = window
    kept, height = np.empty(len(candidates), np.int64), np.empty(len(candidates))
    n = choose(image, good, lattice, candidates, rule, kept, height)
    failed = np.full((6, 6), math.nan)
    if n < fewest:
        return failed, kept[:0], np.empty((0, 10))
    indices = candidates[kept[:n]]
    allowed = np.empty((2 * half + 1, 2 * half + 1), np.bool_)
    allow(lattice, half, radius, reach, near, allowed)
    values, use, variance = np.empty((n, side, side)), np.empty((n, side, side)), np.empty((n, side, side))
    corners, states = np.empty((n, 2)), np.empty((n, 3))
    for i in range(n):
        x, y = place(lattice, indices[i, 0], indices[i, 1])
        corners[i] = round(x), round(y)
        cut(image, good, int(round(x)), int(round(y)), allowed, values[i], use[i], variance[i], noise[:2])
        states[i] = 0.0, max(height[i], noise[0] * 1e-3), 0.0
    systems, turned, weight = np.zeros((n, 6)), np.empty((n, 6)), np.empty(n)
    covariance = refine(
        (values, use, variance), corners, indices, lattice, states, model, noise, steps, space, systems,
        turned, weight,
    )  # fmt: skip
    disks = np.empty((n, 10))
    for i in range(n):
        disks[i, 0], disks[i, 1:7], disks[i, 7] = states[i, 2], systems[i], weight[i]
        disks[i, 6] /= max(use[i].sum(), 1.0)
        disks[i, 9] = deviance(values[i], use[i], variance[i], noise)
    disks[:, 8] = scatter(turned, weight)
    return covariance, kept[:n], disks
