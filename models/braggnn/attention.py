"""The folded front of BraggNN for CPUs: patches to the 64 activated channels, one fused loop per patch.

Positions, not patches, run along the vector units, so that nothing is summed across a vector. The result
differs from the plain network's only by rounding. Source of the identity: :class:`.network.Folded`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_LOG2E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_LOWEST = np.float32(-87.0)  # exp of less is 0 in float32, to rounding


@njit(cache=True, nogil=True, fastmath={"contract"})
def channels(
    patches: NDArray,
    query: NDArray,
    query_bias: NDArray,
    mix: NDArray,
    mix_bias: NDArray,
    slope: np.float32,
    out: NDArray,
) -> None:
    """Fill ``out`` (N, P, C) float32 with the activated channels of ``patches`` (N, S, S) float32.

    P = (S-2)^2 positions, row-major. ``query`` (9, 9), ``query_bias`` (9,), ``mix`` (18, C) and ``mix_bias``
    (C,) float32 are the parts of ``Folded``, ``mix`` transposed.
    """
    inner = patches.shape[1] - 2
    count = inner * inner
    width = (count + 15) // 16 * 16
    near = np.zeros((9, width), np.float32)
    asked = np.zeros((9, width), np.float32)
    scores = np.zeros((count, width), np.float32)
    top = np.zeros(width, np.float32)
    total = np.zeros(width, np.float32)
    weight = np.zeros(width, np.float32)
    bits = np.zeros(width, np.int32)
    found = np.zeros((9, width), np.float32)
    for n in range(len(patches)):
        _gather(patches[n], near)
        _ask(near, query, query_bias, asked)
        _score(near, asked, count, scores, top)
        _attend(near, scores, count, top, total, weight, bits, found)
        _mix(near, found, count, mix, mix_bias, slope, out[n])


@njit(cache=True, nogil=True)
def _gather(patch: NDArray, near: NDArray) -> None:
    inner = patch.shape[0] - 2
    for dr in range(3):
        for dc in range(3):
            k = 3 * dr + dc
            for r in range(inner):
                for c in range(inner):
                    near[k, r * inner + c] = patch[r + dr, c + dc]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _ask(near: NDArray, query: NDArray, bias: NDArray, asked: NDArray) -> None:
    width = near.shape[1]
    for k in range(9):
        for i in range(width):
            asked[k, i] = bias[k]
        for m in range(9):
            factor = query[m, k]
            for i in range(width):
                asked[k, i] += factor * near[m, i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _score(near: NDArray, asked: NDArray, count: int, scores: NDArray, top: NDArray) -> None:
    """scores[j, i] = asked_i . near_j, and their maximum over j."""
    width = near.shape[1]
    for i in range(width):
        top[i] = -np.inf
    for j in range(count):
        n0, n1, n2, n3, n4 = near[0, j], near[1, j], near[2, j], near[3, j], near[4, j]
        n5, n6, n7, n8 = near[5, j], near[6, j], near[7, j], near[8, j]
        for i in range(width):
            score = (
                (asked[0, i] * n0 + asked[1, i] * n1 + asked[2, i] * n2)
                + (asked[3, i] * n3 + asked[4, i] * n4 + asked[5, i] * n5)
                + (asked[6, i] * n6 + asked[7, i] * n7 + asked[8, i] * n8)
            )
            scores[j, i] = score
            top[i] = score if score > top[i] else top[i]


@njit(cache=True, nogil=True, fastmath={"contract"})
def _attend(
    near: NDArray,
    scores: NDArray,
    count: int,
    top: NDArray,
    total: NDArray,
    weight: NDArray,
    bits: NDArray,
    found: NDArray,
) -> None:
    """found_i = sum_j softmax_j(scores[:, i]) near_j."""
    width = near.shape[1]
    found[:] = np.float32(0)
    total[:] = np.float32(0)
    power = bits.view(np.float32)
    for j in range(count):
        for i in range(width):
            _exponential(scores[j, i] - top[i], i, weight, bits)
        n0, n1, n2, n3, n4 = near[0, j], near[1, j], near[2, j], near[3, j], near[4, j]
        n5, n6, n7, n8 = near[5, j], near[6, j], near[7, j], near[8, j]
        for i in range(width):
            w = weight[i] * power[i]
            total[i] += w
            found[0, i] += w * n0
            found[1, i] += w * n1
            found[2, i] += w * n2
            found[3, i] += w * n3
            found[4, i] += w * n4
            found[5, i] += w * n5
            found[6, i] += w * n6
            found[7, i] += w * n7
            found[8, i] += w * n8
    for k in range(9):
        for i in range(width):
            found[k, i] /= total[i]


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _exponential(value: float, i: int, weight: NDArray, bits: NDArray) -> None:
    """exp(value) = weight[i] * (bits[i] read as float32), value <= 0: range reduction and a polynomial."""
    x = value if value > _LOWEST else _LOWEST
    k = np.floor(x * _LOG2E + np.float32(0.5))
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    weight[i] = p * r * r + r + np.float32(1)
    bits[i] = (np.int32(k) + np.int32(127)) << np.int32(23)


@njit(cache=True, nogil=True, fastmath={"contract"})
def _mix(
    near: NDArray,
    found: NDArray,
    count: int,
    mix: NDArray,
    bias: NDArray,
    slope: np.float32,
    out: NDArray,
) -> None:
    for i in range(count):
        row = out[i]
        row[:] = bias
        _add(row, near, i, mix[:9])
        _add(row, found, i, mix[9:])
        for c in range(len(row)):
            row[c] = row[c] if row[c] > 0 else row[c] * slope


@njit(cache=True, nogil=True, fastmath={"contract"}, inline="always")
def _add(row: NDArray, values: NDArray, i: int, matrix: NDArray) -> None:
    """Add: row += values[:, i] @ matrix, with (9, C) ``matrix``."""
    v0, v1, v2, v3, v4 = values[0, i], values[1, i], values[2, i], values[3, i], values[4, i]
    v5, v6, v7, v8 = values[5, i], values[6, i], values[7, i], values[8, i]
    for c in range(len(row)):
        row[c] += (
            (v0 * matrix[0, c] + v1 * matrix[1, c] + v2 * matrix[2, c])
            + (v3 * matrix[3, c] + v4 * matrix[4, c] + v5 * matrix[5, c])
            + (v6 * matrix[6, c] + v7 * matrix[7, c] + v8 * matrix[8, c])
        )
