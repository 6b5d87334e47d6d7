"""From a location to the reader that understands it: by content first, by suffix second."""

import os
from collections.abc import Callable

import numpy as np

from braggscope.app.sources.base import Beat, Location, Source, Stamp, silent
from braggscope.app.sources.files import FilesSource, is_pattern
from braggscope.app.sources.images import TIFF_MAGIC, head
from braggscope.app.sources.many import are_images, several
from braggscope.app.sources.protocol import DatasetEntry, SourceError
from braggscope.app.sources.raw import SUFFIXES as RAW_SUFFIXES
from braggscope.app.sources.raw import RawSource, raw_path
from braggscope.app.sources.rosetta import RosettaSource, is_rosetta

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
SMALL_FRAME = 64 << 20


def open_source(location: str, frame_axis: int | None = None, beat: Beat = silent) -> Source:
    """Source of frames at ``path``, ``file.h5::/dataset``, a folder, a glob, or ``@list.txt``.

    Raw binary files carry their shape behind the name: ``scan.raw?shape=64,64,256,256&dtype=uint16``.

    ``frame_axis`` of a stack counts frames slowest; ``beat`` is called during long scans. Raises SourceError.
    """
    parts = several(location)
    place = Location.parse(location) if parts is None else Location(location)
    source = (_reader(place) if parts is None else _series_reader(parts))(place, frame_axis, beat)
    _warn_of_nothing(source)
    return source


def _series_reader(parts: list[str]) -> Callable[[Location, int | None, Beat], Source]:
    if are_images(parts):
        return FilesSource
    from braggscope.app.sources.joined import JoinedSource

    return JoinedSource


def _reader(place: Location) -> Callable[[Location, int | None, Beat], Source]:
    path = place.path
    if not path:
        raise SourceError("No file was named; give a file, a folder or a quoted glob.")
    if (raw := raw_path(path)) is not None:
        _check_file(raw)
        return RawSource
    if os.path.isdir(path) or is_pattern(path):
        return FilesSource
    _check_file(path)
    if is_hdf5(path):
        from braggscope.app.sources.hdf5 import Hdf5Source

        return Hdf5Source
    with open(path, "rb") as file:
        magic = file.read(16)
    if magic[:4] in TIFF_MAGIC:
        from braggscope.app.sources.tiff import TiffSource

        return TiffSource
    if magic[:6] == b"\x93NUMPY":
        from braggscope.app.sources.npy import NpySource

        return NpySource
    if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        from braggscope.app.sources.framecache import open_archive

        return open_archive
    return _electron_reader(path, magic) or _images(path, magic)


def _electron_reader(path: str, magic: bytes) -> Callable[[Location, int | None, Beat], Source] | None:
    """Readers of formats in which electron microscopes write scans."""
    from braggscope.app.sources import blockfile, merlin

    if magic.startswith(merlin.MAGIC):
        return merlin.MerlinSource
    if magic.startswith(blockfile.MAGIC):
        return blockfile.BlockfileSource
    return RosettaSource if is_rosetta(path) else None


def _images(path: str, magic: bytes) -> Callable[[Location, int | None, Beat], Source]:
    _refuse(path, magic)
    return FilesSource


def _check_file(path: str) -> None:
    if Stamp.of(path).size == 0 and os.path.isfile(path):
        raise SourceError(f"{path} is empty; copy it again.")
    if not os.path.isfile(path):
        raise SourceError(f"{path} is no file or folder; choose one that holds images.")
    try:
        head(path, 1)
    except SourceError as error:
        raise SourceError(f"{error}") from error


def is_hdf5(path: str) -> bool:
    """Whether the HDF5 signature stands where it may: at 0, 512, 1024, 2048 …"""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        place = 0
        while place < min(size, 1 << 20):
            file.seek(place)
            if file.read(8) == HDF5_MAGIC:
                return True
            place = place * 2 or 512
    return False


def _refuse(path: str, magic: bytes) -> None:
    """Kinds of files that are mistaken for images, each with its way out."""
    if magic[:4] == b"\x0e\x03\x13\x01":
        raise SourceError(f"{path} is an HDF4 file; convert it to HDF5 with h4toh5.")
    if magic[:2] in PICKLES:
        raise SourceError(
            f"{path} is a Python pickle, which is never read; save plain arrays with numpy.save."
        )
    if magic[:4] == b"HDR," and path.lower().endswith(".hdr"):
        raise SourceError(f"{path} only describes a Merlin file; open {path[:-4]}.mib.")
    if path.lower().endswith(RAW_SUFFIXES):
        raise SourceError(
            f"{path} does not say what it holds; write {path}?shape=R,C,H,W&dtype=uint16 with its shape."
        )
    if path.lower().endswith((".h5", ".hdf5", ".nxs", ".hdf", ".cxi")):
        raise SourceError(f"{path} is not an HDF5 file, or its beginning is damaged; copy it again.")


def dataset_tree(location: str, beat: Beat = silent) -> tuple[DatasetEntry, ...]:
    """All datasets of a file, with what speaks against showing each. Raises SourceError."""
    place = Location.parse(location)
    if os.path.isfile(place.path) and is_hdf5(place.path):
        from braggscope.app.sources.hdf5 import open_file
        from braggscope.app.sources.hdf5_choose import tree

        with open_file(place.path) as file:
            return tree(file, beat)
    source = open_source(place.path, None, beat)
    try:
        info = source.info
        whole = DatasetEntry("", (*info.stack_shape, *info.shape), info.dtype)
        return info.datasets or (whole,)
    finally:
        source.close()


def _warn_of_nothing(source: Source) -> None:
    """Say so when the first frame has no number in it."""
    info = source.info
    if np.dtype(info.dtype).kind != "f" or info.frame_bytes > SMALL_FRAME:
        return
    try:
        nothing = not np.isfinite(source.read(0)).any()
    except SourceError as error:
        source.warn(str(error))
        return
    if nothing:
        source.warn(f"Frame 0 of {info.location} holds no finite value at all.")
