"""Closes the window at a random moment of running jobs, as a user who has enough of it.

``python tests/reliability/closing_job.py SCRATCH GROUP MOMENTS SEED`` prints a JSON line for every moment.
All are children of one process that has imported everything already, so that each costs two seconds.
"""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import random
import re
import shutil
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from PyQt6.QtCore import QTimer
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from world import rocking_curve, scan

from braggscope.app.composition import Program, leave
from braggscope.app.demo import write_demo_series
from braggscope.app.engine.warmup import warm_up
from braggscope.app.shell.settings import Settings
from braggscope.models.peaks.simulate import SeriesSpec
from braggscope.widgets.export_cards import MovieChoice

OLD = b"what stood here before"
LATEST_S = {"reports": 0.25}  # after the first job was seen running; others 1.2; the first moment: at once
PATIENCE_S = 120.0
SLOW = {"iterations": "9000*RAAR", "coarse_iterations": "9000*RAAR"}
FRAMES = 300
TEMPORARY = re.compile(r"\.[0-9a-f]{12}")


def main() -> None:
    scratch, group, moments, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    scratch.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    _write_files(scratch, group)
    warm_up(networks=group == "series")
    for moment in range(moments):
        home = scratch / f"home{moment}"
        home.mkdir()
        (home / "old.mp4").write_bytes(OLD)
        child = os.fork()
        if not child:
            os.setsid()
            os.environ["BRAGGSCOPE_HOME"] = str(home)
            sys.exit(live(GROUPS[group], scratch, home, moment and rng.uniform(0, LATEST_S.get(group, 1.2))))
        rng.uniform(0, 1)
        _, status = os.waitpid(child, 0)
        print(json.dumps(_seen(home, child, os.waitstatus_to_exitcode(status))), flush=True)
        shutil.rmtree(home)


def _write_files(scratch: Path, group: str) -> None:
    if group in ("series", "reports"):
        frames = FRAMES if group == "series" else 60
        write_demo_series(
            scratch / "series.h5", spec=SeriesSpec(frames=frames, shape=(96, 96), grains=12, seed=3)
        )
    elif group == "scan":
        np.save(scratch / "scan.npy", scan(12, 12))
    elif group == "crystal":
        np.save(scratch / "crystal.npy", rocking_curve(32))
    else:
        os.mkfifo(scratch / "slow.h5")


# -- in the child -----------------------------------------------------------------------------------------


def live(start: Callable[[Program, Path, Path], None], scratch: Path, home: Path, delay: float) -> int:
    """A whole life of the program; the window is closed ``delay`` s after a job runs."""
    app = QApplication(sys.argv[:1])
    program = Program(Settings(preferences={"theme": "dark", "memory_mb": 256}))
    said: dict[str, object] = {}

    def close() -> None:
        said["running"] = _running(program)
        said["closed"], waited = time.monotonic(), _waited_s()
        program.window.close()
        said["others"] = _waited_s() - waited
        (home / "said.json").write_text(json.dumps(said))

    try:
        start(program, scratch, home)
        until(lambda: _running(program), "a running job")
    except BaseException:
        traceback.print_exc()
        os._exit(99)
    QTimer.singleShot(round(1000 * delay), close)
    return leave(program, app.exec())


def _running(program: Program) -> list[str]:
    """Titles of the jobs that have not ended."""
    rows = program.window.jobs_panel.rows.values()
    return [row.job.title for row in rows if row.job.state in ("waiting", "running")]


def _waited_s() -> float:
    """Seconds that this thread could have run and waited for a processor."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def until(ready: Callable[[], object], what: str) -> None:
    """Run the event loop until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(what)
        QTest.qWait(5)


def _open(program: Program, path: Path) -> None:
    program.start([str(path)])
    until(lambda: program.desk.picture is not None, "the first frame")


def _series(program: Program, scratch: Path, home: Path) -> None:
    """A whole-series run, a movie and a fine-tuning at once."""
    _open(program, scratch / "series.h5")
    program.trigger("run_series")
    program.exports.write_movie(home / "old.mp4", MovieChoice("mp4", 10, 0, FRAMES, 1, 256, ("fit",)))
    program.training.start("braggnn", "mine", 1.0)


def _reports(program: Program, scratch: Path, home: Path) -> None:
    """Tracks, and a report with its figures."""
    _open(program, scratch / "series.h5")
    program.trigger("run_series")
    until(lambda: program.runs.running, "the run")
    until(lambda: not program.runs.running, "the end of the run")
    program.trigger("tracks_workspace")
    program.reports.write(home / "old.mp4")
    program.exports.write_figure("overlay", home / "overlay.png")


def _scan(program: Program, scratch: Path, home: Path) -> None:
    """Measuring strain."""
    program.trigger("strain_workspace")
    program.strain.room.change(method="correlation")
    _open(program, scratch / "scan.npy")
    until(lambda: program.strain.room.probe is not None, "the probe")
    program.trigger("measure_scan")


def _crystal(program: Program, scratch: Path, home: Path) -> None:
    """Phasing."""
    program.trigger("coherent_workspace")
    _open(program, scratch / "crystal.npy")
    until(lambda: program.coherent.volume is not None, "the prepared stack")
    coherent = program.coherent
    coherent.set_phasing(coherent.phasing.model_copy(update=SLOW))
    until(lambda: not program.desk.lanes.volume.busy, "the pattern")
    program.trigger("phase_volume")


def _opening(program: Program, scratch: Path, home: Path) -> None:
    """A file on a disk that does not answer."""
    program.start([str(scratch / "slow.h5")])


GROUPS = {
    "series": _series, "reports": _reports, "scan": _scan, "crystal": _crystal, "opening": _opening,
}  # fmt: skip


# -- afterwards -------------------------------------------------------------------------------------------


def _seen(home: Path, child: int, code: int) -> dict[str, object]:
    """What a closed program left."""
    ended = time.monotonic()
    said = json.loads((home / "said.json").read_text()) if (home / "said.json").exists() else {}
    content = (home / "old.mp4").read_bytes()
    journals = sorted((home / "state").rglob("*.sqlite"))
    return {
        "code": code, "seconds": ended - said.get("closed", ended - 99), "others": said.get("others", 0.0),
        "running": said.get("running", []),
        "left": [p.pid for p in psutil.process_iter() if p.is_running() and _session(p.pid) == child],
        "whole": content == OLD or content[4:8] == b"ftyp" or content.rstrip().endswith(b"</html>"),
        "journals": [_sound(path) for path in journals],
        "temporary": [path.name for path in home.rglob("*") if TEMPORARY.match(path.name)],
    }  # fmt: skip


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _sound(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


if __name__ == "__main__":
    main()
