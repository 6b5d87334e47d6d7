"""The log: written by a thread of its own, whole at the end whatever the end is, and read for the report."""

import logging
import subprocess
import sys
import threading

import pytest

from braggscope.app.shell.logs import FORMAT, LogWriter, error_report
from braggscope.app.state.session import Session

BEGIN = """
import logging, os, sys, threading
from braggscope.app.shell.logs import start_logging
start_logging()
log = logging.getLogger("braggscope.test")
for k in range(500):
    log.info("line %d", k)
"""
ENDS = {
    "it ends": "",
    "an exception": "raise ValueError('the end')",
    "in a thread": "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
    "at once": "logging.shutdown(); os._exit(0)",
    "qt ends it": "from PyQt6.QtCore import qFatal\n"
    "from braggscope.app.shell.logs import route_qt_messages\n"
    "route_qt_messages(); qFatal('no way on')",
}
SAID = {
    "an exception": "ValueError: the end", "in a thread": "ZeroDivisionError", "qt ends it": "no way on"
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_lost_however_it_ends(home, end):
    subprocess.run([sys.executable, "-c", BEGIN + ENDS[end]], stderr=subprocess.DEVNULL, timeout=60)
    lines = (home / "state" / "braggscope.log").read_text("utf-8").splitlines()
    assert [line.rsplit(": ", 1)[1] for line in lines[:500]] == [f"line {k}" for k in range(500)]
    rest = "\n".join(lines[500:])
    assert SAID.get(end, "") in rest
    assert ("Traceback" in rest) == (end in ("an exception", "in a thread"))
    assert bool(rest) == (end in SAID)


class Slow(logging.Handler):
    """A disk that takes its time."""

    def __init__(self):
        super().__init__()
        self.seen, self.free = [], threading.Event()

    def emit(self, record):
        assert self.free.wait(10)
        self.seen.append((threading.current_thread(), self.format(record)))


@pytest.fixture
def writer():
    slow = Slow()
    writer = LogWriter(slow)
    log = logging.getLogger("braggscope.test")
    log.setLevel(logging.DEBUG)
    log.addHandler(writer)
    yield log, writer, slow
    log.removeHandler(writer)
    slow.free.set()
    writer.close()


def test_who_logs_does_not_wait_for_the_disk(writer):
    log, writer, slow = writer
    log.warning("%d %% done", 50)
    assert not slow.seen, "the disk has not answered yet"
    slow.free.set()
    writer.flush()
    ((thread, text),) = slow.seen
    assert text == "50 % done"
    assert thread is not threading.current_thread()
    writer.close()
    writer.close()
    writer.flush()
    assert not thread.is_alive()


def test_other_handlers_still_see_the_error_itself(writer, caplog):
    log, _, slow = writer
    slow.free.set()
    log.error("details", exc_info=ValueError("why"))
    assert isinstance(caplog.records[-1].exc_info[1], ValueError)


def test_the_report_holds_what_was_said_last(home):
    (home / "state").mkdir(parents=True)
    handler = logging.FileHandler(home / "state" / "braggscope.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    writer, root = LogWriter(handler), logging.getLogger("braggscope")
    root.addHandler(writer)
    try:
        logging.getLogger("braggscope.test").warning("the frame 7 is cut")
        report = error_report(Session(frame=41))
    finally:
        root.removeHandler(writer)
        writer.close()
    assert report.splitlines()[-1].endswith("WARNING braggscope.test: the frame 7 is cut")
    assert '"frame": 41' in report
    assert "numpy " in report
