"""Whole-series runs of the window: what they found so far, kept in a journal and in bounded memory."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from braggscope.app.engine.agreement import AgreementSample
from braggscope.app.engine.batch import Outcome
from braggscope.app.engine.jobs import Context
from braggscope.app.engine.journal import FORMAT, Journal, JournalError, remove
from braggscope.app.engine.setup import input_files_key
from braggscope.app.engine.summary import Curves, summarise
from braggscope.app.folders import state_folder
from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.wording import count_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

JOURNALS = 24  # runs kept on disk


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run is the same run when the source, all parameters and the files that they name are.

    ``inputs``: what :func:`braggscope.app.engine.setup.input_files_key` says of mask, dark, flat and weights.
    """

    identity: str
    fingerprint: str
    inputs: str

    @classmethod
    def of(cls, info: SourceInfo, parameters: Parameters) -> "RunKey":
        """Key of a source under given parameters. Reads from disk; never in the GUI thread."""
        return cls(info.identity, parameters.fingerprint("all"), input_files_key(parameters))

    @property
    def folder(self) -> Path:
        """Where the journal of this run is kept."""
        parts = json.dumps([self.identity, self.fingerprint, self.inputs, FORMAT])
        return state_folder() / "runs" / hashlib.sha256(parts.encode()).hexdigest()[:20]

    def journal_key(self) -> dict[str, str]:
        """What the journal's manifest says."""
        return {"source": self.identity, "parameters": f"{self.fingerprint} {self.inputs}"}

    def tables(self) -> Iterator[tuple[int, PeakTable]]:
        """Frames of the run and their tables by rising frame, one at a time. Raises JournalError."""
        with contextlib.closing(Journal.existing(self.folder, self.journal_key())) as journal:
            yield from journal.tables()


@dataclass
class RunRecord:
    """What one run has found so far, without the tables: those are in its journal."""

    key: RunKey
    curves: Curves
    sample: AgreementSample = field(default_factory=AgreementSample)
    problems: dict[int, str] = field(default_factory=dict)
    peaks: int = 0
    seconds: int = 0  # spots beside them that were not detected, but fitted with them

    def add(self, outcomes: list[Outcome]) -> None:
        """Take in newly analysed frames."""
        for outcome in outcomes:
            if outcome.table is None or outcome.summary is None:
                self.problems[outcome.frame] = outcome.problem
                continue
            self.problems.pop(outcome.frame, None)
            self.curves.add(outcome.summary)
            self.sample.add(outcome.table)
            detected = int(outcome.table.detected.sum())
            self.peaks += detected
            self.seconds += len(outcome.table) - detected

    @property
    def counted(self) -> str:
        """How many peaks, in words."""
        return count_peaks(self.peaks, self.seconds)

    @property
    def done(self) -> int:
        """Frames analysed."""
        return int(self.curves.done.sum())


def recall(key: RunKey, frames: int, context: Context) -> RunRecord | None:
    """The record of an earlier run from its journal, or None where there is none."""
    record = RunRecord(key, Curves(frames))
    try:
        with contextlib.closing(Journal.existing(key.folder, key.journal_key())) as journal:
            for frame, table in journal.tables():
                context.check()
                record.add([Outcome(frame, table, summarise(frame, table))])
            record.problems = journal.problems()
    except JournalError:
        return None
    return record if record.done or record.problems else None


def prune(keep: set[Path]) -> None:
    """Delete the oldest journals beyond the number kept, never those in ``keep``."""
    folder = state_folder() / "runs"
    if not folder.exists():
        return
    journals = sorted(folder.iterdir(), key=os.path.getmtime, reverse=True)
    for path in [p for p in journals[JOURNALS:] if p not in keep]:
        with contextlib.suppress(OSError, JournalError):
            remove(path)
