"""The part of a batch that runs on the workers of a cluster: read, analyse, pack."""

import contextlib
import signal
import threading
import time
from dataclasses import dataclass, field

from braggscope.app.engine.batch import SeriesJob, analyse_one, read_one
from braggscope.app.engine.journal import FORMAT
from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.setup import input_files_key, make_preparer
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.persistence import Workspace
from braggscope.models.prepare import Preparer


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker must know of a batch, and what must be the same there: files, weights, program.

    ``parameters``: JSON. ``identity`` of the source and ``inputs`` (hash of the weights; size and time of
    mask, dark and flat) as the program that started the batch sees them; ``format``: of packed tables.
    """

    location: str
    frame_axis: int | None
    parameters: str
    device: str
    identity: str
    inputs: str
    format: str = FORMAT


@dataclass(slots=True)
class Packed:
    """Frames of one task: (frame, packed table or nothing, what is wrong), and seconds for all of them."""

    rows: list[tuple[int, bytes, str]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class _Session:
    """What one thread of a worker keeps open between two tasks of a batch."""

    task: Task
    reader: Reader
    info: SourceInfo
    job: SeriesJob
    preparer: Preparer
    networks: Networks
    workspace: Workspace = field(default_factory=Workspace)


_sessions: dict[int, _Session] = {}
_lock = threading.Lock()


def analyse_chunk(task: Task, frames: list[int]) -> Packed:
    """Analyse some frames. Raises SourceError where this worker does not see the same files and weights."""
    session = _session(task)
    start = time.perf_counter()
    packed = Packed()
    for index in frames:
        raw = read_one(session.reader, session.info, session.job, index, lend=True)
        outcome = analyse_one(
            session.preparer, session.job, session.networks, session.workspace, _never, index, raw
        )
        packed.rows.append((index, outcome.packed, outcome.problem))
    packed.seconds = time.perf_counter() - start
    return packed


def forget(task: Task) -> None:
    """Close what this worker keeps open of a batch."""
    with _lock:
        ended = [number for number, session in _sessions.items() if session.task == task]
        for number in ended:
            _sessions.pop(number).reader.close()


def dask_setup(_: object) -> None:
    """Called by dask in workers that load this module first: Ctrl-C is the affair of who started them."""
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _never() -> None:
    """Nothing interrupts a frame; a worker that is not wanted any more is ended."""


def _session(task: Task) -> _Session:
    number = threading.get_ident()
    with _lock:
        session = _sessions.get(number)
        if session is not None and session.task == task:
            return session
        if session is not None:
            _sessions.pop(number).reader.close()
    reader = Reader()
    try:
        session = _opened(task, reader)
    except BaseException:
        reader.close()
        raise
    with _lock:
        _sessions[number] = session
    return session


def _opened(task: Task, reader: Reader) -> _Session:
    parameters = Parameters.model_validate_json(task.parameters)
    job = SeriesJob(task.location, (), parameters, task.frame_axis, task.device)
    if task.format != FORMAT:
        raise SourceError("A worker runs another version of Braggscope; install one on all machines.")
    info = reader.open(task.location, task.frame_axis)
    if info.identity != task.identity:
        raise SourceError(f"A worker sees another {task.location}; give it the same files at the same place.")
    if input_files_key(parameters) != task.inputs:
        raise SourceError("A worker sees other weights, masks, darks or flats; give it the same files.")
    networks = open_networks(parameters.localize, task.device)
    return _Session(task, reader, info, job, make_preparer(parameters.prepare, info, reader), networks)
