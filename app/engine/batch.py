"""A whole series in the background: read, analyse, record, in parallel and resumable."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.journal import Journal, encode
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.setup import Seen, make_preparer, open_again
from braggscope.app.engine.summary import FrameSummary, summarise
from braggscope.app.errors import sentence
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.models.peaks.persistence import Workspace
    from braggscope.models.prepare import Preparer

REPORT_S = 0.1  # between two progress reports
COMMIT_S = 0.5  # between two journal transactions: at most this much work is done twice
WAITING = 8  # raw frames in the queue
UNRECORDED = 256  # analysed frames that wait for a slow disk
PATIENCE_S = 0.1  # for the threads of a cancelled run; one that still computes ends with its frame


class Gate:
    """Lets interaction go first: the batch waits here while somebody is scrubbing."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    def __enter__(self) -> None:
        self._open.clear()

    def __exit__(self, *_: object) -> None:
        self._open.set()

    def wait(self) -> None:
        """Wait until nobody is in the gate, at most a second (a batch must not starve)."""
        self._open.wait(1.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One frame of a batch: its table, or the sentence that says why there is none.

    ``packed``: the table as a journal holds it; frames from a cluster come only like this.
    """

    frame: int
    table: PeakTable | None
    summary: FrameSummary | None
    problem: str = ""
    packed: bytes = b""


@dataclass(frozen=True, slots=True)
class SeriesJob:
    """What to analyse and how. ``frames``: 0-based; ``instrument``: for the table; ``seen``: to be there."""

    location: str
    frames: Sequence[int]
    parameters: Parameters
    frame_axis: int | None = None
    device: str = "cpu"
    workers: int = 2
    instrument: Instrument | None = None
    seen: Seen | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"A series needs at least one worker, not {self.workers}.")


@dataclass
class _Pipe:
    """The queues and flags between the threads of one run. ``outcomes``: or what ends the run."""

    frames: queue.Queue
    outcomes: queue.Queue[Outcome | Exception] = field(default_factory=lambda: queue.Queue(UNRECORDED))
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Cancelled once the run is over."""
        if self.stop.is_set():
            raise Cancelled


def run_series(
    job: SeriesJob,
    networks: Networks | None,
    context: Context,
    *,
    journal: Journal | None = None,
    on_outcomes: Callable[[list[Outcome]], object] = lambda _: None,
    gate: Gate | None = None,
) -> dict[int, str]:
    """Analyse ``job.frames``, those in the journal excepted. Returns the failed frames and why.

    Outcomes go to the journal, to ``on_outcomes`` and as payload to ``context.progress``. Memory is
    bounded: 8 raw frames wait (or one frame's sum), and each worker has its own. Raises SourceError if the
    source cannot be opened or is not what was seen, Cancelled within 0.2 s of a cancellation.
    """
    todo, recorder = begin(job, context, journal, on_outcomes)
    with Reader() as reader:
        info = open_again(reader, job.location, job.frame_axis, job.seen, context.cancelled)
        preparer = make_preparer(job.parameters.prepare, info, reader, context.cancelled)
        pipe = _Pipe(queue.Queue(max(1, WAITING // job.parameters.prepare.sum_frames)))
        threads = [_thread(pipe, _read_all, reader, info, job, todo)]
        threads += [_thread(pipe, _work, preparer, job, networks, gate) for _ in range(job.workers)]
        try:
            with recorder:
                while recorder.waiting:
                    try:
                        found = pipe.outcomes.get(timeout=0.05)
                    except queue.Empty:
                        context.check()
                        continue
                    if isinstance(found, Exception):
                        raise found
                    recorder.take(found)
        finally:
            pipe.stop.set()
            reader.close()
            end = time.monotonic() + PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
    return recorder.problems


def _thread(pipe: _Pipe, work: Callable[..., None], *arguments: Any) -> threading.Thread:
    """A thread that works on the pipe; what it raises, as it concerns no single frame, ends the run."""

    def run() -> None:
        try:
            work(pipe, *arguments)
        except Exception as error:
            if not isinstance(error, Cancelled):
                _put(pipe, pipe.outcomes, error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _read_all(pipe: _Pipe, reader: Reader, info: SourceInfo, job: SeriesJob, todo: Sequence[int]) -> None:
    for index in todo:
        pipe.check()
        _put(pipe, pipe.frames, (index, read_one(reader, info, job, index, pipe.stop)))
    for _ in range(job.workers):
        _put(pipe, pipe.frames, None)


def _put(pipe: _Pipe, place: queue.Queue, item: object) -> None:
    while not pipe.stop.is_set():
        try:
            place.put(item, timeout=0.1)
        except queue.Full:
            continue
        return


def read_one(
    reader: Reader, info: SourceInfo, job: SeriesJob, index: int, cancelled: threading.Event | None = None,
    lend: bool = False,
) -> list | str:  # fmt: skip
    """The raw frames of frame ``index``, or the sentence that says why they cannot be read.

    ``lend``: a frame that is not summed is good until the next is read, and not copied.
    """
    try:
        if lend and job.parameters.prepare.sum_frames == 1:
            return [reader.read(index, cancelled=cancelled, lend=True)]
        return read_raw(reader, info, index, job.parameters.prepare.sum_frames, cancelled)
    except SourceError as error:
        return str(error)
    except Cancelled:
        raise
    except Exception as error:
        return f"Frame {index} could not be read: {sentence(error)}"


def read_raw(
    reader: Reader, info: SourceInfo, index: int, count: int, cancelled: threading.Event | None = None
) -> list:
    """The raw frames that make up frame ``index``: itself and those summed with it, as far as there are."""
    return [reader.read(i, cancelled=cancelled) for i in range(index, min(index + count, info.frames))]


def _work(
    pipe: _Pipe, preparer: Preparer, job: SeriesJob, networks: Networks | None, gate: Gate | None
) -> None:
    from braggscope.models.peaks.persistence import Workspace

    workspace = Workspace()
    while not pipe.stop.is_set():
        try:
            item = pipe.frames.get(timeout=0.1)
        except queue.Empty:
            continue
        if item is None:
            return
        if gate is not None:
            gate.wait()
        _put(pipe, pipe.outcomes, analyse_one(preparer, job, networks, workspace, pipe.check, *item))


def analyse_one(
    preparer: Preparer,
    job: SeriesJob,
    networks: Networks | None,
    workspace: Workspace,
    check: Callable[[], None],
    index: int,
    raw: list | str,
) -> Outcome:
    """One frame from what :func:`read_one` gave; never raises but Cancelled."""
    if isinstance(raw, str):
        return Outcome(index, None, None, raw)
    from braggscope.app.engine.peaks import analyse

    try:
        prepared = preparer.apply(raw)
        result = analyse(
            prepared, index, job.parameters, networks, device=job.device, workspace=workspace, check=check
        )
        return Outcome(index, result.table, summarise(index, result.table), packed=encode(result.table))
    except Cancelled:
        raise
    except Exception as error:
        return Outcome(index, None, None, f"Frame {index} could not be analysed: {sentence(error)}")


def begin(
    job: SeriesJob, context: Context, journal: Journal | None, on_outcomes: Callable[[list[Outcome]], object]
) -> tuple[list[int], Recorder]:
    """Frames that are not in the journal yet, and who records them."""
    done = journal.done() if journal is not None else set()
    todo = [i for i in job.frames if i not in done]
    return todo, Recorder(len(job.frames), len(todo), context, journal, on_outcomes)


class Recorder:
    """Writes outcomes to the journal and reports them, each not too often; what is left on leaving."""

    def __init__(
        self, total: int, waiting: int, context: Context, journal: Journal | None,
        on_outcomes: Callable[[list[Outcome]], object],
    ) -> None:  # fmt: skip
        self.waiting = waiting  # frames that are still to come
        self.problems: dict[int, str] = {}
        self._total, self._context, self._journal, self._on_outcomes = total, context, journal, on_outcomes
        self._unsaved: list[Outcome] = []
        self._unreported: list[Outcome] = []
        self._saved = self._reported = time.monotonic()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *_: object) -> None:
        self._record()

    def take(self, outcome: Outcome) -> None:
        """One frame more. Raises Cancelled."""
        self.waiting -= 1
        self._unsaved.append(outcome)
        self._unreported.append(outcome)
        if outcome.problem:
            self.problems[outcome.frame] = outcome.problem
        now = time.monotonic()
        if now - self._saved > COMMIT_S:
            self._record()
            self._saved = now
        if now - self._reported > REPORT_S or not self.waiting:
            self._on_outcomes(self._unreported)
            self._context.progress(self._total - self.waiting, self._total, payload=self._unreported)
            self._unreported, self._reported = [], now
        else:
            self._context.check()

    def _record(self) -> None:
        if self._journal is not None and self._unsaved:
            self._journal.add((o.frame, o.packed or None, o.problem) for o in self._unsaved)
        self._unsaved.clear()


def assemble(tables: Iterable[tuple[int, PeakTable]]) -> PeakTable:
    """One table from the tables of many frames, by rising frame."""
    return PeakTable.concatenate(table for _, table in sorted(tables, key=lambda item: item[0]))
