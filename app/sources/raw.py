"""Raw binary files: what no header says is typed in behind the name.

``scan.raw?shape=64,64,256,256&dtype=uint16`` and, where needed, ``&offset=`` bytes before the first frame and
``&gap=`` bytes after each one. Data types are NumPy's names, ``>u2`` for big-endian ones.
"""

import os
import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from braggscope.app.sources.base import Beat, Location, image_dtype, silent
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.strided import StridedSource

_MARK = re.compile(r"\?(?=[a-z]+=)")
SUFFIXES = (".raw", ".bin")


def raw_path(location: str) -> str | None:
    """The file of a raw location, None where it is no such location."""
    path, *rest = _MARK.split(location, maxsplit=1)
    return path if rest and path and not os.path.exists(location) else None


def raw_of_no_shape(location: str) -> bool:
    """Whether a file may be a raw binary whose shape is not given. Looks at the disk."""
    return location.lower().endswith(SUFFIXES) and os.path.isfile(location) and os.path.getsize(location) > 0


def raw_location(path: str, shape: tuple[int, ...], dtype: str, offset: int = 0, gap: int = 0) -> str:
    """What names a raw file with its shape."""
    more = "".join(f"&{name}={value}" for name, value in (("offset", offset), ("gap", gap)) if value)
    return f"{path}?shape={','.join(map(str, shape))}&dtype={dtype}{more}"


@dataclass(frozen=True, slots=True)
class RawLayout:
    """What was typed in."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int = 0
    gap: int = 0

    @classmethod
    def parse(cls, location: str) -> Self:
        """Raise SourceError where the words are none of ours."""
        path, words = _MARK.split(location, maxsplit=1)
        given = dict(word.partition("=")[::2] for word in words.split("&"))
        unknown = set(given) - {"shape", "dtype", "offset", "gap"}
        if unknown or "shape" not in given:
            raise SourceError(
                f"{location} does not say what {path} holds; write {path}?shape=R,C,H,W&dtype=uint16."
            )
        try:
            shape = tuple(int(n) for n in given["shape"].split(","))
            offset, gap = int(given.get("offset", 0)), int(given.get("gap", 0))
            if min(shape) < 1 or offset < 0 or gap < 0:
                raise ValueError
        except ValueError:
            raise SourceError(
                f"{location} holds a number that makes no sense; write shape=R,C,H,W in whole numbers."
            ) from None
        try:
            dtype = np.dtype(given.get("dtype", "uint16"))
        except TypeError:
            raise SourceError(
                f"{given['dtype']} is no data type; use uint8, uint16, uint32, float32 or the like, >u2 for"
                " big-endian."
            ) from None
        return cls(os.path.expanduser(path), shape, dtype, offset, gap)


class RawSource(StridedSource):
    """Frames in C order, without any header."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        layout = RawLayout.parse(location.path)
        super().__init__(location, frame_axis, beat, layout.path)
        image_dtype(layout.dtype, layout.path)
        frames = int(np.prod(layout.shape[:-2], dtype=object))
        frame = int(np.prod(layout.shape[-2:], dtype=object)) * layout.dtype.itemsize
        needed = layout.offset + frames * frame + (frames - 1) * layout.gap
        size = self._stamps[0].size
        if size < needed:
            raise SourceError(
                f"{layout.path} has {size} bytes, too few for shape {layout.shape} of {layout.dtype}"
                f" ({needed} bytes); correct the shape, the data type or the offset."
            )
        left = size - needed - layout.gap
        notes = (f"{left} bytes at the end of {layout.path} belong to no frame.",) if left > 0 else ()
        self._lay("raw binary", layout.shape, layout.dtype, layout.offset, layout.gap, warnings=notes)
