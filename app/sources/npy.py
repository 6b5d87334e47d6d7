"""NumPy files: ``.npy`` read frame by frame without a memory map, ``.npz``; never pickles."""

import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    check_frame_size,
    describe,
    identity,
    image_dtype,
    reason,
    silent,
)
from braggscope.app.sources.protocol import DatasetEntry, SourceError

HELD_BYTES = 256 << 20


def read_header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran order, dtype) of an array file, refusing pickles. Raises SourceError."""
    try:
        version = npy_format.read_magic(file)
        read: Any = (
            npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, zipfile.BadZipFile) as error:
        raise SourceError(f"{where} is no readable NumPy array ({reason(error)}); save it again.") from error
    if dtype.hasobject:
        raise SourceError(f"{where} holds pickled Python objects, which are refused; save plain numbers.")
    if any(n < 0 for n in shape):
        raise SourceError(f"{where} has the impossible shape {shape}; save it again.")
    return tuple(shape), bool(fortran), dtype


class NpySource(Source):
    """One array file. Reading checks the length, so a file cut while open is an error, not a crash."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        path = location.path
        self._stamps = (Stamp.of(path),)
        with open(path, "rb") as file:
            shape, fortran, self._stored = read_header(file, path)
            self._offset = file.tell()
        self._layout = Layout.of(shape, frame_axis, path)
        self._strided = fortran or not self._layout.contiguous
        self._order: Any = "F" if fortran else "C"
        dtype = image_dtype(self._stored, path)
        check_frame_size(self._layout.frame_shape, dtype, path)
        needed = self._offset + int(np.prod(shape, dtype=object)) * self._stored.itemsize
        if self._stamps[0].size < needed:
            raise SourceError(
                f"{path} is cut short: it has {self._stamps[0].size} of {needed} bytes; copy it again."
            )
        self._info = describe(
            location,
            "NumPy",
            self._layout,
            dtype,
            identity=identity([*(s.key for s in self._stamps), self._layout.lead]),
        )

    def _read_into(self, index: int, out: NDArray) -> None:
        if self._strided:
            # Only here a memory map: the frame is scattered over the file. Its length was checked just now.
            whole = np.memmap(
                self._location.path, self._stored, "r", self._offset, self._layout.shape, self._order
            )
            place = self._layout.start(index)
            axes = range(len(self._layout.shape))
            np.copyto(out, whole[tuple(slice(None) if k in self._layout.image else place[k] for k in axes)])
            return
        raw = out if self._stored == out.dtype else np.empty(out.shape, self._stored)
        with open(self._location.path, "rb", buffering=0) as file:
            file.seek(self._offset + index * raw.nbytes)
            fill(file, raw)
        if raw is not out:
            np.copyto(out, raw)


@contextmanager
def steady(beat: Beat, longest_s: float = 60.0) -> Iterator[None]:
    """Report progress while one long but bounded call of a library runs."""
    done = threading.Event()

    def report() -> None:
        end = time.monotonic() + longest_s
        while not done.wait(0.5) and time.monotonic() < end:
            beat()

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def fill(file: Any, out: NDArray) -> None:
    """Read exactly the bytes of a C-ordered array. Raise EOFError if there are fewer."""
    view = memoryview(out.data).cast("B")
    while len(view):
        count = file.readinto(view[: 64 << 20])
        if not count:
            raise EOFError("the file ends within the frame")
        view = view[count:]


def open_zip(path: str, beat: Beat = silent) -> zipfile.ZipFile:
    """Archive of arrays; listing half a million of them takes many seconds. Raises SourceError."""
    Stamp.of(path)
    try:
        with steady(beat):
            return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, ValueError) as error:
        raise SourceError(f"{path} is no readable npz file ({reason(error)}); copy it again.") from error


