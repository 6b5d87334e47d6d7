"""Looking into a batch that another process runs or has finished."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
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
from braggscope.models.results import PeakTable, in_prepared_pixels

MOST = 200  # frames taken in at a time


@dataclass(frozen=True, slots=True)
class BatchKey(RunKey):
    """A run whose journal lies where its batch has put it, and whose table ``output`` once it has ended.

    ``parameters``, ``frames``: as in its manifest.
    """

    place: Path
    output: Path
    parameters: str
    frames: str
    binning: int

    @property
    def folder(self) -> Path:
        """The batch's journal."""
        return self.place

    def journal_key(self) -> dict[str, str]:
        """What the journal's manifest says."""
        return {"source": self.identity, "parameters": self.parameters}

    @property
    def ended(self) -> bool:
        """Whether the table is complete; the journal holds no frames any more."""
        manifest = read_manifest(self.place)
        return manifest is not None and bool(manifest.get("finished"))

    def tables(self) -> Iterator[tuple[int, PeakTable]]:
        """See :meth:`RunKey.tables`."""
        return self._final() if self.ended else RunKey.tables(self)

    def _final(self) -> Iterator[tuple[int, PeakTable]]:
        try:
            table = in_prepared_pixels(read_peaks(self.output), self.binning)
        except ExportError as error:
            raise JournalError(str(error)) from error
        wanted = range(*map(int, self.frames.split(":"))) if self.frames else ()
        for frame in np.union1d(table["frame"], np.array(wanted, np.int64)).tolist():
            rows = np.searchsorted(table["frame"], [frame, frame + 1])
            yield frame, table.take(slice(*rows.tolist()))


@dataclass(frozen=True, slots=True)
class Batch:
    """What a journal says of its batch."""

    key: BatchKey
    location: str
    frame_axis: int | None
    parameters: Parameters

    @property
    def output(self) -> Path:
        """Its table, complete or still to come."""
        return self.key.output


def describe_batch(
    location: str, frame_axis: int | None, parameters: Parameters, frames: range
) -> dict[str, str]:
    """What a batch writes into the manifest of its journal, so that :func:`read_batch` finds it."""
    axis = "" if frame_axis is None else str(frame_axis)
    return {
        "location": absolute(location), "frame_axis": axis, "settings": parameters.model_dump_json(),
        "frames": f"{frames.start}:{frames.stop}:{frames.step}",
    }  # fmt: skip


def read_batch(path: Path) -> Batch:
    """The batch of ``OUT.journal`` or of ``OUT``. Raises JournalError."""
    folder = path if path.suffix == ".journal" else path.with_name(path.name + ".journal")
    manifest = read_manifest(folder)
    if manifest is None or "settings" not in manifest:
        raise JournalError(f"There is no journal of a batch at {path}; choose OUT.journal beside its table.")
    if manifest.get("format") != FORMAT:
        raise JournalError(f"The journal {folder} belongs to another version of the program.")
    try:
        parameters = Parameters.model_validate_json(manifest["settings"])
        axis = manifest.get("frame_axis", "")
        key = BatchKey(
            manifest["source"], parameters.fingerprint("all"), "", folder, folder.with_suffix(""),
            manifest["parameters"], manifest.get("frames", ""), parameters.prepare.binning,
        )  # fmt: skip
        return Batch(key, manifest["location"], int(axis) if axis else None, parameters)
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
        self._final: Iterator[tuple[int, PeakTable]] | None = None  # what is left of the complete table

    def poll(self, check: Callable[[], None] = lambda: None) -> list[Outcome]:
        """Frames not given before, at most :data:`MOST`. Raises JournalError."""
        if self._final is None and self.batch.key.ended:
            self._final = self.batch.key.tables()
        rows = self._from_journal() if self._final is None else ((i, t, "") for i, t in self._final)
        found: list[Outcome] = []
        for frame, table, problem in rows:
            check()
            if frame in self._known:
                continue
            self._known.add(frame)
            summary = None if table is None else summarise(frame, table)
            found.append(Outcome(frame, table, summary, problem))
            if len(found) == MOST:
                break
        else:
            self.finished = self._final is not None
        while self._below in self._known:
            self._below += 1
        return found

    def _from_journal(self) -> Iterable[tuple[int, PeakTable | None, str]]:
        path = self.batch.key.place / "frames.sqlite"
        query = "SELECT frame, peaks, problem FROM frames WHERE frame >= ? ORDER BY frame"
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as data:
                for frame, peaks, problem in data.execute(query, (self._below,)):
                    if frame not in self._known:
                        yield int(frame), None if peaks is None else decode(peaks), str(problem)
        except sqlite3.Error as error:
            if not self.batch.key.ended:
                raise JournalError(f"The journal {path.parent} cannot be read ({error}).") from error
