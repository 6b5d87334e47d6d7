"""One image file of any kind, decoded: TIFF, CBF, EDF, npy and whatever fabio knows, also compressed."""

import bz2
import gzip
import io
import logging
import math
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Location, Stamp, image_dtype, reason
from braggscope.app.sources.protocol import SourceError

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
CBF_SECTION = b"--CIF-BINARY-FORMAT-SECTION--"
CBF_BINARY = b"\x0c\x1a\x04\xd5"
MAX_UNPACKED = 512 << 20
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """One opened file: ``count`` frames of ``shape``, its header and the name of its format."""

    count: int
    shape: tuple[int, int]
    dtype: np.dtype
    header: dict[str, object]
    format: str
    get: Callable[[int], NDArray]

    def frame(self, index: int) -> NDArray:
        """(H, W) in the native dtype. Raises what the library raises."""
        with quiet():
            return np.asarray(self.get(index), self.dtype)


def _image(path: str, pixels: NDArray, header: dict[str, object], name: str) -> Image:
    if pixels.ndim < 2 or pixels.size == 0:
        raise SourceError(f"{path} holds no complete image (shape {pixels.shape}); copy it again.")
    rows, columns = pixels.shape[-2:]
    stack = pixels.reshape(-1, rows, columns)
    dtype = image_dtype(pixels.dtype, path, allow_bool=True)
    return Image(len(stack), (rows, columns), dtype, header, name, stack.__getitem__)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from warning and logging about what is said in our own sentences."""
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def head(path: str, count: int = 16) -> bytes:
    """First bytes of a file, after unpacking. Raises SourceError."""
    try:
        with open(path, "rb") as file:
            magic = file.read(max(count, 16))
        if opener := _unpacker(magic):
            with opener(path, "rb") as packed:
                return packed.read(count)
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    return magic[:count]


def _unpacker(magic: bytes) -> type[bz2.BZ2File] | type[gzip.GzipFile] | None:
    if magic.startswith(b"BZh"):
        return bz2.BZ2File
    return gzip.GzipFile if magic.startswith(b"\x1f\x8b") else None


def _unreadable(path: str, error: BaseException) -> SourceError:
    return SourceError(f"{path} cannot be read ({reason(error)}); check that the file is complete.")


def content(path: str) -> bytes:
    """Whole file, unpacked; only the beginning of one that is plain and too large to be one image."""
    Stamp.of(path)
    try:
        with open(path, "rb") as file:
            opener = _unpacker(file.read(16))
            file.seek(0)
            if opener is None:
                return file.read(min(MAX_UNPACKED, os.fstat(file.fileno()).st_size))
        unpacked = io.BytesIO()  # a read of so many bytes at once would ask for the memory of them all
        with opener(path, "rb") as packed:
            while unpacked.tell() <= MAX_UNPACKED and (piece := packed.read(BLOCK)):
                unpacked.write(piece)
        data = unpacked.getvalue()
    except (OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    if len(data) > MAX_UNPACKED:
        raise SourceError(
            f"{path} unpacks to more than {MAX_UNPACKED >> 20} MiB; unpack it before opening it."
        )
    return data


def decode(path: str) -> Image:
    """All frames of one image file. Raises SourceError."""
    data = content(path)
    if not data:
        raise SourceError(f"{path} is empty; copy it again.")
    try:
        with quiet():
            if data[:4] in TIFF_MAGIC:
                return _tiff(path, data)
            if data[:6] == b"\x93NUMPY":
                return _image(path, np.load(io.BytesIO(data), allow_pickle=False), {}, "NumPy")
            _check_cbf(path, data)
            return _fabio(path, data)
    except SourceError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _tiff(path: str, data: bytes) -> Image:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        if not file.pages:
            raise SourceError(f"{path} is a TIFF file without a complete image; copy it again.")
        page = file.pages.first
        for part in file.series[0].pages:
            if part is not None:  # one whose data follow those of the first
                check_tiff_page(path, part, len(data))
        header: dict[str, object] = {"ImageDescription": page.description} if page.description else {}
        return _image(path, file.series[0].asarray(), header, "TIFF")


def check_tiff_page(path: str, page: object, size: int) -> None:
    """Refuse colour pictures and pages whose data are missing or lie beyond the end of the file."""
    if getattr(page, "samplesperpixel", 1) > 1:
        raise SourceError(
            f"{path} is a colour picture, not detector data; open files with one value per pixel."
        )
    spans = list(zip(getattr(page, "dataoffsets", ()), getattr(page, "databytecounts", ()), strict=False))
    if len(spans) < math.prod(getattr(page, "chunked", ())) or any(0 in span for span in spans):
        raise SourceError(f"{path} lacks some of its pixels, which would be shown as zeros; copy it again.")
    if any(offset + count > size for offset, count in spans):
        raise SourceError(f"{path} is cut short: its pixels end after the end of the file; copy it again.")


def _check_cbf(path: str, data: bytes) -> None:
    """Fabio waits for ever for the binary part of a CBF that was cut or damaged."""
    start = data.find(CBF_BINARY)
    declared = re.search(rb"X-Binary-Size:\s*(\d+)", data[: start if start > 0 else 1 << 16])
    if data.startswith(b"###CBF") or declared:
        section = data.find(CBF_SECTION)
        if not 0 <= section < start:
            raise SourceError(f"{path} is a CBF file without a readable binary section; copy it again.")
    if declared and (start < 0 or len(data) - start - len(CBF_BINARY) < int(declared[1])):
        raise SourceError(f"{path} is cut short: the CBF header promises more bytes; copy it again.")


def _fabio(path: str, data: bytes) -> Image:
    import fabio

    if data[:8] == b"\x89HDF\r\n\x1a\n":
        raise SourceError(f"{path} is an HDF5 file; open it by itself, not as part of a series of images.")
    packed = path.lower().endswith((".bz2", ".gz"))
    try:
        image = fabio.open(fabio.fabioutils.BytesIO(data, path) if packed else path)
    except Exception as error:
        if not packed:
            raise _unknown(path, error) from error
        try:  # formats that fabio tells by their name only
            image = fabio.open(path)
        except Exception as second:
            raise _unknown(path, second) from second
    name = type(image).__name__.removesuffix("Image").removesuffix("image").upper()
    _check_whole(path, image)
    first = image.data
    if image.nframes <= 1 or first is None or first.ndim != 2 or first.size == 0:
        image.close()
        return _image(path, np.asarray(first), dict(image.header), name)

    def frame(index: int) -> NDArray:
        found = image.get_frame(index)
        _check_whole(path, found)
        pixels = found.data
        if pixels is None or pixels.shape != first.shape:
            raise SourceError(f"{path} holds frames of different shapes; split it into one file for each.")
        return np.asarray(pixels)

    dtype = image_dtype(first.dtype, path)
    return Image(int(image.nframes), first.shape, dtype, dict(image.header), name, frame)


def _check_whole(path: str, image: object) -> None:
    """Fabio fills up what is missing at the end of an EDF file with zeros."""
    if getattr(image, "incomplete_data", False):
        raise SourceError(f"{path} is cut short: it ends within this frame; copy it again.")


def _unknown(path: str, error: BaseException) -> SourceError:
    return SourceError(
        f"{path} is in no format that can be read ({reason(error)}); convert it to HDF5, TIFF or CBF."
    )


def load_image(location: Location) -> NDArray:
    """One (H, W) image for a mask, dark or flat, numbers or bool, of any format. Raises SourceError."""
    magic = head(location.path, 8)
    if magic.startswith(b"\x89HDF\r\n\x1a\n"):
        from braggscope.app.sources.hdf5 import load_array

        pixels = load_array(location)
    elif magic.startswith(b"PK\x03\x04"):
        from braggscope.app.sources.npy import load_member

        pixels = load_member(location)
    else:
        image = decode(location.path)
        if image.count != 1:
            raise SourceError(f"{location} holds {image.count} frames; a mask or calibration image is one.")
        pixels = image.frame(0)
    shape = pixels.shape
    if pixels.ndim > 2 and set(shape[:-2]) <= {1}:
        pixels = pixels.reshape(shape[-2:])
    if pixels.ndim != 2 or pixels.size == 0:
        name = os.path.basename(location.path)
        raise SourceError(f"{location} has shape {shape}; {name} must hold one two-dimensional image.")
    return np.ascontiguousarray(pixels)
