"""Phase unwrapping inside a support, along the most reliable path.

Source: Abdul-Rahman et al., Applied Optics 46, 6623 (2007): voxels are joined in the order of the
reliability of the edges between them, groups are kept by union-find. Reliability: small second differences
of the phase.
"""

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray


def unwrap(
    phase: NDArray, support: NDArray[np.bool_], check: Callable[[], None] = lambda: None
) -> NDArray[np.float32]:
    """(Z, Y, X) float32 rad: ``phase`` plus multiples of 2 pi, smooth inside ``support``, NaN outside.

    Parts of the support that do not touch each other are unwrapped on their own. ``check`` is called between
    the steps and may raise to stop.
    """
    inside = np.ascontiguousarray(support, np.bool_)
    values = np.where(inside, phase, 0).astype(np.float64)
    rough = _roughness(values, inside, check)
    firsts, seconds, cost = [], [], []
    index = np.arange(values.size).reshape(values.shape)
    for axis in range(3):
        check()
        low: list[slice] = [slice(None)] * 3
        high: list[slice] = [slice(None)] * 3
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(low), tuple(high)
        joined = inside[a] & inside[b]
        firsts.append(index[a][joined])
        seconds.append(index[b][joined])
        cost.append((rough[a] + rough[b])[joined])
    check()
    order = np.argsort(np.concatenate(cost), kind="stable")
    check()
    turns = _join(values.ravel(), np.concatenate(firsts)[order], np.concatenate(seconds)[order])
    out = values + 2 * np.pi * turns.reshape(values.shape)
    return np.where(inside, out, np.nan).astype(np.float32)


def wrapped(difference: NDArray) -> NDArray:
    """The same angle in [-pi, pi]."""
    return np.asarray(np.angle(np.exp(1j * difference)))


def _roughness(phase: NDArray, inside: NDArray[np.bool_], check: Callable[[], None]) -> NDArray:
    """Sum of squared second differences; large where a neighbour is missing."""
    total = np.zeros(phase.shape)
    for axis in range(3):
        check()
        before, after = np.roll(phase, 1, axis), np.roll(phase, -1, axis)
        bend = wrapped(before - phase)
        check()
        bend += wrapped(after - phase)
        check()
        whole = np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
        total += np.where(whole, bend**2, np.pi**2)
    return total


@njit(cache=True, nogil=True)
def _join(phase: NDArray, first: NDArray, second: NDArray) -> NDArray:
    """Turns to add to every voxel; the edges come in the order in which they are trusted."""
    parent = np.arange(phase.size)
    offset = np.zeros(phase.size, np.int64)  # turns relative to the parent
    size = np.ones(phase.size, np.int64)
    for k in range(first.size):
        a, b = first[k], second[k]
        root_a, turns_a = a, 0
        while parent[root_a] != root_a:
            turns_a += offset[root_a]
            root_a = parent[root_a]
        root_b, turns_b = b, 0
        while parent[root_b] != root_b:
            turns_b += offset[root_b]
            root_b = parent[root_b]
        if root_a == root_b:
            continue
        jump = int(np.rint((phase[a] - phase[b]) / (2 * np.pi))) + turns_a - turns_b
        if size[root_a] >= size[root_b]:
            parent[root_b], offset[root_b] = root_a, jump
            size[root_a] += size[root_b]
        else:
            parent[root_a], offset[root_a] = root_b, -jump
            size[root_b] += size[root_a]
    turns = np.zeros(phase.size, np.int64)
    for i in range(phase.size):
        place = i
        while parent[place] != place:
            turns[i] += offset[place]
            place = parent[place]
    return turns
