"""The one place where the state lives: replace, listen, undo."""

from collections import deque
from collections.abc import Callable
from typing import Any

from braggscope.app.state.session import Session

Listener = Callable[[Session, Session], None]
UNDOABLE = frozenset({"sets", "active", "rejected", "track_edits", "instrument", "cell"})
DEPTH = 200


class Store:
    """Holds a frozen Session. Not thread-safe: the GUI thread owns it."""

    def __init__(self, session: Session | None = None) -> None:
        self._state = session or Session()
        self._listeners: list[Listener] = []
        self._undo: list[Session] = []
        self._redo: list[Session] = []
        self._merging = ""
        self._changes: deque[tuple[Session, Session]] = deque()  # published, not yet heard by all

    @property
    def state(self) -> Session:
        """The current state."""
        return self._state

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener(old, new)`` after every change."""
        self._listeners.append(listener)

    def update(self, *, merge: str = "", **changes: Any) -> None:
        """Replace fields. Consecutive updates with one ``merge`` name are one step of undo."""
        self.replace(self._state.model_copy(update=changes), merge=merge)

    def replace(self, new: Session, *, merge: str = "") -> None:
        """Replace the whole state."""
        old = self._state
        if new == old:
            return
        if any(getattr(old, name) != getattr(new, name) for name in UNDOABLE):
            if not merge or merge != self._merging:
                self._undo.append(old)
                del self._undo[:-DEPTH]
            self._redo.clear()
            self._merging = merge
        self._publish(new)

    def end_merge(self) -> None:
        """A gesture ended: the next update with the same merge name is a step of its own."""
        self._merging = ""

    def reset(self, session: Session) -> None:
        """Another session: the history of the old one is gone."""
        self._undo.clear()
        self._redo.clear()
        self._merging = ""
        self._publish(session)

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to redo."""
        return bool(self._redo)

    def undo(self) -> None:
        """Take the last undoable change back; frame, display and playback stay as they are."""
        self._travel(self._undo, self._redo)

    def redo(self) -> None:
        """Do it again."""
        self._travel(self._redo, self._undo)

    def _travel(self, source: list[Session], target: list[Session]) -> None:
        if not source:
            return
        past = source.pop()
        target.append(self._state)
        self._merging = ""
        changes = {name: getattr(past, name) for name in UNDOABLE}
        self._publish(self._state.model_copy(update=changes))

    def _publish(self, new: Session) -> None:
        """Tell all listeners of a change before any hears of one that a listener made meanwhile."""
        self._changes.append((self._state, new))
        self._state = new
        if len(self._changes) > 1:
            return
        try:
            while self._changes:
                old, new = self._changes[0]
                for listener in list(self._listeners):
                    listener(old, new)
                self._changes.popleft()
        finally:
            self._changes.clear()
