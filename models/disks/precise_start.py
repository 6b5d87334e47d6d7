"""Numba kernel that brings a lattice near enough for the precise fit: from the middle outwards, by disks."""

# ruff: noqa: ANN001, ANN201, ANN202, RUF046
# mypy: disable-error-code="no-untyped-def"

import math

import numpy as np
from numba import njit

from braggscope.models.disks.precise_pattern import place

GROWTH = 1.5  # of the circle of disks that take part
LATER = 3  # px: search about a place predicted from disks further in
FIRST = 7  # px: at most, before there is such a place
GAP, RING = 1.0, 3.5  # px outside the radius: where the surroundings begin and end
LOOSE = 0.7  # px: a disk this far off weighs half


@njit(cache=True, nogil=True)
def _sums(image, good):
    """Running sums along rows of √counts and of good pixels, (H, W + 1)."""
    rows, columns = image.shape
    values, counts = np.zeros((rows, columns + 1)), np.zeros((rows, columns + 1))
    for r in range(rows):
        for t in range(columns):
            use = 1.0 if good[r, t] else 0.0
            values[r, t + 1] = values[r, t] + use * math.sqrt(max(image[r, t], 0.0))
            counts[r, t + 1] = counts[r, t] + use
    return values, counts


@njit(cache=True, nogil=True)
def _circle(sums, y, x, radius):
    """Sum of √counts and number of good pixels in a circle about the pixel x, y."""
    values, counts = sums
    total, area = 0.0, 0.0
    reach = int(radius)
    for r in range(max(y - reach, 0), min(y + reach + 1, values.shape[0])):
        wide = int(math.sqrt(radius * radius - (r - y) * (r - y)))
        first, last = max(x - wide, 0), min(x + wide + 1, values.shape[1] - 1)
        if last > first:
            total += values[r, last] - values[r, first]
            area += counts[r, last] - counts[r, first]
    return total, area


@njit(cache=True, nogil=True)
def _contrast(sums, y, x, radius):
    """Mean inside a disk less that around it, or -1 where too little of it is seen."""
    inner, area = _circle(sums, y, x, radius)
    if area < 0.6 * math.pi * radius * radius:
        return -1.0
    near, hole = _circle(sums, y, x, radius + GAP)
    far, whole = _circle(sums, y, x, radius + RING)
    ground = (far - near) / (whole - hole) if whole > hole else 0.0
    return inner / area - ground


@njit(cache=True, nogil=True)
def _search(sums, x, y, radius, wide, out):
    """Place of the largest contrast within ``wide`` px, by parabolas: ``out`` (x, y, contrast)."""
    x0, y0 = int(round(x)), int(round(y))
    best, bx, by = -1.0, x0, y0
    for r in range(y0 - wide, y0 + wide + 1):
        for t in range(x0 - wide, x0 + wide + 1):
            score = _contrast(sums, r, t, radius)
            if score > best:
                best, bx, by = score, t, r
    out[0], out[1], out[2] = bx, by, best
    for axis in range(2):
        before = _contrast(sums, by - axis, bx - (1 - axis), radius)
        after = _contrast(sums, by + axis, bx + (1 - axis), radius)
        bend = 2.0 * best - before - after
        if before > 0 and after > 0 and bend > 0:
            out[axis] += min(max(0.5 * (after - before) / bend, -0.5), 0.5)


@njit(cache=True, nogil=True)
def _robust(lattice, indices, found, n):
    """Least squares of the places found, far ones weighing less; ``lattice`` in place, if possible."""
    trial = lattice.copy()
    for turn in range(6):
        matrix, vector = np.zeros((3, 3)), np.zeros((3, 2))
        for i in range(n):
            x, y = place(trial, indices[i, 0], indices[i, 1])
            off = math.hypot(found[i, 0] - x, found[i, 1] - y) if turn else 0.0
            weight = found[i, 2] / (1.0 + (off / LOOSE) ** 2)
            row = (1.0, float(indices[i, 0]), float(indices[i, 1]))
            for p in range(3):
                for q in range(3):
                    matrix[p, q] += weight * row[p] * row[q]
                for axis in range(2):
                    vector[p, axis] += weight * row[p] * found[i, axis]
        if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e8:
            return
        solution = np.linalg.solve(matrix, vector)
        for p in range(3):
            trial[2 * p], trial[2 * p + 1] = solution[p, 0], solution[p, 1]
    lattice[:] = trial


@njit(cache=True, nogil=True)
def approach(image, good, lattice, candidates, radius):
    """Move ``lattice`` (6,) to the disks, in place: those next to the direct one first, then further out.

    Works for disks that lie less than half their spacing from where the start says, near the middle.
    """
    sums = _sums(image, good)
    one, two = math.hypot(lattice[2], lattice[3]), math.hypot(lattice[4], lattice[5])
    wide = int(min(FIRST, 0.5 * min(one, two) - 1.0))
    reach, last = 1.2 * max(one, two), math.hypot(image.shape[0], image.shape[1])
    found, indices = np.empty((len(candidates), 3)), np.empty((len(candidates), 2), np.int64)
    done = False
    while not done:
        done = reach > last
        n = 0
        for i in range(len(candidates)):
            h, k = candidates[i, 0], candidates[i, 1]
            x, y = place(lattice, h, k)
            if math.hypot(x - lattice[0], y - lattice[1]) > reach:
                continue
            if min(x, y) < 0 or x > image.shape[1] - 1 or y > image.shape[0] - 1:
                continue
            _search(sums, x, y, radius, max(wide, 1), found[n])
            if found[n, 2] > 0:
                indices[n, 0], indices[n, 1] = h, k
                n += 1
        _robust(lattice, indices, found, n)
        reach *= GROWTH
        wide = min(wide, LATER)
