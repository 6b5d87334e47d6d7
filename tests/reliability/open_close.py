"""``python tests/reliability/open_close.py SCRATCH CYCLES`` opens and closes sources in one window; JSON."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import gc
import json
import sys
import threading
import time
from pathlib import Path

import psutil
from corpus import CASES
from PyQt6.QtCore import QObject
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from witness import Witness, resident_mb
from world import make_world

from braggscope.app.composition import Program
from braggscope.app.memory import keep_few_heaps
from braggscope.app.shell.settings import Settings

PATIENCE_S = 60.0


def main() -> None:
    scratch, cycles = Path(sys.argv[1]), int(sys.argv[2])
    os.environ["BRAGGSCOPE_HOME"] = str(scratch / "home")
    keep_few_heaps()
    places = _places(scratch)
    application = QApplication(sys.argv[:1])
    program = Program(Settings(preferences={"theme": "dark", "memory_mb": 256}))
    program.start([])
    witness = Witness()
    for place in places:  # whatever comes once and stays: modules, kernels, icons
        _cycle(program, place)
    before, memory = _held(program), []
    for k in range(cycles):
        _cycle(program, places[k % len(places)])
        memory.append(resident_mb())
    after = _held(program)
    program.window.close()
    witness.close()
    faults = [*witness.exceptions, *witness.qt]
    print(
        json.dumps(
            {"sources": len(places), "before": before, "after": after, "faults": faults, "memory": memory}
        )
    )
    del application


def _places(scratch: Path) -> list[str]:
    places = [str(path) for path in make_world(scratch / "world").good]
    for number, case in enumerate(case for case in CASES if case.opens == "frames"):
        folder = scratch / str(number)
        folder.mkdir()
        case.write(folder)
        places.append(case.place(folder))
    return places


def _cycle(program: Program, place: str) -> None:
    """Open, look, close, and let everything end."""
    desk = program.desk
    program.sources.open(place)
    _until(
        lambda: desk.engine is not None and desk.picture is not None, f"the first frame of {place}", program
    )
    program.sources.close_source()
    _until(
        lambda: not any(lane.busy for lane in desk.lanes.all()) and not program.jobs.running, "rest", program
    )


def _until(ready, what: str, program: Program) -> None:
    end = time.monotonic() + PATIENCE_S
    while not ready():
        notice = program.window.notices.current()
        assert time.monotonic() < end, f"{what} did not come: {notice}"
        QTest.qWait(5)


def _held(program: Program) -> dict[str, float]:
    """What could be left behind."""
    QTest.qWait(1200)  # past the delay of the autosave
    _until(lambda: not program.desk.lanes.state.busy, "the autosave", program)
    gc.collect()
    me = psutil.Process()
    return {
        "threads": threading.active_count(),
        "files": me.num_fds(),
        "children": len(me.children(recursive=True)),
        "objects": len(program.window.findChildren(QObject)),
        "wrappers": sum(isinstance(thing, QObject) for thing in gc.get_objects()),
        "windows": len(QApplication.topLevelWidgets()),
        "MB": resident_mb(),
    }


if __name__ == "__main__":
    main()
