"""Long jobs: submitted to a lane, shown with progress and time left, cancellable."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QTimer

from braggscope.app.engine.jobs import Context, Lane, Progress, Ticket
from braggscope.app.errors import sentence
from braggscope.app.presenters.desk import Desk
from braggscope.widgets.jobs_panel import ENDED, Job, JobsPanel, State

T = TypeVar("T")
KEPT = 8  # finished jobs that stay in the list
QUICK_MS = 300  # a job that may take a moment only is listed after this time


@dataclass
class _Entry:
    job: Job
    ticket: Ticket
    listed: bool = True
    give_up: Callable[[], None] | None = None  # ends the row at once, whatever its worker is at


class JobBoard:
    """Keeps the jobs panel true."""

    def __init__(self, desk: Desk, panel: JobsPanel) -> None:
        self._desk = desk
        self._panel = panel
        self._entries: dict[str, _Entry] = {}
        self._numbers = itertools.count(1)
        panel.cancel_requested.connect(self.cancel)
        panel.clear_requested.connect(self._clear)

    def submit(
        self,
        lane: Lane,
        title: str,
        run: Callable[[Context], T],
        on_done: Callable[[T], str],
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_end: Callable[[], None] = lambda: None,
        on_stopped: Callable[[], None] = lambda: None,
        on_error: Callable[[Exception], None] | None = None,
        replaces: str | None = None,
        about: str | Path = "",
    ) -> str:
        """Run a job; ``on_done`` returns the sentence that its row ends with. Returns the job's key.

        ``on_end`` follows in every case, ``on_stopped`` after an error or a cancel. ``about``: the file of
        jobs whose title has its name only; what is said of a failure holds until the same work is done.
        ``on_error`` tells of a failure itself, and stands for ``on_stopped`` then. ``replaces``: key of the
        older job of a lane that keeps the newest only, or empty; such a job is listed after QUICK_MS, or at
        once where the older one is, and a cancel ends it at once: nobody waits for what its worker does.
        """
        key, work = f"job{next(self._numbers)}", f"{title} {about}"

        def progressed(progress: Progress) -> None:
            self._change(
                key, state="running", done=progress.done, total=progress.total,
                remaining_s=progress.remaining, note=progress.note,
            )  # fmt: skip
            if on_progress is not None:
                on_progress(progress)

        def done(result: T) -> None:
            on_end()
            self._desk.settle(work)
            self._change(key, state="done", note=on_done(result), remaining_s=None)

        def stopped(state: State, note: str) -> None:
            on_end()
            on_stopped()
            self._change(key, state=state, note=note, remaining_s=None)

        def failed(error: Exception) -> None:
            if on_error is None:
                stopped("failed", sentence(error))
                self._desk.fail(error, work)
            else:
                on_end()
                on_error(error)
                self._change(key, state="failed", note=sentence(error), remaining_s=None)

        cancelled = _once(partial(stopped, "cancelled", "cancelled"))
        ticket = lane.submit(
            run, done, on_error=failed, on_progress=progressed, on_cancelled=cancelled,
            on_begun=partial(self._change, key, state="running"),
        )  # fmt: skip
        job = Job(key=key, title=title, state="waiting")
        self._add(job, ticket, replaces, None if replaces is None else cancelled)
        return key

    def _add(
        self, job: Job, ticket: Ticket, replaces: str | None, give_up: Callable[[], None] | None
    ) -> None:
        older = self._entries.pop(replaces) if replaces and replaces in self.running else None
        listed = replaces is None or (older is not None and older.listed)
        self._entries[job.key] = _Entry(job, ticket, listed, give_up)
        if not listed:
            timer = QTimer(self._panel)  # goes with the window
            timer.setSingleShot(True)
            timer.timeout.connect(partial(self._list, job.key))
            timer.timeout.connect(timer.deleteLater)
            timer.start(QUICK_MS)
        self._trim()
        self._show()

    def _list(self, key: str) -> None:
        """A job that might have been quick is not."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.listed = True
            self._show()

    def cancel(self, key: str) -> None:
        """Ask a job to stop; one that waits ends at once."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.ticket.cancel()
            if entry.give_up is not None and key in self.running:
                entry.give_up()

    @property
    def running(self) -> list[str]:
        """Keys of the jobs that run or wait."""
        return [k for k, e in self._entries.items() if e.job.state in ("waiting", "running")]

    def _change(self, key: str, **changes: object) -> None:
        entry = self._entries.get(key)
        if entry is None or entry.job.state in ENDED:
            return
        entry.job = replace(entry.job, **changes)  # type: ignore[arg-type]
        if entry.job.state == "failed":
            entry.listed = True
        elif entry.job.state in ENDED and not entry.listed:
            del self._entries[key]
        self._show()

    def _trim(self) -> None:
        running = set(self.running)
        over = [k for k in self._entries if k not in running][:-KEPT]
        for key in over:
            del self._entries[key]

    def _clear(self) -> None:
        running = set(self.running)
        self._entries = {k: e for k, e in self._entries.items() if k in running}
        self._show()

    def _show(self) -> None:
        self._panel.set_jobs([entry.job for entry in self._entries.values() if entry.listed])
        self._desk.busy_changed.emit()


def _once(call: Callable[[], None]) -> Callable[[], None]:
    """The same, but called twice it does nothing more."""
    called: list[bool] = []

    def first() -> None:
        if not called:
            called.append(True)
            call()

    return first
