"""A very long series: memory and speed from first to last frame, and kills.

``python -m benchmarks.bench_scale [--frames 100000] [--only steady] [--write]`` in the root; ``--write`` puts
the rows that were measured into docs/scale.md in place of older ones. The series is a virtual HDF5 dataset
that repeats 1000 different simulated frames, so that the disk holds a few megabytes.
"""

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import h5py
import hdf5plugin
import numpy as np
import psutil

from braggscope.app.export.tables import read_peaks

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scale.md"
SIDE, DIFFERENT, SPOTS = 512, 1000, 8
COMMAND = [sys.executable, "-m", "braggscope.app", "peaks"]
THRESHOLDS = ["--minval", "20", "--minscore", "30", "--device", "cpu"]
FLAGS = [*THRESHOLDS, "--localize", "fit"]
ROLES = ("command", "worker", "reader")
LOOK_S = 0.5
MB = 1e6
MEASURED = "<!-- measured -->"


def make_series(folder: Path, frames: int) -> Path:
    """``frames`` frames of 512 x 512 with 8 Gaussian spots each, Poisson counts on 0.02 counts a pixel."""
    base, path = folder / f"base_{DIFFERENT}.h5", folder / f"series_{frames}.h5"
    shape = (DIFFERENT, SIDE, SIDE)
    random = np.random.default_rng(0)
    y, x = np.mgrid[-7:8, -7:8]
    if not base.exists():
        with h5py.File(base, "w") as file:
            data = file.create_dataset("data", shape, "u2", chunks=(1, SIDE, SIDE), **hdf5plugin.Bitshuffle())
            for k in range(DIFFERENT):
                image = np.full((SIDE, SIDE), 0.02)
                for row, col in random.integers(12, SIDE - 12, (SPOTS, 2)):
                    dy, dx = random.uniform(-0.5, 0.5, 2)
                    spot = random.uniform(100, 1000) * np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * 1.4**2))
                    image[row - 7 : row + 8, col - 7 : col + 8] += spot
                data[k] = random.poisson(image)
    layout = h5py.VirtualLayout((frames, SIDE, SIDE), "u2")
    for start in range(0, frames, DIFFERENT):
        count = min(DIFFERENT, frames - start)
        layout[start : start + count] = h5py.VirtualSource(base.name, "data", shape)[:count]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("data", layout)
    return path


def recorded(output: Path) -> int:
    """Frames in the journal of a run, by their highest number."""
    path = output.with_name(output.name + ".journal") / "frames.sqlite"
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        (last,) = database.execute("SELECT MAX(frame) FROM frames").fetchone()
        database.close()
    except sqlite3.Error:
        return 0
    return 0 if last is None else last + 1


def start(series: Path, output: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, str(series), "-o", str(output), *words]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    return [process, *process.children(recursive=True)]


def role(process: psutil.Process, first: int) -> str:
    """What a process of a run is for."""
    line = " ".join(process.cmdline())
    if process.pid == first:
        return "command"
    return "reader" if "braggscope.app.sources" in line else "worker" if "spawn_main" in line else "other"


class Watched(NamedTuple):
    """A run as seen every half second: ``rows`` (N, 4) seconds, frames recorded, seconds of processor of all
    processes, RSS in MB; ``spent`` (N,) seconds of processor and ``most`` RSS in MB, by role.
    """

    rows: np.ndarray
    spent: dict[str, np.ndarray]
    most: dict[str, float]


def watch(series: Path, output: Path, frames: int, *words: str) -> Watched:
    """Look at a whole run from outside."""
    process = start(series, output, *words)
    begun, rows = time.monotonic(), []
    most: dict[str, float] = {}
    spent: list[dict[str, float]] = []
    roles: dict[psutil.Process, str] = {}
    whole = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            members = family(whole)
            roles |= {m: role(m, process.pid) for m in members if m not in roles}
            used = {m: sum(m.cpu_times()[:2]) for m in members}
            held = {m: m.memory_info().rss / MB for m in members}
        except psutil.Error:
            continue
        for member, size in held.items():
            most[roles[member]] = max(most.get(roles[member], 0.0), size)
        done = recorded(output) or (frames if rows else 0)  # the journal goes when the table is there
        if done:
            rows.append((time.monotonic() - begun, done, sum(used.values()), sum(held.values())))
            spent.append({r: sum(s for m, s in used.items() if roles[m] == r) for r in ROLES})
        time.sleep(LOOK_S)
    if process.wait() != 0:
        raise RuntimeError(f"the run ended with {process.returncode}")
    return Watched(np.array(rows), {r: np.array([one[r] for one in spent]) for r in ROLES}, most)


