"""Progress of a part of a job."""

import threading

from braggscope.app.engine.jobs import Context, Progress, Ticket


class Within(Context):
    """Cancelled and committed with the job around it; what it reports is for subclasses to say."""

    def __init__(self, outer: Context) -> None:
        super().__init__(Ticket(0), _nowhere)
        self._outer = outer

    def check(self) -> None:
        """Raise Cancelled if the job was cancelled."""
        self._outer.check()

    def commit(self) -> None:
        """As the job's."""
        self._outer.commit()

    @property
    def cancelled(self) -> threading.Event:
        """Event of the job."""
        return self._outer.cancelled


def _nowhere(_: Progress) -> None:
    """Reports go through the job around."""
