"""Reconstructions of several stacks, kept while others are looked at, within a bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from braggscope.app.engine.coherent_results import Candidate
    from braggscope.app.engine.coherent_volume import Volume

KEPT = 40  # reconstructions of one pattern that are kept for comparison at most,
KEPT_BYTES = 1 << 30  # and what all together may take with all that is known of them,
KEPT_SHARE = 1 / 8  # or this share of the memory where that is more


@dataclass(slots=True)
class _Shelf:
    stack: str  # key of the stack that the pattern was made of
    location: str
    rows: list[Candidate]


class Kept:
    """By the key of the pattern that they were made of, the most likely first.

    ``most``: bytes; default: as the memory of the machine allows.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most = most
        self._shelves: dict[str, _Shelf] = {}  # those used last stand last

    def rows(self, key: str) -> list[Candidate]:
        """All of one pattern."""
        shelf = self._shelves.get(key)
        return [] if shelf is None else list(shelf.rows)

    def find(self, volume: Volume) -> str:
        """Key of the pattern of a volume, else of the one of the same stack that was used last, or empty."""
        if volume.key in self._shelves:
            return volume.key
        return next((k for k, s in reversed(self._shelves.items()) if s.stack == volume.stack_key), "")

    def count(self, location: str) -> int:
        """How many there are of the stacks that were read from a location."""
        return sum(len(shelf.rows) for shelf in self._shelves.values() if shelf.location == location)

    def touch(self, key: str) -> None:
        """A pattern is looked at: it is the last to go."""
        if key in self._shelves:
            self._shelves[key] = self._shelves.pop(key)

    def drop(self, key: str) -> None:
        """Forget all of one pattern."""
        self._shelves.pop(key, None)

    def add(self, volume: Volume, found: list[Candidate], shown: str = "") -> list[str]:
        """Keep what was found for a volume, and of the others as much as there is room for.

        ``shown``: key of the pattern on screen, of which at least the best stays. Returns the locations of
        stacks that lost all of a pattern.
        """
        older = self._shelves.pop(volume.key, None)
        rows = [*found, *(older.rows if older is not None else ())]
        self._shelves[volume.key] = _Shelf(volume.stack_key, volume.stack.location, rows)
        self.touch(shown if shown != volume.key else "")
        self.touch(volume.key)
        return self._trim(found, shown)

    def _trim(self, found: list[Candidate], shown: str) -> list[str]:
        from braggscope.app.engine.coherent_results import held_arrays

        held: dict[int, int] = {}
        lost: list[str] = []
        for place, (key, shelf) in enumerate(reversed(list(self._shelves.items()))):
            stay = list(found) if place == 0 else shelf.rows[: int(key == shown)]
            for row in stay:
                held |= held_arrays(row)
            for row in sorted(shelf.rows, key=lambda row: -row.free):
                with_it = held | held_arrays(row)
                if not _among(row, stay) and len(stay) < KEPT and sum(with_it.values()) <= self._room():
                    stay.append(row)
                    held = with_it
            shelf.rows = sorted(stay, key=lambda row: -row.free)
            if not stay:
                del self._shelves[key]
                lost.append(shelf.location)
        return lost

    def _room(self) -> float:
        if self.most is None:
            import psutil

            self.most = max(KEPT_BYTES, int(KEPT_SHARE * psutil.virtual_memory().total))
        return self.most


def _among(row: Candidate, rows: list[Candidate]) -> bool:
    return any(row is other for other in rows)  # arrays are not compared
