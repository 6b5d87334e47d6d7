"""Chunks of the bitshuffle filter with LZ4, decoded block by block without the interpreter's lock.

A chunk is 8 bytes of its size and 4 of a block's, both big-endian, then for every block 4 bytes of its
packed size and an LZ4 block; what is left of fewer than eight elements follows as it is. An unpacked block
holds bit 0 of all its elements, then bit 1, and so on. Formats: K. Masui et al., Astronomy and Computing 12,
181 (2015), and the LZ4 block format. Both steps are done while a block lies in the first cache.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

HEADER = 12
SLACK = 32  # bytes that copies of 16 may write behind a block
LARGEST_BLOCK = 1 << 22  # bytes; writers use 8 KiB
BROKEN, UNUSUAL = -1, -2
Bytes = NDArray[np.uint8]

# For distances of 1 to 7 between an LZ4 match and its source: what of 8 bytes repeats, by what it is
# multiplied to fill them, and the shortest multiple of the distance that is at least 8.
_NEAR = range(1, 8)
_KEPT = np.array([0, *((1 << 8 * k) - 1 for k in _NEAR)], np.uint64)
_FILL = np.array([0, *(sum(1 << j for j in range(0, 64, 8 * k)) for k in _NEAR)], np.uint64)
_FAR = np.array([0, *(-(-8 // k) * k for k in _NEAR)], np.int64)
_U = np.uint64


def _loader(bits: int) -> Any:
    """Intrinsic: the unsigned number of so many bits at an address that need not be aligned."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = builder.load(builder.inttoptr(arguments[0], ir.IntType(bits).as_pointer()))
        value.align = 1
        return value if bits == 64 else builder.zext(value, ir.IntType(64))

    def load(context: Any, address: Any) -> Any:
        return (types.uint64 if bits == 64 else types.int64)(types.int64), emit

    return intrinsic(load)


def _storer(bits: int) -> Any:
    """Intrinsic: write the low bits of a number to an address."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.IntType(bits)
        value = arguments[1] if bits == 64 else builder.trunc(arguments[1], kind)
        builder.store(value, builder.inttoptr(arguments[0], kind.as_pointer())).align = 1
        return context.get_dummy_value()

    def store(context: Any, address: Any, value: Any) -> Any:
        return types.void(types.int64, types.uint64 if bits == 64 else types.int64), emit

    return intrinsic(store)


def _copier() -> Any:
    """Intrinsic: copy 16 bytes from the second address to the first."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 16).as_pointer()
        value = builder.load(builder.inttoptr(arguments[1], kind))
        value.align = 1
        builder.store(value, builder.inttoptr(arguments[0], kind)).align = 1
        return context.get_dummy_value()

    def copy(context: Any, to: Any, origin: Any) -> Any:
        return types.void(types.int64, types.int64), emit

    return intrinsic(copy)


_byte, _word = _loader(8), _loader(64)
_put_byte, _put_word = _storer(8), _storer(64)
_copy16 = _copier()


@njit(cache=True, nogil=True)
def _big_endian(packed: Bytes, at: int, count: int) -> Any:
    value = np.int64(0)
    for k in range(at, at + count):
        value = (value << 8) | np.int64(packed[k])
    return value


