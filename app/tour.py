"""The main job on the demo series: a window where there is a display, else the same window offscreen.

``python -m braggscope.app.tour [FOLDER]`` is what ``make run`` calls. Without a display it drives the real
window through open, thresholds, whole series, second parameter set, exports, and leaves the results.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from braggscope.app.composition import Program

SIZE = (1600, 1000)
LIMIT_S = 300.0


def main(arguments: list[str]) -> int:
    """Open the window on the demo series, or drive it offscreen. Returns the exit code."""
    from braggscope.app.demo import ensure_demo_series
    from braggscope.app.shell.display import has_display

    print("Demo series: ", end="", flush=True)
    series = ensure_demo_series()
    print(series)
    if has_display():
        from braggscope.app.composition import run_window
        from braggscope.app.shell.logs import start_logging

        start_logging()
        return run_window([str(series)])
    print("No display: the window is driven offscreen.")
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    return drive(series, Path(arguments[0] if arguments else "demo-output"))


def drive(series: Path, folder: Path) -> int:
    """Drive the window through the whole job; results go to ``folder``."""
    from PyQt6.QtWidgets import QApplication

    from braggscope.app.composition import Program
    from braggscope.app.shell.logs import route_qt_messages
    from braggscope.app.shell.settings import Settings

    folder.mkdir(parents=True, exist_ok=True)
    route_qt_messages()
    app = QApplication.instance() or QApplication(sys.argv[:1])
    program = Program(Settings(preferences={"theme": "dark"}))
    program.sessions.enabled = False
    program.window.resize(*SIZE)
    try:
        Tour(program, app.processEvents).run(series, folder)
    finally:
        program.window.close()
    return 0


class Tour:
    """Steps of the main job, each waiting for what it started."""

    def __init__(self, program: Program, pump: Callable[[], object]) -> None:
        self._program = program
        self._pump = pump

    def run(self, series: Path, folder: Path) -> None:
        """The whole job."""
        from braggscope.widgets.export_cards import MovieChoice

        program, started = self._program, time.perf_counter()
        program.start([str(series)])
        self._wait("the first frame", lambda: program.desk.table is not None)
        self._wait("networks", lambda: program.networks_ready)
        self._analyse()
        detect = program.store.state.parameters.detect
        program.trigger("add_set")
        parameters = program.store.state.parameters.with_detect(minscore=round(detect.minscore * 2))
        program.store.replace(program.store.state.with_parameters(parameters))
        self._analyse()
        program.store.update(active="A", frame=213)
        self._wait("frame 213", lambda: program.desk.table is not None)
        program.peaks.select_row(min(2, len(program.desk.table or ()) - 1))
        self._settle(0.6)
        program.window.grab().save(str(folder / "window.png"))
        program.exports.write_table(folder / "peaks.csv")
        program.exports.write_table(folder / "peaks.h5")
        program.exports.write_figure("error", folder / "error_against_frame.svg")
        program.exports.write_figure("overlay", folder / "frame_213.png")
        layers = ("fit", "braggnn", "unfitted")
        count = program.playback.count
        program.exports.write_movie(folder / "overlay.mp4", MovieChoice("mp4", 24, 0, count, 1, 640, layers))
        self._wait("the exports", lambda: not program.jobs.running)
        print(f"Done in {time.perf_counter() - started:.1f} s. In {folder}/:")
        for path in sorted(folder.iterdir()):
            print(f"  {path.name:28} {path.stat().st_size / 1e3:10.1f} kB")

    def _analyse(self) -> None:
        program = self._program
        program.trigger("run_series")
        self._wait("the whole series", lambda: not program.runs.running)
        record = program.runs.record()
        done = 0 if record is None else record.done
        detect = program.store.state.parameters.detect
        peaks = 0 if record is None else record.peaks
        print(f"minval {detect.minval:g}, minscore {detect.minscore:g}: {peaks:,} peaks in {done} frames")

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not ready():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come within {LIMIT_S:.0f} s; the log says why.")
            self._pump()
            time.sleep(0.005)

    def _settle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pump()
            time.sleep(0.005)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
