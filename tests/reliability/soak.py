"""Many small frames through the window or the batch: ``python tests/reliability/soak.py SCRATCH FRAMES WAY``.

Prints JSON: frames done, processor seconds and resident memory at many times of the run.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import json
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from witness import resident_mb

from braggscope.app.memory import keep_few_heaps

KINDS, SIDE = 500, 32
THRESHOLD = 60.0  # far above the background: as many peaks as there are
THRESHOLDS = (f"--minval={THRESHOLD}", f"--minscore={THRESHOLD}")


def write_frames(path: Path, frames: int) -> None:
    """Small frames of one to three peaks; after 500 they come again."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:SIDE, :SIDE]
    some = np.full((KINDS, SIDE, SIDE), 5.0)
    for image in some:
        for cx, cy in rng.uniform(6, SIDE - 6, (rng.integers(1, 4), 2)):
            image += 300 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 4.5)
    counts: NDArray[np.uint16] = rng.poisson(some).astype(np.uint16)
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "entry/data/data", (frames, SIDE, SIDE), np.uint16, chunks=(KINDS, SIDE, SIDE)
        )
        for start in range(0, frames, KINDS):
            data[start : start + KINDS] = counts[: min(KINDS, frames - start)]


class Samples:
    """(frames done, processor seconds, MB), taken every twentieth of the run."""

    def __init__(self, frames: int) -> None:
        self.rows: list[tuple[int, float, float]] = []
        self._step = max(frames // 40, 1)

    def take(self, done: int) -> None:
        """Note the present state if enough has been done since the last time."""
        if not self.rows or done >= self.rows[-1][0] + self._step:
            self.rows.append((done, time.process_time(), resident_mb()))


def window(path: Path, frames: int) -> Samples:
    """Analyse the series in the window, as Ctrl+R does."""
    from PyQt6.QtTest import QTest
    from PyQt6.QtWidgets import QApplication

    from braggscope.app.composition import Program
    from braggscope.app.shell.settings import Settings

    application = QApplication(sys.argv[:1])
    program = Program(Settings(preferences={"theme": "dark", "memory_mb": 256}))
    program.start([str(path)])
    while program.desk.table is None or not program.networks_ready:
        QTest.qWait(20)
    panel = program.window.threshold_panel
    panel.minval_changed.emit(THRESHOLD)
    panel.minscore_changed.emit(THRESHOLD)
    samples = Samples(frames)
    program.trigger("run_series")
    while not program.runs.running:
        QTest.qWait(5)
    while program.runs.running:
        QTest.qWait(20)
        record = program.runs.record()
        if record is not None:
            samples.take(record.done)
    assert program.runs.record().done == frames
    program.window.close()
    del application
    return samples


def batch(path: Path, frames: int) -> Samples:
    """Analyse the series as ``braggscope peaks`` does, in this process."""
    import sqlite3

    from braggscope.app.cli import main

    samples, ended = Samples(frames), threading.Event()
    out = path.with_name("peaks.csv")
    journal = out.with_name("peaks.csv.journal") / "frames.sqlite"

    def look() -> None:
        while not ended.wait(0.2):
            if journal.exists():
                try:
                    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
                        (done,) = connection.execute("SELECT COUNT(*) FROM frames").fetchone()
                except sqlite3.Error:
                    continue
                if 0 < done < frames:  # what comes after is the table
                    samples.take(done)

    watch = threading.Thread(target=look)
    watch.start()
    code = main(["peaks", str(path), "-o", str(out), *THRESHOLDS], lambda _: 1)
    ended.set()
    watch.join()
    assert code == 0
    return samples


if __name__ == "__main__":
    scratch, count, way = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    os.environ["BRAGGSCOPE_HOME"] = str(scratch / "home")
    keep_few_heaps()
    write_frames(scratch / "frames.h5", count)
    print(json.dumps({"rows": {"window": window, "batch": batch}[way](scratch / "frames.h5", count).rows}))
