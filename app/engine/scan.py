"""A 4D-STEM scan: its shape, and its patterns as they are read and prepared."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import read_raw
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.setup import make_preparer
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.disks.parameters import Rectangle
from braggscope.models.parameters import Parameters

if TYPE_CHECKING:
    from braggscope.models.prepare import Preparer

SMALLEST = 8  # px, side of a pattern
SAMPLE = 5  # patterns that tell which pixels are always bad
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scan:
    """A source seen as a scan. ``scan_shape`` (rows, columns); ``raw_shape`` (H, W) of the stored patterns,
    ``shape`` of the prepared ones, which binning makes smaller. Positions are counted row by row.
    """

    info: SourceInfo
    frame_axis: int | None
    scan_shape: tuple[int, int]
    raw_shape: tuple[int, int]
    shape: tuple[int, int]

    @property
    def location(self) -> str:
        """What opens the source again."""
        return self.info.location

    @property
    def positions(self) -> int:
        """Rows times columns."""
        return self.scan_shape[0] * self.scan_shape[1]

    @classmethod
    def of(cls, info: SourceInfo, parameters: Parameters, frame_axis: int | None = None) -> Scan:
        """Raise SourceError where the source is no scan, or none of the shape that is asked for."""
        binning = parameters.prepare.binning
        height, width = info.shape
        shape = height // binning, width // binning
        scan_shape = _scan_shape(info, parameters.strain.scan_shape)
        if min(shape) < SMALLEST:
            raise SourceError(
                f"{info.location} has patterns of {height} x {width} pixels, too few for disks; open a 4-D"
                " dataset of scan rows, scan columns, pattern rows, pattern columns, or bin less."
            )
        return cls(info, frame_axis, scan_shape, info.shape, shape)

    def at(self, region: Rectangle | None) -> NDArray[np.int64]:
        """Positions in a region of the scan, all without one. Raise SourceError where it lies outside."""
        rows, columns = self.scan_shape
        every = np.arange(self.positions).reshape(rows, columns)
        if region is None:
            return every.ravel()
        r0, r1, c0, c1 = region
        if r1 > rows or c1 > columns:
            raise SourceError(
                f"The region {r0}:{r1},{c0}:{c1} reaches beyond the scan of {rows} x {columns} positions;"
                " choose one inside."
            )
        return every[r0:r1, c0:c1].ravel()

    def spread(self, count: int) -> NDArray[np.int64]:
        """``count`` positions or all, evenly over the scan, always the same."""
        if count >= self.positions:
            return np.arange(self.positions)
        return np.unique(np.linspace(0, self.positions - 1, count).round().astype(np.int64))


def _scan_shape(info: SourceInfo, wanted: tuple[int, int] | None) -> tuple[int, int]:
    where, frames = info.location, info.frames
    if wanted is not None:
        rows, columns = wanted
        if min(wanted) < 1 or rows * columns != frames:
            raise SourceError(
                f"{where} holds {frames} patterns, which make no scan of {rows} x {columns}; give rows and"
                f" columns whose product is {frames}."
            )
        return rows, columns
    if not info.stack_shape:
        raise SourceError(
            f"{where} is one image of {info.shape[0]} x {info.shape[1]} pixels, no scan; open a 4-D dataset"
            " or a series of patterns."
        )
    if len(info.stack_shape) != 2:
        raise SourceError(
            f"{where} is a series of {frames} patterns that does not say its scan shape; give it with"
            " --scan-shape R,C (rows, columns)."
        )
    return info.stack_shape[0], info.stack_shape[1]


def open_scan(
    reader: Reader,
    location: str,
    parameters: Parameters,
    frame_axis: int | None = None,
    cancelled: threading.Event | None = None,
) -> Scan:
    """Open a source as a scan. Raises SourceError."""
    return Scan.of(reader.open(location, frame_axis, cancelled), parameters, frame_axis)


class Patterns:
    """Reads and prepares patterns of one scan. ``mask`` (h, w) bool: bad in all of some patterns looked at.

    ``reader`` has the scan open. Raises SourceError where mask, dark or flat do not fit.
    """

    def __init__(self, reader: Reader, scan: Scan, parameters: Parameters, context: Context) -> None:
        self.scan = scan
        self._reader = reader
        self._preparer: Preparer = make_preparer(parameters.prepare, scan.info, reader, context.cancelled)
        self.mask: Bools = np.zeros(scan.shape, np.bool_)
        always: Bools | None = None
        for position in scan.spread(SAMPLE):
            context.check()
            try:
                raw = read_raw(reader, scan.info, int(position), 1, context.cancelled)
            except SourceError:
                continue
            bad = self._preparer.apply(raw).mask
            always = bad if always is None else always & bad
        if always is not None:
            self.mask = always

    def raw(self, first: int, count: int, stop: threading.Event) -> NDArray | list[NDArray | str]:
        """Patterns as stored; where one cannot be read a list, with the sentence why in its place."""
        try:
            return self._reader.read_block(first, count, stop)
        except SourceError:
            found: list[NDArray | str] = []
            for k in range(first, first + count):
                try:
                    found.append(self._reader.read(k, cancelled=stop))
                except SourceError as error:
                    found.append(str(error))
            return found

    @property
    def most(self) -> int:
        """Patterns that can be read at once."""
        return self._reader.block

    def prepare(self, raw: NDArray, out: NDArray[np.float32]) -> None:
        """One pattern (H, W) as stored, into ``out`` (h, w) float32; NaN where bad beyond :attr:`mask`."""
        prepared = self._preparer.apply([raw])
        out[:] = prepared.image
        late = prepared.mask & ~self.mask
        if late.any():
            out[late] = np.nan

    def take(self, positions: NDArray[np.int64], context: Context) -> NDArray[np.float32]:
        """Patterns (B, h, w) at some positions, those that cannot be read left out. Raises SourceError."""
        return self.readable(positions, context)[1]

    def readable(
        self, positions: NDArray[np.int64], context: Context
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Those of some positions that can be read, and their patterns (B, h, w). Raises SourceError."""
        out = np.empty((len(positions), *self.scan.shape), np.float32)
        there: list[int] = []
        problem: SourceError | None = None
        for position in positions:
            try:
                self.prepare(self._reader.read(int(position), cancelled=context.cancelled), out[len(there)])
                there.append(int(position))
            except SourceError as error:
                problem = problem or error
        if not there and problem is not None:
            raise problem
        return np.array(there, np.int64), out[: len(there)]


@contextmanager
def patterns_of(
    location: str, parameters: Parameters, context: Context, frame_axis: int | None = None
) -> Iterator[Patterns]:
    """The patterns of a source, in a reader process of their own. Raises SourceError."""
    with Reader() as reader:
        scan = open_scan(reader, location, parameters, frame_axis, context.cancelled)
        yield Patterns(reader, scan, parameters, context)
