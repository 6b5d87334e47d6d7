"""TIFF stacks: many pages in one file."""

from typing import Any

import numpy as np
import tifffile
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
from braggscope.app.sources.images import check_tiff_page, quiet
from braggscope.app.sources.npy import fill
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.quantities import from_header


class TiffSource(Source):
    """Pages of one TIFF file; uncompressed stacks are read straight from their place in the file."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        path = location.path
        self._stamps = (Stamp.of(path),)
        try:
            with quiet():
                self._tiff = tifffile.TiffFile(path)
        except Exception as error:
            raise SourceError(
                f"{path} is not a readable TIFF file ({reason(error)}); copy it again."
            ) from error
        try:
            with quiet():
                self._open(path)
        except SourceError:
            self._tiff.close()
            raise
        except Exception as error:
            self._tiff.close()
            raise SourceError(
                f"{path} cannot be read ({reason(error)}); check that it is complete."
            ) from error

    def _open(self, path: str) -> None:
        size = self._stamps[0].size
        if not self._tiff.pages or not self._tiff.series:
            raise SourceError(f"{path} is a TIFF file without a complete image; copy it again.")
        self._check_chain(path, size)
        series = max(self._tiff.series, key=lambda s: s.size)
        alike = [s for s in self._tiff.series if s.shape == series.shape and s.dtype == series.dtype]
        stacked = len(alike) > 1 and len(series.shape) == 2  # single pages that nothing joins to a stack
        self._pages: Any = [s.pages[0] for s in alike] if stacked else series.pages
        shape = (len(alike), *series.shape) if stacked else tuple(series.shape)
        first = self._tiff.pages.first
        check_tiff_page(path, first, size)
        self._layout = Layout.of(shape, self._frame_axis, path)
        dtype = image_dtype(series.dtype, path)
        header = {"ImageDescription": first.description} if first.description else {}
        quantities, metadata = from_header(header)
        left = len(self._tiff.series) - (len(alike) if stacked else 1)
        note = f"{left} further series of pages in the file have another shape and are left out."
        self._info = describe(
            self._location,
            "TIFF stack" if self._layout.frames > 1 else "TIFF",
            self._layout,
            dtype,
            identity=identity([*(s.key for s in self._stamps), self._layout.lead]),
            metadata=metadata,
            quantities=quantities,
            warnings=(note,) if left else (),
        )
        self._series = series
        self._stored = np.dtype(series.dtype).newbyteorder(self._tiff.byteorder)
        self._offset = None if stacked else self._place(series, path, size)

    def _check_chain(self, path: str, size: int) -> None:
        """A file cut between its pages would silently have fewer."""
        handle, form = self._tiff.filehandle, self._tiff.tiff
        count = len(self._tiff.pages)
        last = self._tiff.pages[count - 1]
        check_tiff_page(path, last, size)
        handle.seek(last.offset)
        entries = int.from_bytes(handle.read(form.tagnosize), "big" if form.byteorder == ">" else "little")
        handle.seek(last.offset + form.tagnosize + entries * form.tagsize)
        raw = handle.read(form.offsetsize)
        following = int.from_bytes(raw, "big" if form.byteorder == ">" else "little")
        if len(raw) < form.offsetsize or following >= size:
            raise SourceError(f"{path} is cut short after {count} pages; copy it again.")

    def _place(self, series: Any, path: str, size: int) -> int | None:
        """Where an uncompressed stack in C order starts in the file."""
        if series.dataoffset is None or not self._layout.contiguous:
            return None
        if series.dataoffset + series.size * self._stored.itemsize > size:
            raise SourceError(
                f"{path} is cut short: its pixels end after the end of the file; copy it again."
            )
        return int(series.dataoffset)

    def _read_into(self, index: int, out: NDArray) -> None:
        if self._offset is not None:
            raw = out if self._stored == out.dtype else np.empty(out.shape, self._stored)
            handle: Any = self._tiff.filehandle
            handle.seek(self._offset + index * raw.nbytes)
            fill(handle, raw)
            if raw is not out:
                np.copyto(out, raw)
            return
        with quiet():
            np.copyto(out, self._page(index))

    def _page(self, index: int) -> NDArray:
        shape, place = self._info.shape, self._layout.start(index)
        if self._layout.contiguous and len(self._pages) == self._info.frames:
            page = self._pages[index]
            check_tiff_page(self._location.path, page, self._stamps[0].size)
            pixels = page.asarray()
        else:
            cut = tuple(
                slice(None) if k in self._layout.image else place[k] for k in range(len(self._layout.shape))
            )
            pixels = self._series.asarray(out="memmap" if self._series.dataoffset is not None else None)[cut]
        if pixels.shape != shape:
            raise SourceError(f"Frame {index} of {self._location} is incomplete; copy the file again.")
        return np.asarray(pixels)

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._tiff.close()
