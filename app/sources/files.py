"""Series of single images: a folder, a glob, or one file that fabio reads."""

import glob
import os
import re
from collections import Counter

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
from braggscope.app.sources.images import Image, decode
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.quantities import from_header

PACKED = (".bz2", ".gz")
_NAMES = (
    "tif tiff cbf edf img mar mar2300 mar3450 marccd mccd sfrm gfrm pnm pgm kcd osc stl raxis npy sor"
    " esperanto ge ge1 ge2 ge3 ge4 ge5 fit2d msk f2d spr"
)
SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())
MAX_FILES = 1_000_000


def natural(text: str) -> list[tuple[int, int, str]]:
    """Key that sorts 1, 2, 11."""
    parts = re.split(r"(\d+)", text.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def is_pattern(path: str) -> bool:
    """Whether a location is a glob rather than a name."""
    return glob.has_magic(path) and not os.path.exists(path)


def kind(name: str) -> str:
    """Suffix that decides the format, without a compressor's; Bruker's numbers count as one."""
    stem = name.lower()
    for packed in PACKED:
        stem = stem.removesuffix(packed)
    suffix = os.path.splitext(stem)[1]
    return ".0" if re.fullmatch(r"\.\d{3,}", suffix) else suffix


def list_files(path: str) -> tuple[list[str], tuple[str, ...]]:
    """Images of a folder or glob in natural order, and what was left out. Raises SourceError."""
    if not os.path.isdir(path):
        found = sorted((f for f in glob.glob(path) if os.path.isfile(f)), key=natural)
        if not found:
            raise SourceError(f"No file matches {path}; check the pattern and quote it in a shell.")
        return found, ()
    try:
        names = [e.name for e in os.scandir(path) if not e.name.startswith(".") and e.is_file()]
    except OSError as error:
        raise SourceError(
            f"The folder {path} cannot be listed ({error.strerror}); check its rights."
        ) from error
    kinds = Counter(kind(n) for n in names if kind(n) in SUFFIXES or kind(n) == ".0")
    if not kinds:
        raise SourceError(
            f"The folder {path} holds no image files; choose a folder of TIFF, CBF or EDF files, or one file."
        )
    chosen = kinds.most_common(1)[0][0]
    found = sorted((os.path.join(path, n) for n in names if kind(n) == chosen), key=natural)
    left = sum(kinds.values()) - len(found)
    return found, (f"{left} images of other kinds than {chosen} in the folder are left out.",) if left else ()


class FilesSource(Source):
    """One file after the other. Files of one frame each are opened only when their frame is read."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        from braggscope.app.sources.many import several

        path = location.path
        named = several(path)
        series = os.path.isdir(path) or is_pattern(path) or named is not None
        self._files, notes = (named, ()) if named else list_files(path) if series else ([path], ())
        if len(self._files) > MAX_FILES:
            raise SourceError(f"{path} matches more than {MAX_FILES} files; choose fewer.")
        first = decode(self._files[0])
        self._held: tuple[int, Image] | None = (0, first)
        counts = self._count_frames(first)
        self._first = np.concatenate([[0], np.cumsum(counts)])
        self._file_stamps = [self._stamp(f) for f in self._files]
        frames = int(self._first[-1])
        shape = (frames, *first.shape)
        quantities, metadata = from_header(first.header)
        self._info = describe(
            location,
            f"{first.format} series" if series else first.format,
            Layout.of(shape, None, path),
            image_dtype(first.dtype, path),
            identity=identity([*(s.key for s in self._file_stamps), frames]),
            metadata=self._names() | metadata,
            quantities=quantities,
            warnings=notes,
            can_grow=series and named is None,
            parts=tuple(zip(self._files, self._first[:-1].tolist(), strict=True)) if series else (),
        )

    def _stamp(self, path: str) -> Stamp:
        self._beat()
        return Stamp.of(path)

    def _count_frames(self, first: Image) -> list[int]:
        counts = [first.count]
        for path in self._files[1:]:
            self._beat()
            counts.append(1 if counts[0] == 1 else decode(path).count)
        return counts

    def _names(self) -> dict[str, str]:
        if len(self._files) == 1:
            return {}
        first, last = (os.path.basename(self._files[k]) for k in (0, -1))
        return {"files": f"{len(self._files)} from {first} to {last}"}

    def _read_into(self, index: int, out: NDArray) -> None:
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        path = self._files[number]
        stamp = self._file_stamps[number]
        stamp.check()
        if self._held is None or self._held[0] != number:
            self._held = None
            self._held = (number, decode(path))
        image = self._held[1]
        frame = index - int(self._first[number])
        if frame >= image.count or image.shape != out.shape:
            raise SourceError(
                f"{path} has {image.count} frames of {image.shape} where the series has {out.shape}; move it"
                " to a folder of its own."
            )
        if not np.can_cast(image.dtype, out.dtype, "safe"):
            raise SourceError(
                f"{path} holds {image.dtype} where the series holds {out.dtype}; move it to another folder."
            )
        np.copyto(out, image.frame(frame))
        if image.count == 1:
            self._held = None

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._held = None
