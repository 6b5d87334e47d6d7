"""Looking into a batch that another process runs or has finished."""

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from braggscope.app.engine.batch import Outcome
from braggscope.app.engine.journal import FORMAT, JournalError, decode, read_manifest
from braggscope.app.engine.runs import RunKey, RunRecord
from braggscope.app.engine.summary import Curves, summarise
from braggscope.app.export.tables import ExportError, read_peaks
from braggscope.app.sources.many import absolute
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

MOST = 200  # frames taken in at a time


@dataclass(frozen=True, slots=True)
class BatchKey(RunKey):
    """A run whose journal lies where its batch has put it. ``parameters``: as in its manifest."""

    place: Path
    parameters: str

    @property
    def folder(self) -> Path:
        """The batch's journal."""
        return self.place

    def journal_key(self) -> dict[str, str]:
        """What the journal's manifest says."""
        return {"source": self.identity, "parameters": self.parameters}


@dataclass(frozen=True, slots=True)
class Batch:
    """What a journal says of its batch."""

    key: BatchKey
    location: str
    frame_axis: int | None
    parameters: Parameters
    output: Path


def describe_batch(location: str, frame_axis: int | None, parameters: Parameters) -> dict[str, str]:
    """What a batch writes into the manifest of its journal, so that :func:`read_batch` finds it."""
    axis = "" if frame_axis is None else str(frame_axis)
    return {"location": absolute(location), "frame_axis": axis, "settings": parameters.model_dump_json()}


def read_batch(path: Path) -> Batch:
    """The batch of ``OUT.journal`` or of ``OUT``. Raises JournalError."""
    folder = path if path.suffix == ".journal" else path.with_name(path.name + ".journal")
    manifest = read_manifest(folder)
    if manifest is None or "settings" not in manifest:
        raise JournalError(
            f"There is no journal of a batch at {folder}; choose OUT.journal beside its table."
        )
    if manifest.get("format") != FORMAT:
        raise JournalError(f"The journal {folder} belongs to another version of the program.")
    try:
        parameters = Parameters.model_validate_json(manifest["settings"])
        axis = manifest.get("frame_axis", "")
        key = BatchKey(manifest["source"], parameters.fingerprint("all"), "", folder, manifest["parameters"])
        return Batch(
            key, manifest["location"], int(axis) if axis else None, parameters, folder.with_suffix("")
        )
    except (KeyError, ValueError) as error:
        raise JournalError(f"{folder} does not say how its batch was run; start that again.") from error


def whole_record(watch: "Watch", frames: int, check: Callable[[], None]) -> RunRecord:
    """All that a batch has found so far, of a series of ``frames`` frames. Raises JournalError."""
    record = RunRecord(watch.batch.key, Curves(frames))
    while found := watch.poll(check):
        record.add(found)
    return record


class Watch:
    """Gives what is new in a batch, read-only, a bounded number of frames at a time."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.finished = False  # whether nothing will come any more
        self._known: set[int] = set()
        self._below = 0  # all frames before this one are known
        self._table: PeakTable | None = None

    def poll(self, check: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Frames not given before, at most :data:`MOST`. Raises JournalError."""
        if self._table is None and self._ended():
            self._table = self._final()
        rows = self._from_journal() if self._table is None else self._from_table(self._table)
        found: list[Outcome] = []
        for frame, table, problem in rows:
            check()
            if frame in self._known:
                continue
            if len(found) == MOST:
                return found
            self._known.add(frame)
            summary = None if table is None else summarise(frame, table)
            found.append(Outcome(frame, table, summary, problem))
        while self._below in self._known:
            self._below += 1
        self.finished = self._table is not None
        return found

    def _ended(self) -> bool:
        manifest = read_manifest(self.batch.key.place)
        return manifest is not None and bool(manifest.get("finished"))

    def _final(self) -> PeakTable:
        try:
            return read_peaks(self.batch.output)
        except ExportError as error:
            raise JournalError(str(error)) from error

    def _from_table(self, table: PeakTable) -> Iterable[tuple[int, PeakTable, str]]:
        starts = np.flatnonzero(np.diff(table["frame"], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(table)], strict=True):
            yield int(table["frame"][start]), table.take(slice(int(start), int(stop))), ""

    def _from_journal(self) -> Iterable[tuple[int, PeakTable | None, str]]:
        path = self.batch.key.place / "frames.sqlite"
        query = "SELECT frame, peaks, problem FROM frames WHERE frame >= ? ORDER BY frame"
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as data:
                for frame, peaks, problem in data.execute(query, (self._below,)):
                    if frame not in self._known:
                        yield int(frame), None if peaks is None else decode(peaks), str(problem)
        except sqlite3.Error as error:
            if not self._ended():
                raise JournalError(f"The journal {path.parent} cannot be read ({error}).") from error
