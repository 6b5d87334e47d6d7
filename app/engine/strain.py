"""Strain of a scan: probe, disks of every pattern on several threads, lattices, maps that fill in live."""

import struct
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import COMMIT_S, Gate
from braggscope.app.engine.disk_tools import (
    Tools,
    find_probe,
    make_tools,
    saturation_notes,
    worded,
)
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.journal import Journal, JournalError
from braggscope.app.engine.scan import Patterns, patterns_of
from braggscope.app.engine.scan_pass import Block, Done, over_scan, patiently
from braggscope.app.engine.strain_doubts import lattice_doubts, probe_doubts, residual_doubts
from braggscope.app.engine.strain_maps import LiveMaps, Maps, empty_map, images_of, placed, whole_maps
from braggscope.app.engine.strain_records import Found
from braggscope.app.engine.strain_result import StrainError, StrainResult, Timing
from braggscope.app.sources.protocol import SourceError
from braggscope.models.disks.parameters import Rectangle
from braggscope.models.disks.propose import ADVICE
from braggscope.models.disks.results import Disks
from braggscope.models.disks.virtual import annulus, virtual_image
from braggscope.models.parameters import Parameters

REPORT_S = 0.5  # between two reports, and between two partial maps, or
PATIENCE = 4.0  # times what the last maps took,
LONGEST_S = 4.0  # but no longer
Partial = Callable[[StrainResult], object]


def run_strain(
    location: str,
    parameters: Parameters,
    journal: Journal | None,
    context: Context,
    on_partial: Partial = lambda _: None,
    *,
    frame_axis: int | None = None,
    region: Rectangle | None = None,
    device: str = "cpu",
    workers: int = 2,
    gate: Gate | None = None,
    identity: str | None = None,
) -> StrainResult:
    """Measure the strain of a scan; positions in the journal are not measured again, and new ones go there.

    Maps that fill in go to ``on_partial`` and as payload to ``context.progress``. ``region``: scan positions
    to which the run is restricted. ``identity``: what the source was when its journal was chosen; another
    content is refused, its patterns are not to mix. Raises SourceError, StrainError (no probe, no lattice),
    WeightsError, JournalError; Cancelled within 0.2 s of a cancellation, what was found being in the journal.
    """
    with patterns_of(location, parameters, context, frame_axis) as patterns:
        if identity not in (None, patterns.scan.info.identity):
            raise SourceError(f"{location} has changed; open it again.")
        run = _Run(patterns, parameters, journal, context, on_partial)
        run.prepare(device)
        run.find(patterns.scan.at(region), workers, gate)
        return run.result()


