"""Two local dask workers against one, and against what the machine allows at all.

``python -m benchmarks.bench_workers [--write]`` in the root, five minutes on a quiet machine; ``--write``
puts its rows into docs/scale.md in place of older ones.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.bench_scale import FLAGS, ROLES, THRESHOLDS, Watched, make_series, start, watch, write

METHODS = {"fits only": (FLAGS, 3000), "all methods": (THRESHOLDS, 600)}  # words, and frames of a comparison


def workers(series: Path, folder: Path) -> list[str]:
    """One against two local worker processes, with fits only and with all methods."""
    lines = []
    for name, (words, enough) in METHODS.items():
        lines += compare(series, folder, enough, name, words)
    return lines


class Pace(NamedTuple):
    """From 10 to 90 % of the frames: frames/s, and processor time of a frame by role, ms."""

    speed: float
    cost: dict[str, float]


def pace(seen: Watched, frames: int) -> Pace:
    """Speed and cost of a run that was watched."""
    seconds, done, _, _ = seen.rows.T
    middle = (done >= 0.1 * frames) & (done <= 0.9 * frames)
    number = np.ptp(done[middle])
    return Pace(
        number / np.ptp(seconds[middle]),
        {r: 1e3 * np.ptp(used[middle]) / number for r, used in seen.spent.items()},
    )


def limit(series: Path, folder: Path, frames: int, words: list[str]) -> float:
    """How much more two independent runs of one thread do beside each other than one alone, without dask."""

    def alone(number: int) -> float:
        output = folder / f"alone{number}.csv"
        return pace(watch(series, output, frames, *words, "--workers", "1"), frames).speed

    one = alone(0)
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(alone, (1, 2))) / one


def compare(series: Path, folder: Path, frames: int, name: str, words: list[str]) -> list[str]:
    """One and two workers in turn, twice each."""
    paces: dict[int, list[Pace]] = {1: [], 2: []}
    most: dict[str, float] = {}
    whole = folder / "threads.csv"
    words = [*words, "--frames", f"0:{frames}"]
    if start(series, whole, *words).wait() != 0:
        raise RuntimeError("the run on threads failed")
    same = True
    for turn in range(4):
        count, output = turn % 2 + 1, folder / f"workers{turn}.csv"
        seen = watch(series, output, frames, *words, "--scheduler", f"local:{count}")
        most |= {r: max(size, most.get(r, 0.0)) for r, size in seen.most.items()}
        paces[count].append(pace(seen, frames))
        same &= whole.read_bytes() == output.read_bytes()
        print(f"{name}, local:{count}: {paces[count][-1]}", file=sys.stderr)
    one, two = (max(p.speed for p in paces[n]) for n in (1, 2))
    spent = " and ".join(
        ", ".join(f"{r} {min(p.cost[r] for p in paces[n]):.2f}" for r in ROLES) for n in (1, 2)
    )
    held = ", ".join(f"{r} {most[r]:.0f} MB" for r in ROLES)
    most_possible = limit(series, folder, frames, words)
    return [
        f"| {name}: frames/s with one and two worker processes | {one:.0f} and {two:.0f} ({two / one:.2f} x)"
        f" over {frames:,} frames |",
        f"| {name}: two independent runs of one thread beside each other, without workers |"
        f" {most_possible:.2f} x one alone |",
        f"| {name}: processor time of a frame in ms, with one and with two | {spent} |",
        f"| {name}: table against that of the threads | {'equal, byte for byte' if same else 'DIFFERENT'} |",
        f"| {name}: resident memory of each process, most | {held} |",
    ]


def main() -> None:
    """Measure and print, or write into the page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = workers(make_series(folder, max(enough for _, enough in METHODS.values())), folder)
    write(lines)


if __name__ == "__main__":
    main()
