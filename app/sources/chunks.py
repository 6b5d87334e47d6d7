"""Frames that are one bitshuffle-LZ4 chunk each: read as they are stored and unpacked by two threads.

HDF5 unpacks with one thread, under its lock, into a buffer that is then copied. What is unusual in any way
is left to it: other filters and layouts, chunks that skipped their filter or were never written.
"""

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Layout
from braggscope.app.sources.protocol import SourceError

log = logging.getLogger(__name__)
BITSHUFFLE, LZ4 = 32008, 2
SPLIT_BLOCKS = 64  # below, a second thread costs more than it brings
_MINIMAL = [0] * 7 + [8] + [0, 0, 0, 8] + [0, 0, 0, 9] + [0x80] + [0] * 8  # eight bytes of 0
_lock = threading.Lock()
_second = ThreadPoolExecutor(1, "unpacking")
_ready: dict[np.dtype, ModuleType | None] = {}


def prepare(dtype: np.dtype) -> ModuleType | None:
    """The compiled unpacking, ready for unsigned integers of this size; seconds where nothing is cached.

    None, now and later, where it cannot be compiled; HDF5 then unpacks.
    """
    with _lock:
        if dtype not in _ready:
            try:
                _ready[dtype] = _compiled(dtype)
            except Exception:
                log.warning("unpacking cannot be compiled for %s", dtype, exc_info=True)
                _ready[dtype] = None
        return _ready[dtype]


def _compiled(dtype: np.dtype) -> ModuleType:
    from braggscope.models import bitshuffle

    packed = np.array(_MINIMAL, np.uint8)  # writable, as what is read: else both are compiled
    _, starts = bitshuffle.block_starts(packed, 8, 1)
    bitshuffle.decode(packed, starts, 8, 0, 0, np.empty(8, dtype))
    return bitshuffle


def _prepared(dtype: np.dtype) -> ModuleType | None:
    """The same where it is there already; otherwise it is fetched in the background."""
    if dtype not in _ready and not _lock.locked():
        threading.Thread(target=prepare, args=(dtype,), name="unpacking", daemon=True).start()
    return _ready.get(dtype)


class DirectChunks:
    """Unpacks the chunks of one dataset. ``None`` of :meth:`of` says that HDF5 has to read it."""

    def __init__(self, dataset: Any, layout: Layout, threads: int) -> None:
        self._id = dataset.id
        self._layout = layout
        self._type = np.dtype(f"u{dataset.dtype.itemsize}")
        self._packed = np.empty(4096, np.uint8)
        self._threads = threads
        self._reads = 0

    @classmethod
    def of(cls, dataset: Any, layout: Layout, threads: int | None = None) -> Self | None:
        """For a dataset whose every frame is one chunk of native numbers, packed by this filter alone."""
        if dataset.is_virtual or dataset.chunks is None or dataset.chunks != layout.count():
            return None
        dtype, plist = dataset.dtype, dataset.id.get_create_plist()
        if layout.image[0] > layout.image[1] or dtype.kind not in "iuf" or dtype.itemsize not in (1, 2, 4, 8):
            return None
        if dtype != dtype.newbyteorder("<") or plist.get_nfilters() != 1:
            return None
        code, _, values, _ = plist.get_filter(0)
        if code != BITSHUFFLE or len(values) < 5 or values[2] != dtype.itemsize or values[4] != LZ4:
            return None
        return cls(dataset, layout, min(2, os.cpu_count() or 1) if threads is None else threads)

    def read(self, index: int, out: NDArray, where: str) -> bool:
        """Frame ``index`` into ``out``; False where HDF5 has to read it. Raises SourceError if damaged."""
        self._reads += 1
        if self._reads < 2:  # whoever looks at one frame does not wait for the compiler
            return False
        kernels = _prepared(self._type)
        packed = None if kernels is None else self._chunk(self._layout.start(index), out.nbytes)
        if kernels is None or packed is None:
            return False
        pixels = out.reshape(-1).view(self._type)
        block, starts = kernels.block_starts(packed, pixels.size, self._type.itemsize)
        if block == kernels.UNUSUAL:
            return False
        if block == kernels.BROKEN or not self._unpack(kernels, packed, starts, block, pixels):
            raise SourceError(f"{where} is damaged, its packed data make no sense; copy the file again.")
        return True

    def _chunk(self, start: tuple[int, ...], frame_bytes: int) -> NDArray[np.uint8] | None:
        """The packed bytes of a frame, good until the next; None where HDF5 has to say what is wrong."""
        largest = 2 * frame_bytes + 4096
        while True:
            try:
                mask, packed = self._id.read_direct_chunk(start, out=self._packed)
            except ValueError:  # the buffer is too small; asking for the size first may take milliseconds
                if len(self._packed) >= largest:
                    return None
                self._packed = np.empty(min(2 * len(self._packed), largest), np.uint8)
            except (RuntimeError, OSError):
                return None
            else:
                return None if mask else self._packed[: packed.nbytes]

    def _unpack(
        self, kernels: ModuleType, packed: NDArray, starts: NDArray, block: int, pixels: NDArray
    ) -> bool:
        count = len(starts) - 1
        if self._threads < 2 or count < SPLIT_BLOCKS:
            return bool(kernels.decode(packed, starts, block, 0, count, pixels))
        other = _second.submit(kernels.decode, packed, starts, block, count // 2, count, pixels)
        mine = bool(kernels.decode(packed, starts, block, 0, count // 2, pixels))
        return bool(other.result()) and mine
