"""Who belongs to whom: minimal-cost matching of a sparse, gated problem, solved island by island."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _root(parent: Integers, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _dense(cost: Floats) -> Integers:
    """(n,) column of every row of an (n, m) matrix, n <= m, at the least total cost.

    Shortest augmenting paths with potentials (Jonker and Volgenant, Computing 38, 325, 1987).
    """
    n, m = cost.shape
    u, v = np.zeros(n + 1), np.zeros(m + 1)
    owner, way = np.zeros(m + 1, np.int64), np.zeros(m + 1, np.int64)
    for i in range(1, n + 1):
        owner[0] = i
        j = 0
        least = np.full(m + 1, np.inf)
        used = np.zeros(m + 1, np.bool_)
        while owner[j] != 0:
            used[j] = True
            row, delta, following = owner[j], np.inf, 0
            for k in range(1, m + 1):
                if not used[k]:
                    reduced = cost[row - 1, k - 1] - u[row] - v[k]
                    if reduced < least[k]:
                        least[k], way[k] = reduced, j
                    if least[k] < delta:
                        delta, following = least[k], k
            for k in range(m + 1):
                if used[k]:
                    u[owner[k]] += delta
                    v[k] -= delta
                else:
                    least[k] -= delta
            j = following
        while j != 0:
            owner[j] = owner[way[j]]
            j = way[j]
    chosen = np.empty(n, np.int64)
    for k in range(1, m + 1):
        if owner[k] > 0:
            chosen[owner[k] - 1] = k - 1
    return chosen


@njit(cache=True, nogil=True)
def match(left: Integers, right: Integers, cost: Floats, n_left: int, n_right: int, alone: float) -> Integers:
    """(n_left,) partner of every left node, -1 for none, at the least total cost.

    ``left``, ``right``, ``cost`` (E,): the edges that are possible. A pair that stays apart costs ``alone``
    in all, so an edge that costs more is never taken. Connected islands are solved one by one.
    """
    partner = np.full(n_left, -1, np.int64)
    parent = np.arange(n_left + n_right)
    for e in range(len(left)):
        a, b = _root(parent, left[e]), _root(parent, n_left + right[e])
        parent[max(a, b)] = min(a, b)
    island = np.empty(len(left), np.int64)
    for e in range(len(left)):
        island[e] = _root(parent, left[e])
    order = np.argsort(island, kind="mergesort")
    place = np.full(n_left + n_right, -1, np.int64)
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and island[order[end]] == island[order[begin]]:
            end += 1
        if end == begin + 1:
            e = order[begin]
            if cost[e] < alone:
                partner[left[e]] = right[e]
        else:
            _solve_island(order[begin:end], left, right, cost, n_left, alone, place, partner)
        begin = end
    return partner


@njit(cache=True, nogil=True)
def _solve_island(
    edges: Integers, left: Integers, right: Integers, cost: Floats, n_left: int, alone: float,
    place: Integers, partner: Integers,
) -> None:  # fmt: skip
    """Match one island densely; every left node also has a place of its own at the price ``alone``."""
    rows, cols = np.empty(len(edges), np.int64), np.empty(len(edges), np.int64)
    n = m = 0
    for e in edges:
        if place[left[e]] < 0:
            place[left[e]], rows[n] = n, left[e]
            n += 1
        if place[n_left + right[e]] < 0:
            place[n_left + right[e]], cols[m] = m, right[e]
            m += 1
    dense = np.full((n, m + n), 2.0 * alone + 1e9)
    for i in range(n):
        dense[i, m + i] = alone
    for e in edges:
        at = (place[left[e]], place[n_left + right[e]])
        dense[at] = min(dense[at], cost[e])
    chosen = _dense(dense)
    for i in range(n):
        if chosen[i] < m and dense[i, chosen[i]] < alone:
            partner[rows[i]] = cols[chosen[i]]
