"""Which chunks of a dataset are in its file, so that no frame without stored data is given as zeros."""

import contextlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Layout

MOST_LISTED = 1 << 18  # chunks of a dataset; a microsecond each, once
MOST_COUNTED = 1 << 22  # chunks of a dataset
MOST_LOOKED_UP = 256  # chunks of a frame


class StoredChunks:
    """Chunks of a dataset. ``sparse``: whether some were not written when it was opened.

    To look one up HDF5 goes through its list from the beginning, which makes the last frames of a long scan
    slow. So the list is read once, and only chunks that were not in it then are looked up.
    """

    def __init__(self, dataset: Any, layout: Layout) -> None:
        self._id, self._image, self._chunks = dataset.id, layout.image, dataset.chunks
        self._fill, self._is_float = dataset.fillvalue, dataset.dtype.kind == "f"
        self._counts = tuple(-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True))
        self._listed: NDArray[np.bool_] | None = None
        expected = math.prod(self._counts)
        self.sparse = expected < MOST_COUNTED and dataset.id.get_num_chunks() < expected

    def hold(self, start: tuple[int, ...]) -> bool:
        """Whether any chunk of the frame at ``start`` is there, or all where every chunk should be."""
        place = [a // n for a, n in zip(start, self._chunks, strict=True)]
        frame: list[int | slice] = list(place)
        for k in self._image:
            frame[k] = slice(None)
        if math.prod(self._counts) > MOST_LISTED and not self.sparse:
            return True  # their number is right
        if self._listed is None:
            self._listed = self._list()
        known = self._listed[tuple(frame)]
        if known.any() if self.sparse else known.all():
            return True
        enough = any if self.sparse or known.size > MOST_LOOKED_UP else all
        rows, columns = (range(self._counts[k]) for k in self._image)
        return enough(
            self._is_there(place) for place[self._image[0]] in rows for place[self._image[1]] in columns
        )

    def miss(self, start: tuple[int, ...], frame: NDArray) -> bool:
        """Whether ``frame`` (H, W), read at ``start``, is filled up because HDF5 found no chunk there.

        The list of a damaged file may name chunks that the search, by which HDF5 reads, does not come to.
        They come in runs: of more than ``MOST_LOOKED_UP`` chunks of nothing but the fill value only so many
        are looked up.
        """
        if self.sparse and not self._is_filling(frame):
            return False
        place = [a // n for a, n in zip(start, self._chunks, strict=True)]
        rows, columns = (self._chunks[k] for k in self._image)
        empty = [
            (i, k)
            for i in range(self._counts[self._image[0]])
            for k in range(self._counts[self._image[1]])
            if self._is_filling(frame[i * rows : (i + 1) * rows, k * columns : (k + 1) * columns])
        ]
        found = (self._is_found(place, tile) for tile in empty[:: -(-len(empty) // MOST_LOOKED_UP) or 1])
        return bool(empty) and not (any(found) if self.sparse else all(found))

    def _is_filling(self, values: NDArray) -> bool:
        for part in (values[::16], values):  # a few rows tell it soon of most frames
            if not np.array_equal(part, np.broadcast_to(self._fill, part.shape), equal_nan=self._is_float):
                return False
        return True

    def _is_found(self, place: list[int], tile: tuple[int, int]) -> bool:
        for axis, number in zip(self._image, tile, strict=True):
            place[axis] = number
        try:
            self._id.read_direct_chunk(tuple(k * n for k, n in zip(place, self._chunks, strict=True)))
        except (RuntimeError, OSError):
            return False
        return True

    def _is_there(self, place: list[int]) -> bool:
        corner = tuple(k * n for k, n in zip(place, self._chunks, strict=True))
        return self._id.get_chunk_info_by_coord(corner).byte_offset is not None

    def _list(self) -> NDArray[np.bool_]:
        """What the list says, one number for every chunk; empty ones where it is too long or damaged."""
        found = np.zeros(self._counts, np.bool_)

        def note(chunk: Any) -> None:
            place = tuple(a // n for a, n in zip(chunk.chunk_offset, self._chunks, strict=True))
            if chunk.byte_offset is not None and all(k < n for k, n in zip(place, self._counts, strict=True)):
                found[place] = True

        if found.size <= MOST_LISTED:
            with contextlib.suppress(RuntimeError, OSError):  # those up to the damage are known
                self._id.chunk_iter(note)
        return found