def members(archive: zipfile.ZipFile, path: str) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and dtype of every array in an archive; pickles and what is no array are left out."""
    found: dict[str, tuple[tuple[int, ...], np.dtype]] = {}
    for name in archive.namelist():
        if not name.endswith(".npy") or len(found) >= 1000:
            continue
        try:
            with archive.open(name) as file:
                shape, _, dtype = read_header(file, f"{path}::{name[:-4]}")
        except SourceError as error:
            if "pickled" not in str(error):
                raise
            shape, dtype = (), np.dtype(object)
        except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
            raise SourceError(
                f"{path}::{name[:-4]} cannot be read ({reason(error)}); copy it again."
            ) from error
        found[name[:-4]] = (shape, dtype)
    return found


def choose_member(found: dict[str, tuple[tuple[int, ...], np.dtype]], location: Location) -> tuple[str, str]:
    """(name, warning) of the array to show. Raises SourceError."""
    inner = location.inner.strip("/").removesuffix(".npy")
    if inner:
        if inner not in found:
            raise SourceError(f"{location.path} has no array {inner}; it has {', '.join(found) or 'none'}.")
        return inner, ""
    images = {n: s for n, (s, d) in found.items() if len(s) >= 2 and d.kind in "iuf" and 0 not in s}
    if not images:
        for name, (_, dtype) in found.items():
            image_dtype(dtype, f"{location.path}::{name}")
        raise SourceError(f"{location.path} holds no images; save an array of at least two dimensions.")
    best = max(images, key=lambda n: (len(images[n]) > 2, int(np.prod(images[n], dtype=object))))
    others = ", ".join([n for n in images if n != best][:4])
    return best, f"Shown is {best}; the file has other images as well: {others}." if others else ""


class NpzSource(Source):
    """One array of an archive: held in memory if small, else unpacked up to the frame that is asked for."""

    def __init__(
        self,
        location: Location,
        frame_axis: int | None,
        beat: Beat = silent,
        archive: zipfile.ZipFile | None = None,
    ) -> None:
        super().__init__(location, frame_axis, beat)
        path = location.path
        self._stamps = (Stamp.of(path),)
        self._archive = archive or open_zip(path, beat)
        try:
            self._open(path)
        except BaseException:
            self._archive.close()
            raise

    def _open(self, path: str) -> None:
        found = members(self._archive, path)
        name, note = choose_member(found, self._location)
        self._name = f"{name}.npy"
        where = Location(path, name)
        self._stream: Any = None
        self._rewind(str(where))
        self._layout = Layout.of(self._shape, self._frame_axis, str(where))
        dtype = image_dtype(self._stored, str(where))
        self._info = describe(
            where if len(found) > 1 else self._location,
            "NumPy archive",
            self._layout,
            dtype,
            identity=identity([*(s.key for s in self._stamps), self._layout.lead, name]),
            warnings=(note,) if note else (),
            datasets=tuple(DatasetEntry(n, s, str(d)) for n, (s, d) in found.items()),
        )
        size = int(np.prod(self._shape, dtype=object)) * self._stored.itemsize
        self._held: NDArray | None = None
        if size <= HELD_BYTES:
            self._held = self._load(size, str(where))
        elif self._fortran or not self._layout.contiguous:
            raise SourceError(f"{where} is too large to be read along that axis; save it in C order as .npy.")

    def _rewind(self, where: str) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = self._archive.open(self._name)
        self._shape, self._fortran, self._stored = read_header(self._stream, where)
        self._next = 0

    def _load(self, size: int, where: str) -> NDArray:
        flat = np.empty(size // self._stored.itemsize, self._stored)
        try:
            fill(self._stream, flat)
        except (EOFError, OSError, zipfile.BadZipFile, zlib_error) as error:
            raise SourceError(f"{where} is cut short or damaged ({reason(error)}); copy it again.") from error
        return flat.reshape(self._shape, order="F" if self._fortran else "C")

    def _read_into(self, index: int, out: NDArray) -> None:
        if self._held is not None:
            place = self._layout.start(index)
            axes = range(len(self._shape))
            cut = tuple(slice(None) if k in self._layout.image else place[k] for k in axes)
            np.copyto(out, self._held[cut])
            return
        if index < self._next:
            self._rewind(self._info.location)
        raw = np.empty(out.shape, self._stored)
        while self._next <= index:
            self._beat()
            fill(self._stream, raw)
            self._next += 1
        np.copyto(out, raw)

    def close(self) -> None:
        """Release the file. May be called twice."""
        if self._stream is not None:
            self._stream.close()
        self._archive.close()
        self._held = None


def load_member(location: Location) -> NDArray:
    """One array of an archive, bool allowed. Raises SourceError."""
    with open_zip(location.path) as archive:
        found = members(archive, location.path)
        flags = [n for n, (s, d) in found.items() if d.kind == "b" and len(s) == 2]
        name = flags[0] if len(flags) == 1 and not location.inner else choose_member(found, location)[0]
        where = f"{location.path}::{name}"
        shape, stored = found[name]
        dtype = image_dtype(stored, where, allow_bool=True)
        check_frame_size(shape, dtype, where)
        try:
            with archive.open(f"{name}.npy") as file:
                array: NDArray = npy_format.read_array(file, allow_pickle=False)
        except (EOFError, OSError, ValueError, zipfile.BadZipFile, zlib_error) as error:
            raise SourceError(f"{where} is cut short or damaged ({reason(error)}); copy it again.") from error
    return array.astype(dtype, copy=False)
