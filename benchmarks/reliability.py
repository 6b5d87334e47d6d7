"""The table of docs/reliability.md: ``python -m benchmarks.reliability --write`` after ``make soak``.

Rows of batteries that left a figure in the folder are replaced; the others stay as they are.
"""

import argparse
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- batteries -->", "<!-- end of batteries -->"
HEAD = "| battery | tried | found | reached |\n|---|---|---|---|"


def row(battery: str, tried: str, found: str, reached: bool) -> str:
    """One line of the table."""
    return f"| {battery} | {tried} | {found} | {'yes' if reached else '**no**'} |"


def renewed(page: str, figures: list[dict]) -> str:
    """``page`` with the rows of ``figures`` replaced or added, sorted by name."""
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    rows = {line.split("|")[1].strip(): line for line in table.strip().splitlines()[2:]}
    rows |= {f["battery"]: row(**f) for f in figures}
    table = "\n".join([HEAD, *(rows[name] for name in sorted(rows, key=str.lower))])
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> None:
    """Read the figures; show or write the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "soak-figures")
    parser.add_argument("--write", action="store_true", help="write docs/reliability.md")
    arguments = parser.parse_args()
    figures = [json.loads(path.read_text("utf-8")) for path in sorted(arguments.folder.glob("*.json"))]
    page = renewed(PAGE.read_text("utf-8"), figures)
    if arguments.write:
        PAGE.write_text(page, "utf-8")
    print(page.split(BEGIN)[1].split(END)[0].strip())


if __name__ == "__main__":
    main()