def steady(series: Path, folder: Path, frames: int) -> list[str]:
    """Memory and speed in the first and the last tenth."""
    output = folder / "steady.csv"
    begun = time.monotonic()
    seconds, done, cpu, rss = watch(series, output, frames, *FLAGS, "--workers", "2").rows.T
    whole_s = time.monotonic() - begun
    first, last = ((done >= a * frames) & (done < b * frames) for a, b in ((0.01, 0.1), (0.9, 1.0)))
    wall = [np.ptp(done[part]) / np.ptp(seconds[part]) for part in (first, last)]
    work = [np.ptp(done[part]) / np.ptp(cpu[part]) for part in (first, last)]
    memory = [np.median(rss[part]) for part in (first, last)]
    table = read_peaks(output)
    counts = np.bincount(table["frame"][table.detected], minlength=frames)
    repeated = np.array_equal(counts, np.resize(counts[:DIFFERENT], frames))
    return [
        f"| frames | {frames:,} of {SIDE} x {SIDE}, {counts.mean():.1f} peaks each, fits, 2 threads |",
        f"| whole command | {whole_s:,.0f} s, {frames / whole_s:.0f} frames/s |",
        f"| resident memory, process and reader, first -> last tenth | {memory[0]:.0f} -> {memory[1]:.0f} MB "
        f"({100 * (memory[1] / memory[0] - 1):+.1f} %) |",
        f"| the same while the table is written, most | {rss.max():.0f} MB |",
        f"| frames per second of wall clock, first -> last tenth | {wall[0]:.0f} -> {wall[1]:.0f} "
        f"({100 * (wall[1] / wall[0] - 1):+.1f} %) |",
        f"| frames per second of processor time, first -> last tenth | {work[0]:.0f} -> {work[1]:.0f} "
        f"({100 * (work[1] / work[0] - 1):+.1f} %) |",
        f"| every frame there once, repeated frames with equal counts | {'yes' if repeated else 'NO'} |",
    ]


def killed(series: Path, folder: Path, frames: int, kills: int, seed: int = 0) -> list[str]:
    """``kill -9`` at random moments, ``--resume`` after each; the table against an undisturbed one."""
    words = ("--workers", "2", "--frames", f"0:{frames}")
    whole, output = folder / "whole.csv", folder / "killed.csv"
    subprocess.run([*COMMAND, str(series), "-o", str(whole), *FLAGS, *words], check=True, capture_output=True)
    random = np.random.default_rng(seed)
    lost, happened, waiting = [], 0, 0.0
    while happened < kills:
        process = start(series, output, "--resume", *FLAGS, *words)
        begun = time.time()
        before = recorded(output)
        while recorded(output) == before and process.poll() is None:
            time.sleep(0.02)
        waiting = random.uniform(0, 3.0)
        time.sleep(waiting)
        if process.poll() is not None:
            break
        journal = output.with_name(output.name + ".journal") / "frames.sqlite-wal"
        members = family(psutil.Process(process.pid))
        os.kill(process.pid, signal.SIGKILL)
        committed = journal.stat().st_mtime if journal.exists() else begun
        lost.append(time.time() - max(committed, begun))
        process.wait()
        if psutil.wait_procs(members, timeout=5)[1]:
            raise RuntimeError("children outlived the kill")
        happened += 1
    done = recorded(output)
    subprocess.run(
        [*COMMAND, str(series), "-o", str(output), *FLAGS, *words, "--resume"],
        check=True,
        capture_output=True,
    )
    same = whole.read_bytes() == output.read_bytes()
    return [
        f"| kills at random moments, {frames:,} frames | {happened}, the last at frame {done:,} |",
        f"| work done twice after each, median and most | {np.median(lost):.2f} s, {max(lost):.2f} s |",
        f"| table against the undisturbed one | {'equal, byte for byte' if same else 'DIFFERENT'} |",
    ]


def write(lines: list[str]) -> None:
    """Print rows; put them into the page where ``--write`` asks for it."""
    from benchmarks.run import machine  # late: it runs other benchmarks, which use the series of this one

    lines = [f"{line} {machine()} |" for line in lines]
    print("\n".join(lines))
    if "--write" in sys.argv:
        PAGE.write_text(renewed(PAGE.read_text("utf-8"), lines), "utf-8")


def renewed(page: str, lines: list[str]) -> str:
    """``page`` with the rows of its table that ``lines`` measured anew replaced, new ones added."""
    head, _, table = page.partition(MEASURED)
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    rows |= {line.split("|")[1].strip(): line for line in lines}
    rows.pop("", None)
    return "\n".join([f"{head}{MEASURED}\n", "| | | |", "|---|---|---|", *rows.values(), ""])


def main() -> None:
    """Measure and print, or write into the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--only", choices=("steady", "killed"))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = make_series(folder, options.frames)
        lines = []
        if options.only in (None, "steady"):
            lines += steady(series, folder, options.frames)
            print("\n".join(lines), file=sys.stderr)
        if options.only in (None, "killed"):
            lines += killed(series, folder, min(options.frames, 20_000), options.kills)
    write(lines)


if __name__ == "__main__":
    main()
