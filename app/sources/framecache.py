"""Sparse frame caches of hexrd: for every frame ``k`` the rows, columns and values of its non-zero pixels."""

import zipfile
from typing import IO, Any
from zlib import error as zlib_error

import numpy as np
from numpy.lib import format as npy_format
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
    reason,
    silent,
)
from braggscope.app.sources.npy import NpzSource, open_zip
from braggscope.app.sources.protocol import SourceError

MAX_SPARSE_BYTES = 256 << 20


def open_archive(location: Location, frame_axis: int | None, beat: Beat = silent) -> Source:
    """Frame cache or plain archive, listed only once."""
    archive = open_zip(location.path, beat)
    kind = FrameCacheSource if is_framecache(archive.namelist()) else NpzSource
    return kind(location, frame_axis, beat, archive)


def is_framecache(names: list[str]) -> bool:
    """Whether an archive's members look like a frame cache's."""
    have = set(names)
    return {"shape.npy", "nframes.npy", "0_row.npy", "0_col.npy", "0_data.npy"} <= have


class FrameCacheSource(Source):
    """Frames put together from their non-zero pixels when they are asked for."""

    def __init__(
        self,
        location: Location,
        frame_axis: int | None,
        beat: Beat = silent,
        archive: zipfile.ZipFile | None = None,
    ) -> None:
        super().__init__(location, frame_axis, beat)
        self._stamps = (Stamp.of(location.path),)
        self._archive = archive or open_zip(location.path, beat)
        try:
            self._open(location.path)
        except Exception as error:
            self._archive.close()
            if isinstance(error, SourceError):
                raise
            raise SourceError(
                f"{location.path} is a damaged frame cache ({reason(error)}); copy it again."
            ) from error

    def _open(self, path: str) -> None:
        names = set(self._archive.namelist())
        frames = int(self._array("nframes"))
        shape = tuple(int(n) for n in np.ravel(self._array("shape")))
        if len(shape) != 2 or frames < 1 or min(shape) < 1:
            raise SourceError(f"{path} declares {frames} frames of shape {shape}; write the cache again.")
        missing = next((k for k in range(frames) if f"{k}_data.npy" not in names), None)
        if missing is not None:
            raise SourceError(
                f"{path} declares {frames} frames, but frame {missing} is missing; copy it again."
            )
        stored = self._array("0_data").dtype
        if "dtype.npy" in names:
            declared = self._array("dtype").item()
            stored = np.dtype(declared.decode() if isinstance(declared, bytes) else str(declared))
        omega = self._array("omega") if "omega.npy" in names else None
        self._info = describe(
            self._location,
            "hexrd frame cache",
            Layout.of((frames, *shape), None, path),
            image_dtype(stored, path),
            identity=identity(s.key for s in self._stamps),
            axes=_omega(omega, frames),
            metadata={"stored as": "non-zero pixels only"},
        )

    def _array(self, name: str) -> NDArray:
        with self._archive.open(f"{name}.npy") as file:
            return _read(file, f"{self._location.path}::{name}")

    def _read_into(self, index: int, out: NDArray) -> None:
        try:
            rows, columns, values = (self._array(f"{index}_{part}") for part in ("row", "col", "data"))
        except (KeyError, zipfile.BadZipFile, zlib_error) as error:
            raise SourceError(
                f"Frame {index} of {self._location} is missing or damaged ({reason(error)}); copy it again."
            ) from error
        if not rows.shape == columns.shape == values.shape or rows.ndim != 1:
            raise SourceError(
                f"Frame {index} of {self._location} has lists of unequal length; write it again."
            )
        if rows.dtype.kind not in "iu" or columns.dtype.kind not in "iu" or values.dtype.kind not in "iufb":
            raise SourceError(f"Frame {index} of {self._location} holds no pixels; write the cache again.")
        if len(rows) and (min(rows.min(), columns.min()) < 0 or np.any(rows >= out.shape[0])):
            raise SourceError(
                f"Frame {index} of {self._location} has pixels outside the image; write it again."
            )
        if np.any(columns >= out.shape[1]):
            raise SourceError(
                f"Frame {index} of {self._location} has pixels outside the image; write it again."
            )
        out.fill(0)
        out[rows, columns] = values

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._archive.close()


def _read(file: IO[bytes], where: str) -> NDArray:
    """Array of a size that a frame may have; refuses pickles and bombs."""
    version = npy_format.read_magic(file)
    read: Any = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = read(file)
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject or size > MAX_SPARSE_BYTES or any(n < 0 for n in shape):
        raise SourceError(f"{where} is no list of pixels (shape {shape}, {dtype}); write the cache again.")
    data = file.read(size)
    if len(data) != size:
        raise SourceError(f"{where} is cut short; copy the file again.")
    return np.frombuffer(data, dtype).reshape(shape)


def _omega(omega: NDArray | None, frames: int) -> dict[str, NDArray[np.float64]]:
    """Centre of each frame's rotation range in degrees, and its ends."""
    if omega is None or len(omega) != frames or omega.dtype.kind not in "iuf":
        return {}
    values = np.asarray(omega, np.float64)
    if values.ndim == 1:
        return {"omega_deg": values}
    if values.ndim != 2 or values.shape[1] != 2:
        return {}
    start, stop = values.T
    return {"omega_deg": values.mean(axis=1), "omega_start_deg": start.copy(), "omega_stop_deg": stop.copy()}
