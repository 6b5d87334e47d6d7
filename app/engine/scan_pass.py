"""One pass over the patterns of a scan: read by one thread, worked on in blocks by several."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.batch import Gate
from braggscope.app.engine.jobs import Cancelled, Context
from braggscope.app.engine.scan import Patterns
from braggscope.app.errors import sentence

R = TypeVar("R")
WAITING = 4  # blocks of raw patterns in the queue
PATIENCE_S = 0.05  # for the threads of a cancelled run; one that still computes ends with its block


@dataclass(frozen=True, slots=True)
class Block:
    """Prepared patterns: ``positions`` (B,) in the scan, ``patterns`` (B, h, w) float32, NaN where bad."""

    positions: NDArray[np.int64]
    patterns: NDArray[np.float32]


class Done(NamedTuple, Generic[R]):
    """What became of a block: its result at ``positions`` (B,); sentences by position without one."""

    positions: NDArray[np.int64]
    result: R | None
    problems: dict[int, str]


@dataclass
class _Pipe(Generic[R]):
    """The queues and flags between the threads of one pass over the scan."""

    raw: "queue.Queue[tuple[NDArray[np.int64], list[NDArray | str]] | None]"
    done: "queue.Queue[Done[R] | Exception]"
    stop: threading.Event = field(default_factory=threading.Event)


def over_scan(
    patterns: Patterns,
    positions: Sequence[int] | NDArray[np.int64],
    make: Callable[[], Callable[[Block], R]],
    context: Context,
    *,
    workers: int = 2,
    size: int = 32,
    gate: Gate | None = None,
) -> Iterator[Done[R]]:
    """What a function made of the patterns at rising ``positions``, block by block, in any order.

    ``make`` is called once in every thread and gives the function of that thread. Blocks hold up to ``size``
    patterns that follow each other; where one cannot be read or worked on, ``problems`` says why, by
    position, and the others come alone. Raises Cancelled within 0.2 s of a cancellation.
    """
    where = np.asarray(positions, np.int64)
    pipe: _Pipe[R] = _Pipe(queue.Queue(WAITING), queue.Queue(4 * WAITING))
    threads = [threading.Thread(target=_read, args=(patterns, where, size, workers, pipe), daemon=True)]
    threads += [
        threading.Thread(target=_work, args=(patterns, make, pipe, gate), daemon=True) for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    waiting = len(where)
    try:
        while waiting:
            try:
                found = pipe.done.get(timeout=0.05)
            except queue.Empty:
                context.check()
                continue
            if isinstance(found, Exception):
                raise found
            waiting -= len(found.positions) + len(found.problems)
            context.check()
            yield found
    finally:
        pipe.stop.set()
        end = time.monotonic() + PATIENCE_S
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def patiently(context: Context, work: Callable[[], R]) -> R:
    """What ``work`` gives, or Cancelled within 0.1 s of a cancellation, whatever it is in the middle of."""
    given: queue.Queue[tuple[R | None, BaseException | None]] = queue.Queue()

    def run() -> None:
        try:
            given.put((work(), None))
        except BaseException as error:
            given.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    while True:
        try:
            result, error = given.get(timeout=0.05)
        except queue.Empty:
            context.check()
            continue
        if error is not None:
            raise error
        return cast(R, result)


def blocks_of(positions: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Rising positions cut where they do not follow each other, and before each multiple of ``size``.

    So a run that is resumed cuts as the first one did.
    """
    cuts = (np.diff(positions) != 1) | (positions[1:] % size == 0)
    return np.split(positions, np.flatnonzero(cuts) + 1) if len(positions) else []


def _read(patterns: Patterns, positions: NDArray[np.int64], size: int, workers: int, pipe: _Pipe) -> None:
    try:
        for block in blocks_of(positions, min(size, patterns.most)):
            values = patterns.raw(int(block[0]), len(block), pipe.stop)
            if not _put(pipe, pipe.raw, (block, list(values))):
                return
    except Cancelled:
        return
    except Exception as error:
        _put(pipe, pipe.done, error)
    for _ in range(workers):
        _put(pipe, pipe.raw, None)


def _put(pipe: _Pipe, place: queue.Queue, item: object) -> bool:
    while not pipe.stop.is_set():
        try:
            place.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False


def _work(
    patterns: Patterns, make: Callable[[], Callable[[Block], R]], pipe: _Pipe, gate: Gate | None
) -> None:
    try:
        function = make()
        while not pipe.stop.is_set():
            try:
                item = pipe.raw.get(timeout=0.1)
            except queue.Empty:
                continue
            if item is None:
                return
            if gate is not None:
                gate.wait()
            for found in _of_block(patterns, function, *item):
                _put(pipe, pipe.done, found)
    except Exception as error:  # what concerns no single pattern ends the run
        _put(pipe, pipe.done, error)


def _of_block(
    patterns: Patterns, function: Callable[[Block], R], positions: NDArray[np.int64], raw: list[NDArray | str]
) -> Iterator[Done[R]]:
    problems = {int(p): r for p, r in zip(positions, raw, strict=True) if isinstance(r, str)}
    good = [r for r in raw if not isinstance(r, str)]
    where = np.array([p for p in positions if int(p) not in problems], np.int64)
    values = np.empty((len(good), *patterns.scan.shape), np.float32)
    for k, pattern in enumerate(good):
        patterns.prepare(pattern, values[k])
    if problems:
        yield Done(np.empty(0, np.int64), None, problems)
    if not len(where):
        return
    block = Block(where, values)
    try:
        yield Done(where, function(block), {})
        return
    except Exception as error:
        if len(where) == 1:
            problem = f"Pattern {where[0]}: {sentence(error)}"
            yield Done(np.empty(0, np.int64), None, {int(where[0]): problem})
            return
    for k in range(len(where)):
        yield from _of_block(patterns, function, where[k : k + 1], [good[k]])
