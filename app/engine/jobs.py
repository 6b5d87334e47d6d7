"""Lanes: one worker thread each, with progress, cancellation and delivery on another thread."""

import contextlib
import itertools
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Generic, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")
NICE = 10
Deliver = Callable[[Callable[[], None]], None]


class Cancelled(Exception):
    """Raised inside a job by :meth:`Context.progress` once somebody cancelled it."""


class Order(Enum):
    """What a lane does with requests that wait."""

    LATEST = auto()  # only the newest is kept, and the running one is cancelled
    FIFO = auto()


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` steps after ``seconds``; ``remaining`` is None until it can be estimated."""

    done: int
    total: int
    seconds: float
    note: str = ""
    payload: Any = None

    @property
    def remaining(self) -> float | None:
        """Seconds left at the mean rate so far."""
        if self.done <= 0 or self.total <= 0:
            return None
        return self.seconds * (self.total - self.done) / self.done


def _nothing(_: "Ticket") -> None:
    pass


@dataclass(eq=False)
class Ticket:
    """Handle of one submitted job. A cancelled ticket delivers nothing but ``on_cancelled``."""

    number: int
    cancelled: threading.Event = field(default_factory=threading.Event)
    withdraw: Callable[["Ticket"], None] = _nothing  # takes the job out of the queue that it waits in
    _committed: bool = field(default=False, init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, init=False)  # a signal may cancel

    def cancel(self) -> None:
        """Ask the job to stop at its next progress call, or end it where it waits; idempotent.

        Nothing happens once the job has committed itself.
        """
        with self._lock:
            if self._committed:
                return
            self.cancelled.set()
        self.withdraw(self)

    def commit(self) -> None:
        """Raise Cancelled if the job was cancelled; else nobody can cancel it any more."""
        with self._lock:
            if self.cancelled.is_set():
                raise Cancelled
            self._committed = True


class Context:
    """What a running job sees of the outside."""

    def __init__(self, ticket: Ticket, report: Callable[[Progress], None]) -> None:
        self._ticket = ticket
        self._report = report
        self._start = time.monotonic()

    def check(self) -> None:
        """Raise Cancelled if the job was cancelled."""
        if self._ticket.cancelled.is_set():
            raise Cancelled

    def commit(self) -> None:
        """Raise Cancelled if the job was cancelled; else it will be done, and cancelling comes too late.

        For the moment before something is replaced: what was cancelled then never replaces it.
        """
        self.check()
        self._ticket.commit()

    @property
    def cancelled(self) -> threading.Event:
        """Event that is set on cancellation, for code that waits."""
        return self._ticket.cancelled

    def progress(self, done: int, total: int, note: str = "", payload: Any = None) -> None:
        """Report and, in the same call, raise Cancelled if the job was cancelled."""
        self.check()
        self._report(Progress(done, total, time.monotonic() - self._start, note, payload))


def give_way() -> None:
    """Let other threads have the processor first, where the system lets one thread say so (Linux)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def silent_context() -> Context:
    """A context for running a job inline, without lane or report."""
    return Context(Ticket(0), lambda _: None)


UNWATCHED = silent_context()  # of writers that nobody follows: never cancelled


@dataclass
class _Request(Generic[T]):
    ticket: Ticket
    run: Callable[[Context], T]
    on_done: Callable[[T], None]
    on_error: Callable[[Exception], None] | None
    on_progress: Callable[[Progress], None] | None
    on_cancelled: Callable[[], None] | None
    on_begun: Callable[[], None] | None


class Lane:
    """One worker thread. Callbacks run wherever ``deliver`` runs them, and never for a stale ticket."""

    def __init__(self, name: str, deliver: Deliver, order: Order = Order.FIFO) -> None:
        self.name = name
        self._deliver = deliver
        self._order = order
        self._waiting: deque[_Request] = deque()
        self._running: _Request | None = None
        self._newest: Ticket | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._numbers = itertools.count(1)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(
        self,
        run: Callable[[Context], T],
        on_done: Callable[[T], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        on_cancelled: Callable[[], None] | None = None,
        on_begun: Callable[[], None] | None = None,
    ) -> Ticket:
        """Queue ``run(context)``. One of on_done, on_error, on_cancelled follows, on the deliver side.

        ``on_begun`` comes before them, once the job runs. One that is cancelled while it waits leaves the
        queue at once. A closed lane takes nothing in: the ticket comes back cancelled, and nothing follows.
        """
        ticket = Ticket(next(self._numbers), withdraw=self._withdraw)
        request = _Request(ticket, run, on_done, on_error, on_progress, on_cancelled, on_begun)
        with self._changed:
            if self._closed:
                request.ticket.cancel()
                return request.ticket
            dropped = self._drop() if self._order is Order.LATEST else []
            self._newest = request.ticket
            self._waiting.append(request)
            self._changed.notify()
        for old in dropped:  # outside the lock: a callback may submit again
            self._finish_cancelled(old)
        return request.ticket

    def _drop(self) -> list[_Request]:
        """Cancel all, also what is done and waits to be delivered; returns what was not begun."""
        dropped = list(self._waiting)
        self._waiting.clear()
        for request in dropped:
            request.ticket.cancel()
        if self._newest is not None:
            self._newest.cancel()
        return dropped

    def _withdraw(self, ticket: Ticket) -> None:
        """Take the request of a cancelled ticket out of the queue, if it still waits there."""
        with self._changed:
            request = next((request for request in self._waiting if request.ticket is ticket), None)
            if request is None:
                return
            self._waiting.remove(request)
        self._finish_cancelled(request)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        with self._changed:
            return self._running is not None or bool(self._waiting)

    @property
    def alive(self) -> bool:
        """Whether the worker has not ended."""
        return self._thread.is_alive()

    def cancel_all(self) -> None:
        """Cancel what runs and what waits."""
        with self._changed:
            dropped = list(self._waiting)
            self._waiting.clear()
            for request in (*dropped, *filter(None, [self._running])):
                request.ticket.cancel()
        for request in dropped:
            self._finish_cancelled(request)

    def close(self, timeout: float = 2.0) -> bool:
        """Cancel everything and join the worker. Returns whether it ended in time."""
        self.cancel_all()
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._running = None
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                request = self._waiting.popleft()
                self._running = request
            self._run(request)

    def _run(self, request: _Request) -> None:
        ticket = request.ticket
        if ticket.cancelled.is_set():
            self._finish_cancelled(request)
            return
        if request.on_begun is not None:
            self._deliver(request.on_begun)
        try:
            result = request.run(Context(ticket, lambda p: self._report(request, p)))
        except Cancelled:
            self._finish_cancelled(request)
        except Exception as error:
            self._fail(request, error)
        else:
            self._deliver(lambda: self._finish(request, result))

    def _report(self, request: _Request, progress: Progress) -> None:
        callback = request.on_progress
        if callback is not None:
            self._deliver(lambda: None if request.ticket.cancelled.is_set() else callback(progress))

    def _finish(self, request: _Request, result: Any) -> None:
        if request.ticket.cancelled.is_set():
            if request.on_cancelled is not None:
                request.on_cancelled()
        else:
            request.on_done(result)

    def _finish_cancelled(self, request: _Request) -> None:
        if request.on_cancelled is not None:
            self._deliver(request.on_cancelled)

    def _fail(self, request: _Request, error: Exception) -> None:
        callback = request.on_error
        if callback is None:
            log.error("job failed in lane %s", self.name, exc_info=error)
            return
        log.info("job failed in lane %s: %s", self.name, error)
        self._deliver(lambda: self._finish_failed(request, callback, error))

    def _finish_failed(
        self, request: _Request, callback: Callable[[Exception], None], error: Exception
    ) -> None:
        if request.ticket.cancelled.is_set():
            if request.on_cancelled is not None:
                request.on_cancelled()
        else:
            callback(error)
