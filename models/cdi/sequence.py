"""Sequences of iterations as the field writes them: ``3*(20*ER+180*HIO)+20*ER``."""

import re
from dataclasses import dataclass

ALGORITHMS = ("ER", "HIO", "RAAR", "SF")
MAX_ITERATIONS = 1_000_000
_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z]+)|([*+()]))")


class SequenceError(ValueError):
    """A sequence that cannot be read. One sentence with the position, counted from 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """``count`` iterations of one algorithm."""

    count: int
    algorithm: str


def parse(text: str) -> tuple[Step, ...]:
    """Steps in order, neighbours of one algorithm joined. Raises SequenceError."""
    steps = _Parser(text).all()
    joined: list[Step] = []
    for step in steps:
        if joined and joined[-1].algorithm == step.algorithm:
            joined[-1] = Step(joined[-1].count + step.count, step.algorithm)
        else:
            joined.append(step)
    return tuple(joined)


def length(steps: tuple[Step, ...]) -> int:
    """Iterations of all steps together."""
    return sum(step.count for step in steps)


def written(steps: tuple[Step, ...]) -> str:
    """Text that :func:`parse` reads back to the same steps."""
    return "+".join(f"{step.count}*{step.algorithm}" for step in steps)


class _Parser:
    """sum := term ('+' term)*;  term := [number '*'] (name | '(' sum ')')."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def all(self) -> list[Step]:
        steps = self._sum()
        kind, word, place = self._next()
        if kind:
            raise self._error(f"{word} was not expected", place)
        return steps

    def _sum(self) -> list[Step]:
        steps = self._term()
        while self._peek() == "+":
            self._next()
            steps = self._limited(steps + self._term())
        return steps

    def _term(self) -> list[Step]:
        kind, word, place = self._next()
        count = 1
        if kind == "number":
            count = int(word[:9])
            if not 0 < count <= MAX_ITERATIONS or len(word) > 9:
                raise self._error(f"a number of 1 to {MAX_ITERATIONS} is needed instead of {word}", place)
            _, symbol, place = self._next()
            if symbol != "*":
                raise self._error(f"a * is missing after {word}", place)
            kind, word, place = self._next()
        if kind == "name":
            if word.upper() not in ALGORITHMS:
                raise self._error(f"{word} is not one of {', '.join(ALGORITHMS)}", place)
            return [Step(count, word.upper())]
        if word != "(":
            raise self._error(f"one of {', '.join(ALGORITHMS)} or ( is missing", place)
        inner = self._sum()
        _, word, place = self._next()
        if word != ")":
            raise self._error("a ) is missing", place)
        if count * length(tuple(inner)) > MAX_ITERATIONS:
            raise self._too_long()
        return inner * count

    def _limited(self, steps: list[Step]) -> list[Step]:
        if length(tuple(steps)) > MAX_ITERATIONS:
            raise self._too_long()
        return steps

    def _peek(self) -> str:
        place = self._place
        word = self._next()[1]
        self._place = place
        return word

    def _next(self) -> tuple[str, str, int]:
        """(kind, word, position from 1); kind is empty at the end."""
        rest = self._text[self._place :]
        blank = len(rest) - len(rest.lstrip())
        place = self._place + blank + 1
        if not rest.strip():
            return "", "", place
        found = _TOKEN.match(rest)
        if found is None:
            raise self._error(f"{rest.strip()[0]} has no meaning", place)
        self._place += found.end()
        kind = "number" if found[1] else "name" if found[2] else "symbol"
        return kind, found[0].strip(), place

    def _error(self, what: str, place: int) -> SequenceError:
        return SequenceError(
            f"The iterations '{self._text}' cannot be read: at position {place} {what};"
            " write for example 3*(20*ER+180*HIO)+20*ER."
        )

    def _too_long(self) -> SequenceError:
        return SequenceError(
            f"The iterations '{self._text}' are more than {MAX_ITERATIONS}; use smaller numbers."
        )
