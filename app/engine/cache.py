"""A least-recently-used cache bounded in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import psutil

V = TypeVar("V")


def default_bytes() -> int:
    """A quarter of the memory, at most 4 GB."""
    return min(psutil.virtual_memory().total // 4, 4_000_000_000)


class ByteCache(Generic[V]):
    """Values by key, evicted oldest first once their stated sizes exceed ``limit`` bytes. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Hashable, tuple[V, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held."""
        return self._size

    @property
    def limit(self) -> int:
        """Bytes allowed."""
        return self._limit

    def resize(self, limit: int) -> None:
        """Allow another number of bytes from now on; what is too much goes with the next value kept."""
        self._limit = limit

    def get(self, key: Hashable) -> V | None:
        """The value, now the youngest, or None."""
        with self._lock:
            item = self._items.get(key)
            if item is None:
                return None
            self._items.move_to_end(key)
            return item[0]

    def put(self, key: Hashable, value: V, size: int) -> None:
        """Keep a value; one larger than the whole cache is not kept."""
        with self._lock:
            old = self._items.pop(key, None)
            if old is not None:
                self._size -= old[1]
            if size > self._limit:
                return
            self._items[key] = (value, size)
            self._size += size
            while self._size > self._limit:
                _, (_, gone) = self._items.popitem(last=False)
                self._size -= gone

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._items

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()
            self._size = 0
