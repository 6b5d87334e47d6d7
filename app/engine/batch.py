"""A whole series in the background: read, analyse, record, in parallel and resumable."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.peaks import PatchLocalizer, analyse
from braggscope.app.engine.setup import make_preparer
from braggscope.app.engine.summary import FrameSummary, summarise
from braggscope.app.errors import sentence
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.persistence import Workspace
from braggscope.models.prepare import Preparer
from braggscope.models.results import PeakTable

REPORT_S = 0.1  # between two progress reports
COMMIT_S = 0.5  # between two journal transactions: at most this much work is done twice
WAITING = 8  # raw frames in the queue
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
    """One frame of a batch: its table, or the sentence that says why there is none."""

    frame: int
    table: PeakTable | None
    summary: FrameSummary | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SeriesJob:
    """What to analyse and how. ``frames``: 0-based indices in the source."""

    location: str
    frames: Sequence[int]
    parameters: Parameters
    frame_axis: int | None = None
    device: str = "cpu"
    workers: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"A series needs at least one worker, not {self.workers}.")


@dataclass
class _Pipe:
    """The queues and flags between the threads of one run."""

    frames: queue.Queue
    outcomes: queue.Queue = field(default_factory=queue.Queue)
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Cancelled once the run is over."""
        if self.stop.is_set():
            raise Cancelled


def run_series(
    job: SeriesJob,
    localizer: PatchLocalizer | None,
    context: Context,
    *,
    journal: Journal | None = None,
    on_outcomes: Callable[[list[Outcome]], object] = lambda _: None,
    gate: Gate | None = None,
) -> dict[int, str]:
    """Analyse ``job.frames``, those in the journal excepted. Returns the failed frames and why.

    Outcomes go to the journal, to ``on_outcomes`` and as payload to ``context.progress``. Memory is
    bounded: 8 raw frames wait (or one frame's sum), and each worker has its own. Raises SourceError if the
    source cannot be opened, Cancelled within 0.2 s of a cancellation.
    """
    done = journal.done() if journal is not None else set()
    todo = [i for i in job.frames if i not in done]
    problems: dict[int, str] = {}
    with Reader() as reader:
        info = reader.open(job.location, job.frame_axis, cancelled=context.cancelled)
        preparer = make_preparer(job.parameters.prepare, info, reader)
        pipe = _Pipe(queue.Queue(max(1, WAITING // job.parameters.prepare.sum_frames)))
        threads = [threading.Thread(target=_read_all, args=(reader, info, job, todo, pipe), daemon=True)]
        threads += [
            threading.Thread(target=_work, args=(preparer, job, localizer, pipe, gate), daemon=True)
            for _ in range(job.workers)
        ]
        for thread in threads:
            thread.start()
        try:
            _collect(pipe, todo, len(job.frames) - len(todo), context, journal, on_outcomes, problems)
        finally:
            pipe.stop.set()
            reader.close()
            end = time.monotonic() + PATIENCE_S
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))
    return problems


def _read_all(reader: Reader, info: SourceInfo, job: SeriesJob, todo: Sequence[int], pipe: _Pipe) -> None:
    for index in todo:
        if pipe.stop.is_set():
            return
        item: object
        try:
            item = read_raw(reader, info, index, job.parameters.prepare.sum_frames, pipe.stop)
        except SourceError as error:
            item = str(error)
        except Cancelled:
            return
        except Exception as error:
            item = f"Frame {index} could not be read: {sentence(error)}"
        _put(pipe, (index, item))
    for _ in range(job.workers):
        _put(pipe, None)


def _put(pipe: _Pipe, item: object) -> None:
    while not pipe.stop.is_set():
        try:
            pipe.frames.put(item, timeout=0.1)
        except queue.Full:
            continue
        return


def read_raw(
    reader: Reader, info: SourceInfo, index: int, count: int, cancelled: threading.Event | None = None
) -> list:
    """The raw frames that make up frame ``index``: itself and those summed with it, as far as there are."""
    return [reader.read(i, cancelled=cancelled) for i in range(index, min(index + count, info.frames))]


def _work(
    preparer: Preparer, job: SeriesJob, localizer: PatchLocalizer | None, pipe: _Pipe, gate: Gate | None
) -> None:
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
        index, raw = item
        try:
            outcome = _analyse_one(preparer, job, localizer, workspace, pipe.check, index, raw)
        except Cancelled:
            return
        pipe.outcomes.put(outcome)


def _analyse_one(
    preparer: Preparer,
    job: SeriesJob,
    localizer: PatchLocalizer | None,
    workspace: Workspace,
    check: Callable[[], None],
    index: int,
    raw: list | str,
) -> Outcome:
    if isinstance(raw, str):
        return Outcome(index, None, None, raw)
    try:
        prepared = preparer.apply(raw)
        result = analyse(
            prepared, index, job.parameters, localizer, device=job.device, workspace=workspace, check=check
        )
    except Cancelled:
        raise
    except Exception as error:
        return Outcome(index, None, None, f"Frame {index} could not be analysed: {sentence(error)}")
    return Outcome(index, result.table, summarise(index, result.table))


def _collect(
    pipe: _Pipe,
    todo: Sequence[int],
    already: int,
    context: Context,
    journal: Journal | None,
    on_outcomes: Callable[[list[Outcome]], object],
    problems: dict[int, str],
) -> None:
    total, done = already + len(todo), already
    unsaved: list[Outcome] = []
    unreported: list[Outcome] = []
    saved = reported = time.monotonic()
    try:
        while done < total:
            try:
                outcome = pipe.outcomes.get(timeout=0.05)
            except queue.Empty:
                context.check()
                continue
            done += 1
            unsaved.append(outcome)
            unreported.append(outcome)
            if outcome.table is None:
                problems[outcome.frame] = outcome.problem
            now = time.monotonic()
            if now - saved > COMMIT_S:
                _record(journal, unsaved)
                saved = now
            if now - reported > REPORT_S or done == total:
                on_outcomes(unreported)
                context.progress(done, total, payload=unreported)
                unreported, reported = [], now
            else:
                context.check()
    finally:
        _record(journal, unsaved)


def _record(journal: Journal | None, outcomes: list[Outcome]) -> None:
    if journal is not None and outcomes:
        journal.add((o.frame, o.table, o.problem) for o in outcomes)
    outcomes.clear()


def assemble(tables: Iterable[tuple[int, PeakTable]]) -> PeakTable:
    """One table from the tables of many frames, by rising frame."""
    return PeakTable.concatenate(table for _, table in sorted(tables, key=lambda item: item[0]))
