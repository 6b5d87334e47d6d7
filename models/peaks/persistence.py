"""Zero-dimensional persistence of a frame: every local maximum, and the saddle at which it ends.

Pixels are ranked by (value, flat index); neighbours are the 8 around; where two maxima meet the higher
one lives on (elder rule; Edelsbrunner and Harer, Computational Topology, 2010). A maximum that meets no
older one among the pixels that take part dies at 0. This is the topology method of findpeaks 2.7.5 on
counts (``scale=False, denoise=None, togray=False, whitelist="peak", limit=-1``) with two differences:
births and deaths are exact pixel values, where findpeaks adds 2.2e-16 times the flat index to each to
break ties (so ties are ties here, and values that differ by less than that keep their order), and the
entry of score 0 that it may invent at a bottom right corner without counts is left out. ``limit`` must be
negative: its default None means min(frame) - 1, the same in frames that contain a zero, but in frames
without one it silently drops scores up to that value.

Only critical pixels need sorting. Where the higher neighbours of a pixel touch one another, the pixel
joins nothing and gets a pointer uphill; where they do not, it is a saddle. The pointers uphill are the
initial forest of the union-find. So a frame costs one local look at each pixel from the floor up, and a
sort of the saddles.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from braggscope.models.peaks.radix import order_falling, sort_pairs
from braggscope.models.results import Candidates

_STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))  # row, column; rising index
_NO_MASK = np.zeros((0, 0), np.bool_)
_NATIVE = ("uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


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


class _Buffers(NamedTuple):
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


class Workspace:
    """Buffers of :func:`find_candidates`, kept from frame to frame. Use one per thread.

    Takes 24 to 36 bytes per pixel of a frame that takes part from end to end, much less above a floor.
    Frames of another shape or another width of values make it start anew.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._buffers: _Buffers | None = None

    def buffers(self, shape: tuple[int, int], wide: bool) -> _Buffers:
        """Buffers for frames of a shape, with 64-bit levels if ``wide``; all levels are 0."""
        if self._buffers is None or self._key != (shape, wide):
            self._buffers, self._key = _allocate(*shape, np.uint64 if wide else np.uint32), (shape, wide)
        return self._buffers


def _allocate(height: int, width: int, kind: type) -> _Buffers:
    padded = (height + 2) * (width + 2)
    if padded >= 2**30:
        raise ValueError(f"a frame of {height} x {width} pixels is too large: the limit is 2^30 pixels")
    # A saddle of k arcs has at least k of its 4 nearest neighbours below it and needs k - 1 <= 3/4 k passes;
    # there are about 2 pairs of nearest neighbours per pixel, so 3/2 passes per pixel are enough.
    passes = padded + padded // 2
    return _Buffers(
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


def find_candidates(
    image: ArrayLike,
    mask: NDArray[np.bool_] | None = None,
    floor: float = 0.0,
    workspace: Workspace | None = None,
) -> Candidates:
    """Merge tree of a frame down to ``floor``, flattened.

    ``image`` (H, W) any real dtype, counts; ``mask`` (H, W) bool, True = bad. Pixels that are bad, not
    finite, not positive or below ``floor`` count as 0. See the module for the exact meaning. Raises
    ValueError for a wrong shape, a complex image or a floor that is not a finite number.
    """
    frame = _native(image)
    bad = _NO_MASK if mask is None else np.ascontiguousarray(mask, np.bool_)
    if mask is not None and bad.shape != frame.shape:
        raise ValueError(f"the mask has shape {bad.shape}, the frame {frame.shape}: they must be equal")
    if not np.isfinite(floor):
        raise ValueError(f"the floor of a detection must be a finite number, not {floor}")
    levels, lowest, highest = _levels(frame, float(floor))
    if frame.size == 0 or lowest > highest:
        nothing = np.zeros(0)
        return Candidates(frame.shape, float(floor), np.zeros(0, np.int64), nothing, nothing.copy())
    buffers = (workspace or Workspace()).buffers(frame.shape, frame.dtype.itemsize == 8)
    kind = levels.dtype.type
    index, saddle = _merge_tree(
        levels, bad, kind(lowest), kind(highest), buffers.words.view(np.uint8), buffers
    )
    counts = frame.reshape(-1)
    birth = counts[index].astype(np.float64)
    death = np.where(saddle >= 0, counts[saddle], 0).astype(np.float64)
    order = order_falling((birth - death).view(np.uint64))
    return Candidates(frame.shape, float(floor), index[order], birth[order], death[order])


def _native(image: ArrayLike) -> NDArray:
    """Contiguous frame in one of the dtypes for which there is a kernel."""
    frame = np.asarray(image)
    if frame.ndim != 2 or frame.dtype.kind not in "buif":
        raise ValueError(
            f"a frame is a two-dimensional array of real numbers, not {frame.dtype} {frame.shape}"
        )
    name = frame.dtype.name
    if name not in _NATIVE:
        name = "float32" if name == "float16" else "float64" if frame.dtype.kind == "f" else "int32"
    return np.ascontiguousarray(frame, name)


def _levels(frame: NDArray, floor: float) -> tuple[NDArray, int, int]:
    """Integers that order the positive pixels as their values do, and the range that takes part."""
    if frame.dtype.kind != "f":
        highest = int(np.iinfo(frame.dtype).max)
        return frame, max(1, int(np.ceil(floor))), highest
    # The bits of positive floats rise with their values; negative ones are negative, NaN is above all.
    kind, bits = frame.dtype.type, np.dtype(f"int{8 * frame.dtype.itemsize}")
    highest = np.finfo(kind).max
    if floor > float(highest):
        return frame.view(bits), 1, 0
    edge = kind(max(floor, 0.0))
    if float(edge) < floor:
        edge = np.nextafter(edge, kind(np.inf))
    lowest, top = (int(np.array(value, kind).view(bits)) for value in (edge, highest))
    return frame.view(bits), max(1, lowest), top


@njit(cache=True, nogil=True)
def _merge_tree(
    levels: NDArray, bad: NDArray, lowest: int, highest: int, flags: NDArray, buffers: _Buffers
) -> tuple[NDArray, NDArray]:
    """Flat indices of the maxima, rising, and of the saddles at which they die (-1: nowhere)."""
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
    levels: NDArray, bad: NDArray, lowest: int, highest: int, flags: NDArray, buffers: _Buffers
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
def _classify(n: int, stride: int, buffers: _Buffers) -> tuple[int, int]:
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
def _find_passes(n: int, stride: int, buffers: _Buffers) -> int:
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
def _join(n_maxima: int, n_passes: int, buffers: _Buffers, saddle: NDArray) -> None:
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
