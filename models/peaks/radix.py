"""Stable radix sort of unsigned keys that carry a value along: the only sort that detection needs."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

_DIGIT = 11  # bits per pass: 2048 counters stay in the first-level cache
_LOW_BITS = np.uint64((1 << _DIGIT) - 1)


@njit(cache=True, nogil=True)
def sort_pairs(keys: NDArray, values: NDArray, spare_keys: NDArray, spare_values: NDArray, n: int) -> bool:
    """Sort the first n (key, value) pairs by rising key, equal keys in their given order.

    ``keys`` unsigned, ``values`` int32, each with a spare array as long. Only bits in which the keys
    differ are visited. Returns True when the result lies in the spare arrays.
    """
    differ = np.uint64(0)
    for i in range(1, n):
        differ |= np.uint64(keys[i] ^ keys[0])
    shift = np.uint64(0)
    while differ and not differ & np.uint64(1):
        differ >>= np.uint64(1)
        shift += np.uint64(1)
    start = np.empty(1 << _DIGIT, np.int32)
    in_spare = False
    while differ:
        if in_spare:
            _one_pass(spare_keys, spare_values, keys, values, n, shift, start)
        else:
            _one_pass(keys, values, spare_keys, spare_values, n, shift, start)
        in_spare = not in_spare
        differ >>= np.uint64(_DIGIT)
        shift += np.uint64(_DIGIT)
    return in_spare


@njit(cache=True, nogil=True)
def _one_pass(
    keys: NDArray,
    values: NDArray,
    to_keys: NDArray,
    to_values: NDArray,
    n: int,
    shift: np.uint64,
    start: NDArray,
) -> None:
    start[:] = 0
    for i in range(n):
        start[np.int64((np.uint64(keys[i]) >> shift) & _LOW_BITS)] += 1
    total = 0
    for digit in range(len(start)):
        count = start[digit]
        start[digit] = total
        total += count
    for i in range(n):
        own = np.int64((np.uint64(keys[i]) >> shift) & _LOW_BITS)
        to = start[own]
        start[own] = to + 1
        to_keys[to] = keys[i]
        to_values[to] = values[i]


@njit(cache=True, nogil=True)
def order_falling(keys: NDArray) -> NDArray:
    """(N,) int64 positions that sort (N,) uint64 ``keys`` by falling key; equal keys from last to first."""
    n = len(keys)
    work, spare = keys.copy(), np.empty_like(keys)
    values, spare_values = np.arange(n).astype(np.int32), np.empty(n, np.int32)
    if n and sort_pairs(work, values, spare, spare_values, n):
        values = spare_values
    return values[::-1].astype(np.int64)