class _Run:
    """One run over a scan."""

    def __init__(
        self, patterns: Patterns, parameters: Parameters, journal: Journal | None, context: Context,
        on_partial: Partial,
    ) -> None:  # fmt: skip
        scan = patterns.scan
        self._patterns, self._scan, self._parameters = patterns, scan, parameters
        self._journal, self._context, self._on_partial = journal, context, on_partial
        self._live = LiveMaps(scan.scan_shape, scan.shape, parameters.strain)
        self._parts: list[Found] = []
        self._unsaved: list[tuple[int, bytes | None, str]] = []
        self._problems: dict[int, str] = {}
        self._timing = Timing()
        self._saved = self._next_maps = time.monotonic()

    def prepare(self, device: str) -> None:
        """Probe and tools."""
        start = time.monotonic()
        self._context.progress(0, self._scan.positions, "probe")
        patterns, parameters, context = self._patterns, self._parameters, self._context
        self._probe = patiently(context, lambda: find_probe(patterns, parameters, context))
        self._doubts = probe_doubts(patterns, self._probe, parameters.strain, context)
        try:
            self._tools = patiently(
                context, lambda: make_tools(patterns, self._probe, parameters, context, device)
            )
        except StrainError as error:
            raise self._explained(error) from error
        self._notes = saturation_notes(patterns, self._probe, context)
        self._timing = replace(self._timing, probe=time.monotonic() - start)

    def find(self, positions: NDArray[np.int64], workers: int, gate: Gate | None) -> None:
        """Disks of all positions that are not in the journal."""
        start = time.monotonic()
        self._recall(positions)
        known = np.concatenate([part.positions for part in self._parts] or [np.empty(0, np.int64)])
        todo = np.setdiff1d(positions, known)
        done, total = len(positions) - len(todo), len(positions)
        said = start
        self._next_maps = start + REPORT_S
        try:
            for block in over_scan(
                self._patterns, todo, lambda: finder(self._tools), self._context,
                workers=workers, size=self._tools.block, gate=gate,
            ):  # fmt: skip
                done += len(block.positions) + len(block.problems)
                self._take(block)
                if time.monotonic() > said + REPORT_S or done == total:
                    self._report(done, total)
                    said = time.monotonic()
        finally:
            self._save()
        seconds = time.monotonic() - start
        self._timing = replace(self._timing, disks=seconds, patterns=len(todo) - len(self._problems))

    def result(self) -> StrainResult:
        """The whole, from everything that was found. Raises StrainError."""
        start = time.monotonic()
        found = Found.join(self._parts)
        if not len(found.positions):
            problem = next(iter(self._problems.values()), "there are no patterns")
            raise StrainError(f"No pattern of {self._scan.location} could be measured: {problem}")
        if not len(found.disks):
            raise self._explained(StrainError(f"No disk was found in {self._scan.location}; {ADVICE}."))
        try:
            shapes = self._scan.scan_shape, self._scan.shape
            maps = patiently(self._context, lambda: whole_maps(found, *shapes, self._parameters.strain))
        except ValueError as error:
            raise self._explained(worded(self._scan.location, error)) from error
        doubts = self._doubts + lattice_doubts(self._patterns, self._tools, found, self._context)
        self._timing = replace(self._timing, strain=time.monotonic() - start)
        made = self._made(found.disks, maps, images_of(found, self._scan.scan_shape), True)
        doubts += residual_doubts(made.disks, made.lattices, self._probe.radius)
        if found.lattices is None:
            return replace(made, doubts=doubts)
        fitted = placed(empty_map(self._scan.positions), found.positions, found.lattices)
        return replace(made, fitted=fitted, doubts=doubts)

    def _explained(self, error: StrainError) -> StrainError:
        """Why nothing came of a run, with the doubt about its probe, where there is one."""
        return StrainError(" ".join((str(error), *self._doubts))) if self._doubts else error

    def _recall(self, positions: NDArray[np.int64]) -> None:
        """What the journal holds of these positions."""
        if self._journal is None:
            return
        wanted = set(positions.tolist())
        records = []
        for number, (position, data) in enumerate(self._journal.packed()):
            if number % 256 == 0:
                self._context.check()
            if position in wanted:
                records.append((position, data))
        if records:
            try:
                found = Found.unpacked(records)
            except (ValueError, struct.error) as error:
                raise JournalError(
                    f"The journal {self._journal.folder} cannot be read ({error}); delete that folder to"
                    " start afresh."
                ) from error
            self._parts.append(found)
            self._live.add(found)

    def _take(self, block: Done[Found]) -> None:
        self._problems |= block.problems
        self._unsaved += [(p, None, text) for p, text in block.problems.items()]
        if block.result is not None:
            self._parts.append(block.result)
            self._live.add(block.result)
            if self._journal is not None:
                self._unsaved += [(p, data, "") for p, data in block.result.packed()]
        if time.monotonic() - self._saved > COMMIT_S:
            self._save()

    def _save(self) -> None:
        if self._journal is not None and self._unsaved:
            self._journal.add(self._unsaved)
        self._unsaved = []
        self._saved = time.monotonic()

    def _report(self, done: int, total: int) -> None:
        """Say how far it is; with maps, where the last ones are old enough for what they cost."""
        partial, start = None, time.monotonic()
        if start > self._next_maps or done == total:
            maps = patiently(self._context, self._live.maps)
            if maps is not None:
                partial = self._made(self._parts[-1].disks, maps, self._live.images(), False)
                self._on_partial(partial)
            now = time.monotonic()
            self._next_maps = now + min(max(REPORT_S, PATIENCE * (now - start)), LONGEST_S)
        self._context.progress(done, total, "disks", partial)

    def _made(
        self, disks: Disks, maps: Maps, images: dict[str, NDArray[np.float64]], complete: bool
    ) -> StrainResult:
        return StrainResult(
            self._scan, self._probe, disks, *maps, parameters=self._parameters, images=images,
            problems=dict(self._problems), notes=self._notes, timing=self._timing, complete=complete,
        )  # fmt: skip


def finder(tools: Tools) -> Callable[[Block], Found]:
    """What one thread does with a block of patterns."""
    own = tools.twin()
    x, y = tools.probe.centre
    bright = annulus(tools.shape, (x, y), 0, 1.2 * tools.probe.radius)
    detectors = (bright, 1 - annulus(tools.shape, (x, y), 0, 1.6 * tools.probe.radius))

    def find(block: Block) -> Found:
        disks, lattices = own.find(block.patterns)
        counts = [virtual_image(block.patterns, detector, tools.mask) for detector in detectors]
        disks = disks.take(np.argsort(disks.pattern, kind="stable"))
        placed = replace(disks, pattern=block.positions[disks.pattern])
        return Found(block.positions, placed, np.stack(counts, axis=1), lattices)

    return find
