"""How the C library keeps memory that is free: in few heaps, and not for good.

glibc gives threads heaps of their own, up to eight times as many as there are cores. A window has two dozen
lanes: what each frees stays in its heap, among the little still in use, and the program grows though it
holds no more. Where the C library is another nothing is done.
"""

import ctypes
import os
import sys
from functools import cache

HEAPS = max(2, (os.cpu_count() or 1) // 4)  # most threads wait most of the time
_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h


def keep_few_heaps() -> None:
    """Let all threads share ``HEAPS`` heaps. Call it first: a heap stays once it is there."""
    library = _library()
    if library is not None:
        library.mallopt(_ARENA_MAX, HEAPS)


def give_back() -> None:
    """Give pages that nothing uses back to the system. Takes milliseconds, without the interpreter's lock."""
    library = _library()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


@cache
def _library() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
