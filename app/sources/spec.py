"""Scans in a data file of SPEC: lines that begin with # and a letter, and rows of numbers.

Read are #S (number and command), #O and #o (names and short names of motors), #P (their positions before the
scan), #L (names of the columns) and the rows; all other lines are passed over, spectra (@) too. Names stand
two blanks apart. One line is in memory at a time, and of one scan its rows.
Source: SPEC's documentation of its standard data file format.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.protocol import SourceError

LONGEST = 1 << 20  # bytes of a line
MOST_SCANS, MOST_ROWS, MOST_VALUES = 100_000, 100_000, 2_000_000
_EVERY = 2_000  # lines between two checks
_SCAN = re.compile(r"#S\s+(\d{1,9})(?:\s+(.*))?$")
_HEADER = re.compile(r"#[FE]\s")
_NAMES = re.compile(r"#([OoP])(\d{1,3})(?:\s+(.{0,16384}))?$")  # so much is kept of a file's motors at most


@dataclass(frozen=True, slots=True)
class SpecEntry:
    """One scan of a file. ``key``: its number; where several have it, with ``.1``, ``.2`` in their order."""

    key: str
    command: str


@dataclass(frozen=True, slots=True)
class SpecScan:
    """``motors``: position by name, long and short ones. ``columns``: name to (rows,) float64."""

    key: str
    command: str
    motors: dict[str, float]
    columns: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    ended: bool  # with a line break


def list_scans(path: str | Path, check: Callable[[], None] = lambda: None) -> tuple[SpecEntry, ...]:
    """All scans of a file in its order; ``check`` may raise to stop. Raises SourceError."""
    place, seen = Path(path).expanduser(), Counter[str]()
    found: list[tuple[str, int, str]] = []
    for line in _lines(place, check):
        if match := _SCAN.match(line.text):
            _count(place, seen, match[1])
            found.append((match[1], seen[match[1]], (match[2] or "").strip()))
    if not found:
        raise SourceError(f"{place} has no line '#S'; choose a data file of SPEC.")
    return tuple(SpecEntry(_key(seen, number, nth), command) for number, nth, command in found)


def read_scan(path: str | Path, key: str, check: Callable[[], None] = lambda: None) -> SpecScan:
    """One scan, by its number or ``number.n``; of several with one number the last. Raises SourceError."""
    place, wanted = Path(path).expanduser(), key.strip()
    if not re.fullmatch(r"\d+(\.\d+)?", wanted):
        raise SourceError(
            f"{key!r} is no number of a scan; give one such as 12, or 12.2 for a second scan 12."
        )
    seen, names = Counter[str](), _Names({}, {})
    found: _Scan | None = None
    current: _Scan | None = None
    for line in _lines(place, check):
        if match := _SCAN.match(line.text):
            number = match[1]
            _count(place, seen, number)
            current = None
            if wanted in (f"{number}.{seen[number]}", number):
                current = found = _Scan(number, seen[number], (match[2] or "").strip(), names.copy())
        elif _HEADER.match(line.text):  # of a file that was opened again
            names, current = _Names({}, {}), None
        elif current is not None:
            current.take(place, line)
        else:
            names.take(line.text)
    if found is None:
        known = f"its last ones are {', '.join(list(seen)[-5:])}" if seen else "it has no line '#S'"
        raise SourceError(f"{place} has no scan {wanted} ({known}); choose another.")
    return found.finish(place, _key(seen, found.number, found.nth))


@dataclass(frozen=True, slots=True)
class _Names:
    """Lines of names by their index."""

    long: dict[int, str]
    short: dict[int, str]

    def take(self, text: str) -> None:
        match = _NAMES.match(text)
        if match and match[1] in "Oo":
            (self.long if match[1] == "O" else self.short)[int(match[2])] = match[3] or ""

    def copy(self) -> "_Names":
        return _Names(dict(self.long), dict(self.short))


class _Scan:
    """A scan while its lines are read."""

    def __init__(self, number: str, nth: int, command: str, names: _Names) -> None:
        self.number, self.nth, self.command, self.names = number, nth, command, names
        self.positions: dict[int, tuple[int, str]] = {}
        self.labels: list[str] = []
        self.rows: list[list[float]] = []
        self._spectrum = False  # whether the line goes on with a spectrum

    def take(self, place: Path, line: _Line) -> None:
        """One line after #S."""
        text = line.text
        if self._spectrum or text.startswith("@"):
            self._spectrum = text.endswith("\\")
        elif (match := _NAMES.match(text)) and match[1] == "P":
            self.positions[int(match[2])] = (line.number, match[3] or "")
        elif text.startswith("#L"):
            self.labels = _split(text[2:])
        elif text.startswith("#"):
            self.names.take(text)
        elif text:
            self._row(place, line)

    def finish(self, place: Path, key: str) -> SpecScan:
        """What was read. Raises SourceError."""
        if not self.labels:
            raise SourceError(f"Scan {key} of {place} has no line '#L'; choose another scan.")
        table = np.array(self.rows, np.float64).reshape(len(self.rows), len(self.labels))
        columns: dict[str, NDArray[np.float64]] = {}
        for k, name in enumerate(self.labels):
            columns.setdefault(name, table[:, k])
        motors: dict[str, float] = {}
        for index in sorted(self.positions):
            motors |= self._positions(place, index)
        return SpecScan(key, self.command, motors, columns)

    def _row(self, place: Path, line: _Line) -> None:
        where = f"Line {line.number:,} of {place} (scan {self.number})"
        if not self.labels:
            raise SourceError(f"{where} has values before the line '#L'; repair the file.")
        try:
            values = [float(word) for word in line.text.split()]
        except ValueError:
            values = []
        if len(values) != len(self.labels):
            if not line.ended:  # SPEC is still writing it
                return
            raise SourceError(
                f"{where} does not hold the {len(self.labels)} numbers that '#L' announces; repair the file."
            )
        self.rows.append(values)
        if len(self.rows) > MOST_ROWS or len(self.rows) * len(values) > MOST_VALUES:
            raise SourceError(f"{where}: the scan is too long for a rocking curve; choose another scan.")

    def _positions(self, place: Path, index: int) -> dict[str, float]:
        """Positions of one line of motors by their long and short names."""
        number, text = self.positions[index]
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            problem = f"Line {number:,} of {place} holds a position that is no number; repair the file."
            raise SourceError(problem) from None
        found: dict[str, float] = {}
        for line in (self.names.long.get(index), self.names.short.get(index)):
            if line is None:
                continue
            names = _split(line)
            if len(names) != len(values):
                names = line.split()  # written with single blanks
            if len(names) != len(values):
                raise SourceError(
                    f"Line {number:,} of {place} has {len(values)} positions for {len(_split(line))} motors"
                    f" (line {index} of their names); repair the file."
                )
            found |= dict(zip(names, values, strict=True))
        return found


def _lines(place: Path, check: Callable[[], None]) -> Iterator[_Line]:
    try:
        with place.open("rb") as file:
            number = 0
            while raw := file.readline(LONGEST + 1):
                number += 1
                if len(raw) > LONGEST or b"\0" in raw:
                    raise SourceError(
                        f"{place} is no text file of SPEC (line {number:,}); choose its data file."
                    )
                if number % _EVERY == 0:
                    check()
                yield _Line(number, raw.decode("utf-8", "replace").strip(), raw.endswith(b"\n"))
    except OSError as error:
        raise SourceError(f"{place} cannot be read ({error.strerror or error}); check its name.") from error


def _count(place: Path, seen: Counter[str], number: str) -> None:
    seen[number] += 1
    if len(seen) > MOST_SCANS or seen[number] > MOST_SCANS:
        raise SourceError(f"{place} has more than {MOST_SCANS:,} scans; cut it into smaller files.")


def _key(seen: Counter[str], number: str, nth: int) -> str:
    return number if seen[number] == 1 else f"{number}.{nth}"


def _split(text: str) -> list[str]:
    return [name for name in re.split(r"\s{2,}|\t", text.strip()) if name]
