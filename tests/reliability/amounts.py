"""How much a battery does, and where its figures go.

A battery is one test with two forms. ``make test`` runs the short one. ``make soak`` sets BRAGGSCOPE_SOAK to
a folder: the same test runs its long form and leaves ``<battery>.json`` there, from which
``python -m benchmarks.reliability --write`` makes the table of docs/reliability.md. BRAGGSCOPE_SOAK_SHARE,
0 to 1, shortens the long form. A test that has no short form carries the marker ``soak``, which is not run
by default.
"""

import json
import os
import re
from pathlib import Path

from hypothesis import settings


def folder() -> Path | None:
    """Where figures are kept, or None in the short form."""
    place = os.environ.get("BRAGGSCOPE_SOAK")
    return Path(place) if place else None


def amount(short: int, long: int) -> int:
    """How many files, examples, cycles or actions this run does."""
    if folder() is None:
        return short
    return max(short, round(long * float(os.environ.get("BRAGGSCOPE_SOAK_SHARE", "1"))))


def costly(short: int) -> settings:
    """Decorates a property whose examples take long: so many in the short form, 20 times that in the long."""
    return settings(max_examples=amount(short, 20 * short))


def state(battery: str, tried: str, found: str, reached: bool = True) -> None:
    """Print what a battery tried and found, one line each; keep it where figures are kept.

    ``reached``: whether this is what was to be reached. Call it before the last assertion, so that a failed
    battery leaves its figure too.
    """
    print(f"\n{battery}: {tried}; {found}")
    if (place := folder()) is not None:
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"battery": battery, "tried": tried, "found": found, "reached": reached}, indent=1)
        (place / f"{re.sub(r'[^a-z0-9]+', '-', battery.lower()).strip('-')}.json").write_text(
            text + "\n", "utf-8"
        )
