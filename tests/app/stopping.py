"""Jobs that are cancelled at every place where they look, and what must be left then."""

from collections.abc import Callable
from pathlib import Path

import pytest

from braggscope.app.engine.jobs import Cancelled, Context, Ticket

OLD = b"what stood there"


class Stopping(Context):
    """Cancelled when it is asked for the ``after``-th time, from 0."""

    def __init__(self, after: int) -> None:
        super().__init__(Ticket(0), lambda _: None)
        self.after, self.asked = after, 0

    def check(self) -> None:
        if self.asked == self.after:
            self._ticket.cancel()
        super().check()
        self.asked += 1


class Late(Context):
    """Cancelled in the moment before the first file is replaced."""

    def __init__(self) -> None:
        super().__init__(Ticket(0), lambda _: None)

    def commit(self) -> None:
        self._ticket.cancel()
        super().commit()


def looks(write: Callable[[Context], object], *paths: Path) -> int:
    """How often a writer looked whether it was cancelled; wherever it was, all of ``paths`` stayed.

    In the end they are written, and nothing else is in their folder.
    """
    folder = paths[0].parent
    for path in paths:
        path.write_bytes(OLD)

    def stands() -> bool:
        return all(path.read_bytes() == OLD for path in paths) and set(folder.iterdir()) == set(paths)

    with pytest.raises(Cancelled):
        write(Late())
    assert stands()
    after = 0
    while True:
        context = Stopping(after)
        try:
            write(context)
        except Cancelled:
            assert stands()
            after = 2 * after + 1
        else:
            break
    assert not any(path.read_bytes() == OLD for path in paths)
    assert set(folder.iterdir()) == set(paths)
    return context.asked
