"""The window itself: start, scrubbing, sliders, and how long the event loop waits during a run."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from PyQt6.QtCore import QEventLoop, QTimer
from PyQt6.QtWidgets import QApplication

from benchmarks.bench_series import big_series
from braggscope.app.composition import Program
from braggscope.app.engine.peaks import blank_table
from braggscope.app.engine.views import Found
from braggscope.app.shell.settings import Settings
from braggscope.models.peaks.detect import select
from braggscope.models.results import Candidates

START = """
import time; start = time.perf_counter()
import os; os.environ["QT_QPA_PLATFORM"] = "offscreen"
from PyQt6.QtWidgets import QApplication
app = QApplication([])
from braggscope.app.composition import Program
from braggscope.app.shell.settings import Settings
program = Program(Settings()); program.window.show(); app.processEvents(); program.window.grab()
print(time.perf_counter() - start); program.sessions.enabled = False; program.window.close()
"""


def start_seconds() -> float:
    """From the first line of Python to a painted window, median of 3 fresh processes.

    With compiled bytecode, as an installed program has it: the first process writes it.
    """
    with tempfile.TemporaryDirectory() as folder:
        own = {
            "BRAGGSCOPE_HOME": f"{folder}/home",
            "PYTHONPYCACHEPREFIX": folder,
            "PYTHONDONTWRITEBYTECODE": "",
        }
        environment = os.environ | own
        start = [sys.executable, "-c", START]
        runs = [
            subprocess.run(start, capture_output=True, text=True, check=True, env=environment).stdout
            for _ in range(4)
        ]
    return float(np.median([float(text.split()[-1]) for text in runs[1:]]))


class Driver:
    """A program whose event loop is turned by hand."""

    def __init__(self, location: str) -> None:
        self.app = QApplication.instance() or QApplication([])
        os.environ.setdefault("BRAGGSCOPE_HOME", tempfile.mkdtemp())
        self.program = Program(Settings(preferences={"theme": "dark"}))
        self.program.sessions.enabled = False
        self.program.window.resize(1600, 1000)
        self.program.start([location])
        self.wait(lambda: self.program.desk.table is not None)
        self.wait(lambda: self.program.networks_ready)
        self.wait(self.measured)

    def wait(self, ready: Callable[[], bool], limit: float = 120.0) -> None:
        """Run the event loop until ready; looked at whenever something is shown, and every 20 ms."""
        loop, timer = QEventLoop(), QTimer()

        def look() -> None:
            if ready() or time.monotonic() > end:
                loop.quit()

        end = time.monotonic() + limit
        timer.timeout.connect(look)
        timer.start(20)
        desk = self.program.desk
        desk.peaks_shown.connect(look)
        if not ready():
            loop.exec()
        desk.peaks_shown.disconnect(look)
        timer.stop()
        if not ready():
            raise TimeoutError

    def rest(self, seconds: float) -> None:
        """Run the event loop for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def measured(self) -> bool:
        """Whether marks, fits and BraggNN of the current frame are on screen."""
        table = self.program.desk.table
        return table is not None and len(table) > 0 and bool(np.isfinite(table["x_braggnn"]).any())

    def scrub(self, frames: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Milliseconds from each frame change to everything on screen, painting included.

        Then processor time: of the window's thread, which bounds how many frames a second can be shown, and
        of all threads.
        """
        times, own, all_threads = [], [], []
        for frame in frames:
            start, begun, worked = time.perf_counter(), time.thread_time(), time.process_time()
            self.program.store.update(frame=frame)
            self.wait(self.measured)
            self.program.window.frame_view.repaint()
            times.append((time.perf_counter() - start) * 1e3)
            own.append((time.thread_time() - begun) * 1e3)
            all_threads.append((time.process_time() - worked) * 1e3)
            self.rest(0.03)
        return np.array(times), np.array(own), np.array(all_threads)

    def follow(self, frames: list[int]) -> np.ndarray:
        """Milliseconds of the window's thread for each frame change with all that comes of it.

        Layouts and paintings that wait for a later turn of the event loop delay the next frame as well.
        """
        times = []
        for frame in frames:
            begun = time.thread_time()
            self.program.store.update(frame=frame)
            self.wait(self.measured)
            self.rest(0.06)
            times.append((time.thread_time() - begun) * 1e3)
        return np.array(times)

    def step(self, steps: int) -> np.ndarray:
        """Milliseconds of work for a move of minscore over 10,000 candidates, up to the redraw request."""
        program, rng = self.program, np.random.default_rng(0)
        birth = rng.exponential(100.0, 10_000) + 50
        tree = Candidates(
            (1024, 1024), 0.0, rng.permutation(1024**2)[:10_000], birth, birth - rng.random(10_000)
        )
        times = []
        for k in range(steps):
            start = time.perf_counter()
            score = 0.9 + 0.002 * (k % 40)
            parameters = program.store.state.parameters.with_detect(minscore=score)
            program.store.replace(program.store.state.with_parameters(parameters), merge="bench")
            key = program.desk.key()
            frame = program.store.state.frame
            table = blank_table(tree, select(tree, parameters.detect.minval, score), frame)
            program.frames._show_peaks(Found(key, table, len(tree)))
            times.append((time.perf_counter() - start) * 1e3)
            self.rest(0.05)
        return np.array(times)

    def slide(self, steps: int) -> np.ndarray:
        """Milliseconds from a move of minscore to the new marks, all painting on the way included."""
        times = []
        for k in range(steps):
            score = 60 + 5 * (k % 40)
            parameters = self.program.store.state.parameters.with_detect(minscore=score)
            start = time.perf_counter()
            self.program.store.replace(self.program.store.state.with_parameters(parameters), merge="bench")
            self.wait(lambda: self.program.desk.table is not None)
            times.append((time.perf_counter() - start) * 1e3)
        return np.array(times)

    def loop_delay(self) -> np.ndarray:
        """Lateness in ms of a 5 ms timer while a whole-series run goes on."""
        delays, last = [], [time.perf_counter()]

        def tick() -> None:
            now = time.perf_counter()
            delays.append((now - last[0]) * 1e3 - 5.0)
            last[0] = now

        timer = QTimer()
        timer.timeout.connect(tick)
        self.program.trigger("run_series")
        timer.start(5)
        last[0] = time.perf_counter()
        self.wait(lambda: not self.program.runs.running)
        timer.stop()
        return np.array(delays)

    def close(self) -> None:
        """Close the window and drain its last events."""
        self.program.window.close()
        self.app.processEvents()


def run() -> list[dict]:
    """Rows for the collecting script."""
    rows = [{"case": "start to painted window", "median": start_seconds() * 1e3, "p95": float("nan")}]
    driver = Driver(str(big_series()))
    fresh, *_ = driver.scrub(list(range(3, 300, 3)))
    again, own, all_threads = driver.scrub(list(range(3, 90, 3)))
    whole = driver.follow(list(range(3, 90, 3)))
    peaks = len(driver.program.desk.table or ())
    for case, times in (
        ("scrub, fresh 1024 x 1024 frames: file to marks, fits, BraggNN", fresh),
        (f"scrub, cached 1024 x 1024 frames with {peaks} peaks, fits and overlays", again),
        ("scrub, cached frames: processor time of the window's thread", own),
        ("scrub, cached frames: the window's thread with all that comes of a frame", whole),
        ("scrub, cached frames: processor time of all threads", all_threads),
        ("slider step on 10,000 candidates: all work and the redraw request", driver.step(60)),
        ("slider step on the frame, with every repaint on the way", driver.slide(100)),
        ("event-loop lateness during a run (p99 in the second column)", driver.loop_delay()),
    ):
        high = 99 if "lateness" in case else 95
        rows.append(
            {"case": case, "median": float(np.median(times)), "p95": float(np.percentile(times, high))}
        )
    driver.close()
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['case']:66} {row['median']:8.1f} {row['p95']:8.1f} ms")
