"""What the readers share: order of frames in a stack, limits, file stamps, sentences about failures."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import psutil
from numpy.typing import DTypeLike, NDArray

from braggscope.app.sources.protocol import SourceError, SourceInfo

MAX_FRAME_BYTES = 4 << 30
Beat = Callable[[], None]


def silent() -> None:
    """Default progress call of long loops: says nothing."""


@dataclass(frozen=True, slots=True)
class Location:
    """``path`` of a file, folder or glob, and the dataset ``inner`` within the file, or an empty string."""

    path: str
    inner: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split ``file.h5::/entry/data`` and expand ``~``."""
        path, separator, inner = text.rpartition("::")
        if not separator or not path:
            path, inner = text, ""
        return cls(os.path.expanduser(path), inner.strip())

    def __str__(self) -> str:
        return f"{self.path}::{self.inner}" if self.inner else self.path


@dataclass(frozen=True, slots=True)
class Layout:
    """How an array of two or more dimensions is a sequence of frames.

    Without ``frame_axis`` the last two axes are the image and the others count frames in C order. With it,
    that axis varies slowest, the last two of the remaining axes are the image, others follow in C order.
    """

    shape: tuple[int, ...]
    lead: tuple[int, ...]
    image: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, ...], frame_axis: int | None, where: str) -> Self:
        """Raise SourceError where the shape holds no image or no such axis."""
        if len(shape) < 2:
            raise SourceError(
                f"{where} has {len(shape)} dimension{'s' * (len(shape) != 1)} and is not an image; choose"
                " a dataset with at least two."
            )
        if 0 in shape:
            raise SourceError(f"{where} is empty (shape {shape}); choose a dataset that holds frames.")
        if len(shape) == 2:
            return cls(shape, (), (0, 1))
        axis = 0 if frame_axis is None else frame_axis
        if not -len(shape) <= axis < len(shape):
            raise SourceError(f"{where} has no axis {axis}; choose one of 0 to {len(shape) - 1}.")
        axis %= len(shape)
        rest = [k for k in range(len(shape)) if k != axis]
        return cls(shape, (axis, *rest[:-2]), (rest[-2], rest[-1]))

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(np.prod([self.shape[k] for k in self.lead], dtype=np.int64))

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Lengths of the axes that are not the image's, slowest first."""
        return tuple(self.shape[k] for k in self.lead)

    @property
    def frame_shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.shape[self.image[0]], self.shape[self.image[1]]

    @property
    def frame_axis(self) -> int:
        """The slowest axis."""
        return self.lead[0] if self.lead else 0

    @property
    def contiguous(self) -> bool:
        """Whether the frames follow each other in a C-ordered array."""
        return self.lead == tuple(range(len(self.lead)))

    def start(self, index: int) -> tuple[int, ...]:
        """Position of the first pixel of a frame in the array."""
        where = [0] * len(self.shape)
        for axis, k in zip(self.lead, np.unravel_index(index, self.stack_shape), strict=True):
            where[axis] = int(k)
        return tuple(where)

    def count(self) -> tuple[int, ...]:
        """Extent of one frame in the array."""
        return tuple(self.shape[k] if k in self.image else 1 for k in range(len(self.shape)))


def image_dtype(dtype: DTypeLike, where: str, allow_bool: bool = False) -> np.dtype:
    """Native dtype in which stored pixels are delivered. Raise SourceError if they are no image."""
    stored = np.dtype(dtype)
    if stored.kind == "b" and allow_bool:
        return stored
    if stored.kind not in "iuf":
        kind = {"c": "complex numbers", "b": "true/false values", "O": "Python objects or text"}.get(
            stored.kind, "records or text"
        )
        raise SourceError(f"{where} holds {kind} ({stored}), not an image; choose a dataset of real numbers.")
    if stored.kind == "f" and stored.itemsize not in (4, 8):
        return np.dtype(np.float32 if stored.itemsize < 4 else np.float64)
    return stored.newbyteorder("=")


