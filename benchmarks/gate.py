"""Whether any ratio to another program has moved: ``python -m benchmarks.gate [SECTION ...]`` in the root.

Measures the ratios of docs/benchmarks.json again. Exit code 1, and a table of them, where some left the band
of 25 % around the committed ones, to either side: what became faster is to be committed too. Take it on a
quiet machine like that of the page.
"""

import json
import sys
from collections.abc import Mapping
from typing import NamedTuple

from benchmarks import peers
from benchmarks.run import COMPARED, RATIOS, SECTIONS, machine, ratios

BAND = 0.25


class Moved(NamedTuple):
    """A ratio outside its band. ``now``: None where it was not measured."""

    name: str
    committed: float
    now: float | None


def compare(committed: Mapping[str, float], now: Mapping[str, float], band: float = BAND) -> list[Moved]:
    """Committed ratios that are missing now or are more than ``band`` (a share) away, furthest first."""

    def away(moved: Moved) -> float:
        return 0.0 if moved.now is None else abs(moved.now / moved.committed - 1.0)

    found = [Moved(name, old, now.get(name)) for name, old in committed.items()]
    return sorted((m for m in found if m.now is None or away(m) > band), key=away, reverse=True)


def report(moved: list[Moved]) -> str:
    """The table of what moved."""
    lines = ["| ratio | committed | now | change |", "|---|---|---|---|"]
    for name, old, new in moved:
        cells = ("not measured", "–") if new is None else (f"{new:.3g}", f"{100 * (new / old - 1):+.0f} %")
        lines.append(f"| {name} | {old:.3g} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def main() -> int:
    """Exit code: 0 all in their bands, 1 some moved, 2 no committed ratios."""
    if not RATIOS.exists():
        print(f"{RATIOS.name} is missing; run make bench once and commit it.", file=sys.stderr)
        return 2
    known = json.loads(RATIOS.read_text("utf-8"))
    if known["machine"] != machine():
        print(f"The ratios were taken on another machine: {known['machine']}.", file=sys.stderr)
    names = sys.argv[1:] or list(COMPARED)
    now: dict[str, float] = {}
    for name in names:
        print(SECTIONS[name][0], file=sys.stderr, flush=True)
        now |= ratios(name, SECTIONS[name][1].run())
    committed = {key: value for key, value in known["ratios"].items() if key.partition(" | ")[0] in names}
    moved = compare(committed, now)
    print("\n".join(peers.problems), file=sys.stderr)
    print(report(moved) if moved else f"All {len(committed)} ratios are within {100 * BAND:.0f} %.")
    return int(any(m.now is not None for m in moved))


if __name__ == "__main__":
    sys.exit(main())
