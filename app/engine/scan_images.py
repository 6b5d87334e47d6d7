"""Virtual images of a scan: what a detector of any shape would have counted at every position."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import Gate
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.scan import Patterns, patterns_of
from braggscope.app.engine.scan_pass import Block, over_scan
from braggscope.models.disks.parameters import Rectangle
from braggscope.models.parameters import Parameters

REPORT_S = 0.2  # between two partial results
SIZE = 64  # patterns a block
Detectors = Mapping[str, NDArray]  # (h, w) each: True inside, or weights


@dataclass(frozen=True, slots=True)
class VirtualImages:
    """What one pass over a scan gives; NaN at positions that were not (or could not be) read.

    ``images``: by detector, (rows, columns) float64 sums of counts; ``sum`` and ``max`` of the whole pattern
    are always among them. ``centre`` (rows, columns, 2) x, y px: centre of mass. ``mean`` and ``maximum``
    (h, w): of the patterns read, ``count`` of them. ``problems``: sentences by position.
    """

    images: dict[str, NDArray[np.float64]]
    centre: NDArray[np.float64]
    mean: NDArray[np.float64]
    maximum: NDArray[np.float32]
    count: int
    problems: dict[int, str]


@dataclass
class _Sums:
    """What is being gathered."""

    names: tuple[str, ...]
    scan_shape: tuple[int, int]
    shape: tuple[int, int]
    values: NDArray[np.float64] = field(init=False)
    total: NDArray[np.float64] = field(init=False)
    maximum: NDArray[np.float32] = field(init=False)
    count: int = 0
    problems: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, columns = self.scan_shape
        self.values = np.full((rows * columns, 2 + len(self.names)), np.nan)
        self.total = np.zeros(self.shape)
        self.maximum = np.zeros(self.shape, np.float32)

    def snapshot(self) -> VirtualImages:
        """What is known now, in arrays of its own."""
        maps = self.values.reshape(*self.scan_shape, -1)
        images = {name: maps[..., 2 + k].copy() for k, name in enumerate(self.names)}
        mean = self.total / max(self.count, 1)
        return VirtualImages(
            images, maps[..., :2].copy(), mean, self.maximum.copy(), self.count, dict(self.problems)
        )


def run_virtual(
    location: str,
    parameters: Parameters,
    detectors: Detectors,
    context: Context,
    on_partial: Callable[[VirtualImages], object] = lambda _: None,
    *,
    frame_axis: int | None = None,
    region: Rectangle | None = None,
    workers: int = 2,
    gate: Gate | None = None,
) -> VirtualImages:
    """Read a scan once for all ``detectors``; partial results also go as payload to ``context.progress``.

    Raises SourceError where the source is no scan or a detector has another shape than the prepared
    patterns, Cancelled within 0.2 s.
    """
    with patterns_of(location, parameters, context, frame_axis) as patterns:
        return virtual_images(patterns, detectors, context, on_partial, region, workers, gate)


def virtual_images(
    patterns: Patterns,
    detectors: Detectors,
    context: Context,
    on_partial: Callable[[VirtualImages], object] = lambda _: None,
    region: Rectangle | None = None,
    workers: int = 2,
    gate: Gate | None = None,
) -> VirtualImages:
    """The same of patterns that are open."""
    scan = patterns.scan
    for name, detector in detectors.items():
        if detector.shape != scan.shape:
            raise ValueError(f"The detector {name} is {detector.shape}, the patterns are {scan.shape}.")
    where = scan.at(region)
    sums = _Sums(("sum", "max", *detectors), scan.scan_shape, scan.shape)
    reported = time.monotonic()
    done = 0
    for positions, found, problems in over_scan(
        patterns, where, lambda: _counter(patterns, detectors), context, workers=workers, size=SIZE, gate=gate
    ):
        done += len(positions) + len(problems)
        sums.problems |= problems
        if found is not None:
            values, added, maximum = found
            sums.values[positions] = values
            sums.total += added
            np.maximum(sums.maximum, maximum, out=sums.maximum)
            sums.count += len(positions)
        if time.monotonic() - reported > REPORT_S:
            partial = sums.snapshot()
            on_partial(partial)
            context.progress(done, len(where), "virtual images", partial)
            reported = time.monotonic()
    return sums.snapshot()


Counted = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]


def _counter(patterns: Patterns, detectors: Detectors) -> Callable[[Block], Counted]:
    from braggscope.models.disks.virtual import centre_of_mass, largest, total, virtual_image

    mask = patterns.mask

    def count(block: Block) -> Counted:
        values = block.patterns
        columns = [total(values, mask), largest(values, mask)]
        columns += [virtual_image(values, detector, mask) for detector in detectors.values()]
        images = np.column_stack([centre_of_mass(values, mask), *columns])
        finite = np.nan_to_num(values, copy=False)
        return images, finite.sum(axis=0, dtype=np.float64), finite.max(axis=0)

    return count