def check_frame_size(shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Refuse frames that no detector makes and this machine could not hold."""
    size = int(np.prod(shape, dtype=object)) * dtype.itemsize
    limit = min(MAX_FRAME_BYTES, psutil.virtual_memory().total // 2)
    if size > limit:
        raise SourceError(
            f"{where} declares frames of {size / 2**30:.1f} GiB (shape {tuple(shape)}), more than the"
            f" {limit / 2**30:.1f} GiB that can be read; check the shape or choose another frame axis."
        )


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file was when it was opened."""

    path: str
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: str) -> Self:
        """Raise SourceError where there is no such file."""
        try:
            found = os.stat(path)
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read ({reason(error)}); check its name and that its disk is mounted."
            ) from error
        return cls(path, found.st_ino, found.st_size, found.st_mtime_ns)

    @property
    def key(self) -> tuple[str, int, int]:
        """What decides the content: a copy with other time stamps is another file."""
        return os.path.abspath(self.path), self.size, self.mtime_ns

    def changed(self) -> str:
        """In words what happened to the file since, or an empty string. Growing is no change."""
        try:
            found = os.stat(self.path)
        except OSError:
            return "is gone"
        if found.st_ino != self.inode:
            return "was replaced by another file"
        return "was shortened" if found.st_size < self.size else ""

    def check(self) -> None:
        """Raise SourceError if the file is not what it was."""
        if change := self.changed():
            raise SourceError(f"{self.path} {change} after it was opened; refresh or open it again.")


def identity(parts: Iterable[object]) -> str:
    """Short hash of what decides the content."""
    return hashlib.sha256("\n".join(map(str, parts)).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def reason(error: BaseException) -> str:
    """One line about an exception, without full stop."""
    if isinstance(error, MemoryError):
        return "it needs more memory than the reader may take"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200].rstrip(". ")


class Source:
    """Base of the readers. Subclasses set ``_info`` and ``_stamps`` when made and give ``_read_into``."""

    _info: SourceInfo
    _stamps: tuple[Stamp, ...] = ()

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        self._location = location
        self._frame_axis = frame_axis
        self._beat = beat

    @property
    def info(self) -> SourceInfo:
        """Frozen description; may change only in :meth:`refresh`."""
        return self._info

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, True = bad: the file's own pixel mask, or None."""
        return None

    def read(self, index: int) -> NDArray:
        """Frame ``index``, (H, W) of ``info.dtype``. Raises SourceError."""
        out = np.empty(self._info.shape, self._info.dtype)
        self.read_into(index, out)
        return out

    def read_into(self, index: int, out: NDArray) -> None:
        """Like :meth:`read`, into a C-ordered (H, W) array of ``info.dtype``."""
        where = self._info.location
        if not 0 <= index < self._info.frames:
            last = self._info.frames - 1
            raise SourceError(f"{where} has no frame {index}; its frames are numbered 0 to {last}.")
        for stamp in self._stamps:
            stamp.check()
        try:
            self._read_into(index, out)
        except SourceError:
            raise
        except Exception as error:
            for stamp in self._stamps:
                stamp.check()
            raise SourceError(
                f"Frame {index} of {where} cannot be read ({reason(error)}); check that the file is complete."
            ) from error

    def refresh(self) -> SourceInfo:
        """Close and open again: HDF5 would share what it remembers of a file that is still open."""
        self.close()
        fresh = type(self)(self._location, self._frame_axis, self._beat)
        self.__dict__.update(fresh.__dict__)
        return self._info

    def close(self) -> None:
        """Release the file. May be called twice."""

    def warn(self, *sentences: str) -> None:
        """Add to the warnings of ``info``."""
        self._info = replace(self._info, warnings=self._info.warnings + sentences)

    def _read_into(self, index: int, out: NDArray) -> None:
        raise NotImplementedError


def describe(
    location: Location, format_name: str, layout: Layout, dtype: np.dtype, **more: Any
) -> SourceInfo:
    """SourceInfo of an array that is a sequence of frames, sizes checked."""
    check_frame_size(layout.frame_shape, dtype, str(location))
    return SourceInfo(
        location=str(location),
        format=format_name,
        frames=layout.frames,
        shape=layout.frame_shape,
        dtype=dtype.name,
        frame_axis=layout.frame_axis,
        stack_shape=layout.stack_shape,
        **more,
    )
