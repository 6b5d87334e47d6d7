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
TURNS = 6  # of the weights
LEAST = 1e-8  # of a pivot, the diagonal being 1


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
def _widths(radius):
    """(3, 2 reach + 1): half widths, row by row, of a disk, of the gap and of the ring; -1 outside."""
    reach = int(radius + RING)
    out = np.full((3, 2 * reach + 1), -1, np.int64)
    for k, size in enumerate((radius, radius + GAP, radius + RING)):
        for r in range(-reach, reach + 1):
            if abs(r) <= size:
                out[k, r + reach] = int(math.sqrt(size * size - r * r))
    return out


@njit(cache=True, nogil=True)
def _contrast(sums, widths, y, x):
    """Mean inside a disk less that around it, or -1 where too little of it is seen."""
    values, counts = sums
    reach, last = widths.shape[1] // 2, values.shape[1] - 1
    total, area = np.zeros(3), np.zeros(3)
    whole = 0
    for i in range(widths.shape[1]):
        r = y + i - reach
        whole += 2 * widths[0, i] + 1 if widths[0, i] >= 0 else 0
        if r < 0 or r >= values.shape[0]:
            continue
        for k in range(3):
            wide = widths[k, i]
            if wide < 0:
                continue
            first, end = min(max(x - wide, 0), last), max(min(x + wide + 1, last), 0)
            if end > first:
                total[k] += values[r, end] - values[r, first]
                area[k] += counts[r, end] - counts[r, first]
    if area[0] < 0.6 * whole:
        return -1.0
    around = area[2] - area[1]
    ground = (total[2] - total[1]) / around if around > 0 else 0.0
    return total[0] / area[0] - ground


@njit(cache=True, nogil=True)
def _highest(sums, widths, x, y, wide):
    """Pixel x, y of the largest contrast within ``wide`` px of a pixel."""
    best, bx, by = -1.0, x, y
    for r in range(y - wide, y + wide + 1):
        for t in range(x - wide, x + wide + 1):
            score = _contrast(sums, widths, r, t)
            if score > best:
                best, bx, by = score, t, r
    return bx, by


@njit(cache=True, nogil=True)
def _climb(sums, widths, x, y, wide, out):
    """From a pixel to the nearest maximum of the contrast, by parabolas: ``out`` (x, y, contrast)."""
    bx, by = x, y
    best = _contrast(sums, widths, by, bx)
    near = np.empty(4)
    for _ in range(2 * wide + 1):
        near[0], near[1] = _contrast(sums, widths, by, bx - 1), _contrast(sums, widths, by, bx + 1)
        near[2], near[3] = _contrast(sums, widths, by - 1, bx), _contrast(sums, widths, by + 1, bx)
        k = np.argmax(near)
        if near[k] <= best or max(abs(bx - x), abs(by - y)) >= wide:
            break
        best = near[k]
        if k < 2:
            bx += 2 * k - 1
        else:
            by += 2 * k - 5
    out[0], out[1], out[2] = bx, by, best
    for axis in range(2):
        before, after = near[2 * axis], near[2 * axis + 1]
        bend = 2.0 * best - before - after
        if before > 0 and after > 0 and bend > 0:
            out[axis] += min(max(0.5 * (after - before) / bend, -0.5), 0.5)


@njit(cache=True, nogil=True)
def _solve(matrix, vector, out):
    """``out`` (3, 2) from normal equations by Cholesky, in place; False where they cannot tell."""
    for p in range(3):
        if not matrix[p, p] > 0.0:
            return False
    scale = 1.0 / np.sqrt(np.array([matrix[0, 0], matrix[1, 1], matrix[2, 2]]))
    for p in range(3):
        for q in range(p + 1):
            total = matrix[p, q] * scale[p] * scale[q]
            for k in range(q):
                total -= matrix[p, k] * matrix[q, k]
            if p == q:
                if not total > LEAST:
                    return False
                matrix[p, p] = math.sqrt(total)
            else:
                matrix[p, q] = total / matrix[q, q]
    for axis in range(2):
        for p in range(3):
            total = vector[p, axis] * scale[p]
            for k in range(p):
                total -= matrix[p, k] * out[k, axis]
            out[p, axis] = total / matrix[p, p]
        for p in range(2, -1, -1):
            total = out[p, axis]
            for k in range(p + 1, 3):
                total -= matrix[k, p] * out[k, axis]
            out[p, axis] = total / matrix[p, p]
        for p in range(3):
            out[p, axis] *= scale[p]
    return True


@njit(cache=True, nogil=True)
def _robust(lattice, candidates, found):
    """Least squares of the places found, far ones weighing less; ``lattice`` in place, if possible."""
    trial, solution = lattice.copy(), np.empty((3, 2))
    for turn in range(TURNS):
        matrix, vector = np.zeros((3, 3)), np.zeros((3, 2))
        for i in range(len(candidates)):
            if not found[i, 2] > 0:
                continue
            h, k = candidates[i, 0], candidates[i, 1]
            x, y = place(trial, h, k)
            off = math.hypot(found[i, 0] - x, found[i, 1] - y) if turn else 0.0
            weight = found[i, 2] / (1.0 + (off / LOOSE) ** 2)
            row = (1.0, float(h), float(k))
            for p in range(3):
                for q in range(p + 1):
                    matrix[p, q] += weight * row[p] * row[q]
                for axis in range(2):
                    vector[p, axis] += weight * row[p] * found[i, axis]
        if not _solve(matrix, vector, solution):
            return
        for p in range(3):
            trial[2 * p], trial[2 * p + 1] = solution[p, 0], solution[p, 1]
    lattice[:] = trial


@njit(cache=True, nogil=True)
def approach(image, good, lattice, candidates, radius):
    """Move ``lattice`` (6,) to the disks, in place: those next to the direct one first, then further out.

    Works for disks that lie less than half their spacing from where the start says, near the middle. A disk
    is looked for again only where the lattice has moved away from it.
    """
    sums, widths = _sums(image, good), _widths(radius)
    one, two = math.hypot(lattice[2], lattice[3]), math.hypot(lattice[4], lattice[5])
    wide = max(int(min(FIRST, 0.5 * min(one, two) - 1.0)), 1)
    reach, last = 1.2 * max(one, two), math.hypot(image.shape[0], image.shape[1])
    found = np.full((len(candidates), 3), -1.0)
    done = False
    while not done:
        done = reach > last
        for i in range(len(candidates)):
            x, y = place(lattice, candidates[i, 0], candidates[i, 1])
            if math.hypot(x - lattice[0], y - lattice[1]) > reach:
                continue
            if min(x, y) < 0 or x > image.shape[1] - 1 or y > image.shape[0] - 1:
                found[i, 2] = -1.0
                continue
            if found[i, 2] > 0 and max(abs(found[i, 0] - x), abs(found[i, 1] - y)) <= wide:
                continue
            column, row = int(round(x)), int(round(y))
            if wide > LATER:
                column, row = _highest(sums, widths, column, row, wide)
            _climb(sums, widths, column, row, wide, found[i])
        _robust(lattice, candidates, found)
        reach *= GROWTH
        wide = min(wide, LATER)
