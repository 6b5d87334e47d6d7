"""Frames that follow each other in one file at a fixed distance: raw binary, Merlin, Blockfile."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import (
    Beat,
    Layout,
    Location,
    Source,
    Stamp,
    describe,
    identity,
    image_dtype,
    silent,
)
from braggscope.app.sources.npy import fill


class StridedSource(Source):
    """Read by seeking, without a memory map: a file cut while open is an error, not a crash.

    Subclasses call :meth:`_lay` once they know where the frames are.
    """

    def __init__(
        self, location: Location, frame_axis: int | None, beat: Beat = silent, path: str = ""
    ) -> None:
        super().__init__(location, frame_axis, beat)
        self._path = path or location.path
        self._stamps = (Stamp.of(self._path),)

    def _lay(
        self, name: str, shape: tuple[int, ...], stored: np.dtype, offset: int, gap: int = 0, **more: Any
    ) -> None:
        """Array of ``shape`` in C order from byte ``offset``, with ``gap`` bytes between its frames."""
        path = self._path
        self._layout = Layout.of(shape, self._frame_axis, path)
        self._plain = Layout.of(shape, None, path)  # the order on disk
        self._stored, self._offset = stored, offset
        self._step = int(np.prod(self._plain.frame_shape)) * stored.itemsize + gap
        self._info = describe(
            self._location,
            name,
            self._layout,
            image_dtype(stored, path),
            identity=identity([*(s.key for s in self._stamps), str(self._location), self._layout.lead]),
            **more,
        )

    def _read_into(self, index: int, out: NDArray) -> None:
        if not self._layout.contiguous:
            self._gather(index, out)
            return
        raw = out if self._stored == out.dtype else np.empty(out.shape, self._stored)
        with open(self._path, "rb", buffering=0) as file:
            file.seek(self._offset + index * self._step)
            fill(file, raw)
        if raw is not out:
            np.copyto(out, raw)

    def _gather(self, index: int, out: NDArray) -> None:
        """A frame along another axis: scattered over the file, of which the part needed is mapped."""
        columns = self._plain.frame_shape[1]
        size = self._stored.itemsize
        strides = [columns * size, size]
        step = self._step
        for length in reversed(self._plain.stack_shape):
            strides.insert(0, step)
            step *= length
        mapped = np.memmap(self._path, np.uint8, "r")
        whole: NDArray = np.ndarray(
            self._layout.shape, self._stored, mapped.data, self._offset, tuple(strides)
        )
        place = self._layout.start(index)
        axes = range(len(self._layout.shape))
        np.copyto(out, whole[tuple(slice(None) if k in self._layout.image else place[k] for k in axes)])
