"""Fuzzy matching of what is typed against the names of commands."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_WORD, _RUN, _GAP = 8, 6, 1  # rewards for a word's start and for neighbours, price of a gap


def match(query: str, text: str) -> tuple[int, tuple[int, ...]] | None:
    """Score (higher is better) and matched places of ``query`` as a subsequence of ``text``, or None.

    Blanks in the query are skipped and case is ignored. All alignments are compared, so that ``se``
    prefers "Save exports" at S and e of the words over the first letters found.
    """
    wanted = [letter for letter in query.lower() if not letter.isspace()]
    lower = text.lower()
    if not wanted:
        return 0, ()
    best: dict[int, tuple[int, tuple[int, ...]]] = {-1: (0, ())}
    for letter in wanted:
        following: dict[int, tuple[int, tuple[int, ...]]] = {}
        for place in (i for i, other in enumerate(lower) if other == letter):
            reward = _WORD if place == 0 or not lower[place - 1].isalnum() else 0
            options = (
                (score + reward + _step(last, place), (*places, place))
                for last, (score, places) in best.items()
                if last < place
            )
            found = max(options, default=None, key=lambda option: option[0])
            if found is not None:
                following[place] = found
        best = following
    return max(best.values(), key=lambda option: option[0], default=None)


def _step(last: int, place: int) -> int:
    if last < 0:
        return -min(place, 5) * _GAP
    return _RUN if place == last + 1 else -min(place - last - 1, 10) * _GAP


def rank(query: str, items: Iterable[T], text: Callable[[T], str]) -> list[tuple[T, tuple[int, ...]]]:
    """Matching items, best first, ties in the given order, each with the matched places in its text."""
    scored = [(item, found) for item in items if (found := match(query, text(item))) is not None]
    scored.sort(key=lambda pair: -pair[1][0])
    return [(item, places) for item, (_, places) in scored]
