"""Closing the window: while threads are busy, while somebody types, and what stays of it."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, time
from PyQt6.QtCore import QTimer
from PyQt6.QtWidgets import QApplication
from braggscope.app.composition import Program, leave
from braggscope.app.shell.settings import Settings

def busy(_):
    started.append(time.monotonic())
    time.sleep(30)

app, started = QApplication(sys.argv[:1]), []
program = Program(Settings())
program.window.show()
for lane in (program.desk.lanes.training, program.desk.lanes.phasing, program.desk.lanes.scan):
    lane.submit(busy, lambda _: None)
while len(started) < 3:
    time.sleep(0.01)
def close():
    begun = time.monotonic()
    program.window.close()
    print(time.monotonic() - begun, flush=True)
QTimer.singleShot(0, close)
sys.exit(leave(program, app.exec()))
"""


def living(program: str, home: Path, *words: str) -> str:
    """What a program of its own printed; it must end well."""
    surroundings = os.environ | {"BRAGGSCOPE_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_three_lanes_that_do_not_end_are_waited_for_together_and_left(tmp_path):
    assert float(living(PROGRAM, tmp_path)) < 3.0


REOPENED = """
import gc, sys, weakref
from PyQt6.QtCore import QEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from braggscope.app.composition import Program
from braggscope.app.shell.settings import Settings

app = QApplication(sys.argv[:1])
program = Program(Settings())
program.window.show()
seen = weakref.ref(program), weakref.ref(program.window), weakref.ref(program.desk)
program.window.close()
program.window.deleteLater()
program.deleteLater()
del program
for _ in range(2):  # what listened goes one turn of the loop after what it listened to
    app.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QTest.qWait(50)
gc.collect()
print([one() is not None for one in seen], len(app.allWidgets()))
"""


def test_nothing_of_a_closed_window_stays(tmp_path):
    assert living(REOPENED, tmp_path).split("\n")[0] == "[False, False, False] 0"


TYPED = """
import sys
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from braggscope.app.composition import Program, leave
from braggscope.app.presenters.sessions import autosave_path
from braggscope.app.shell.settings import Settings
from braggscope.app.state.session import load_session

faults = []
sys.excepthook = lambda *words: faults.append(words[1])
app = QApplication(sys.argv[:1])
program = Program(Settings())
program.start([sys.argv[1]])
timeline = program.window.timeline
while program.desk.picture is None:
    QTest.qWait(20)
timeline.sum.setFocus()
QTest.qWait(20)
timeline.sum.selectAll()
QTest.keyClicks(timeline.sum.lineEdit(), "4")
program.window.close()
print(load_session(autosave_path()).parameters.prepare.sum_frames)
timeline.sum_changed.emit(2)  # a word that comes too late
print(faults, flush=True)
sys.exit(leave(program, 0))
"""


def test_what_stands_in_a_field_counts_and_what_comes_later_does_no_harm(series, tmp_path):
    assert living(TYPED, tmp_path, str(series.path)).split("\n")[:2] == ["4", "[]"]
