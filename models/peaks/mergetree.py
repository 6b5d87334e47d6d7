"""Kernels of the merge tree: critical pixels of a frame and the passes between its maxima.

Only critical pixels need sorting. Where the higher neighbours of a pixel touch one another, the pixel
joins nothing and gets a pointer uphill; where they do not, it is a saddle. Following the pointers from
both sides of a saddle finds the maxima that meet there, and union-find over the maxima, from the highest
saddle down, does the rest. So a frame costs one local look at each pixel from the floor up, and a sort of
the saddles.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.peaks.radix import sort_pairs

_STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # row, column; rising index


def _arc_table() -> NDArray[np.uint8]:
    """(256,) uint8: for a set of higher neighbours, one bit each, one neighbour of every connected arc."""
    table = np.zeros(256, np.uint8)
    for members in range(256):
        left = [k for k in range(8) if members >> k & 1]
        while left:
            arc = [left.pop()]
            table[members] |= 1 << arc[0]
            for a in arc:
                near = [
                    b for b in left if max(abs(p - q) for p, q in zip(_STEPS[a], _STEPS[b], strict=True)) < 2
                ]
                arc += near
                left = [b for b in left if b not in near]
    return table


_ARCS = _arc_table()
_LOWEST_BIT = np.array([0] + [(k & -k).bit_length() - 1 for k in range(1, 256)], np.uint8)


class Buffers(NamedTuple):
    """Room for one frame. Padded frame: a border of one pixel around it, flattened, row-major."""

    level: NDArray  # padded frame: order-preserving value of the pixels that take part, otherwise 0
    uphill: NDArray  # padded frame: a higher pixel; at maximum number k: -1 - k
    pixels: NDArray  # padded indices of the pixels that take part, rising
    maxima: NDArray  # padded indices of the maxima, rising
    elder: NDArray  # per maximum: an older maximum it was joined to, itself while it lives
    saddles: NDArray  # padded indices of the saddles, rising
    passes: NDArray  # (2, ...) pairs of maxima that a saddle joins
    at: NDArray  # per pass: padded index of the saddle
    keys: NDArray  # per pass: level of the saddle
    order: NDArray
    spare_keys: NDArray
    spare_order: NDArray
    words: NDArray  # (W / 8,) uint64, flags of one row, one byte a pixel


def allocate(height: int, width: int, kind: type) -> Buffers:
    """Buffers for frames of a shape, levels of a kind (uint32 or uint64). Levels are 0 between frames."""
    padded = (height + 2) * (width + 2)
    if padded >= 2**30:
        raise ValueError(f"a frame of {height} x {width} pixels is too large: the limit is 2^30 pixels")
    # A saddle of k arcs has at least k of its 4 nearest neighbours below it and needs k - 1 <= 3/4 k passes;
    # there are about 2 pairs of nearest neighbours per pixel, so 3/2 passes per pixel are enough.
    passes = padded + padded // 2
    return Buffers(
        level=np.zeros(padded, kind),
        uphill=np.empty(padded, np.int32),
        pixels=np.empty(padded, np.int32),
        maxima=np.empty(padded, np.int32),
        elder=np.empty(padded, np.int32),
        saddles=np.empty(padded, np.int32),
        passes=np.empty((passes, 2), np.int32),
        at=np.empty(passes, np.int32),
        keys=np.empty(passes, kind),
        order=np.empty(passes, np.int32),
        spare_keys=np.empty(passes, kind),
        spare_order=np.empty(passes, np.int32),
        words=np.zeros((width + 7) // 8, np.uint64),
    )


@njit(cache=True, nogil=True)
def merge_tree(
    levels: NDArray, bad: NDArray, lowest: int, highest: int, flags: NDArray, buffers: Buffers
) -> tuple[NDArray, NDArray]:
    """Flat indices (N,) int64 of the maxima, rising, and of the saddles at which they die (-1: nowhere).

    ``levels`` (H, W) integers that order the pixels; those from ``lowest`` (> 0) to ``highest`` take part,
    unless ``bad`` (H, W) or (0, 0) bool. ``flags``: the bytes of ``buffers.words``.
    """
    width = levels.shape[1]
    n = _collect(levels, bad, lowest, highest, flags, buffers)
    n_maxima, n_saddles = _classify(n, width + 2, buffers)
    n_passes = _find_passes(n_saddles, width + 2, buffers)
    index, saddle = np.empty(n_maxima, np.int64), np.full(n_maxima, -1, np.int64)
    _join(n_maxima, n_passes, buffers, saddle)
    for i in range(n_maxima):
        index[i] = _flat(buffers.maxima[i], width)
        if saddle[i] >= 0:
            saddle[i] = _flat(saddle[i], width)
    for i in range(n):
        buffers.level[buffers.pixels[i]] = 0
    return index, saddle


@njit(cache=True, nogil=True)
def _flat(padded: int, width: int) -> int:
    return padded - width - 1 - 2 * (padded // (width + 2))


@njit(cache=True, nogil=True)
def _collect(
    levels: NDArray, bad: NDArray, lowest: int, highest: int, flags: NDArray, buffers: Buffers
) -> int:
    """List the pixels that take part and write their levels into the padded frame."""
    height, width = levels.shape
    level, pixels, words = buffers.level, buffers.pixels, buffers.words
    masked = bad.size > 0
    n = 0
    for r in range(height):
        row = levels[r]
        for c in range(width):  # kept apart from what follows: the compiler vectorises it
            flags[c] = (row[c] >= lowest) & (row[c] <= highest)
        origin = (r + 1) * (width + 2) + 1
        for w in range(len(words)):
            if words[w]:
                for c in range(8 * w, min(8 * w + 8, width)):
                    takes_part = flags[c] and not (masked and bad[r, c])
                    pixels[n] = origin + c  # written always, kept by counting: noise defeats prediction
                    level[origin + c] = row[c] if takes_part else 0
                    n += takes_part
    return n


@njit(cache=True, nogil=True)
def _higher_arcs(level: NDArray, p: int, stride: int) -> int:
    """Set of higher neighbours, one for each arc. Of equal pixels the one with the larger index is higher."""
    v = level[p]
    return _ARCS[
        (level[p - stride - 1] > v)
        | (level[p - stride] > v) << 1
        | (level[p - stride + 1] > v) << 2
        | (level[p - 1] > v) << 3
        | (level[p + 1] >= v) << 4
        | (level[p + stride - 1] >= v) << 5
        | (level[p + stride] >= v) << 6
        | (level[p + stride + 1] >= v) << 7
    ]


@njit(cache=True, nogil=True)
def _steps(stride: int) -> NDArray:
    """(256,) int32: step to the lowest neighbour of a set, 0 for none."""
    steps = np.zeros(256, np.int32)
    for arcs in range(1, 256):
        row, col = _STEPS[_LOWEST_BIT[arcs]]
        steps[arcs] = row * stride + col
    return steps


@njit(cache=True, nogil=True)
def _classify(n: int, stride: int, buffers: Buffers) -> tuple[int, int]:
    """Find the maxima and the saddles, and point every other pixel uphill."""
    level, uphill, pixels = buffers.level, buffers.uphill, buffers.pixels
    maxima, saddles = buffers.maxima, buffers.saddles
    steps = _steps(stride)
    n_maxima = n_saddles = 0
    for i in range(n):
        p = pixels[i]
        arcs = _higher_arcs(level, p, stride)
        uphill[p] = p + steps[arcs]
        maxima[n_maxima] = p
        n_maxima += arcs == 0
        saddles[n_saddles] = p
        n_saddles += (arcs & (arcs - 1)) != 0
    for k in range(n_maxima):
        uphill[maxima[k]] = -1 - k
    return n_maxima, n_saddles


@njit(cache=True, nogil=True)
def _find_passes(n: int, stride: int, buffers: Buffers) -> int:
    """List which maxima the saddles join. Saddles from a maximum to itself join nothing."""
    level, uphill, passes = buffers.level, buffers.uphill, buffers.passes
    steps = _steps(stride)
    n_passes = 0
    for i in range(n):
        p = buffers.saddles[i]
        arcs = _higher_arcs(level, p, stride)
        first = _summit(uphill, p + steps[arcs])
        arcs &= arcs - 1
        while arcs:
            other = _summit(uphill, p + steps[arcs])
            arcs &= arcs - 1
            passes[n_passes, 0] = first
            passes[n_passes, 1] = other
            buffers.at[n_passes] = p
            buffers.keys[n_passes] = level[p]
            buffers.order[n_passes] = n_passes
            n_passes += first != other
    return n_passes


@njit(cache=True, nogil=True)
def _summit(uphill: NDArray, p: int) -> int:
    """Number of the maximum above a pixel; the way there is halved for those who come later."""
    while True:
        q = uphill[p]
        if q < 0:
            return -1 - q
        above = uphill[q]
        if above < 0:
            return -1 - above
        uphill[p] = above
        p = above


@njit(cache=True, nogil=True)
def _join(n_maxima: int, n_passes: int, buffers: Buffers, saddle: NDArray) -> None:
    """Join the maxima from the highest pass down; the younger of two dies there."""
    level, maxima, elder, passes = buffers.level, buffers.maxima, buffers.elder, buffers.passes
    for k in range(n_maxima):
        elder[k] = k
    swapped = sort_pairs(buffers.keys, buffers.order, buffers.spare_keys, buffers.spare_order, n_passes)
    order = buffers.spare_order if swapped else buffers.order
    for i in range(n_passes - 1, -1, -1):
        a, b = _eldest(elder, passes[order[i], 0]), _eldest(elder, passes[order[i], 1])
        if a == b:
            continue
        top_a, top_b = level[maxima[a]], level[maxima[b]]
        if top_a > top_b or (top_a == top_b and a > b):
            a, b = b, a
        elder[a] = b
        saddle[a] = buffers.at[order[i]]


@njit(cache=True, nogil=True)
def _eldest(elder: NDArray, k: int) -> int:
    while elder[k] != k:
        elder[k] = elder[elder[k]]
        k = elder[k]
    return k
