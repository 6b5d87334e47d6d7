"""Closing while threads are busy in code that cannot be interrupted."""

import os
import subprocess
import sys

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


def test_three_lanes_that_do_not_end_are_waited_for_together_and_left(tmp_path):
    surroundings = os.environ | {"BRAGGSCOPE_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 3.0


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
    surroundings = os.environ | {"BRAGGSCOPE_HOME": str(tmp_path), "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run(
        [sys.executable, "-c", REOPENED],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == "[False, False, False] 0"