@njit(cache=True, nogil=True)
def block_starts(packed: Bytes, elements: int, itemsize: int) -> tuple[Any, NDArray[np.int64]]:
    """Elements of a block, and where each block's packed size stands; the last entry is behind all blocks.

    The first number is BROKEN where the chunk does not hold together, UNUSUAL where its header tells of
    another size than ``elements`` of ``itemsize`` bytes or gives no sensible size of blocks.
    """
    none = np.empty(0, np.int64)
    if len(packed) < HEADER:
        return BROKEN, none
    block, rest = divmod(_big_endian(packed, 8, 4), itemsize)
    if (
        _big_endian(packed, 0, 8) != elements * itemsize
        or rest
        or block <= 0
        or block % 8
        or block * itemsize > LARGEST_BLOCK
    ):
        return UNUSUAL, none
    starts = np.empty((elements // 8 * 8 + block - 1) // block + 1, np.int64)
    at = HEADER
    for k in range(len(starts) - 1):
        starts[k] = at
        if at + 4 > len(packed):
            return BROKEN, none
        at += 4 + _big_endian(packed, at, 4)
        if at > len(packed):
            return BROKEN, none
    starts[-1] = at
    if at + elements % 8 * itemsize > len(packed):
        return BROKEN, none
    return block, starts


@njit(cache=True, nogil=True)
def _length(at: int, end: int) -> tuple[int, int]:
    """The rest of a length of 15 or more, -1 where it does not end, and the address behind it."""
    total = 0
    while at < end:
        value = _byte(at)
        at += 1
        total += value
        if value != 255:
            return total, at
    return -1, at


@njit(cache=True, nogil=True)
def _literals(to: int, at: int, count: int, readable: int) -> None:
    """Copy bytes between addresses; 16 at a time where the source reaches far enough."""
    if at + count + 16 <= readable:
        _copy16(to, at)
        for k in range(16, count, 16):
            _copy16(to + k, at + k)
    else:
        for k in range(count):
            _put_byte(to + k, _byte(at + k))


@njit(cache=True, nogil=True)
def _match(to: int, distance: int, count: int) -> None:
    """Repeat what stands ``distance`` bytes before the address ``to``."""
    if distance >= 16:
        for k in range(0, count, 16):
            _copy16(to + k, to + k - distance)
        return
    done = 0
    if distance < 8:
        _put_word(to, (_word(to - distance) & _KEPT[distance]) * _FILL[distance])
        distance, done = _FAR[distance], 8
    for k in range(done, count, 8):
        _put_word(to + k, _word(to + k - distance))


@njit(cache=True, nogil=True)
def _unpack(at: Any, count: Any, to: Any, size: int, readable: Any) -> bool:
    """One LZ4 block of ``count`` bytes into exactly ``size``; False where it is damaged. All addresses."""
    end, start, full = at + count, to, to + size
    while at < end:
        token = _byte(at)
        at += 1
        run = token >> 4
        if run == 15:
            more, at = _length(at, end)
            if more < 0:
                return False
            run += more
        if run > end - at or run > full - to:
            return False
        _literals(to, at, run, readable)
        to, at = to + run, at + run
        if at == end:
            return to == full
        if at + 2 > end:
            return False
        distance = _byte(at) | (_byte(at + 1) << 8)
        at += 2
        run = (token & 15) + 4
        if run == 19:
            more, at = _length(at, end)
            if more < 0:
                return False
            run += more
        if distance == 0 or distance > to - start or run > full - to:
            return False
        _match(to, distance, run)
        to += run
    return False


@njit(cache=True, nogil=True)
def _gather(planes: NDArray[np.uint8], octets: NDArray[np.uint64]) -> None:
    """(8, n) bits of one byte of 8 n elements -> (n,) of which byte j is that of element 8 k + j.

    The 8 x 8 transposition is that of H. S. Warren, Hacker's Delight, chapter 7-3.
    """
    a, b, c, d = planes[0], planes[1], planes[2], planes[3]
    e, f, g, h = planes[4], planes[5], planes[6], planes[7]
    for k in range(len(octets)):
        x = _U(a[k]) | _U(b[k]) << _U(8) | _U(c[k]) << _U(16) | _U(d[k]) << _U(24)
        x |= _U(e[k]) << _U(32) | _U(f[k]) << _U(40) | _U(g[k]) << _U(48) | _U(h[k]) << _U(56)
        y = (x ^ x >> _U(7)) & _U(0x00AA00AA00AA00AA)
        x = x ^ y ^ y << _U(7)
        y = (x ^ x >> _U(14)) & _U(0x0000CCCC0000CCCC)
        x = x ^ y ^ y << _U(14)
        y = (x ^ x >> _U(28)) & _U(0x00000000F0F0F0F0)
        octets[k] = x ^ y ^ y << _U(28)


@njit(cache=True, nogil=True)
def _empty(values: Bytes) -> bool:
    found = np.uint8(0)
    for k in range(len(values)):
        found |= values[k]
    return found == 0


@njit(cache=True, nogil=True)
def _unshuffle(planes: Bytes, octets: NDArray[np.uint64], out: NDArray) -> None:
    """Elements of their bits; bytes that are zero in all of them cost a look."""
    count = len(out)
    kind = out.dtype.type
    octets = octets[: count // 8]
    single = octets.view(np.uint8)
    for byte in range(out.itemsize):
        part = planes[byte * count : (byte + 1) * count]
        if byte and _empty(part):
            continue
        _gather(part.reshape(8, count // 8), octets)
        if byte == 0:
            for k in range(count):
                out[k] = single[k]
        else:
            shift = kind(8 * byte)
            for k in range(count):
                out[k] |= kind(single[k]) << shift


@njit(cache=True, nogil=True)
def decode(packed: Bytes, starts: NDArray[np.int64], block: int, first: int, last: int, out: NDArray) -> bool:
    """Unpack blocks ``first`` to ``last`` - 1 of a chunk to their places in ``out``.

    Parameters
    ----------
    packed : (M,) uint8, contiguous; the whole chunk.
    starts, block : what :func:`block_starts` gave.
    out : (elements,) unsigned integers of the elements' size, little-endian.

    Returns
    -------
    False where a block is damaged. Calls with other blocks may run at the same time.
    """
    itemsize = out.itemsize
    planes = np.empty(block * itemsize + SLACK, np.uint8)
    octets = np.empty(block // 8, np.uint64)
    whole = len(out) // 8 * 8
    begin, to = np.int64(packed.ctypes.data), np.int64(planes.ctypes.data)
    readable = begin + len(packed)
    for k in range(first, last):
        elements = out[k * block : min((k + 1) * block, whole)]
        size = len(elements) * itemsize
        at = starts[k] + 4
        if not _unpack(begin + at, starts[k + 1] - at, to, size, readable):
            return False
        _unshuffle(planes, octets, elements)
    if last == len(starts) - 1:
        tail = out[whole:].view(np.uint8)
        for k in range(len(tail)):
            tail[k] = packed[starts[-1] + k]
    return True
