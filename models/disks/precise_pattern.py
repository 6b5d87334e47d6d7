"""Numba kernels of the precise lattice fit: one pattern from its start to lattice, covariance and disks."""

# ruff: noqa: ANN001, ANN201, ANN202, RUF046
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

from braggscope.models.disks.edge import AMPLITUDES
from braggscope.models.disks.precise_kernels import (
    backward,
    between,
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
from braggscope.models.disks.precise_weights import axes, covariance_of, move, settle

SEEN = 0.6  # share of a disk's pixels that must be good and in the pattern
VISIBLE = 3.0  # sigma of its counts over its surroundings
LONGEST = 1.0  # px that a disk may move in one step
CLOSE = 0.1  # sigma: a step shorter than this ends the fit
UNSURE = 0.025  # px: what the model's edge is wrong by, where insides vary by their mean: measured on foils
RELAID = 0.75  # px from the middle of its window at which a disk gets a new one
NEARBY = 0.1  # px: once a step is shorter, priors are chosen for good; in the first step never, as variances
# are still those of smoothed counts there


@njit(cache=True, nogil=True)
def place(lattice, h, k):
    """Where disk (h, k) lies."""
    return lattice[0] + h * lattice[2] + k * lattice[4], lattice[1] + h * lattice[3] + k * lattice[5]


@njit(cache=True, nogil=True)
def _brightness(image, good, x, y, ring):
    """Counts of a disk above the ring around it, their sigma / sqrt(gain), and the share of good pixels."""
    radius, outer = ring
    inner, around, n, m, whole = 0.0, 0.0, 0, 0, 0
    reach, rim = int(outer) + 1, max(outer - 1.5, radius)
    row, column = int(round(y)), int(round(x))
    for r in range(row - reach, row + reach + 1):
        for t in range(column - reach, column + reach + 1):
            far = (r - y) * (r - y) + (t - x) * (t - x)
            within = far <= radius * radius
            whole += within
            if not within and not rim * rim < far <= outer * outer:
                continue
            if r < 0 or t < 0 or r >= image.shape[0] or t >= image.shape[1] or not good[r, t]:
                continue
            if within:
                inner += image[r, t]
                n += 1
            else:
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
def smooth(image, good):
    """(H, W) float32: mean of 3 x 3 pixels about each, of the good ones, and at least 0."""
    rows, columns = image.shape
    out = np.empty((rows, columns), np.float32)
    total, count = np.empty(columns + 2, np.float32), np.empty(columns + 2, np.float32)
    for r in range(rows):
        total[:] = 0.0
        count[:] = 0.0
        for i in range(max(r - 1, 0), min(r + 2, rows)):
            for t in range(columns):
                use = np.float32(1.0) if good[i, t] else np.float32(0.0)
                total[t + 1] += use * image[i, t]
                count[t + 1] += use
        for t in range(columns):
            n = max(count[t] + count[t + 1] + count[t + 2], np.float32(1.0))
            out[r, t] = max((total[t] + total[t + 1] + total[t + 2]) / n, np.float32(0.0))
    return out


@njit(cache=True, nogil=True)
def cut(scene, x, y, around, noise, values, use, variance):
    """Pixels about the pixel x, y: counts, 1 where they are used, variances from the mean of 3 x 3."""
    image, good, mean = scene
    pixels, allowed = around
    gain, least = noise
    for i in range(len(values)):
        t, r = x + pixels[i, 0], y + pixels[i, 1]
        inside = 0 <= r < image.shape[0] and 0 <= t < image.shape[1]
        if allowed[i] and inside and good[r, t]:
            values[i], use[i], variance[i] = image[r, t], 1.0, gain * mean[r, t] + least
        else:
            values[i], use[i], variance[i] = 0.0, 0.0, 1.0


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
    phi, weighted, product, matrix, work, vector, right, sides, corners, mean, weight, shares = space
    count, n = table.shape[2], len(values)
    places = between(table.shape[0], fine, offset[0], offset[1], shares)
    design(table, places, shares[0], phi)
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
    expected(table, places, shares, right, corners, mean)
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
def refine(scene, around, windows, corners, indices, lattice, states, model, noise, steps, systems, weight):
    """Gauss-Newton on the six numbers of ``lattice``, in place; covariance (NaN: failed), tau^2."""
    n = len(indices)
    values, use, variance = windows
    matrix, step, turned = np.empty((6, 6)), np.empty(6), np.empty((n, 6))
    failed = np.full((6, 6), math.nan)
    evidence = np.full((n, len(model[2][1])), -math.inf)
    space = work_space(model[0].shape[2], values.shape[1])
    states[:, 0] = evidence.shape[1] // 2
    spread, far, chosen = 0.0, math.inf, False
    for turn in range(steps):
        choosing = turn > 0 and not chosen
        chosen = chosen or (choosing and far < NEARBY)
        for i in range(n):
            x, y = place(lattice, indices[i, 0], indices[i, 1])
            if max(abs(x - corners[i, 0]), abs(y - corners[i, 1])) > RELAID:
                corners[i] = round(x), round(y)
                cut(scene, int(round(x)), int(round(y)), around, noise[:2], values[i], use[i], variance[i])
            window = (values[i], use[i], variance[i])
            offset = (x - corners[i, 0], y - corners[i, 1])
            wanted = evidence[i] if choosing else evidence[i, :0]
            if not solve_disk(window, states[i], offset, model, noise, wanted, space, systems[i]):
                systems[i] = 0.0
            axes(systems[i], turned[i])
        if choosing:
            settle_priors(evidence, states[:, 0])
        square, spread = settle(indices, turned, weight, matrix, step)
        if not math.isfinite(square):
            return failed, spread
        far = 0.0
        for i in range(n):
            dx = step[0] + indices[i, 0] * step[2] + indices[i, 1] * step[4]
            dy = step[1] + indices[i, 0] * step[3] + indices[i, 1] * step[5]
            far = max(far, math.hypot(dx, dy))
        share = min(1.0, LONGEST / max(far, 1e-12))
        move(indices, (share - 1.0) * step, turned)
        lattice += share * step
        if chosen and square < CLOSE * CLOSE:
            break
    doubt = np.empty(n)
    for i in range(n):
        systems[i, 3] = turned[i, 2] * turned[i, 4] - turned[i, 3] * turned[i, 5]
        systems[i, 4] = turned[i, 3] * turned[i, 4] + turned[i, 2] * turned[i, 5]
        doubt[i] = UNSURE * UNSURE * AMPLITUDES[int(states[i, 0])]
    return covariance_of(indices, turned, weight, spread, doubt), spread


@njit(cache=True, nogil=True)
def work_space(count, n):
    """Arrays that :func:`solve_disk` writes over; the last row of the first stays 1."""
    single = np.float32
    return (
        np.ones((count + 1, n), single), np.empty((count + 1, n), single),
        np.empty((count + 1, count + 1), single), np.zeros((count + 1, count + 1)),
        np.zeros((count + 1, count + 1)), np.empty(count + 1), np.empty(count + 1), np.empty((2, count + 1)),
        np.empty((6, n), single), np.empty((3, n), single), np.empty(n, single), np.empty((3, 6), single),
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
def misfit(windows, offsets, states, model, noise):
    """Minus twice the log evidence of disks, whose places (n, 2) and ``states`` are known."""
    values, use, variance = windows
    space = work_space(model[0].shape[2], values.shape[1])
    system, none, total = np.empty(6), np.empty(0), 0.0
    for i in range(len(offsets)):
        state, renewed = states[i].copy(), variance[i].copy()
        window = (values[i], use[i], renewed)
        if solve_disk(window, state, (offsets[i, 0], offsets[i, 1]), model, noise, none, space, system):
            total += deviance(values[i], use[i], renewed, noise) + state[3]
    return total


@njit(cache=True, nogil=True)
def fit_pattern(image, good, lattice, candidates, rule, pixels, around, model, noise, steps, fewest):
    """Fit one pattern; ``lattice`` (6,) in place.

    ``pixels`` (n, 2) x, y of a disk's surroundings; ``around``: the radius of neighbours and their indices.
    Gives covariance (6, 6), the numbers of the disks among ``candidates``, per disk (n, 9): counts, S (3),
    gradient (2), chi^2 per pixel, weight, tau^2; and windows, places in them (n, 2) and states, as
    :func:`misfit` takes them. The covariance is NaN where the fit failed.
    """
    kept, height = np.empty(len(candidates), np.int64), np.empty(len(candidates))
    n, size = choose(image, good, lattice, candidates, rule, kept, height), model[0].shape[3]
    if n < fewest:
        n = 0
    indices = candidates[kept[:n]]
    values, use = np.empty((n, size), np.float32), np.empty((n, size), np.float32)
    windows = (values, use, np.empty((n, size), np.float32))
    corners, states, disks = np.full((n, 2), math.inf), np.zeros((n, 4)), np.empty((n, 9))
    if n == 0:
        return np.full((6, 6), math.nan), kept[:0], disks, (windows, corners, states)
    scene = (image, good, smooth(image, good))
    inner = (pixels, allow(lattice, pixels, around[0], around[1]))
    for i in range(n):
        states[i, 1] = max(height[i], noise[0] * 1e-3)
    systems, weight = np.zeros((n, 6)), np.empty(n)
    covariance, spread = refine(
        scene, inner, windows, corners, indices, lattice, states, model, noise, steps, systems, weight
    )
    for i in range(n):
        disks[i, 0], disks[i, 1:7], disks[i, 7] = states[i, 2], systems[i], weight[i]
        disks[i, 6] /= max(use[i].sum(), 1.0)
        x, y = place(lattice, indices[i, 0], indices[i, 1])
        corners[i, 0], corners[i, 1] = x - corners[i, 0], y - corners[i, 1]
    disks[:, 8] = spread
    return covariance, kept[:n], disks, (windows, corners, states)
