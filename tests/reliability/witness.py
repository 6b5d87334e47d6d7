"""Whoever watches a window under test: exceptions in any thread, Qt's complaints, stalls, memory."""

import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter, deque
from pathlib import Path
from types import FrameType

import numpy as np
import psutil
from PyQt6.QtCore import QObject, QTimer, qInstallMessageHandler

BEAT_MS, LATE_S, LOOK_S = 10, 0.5, 0.05
HARMLESS = ("plugin does not support",)  # the offscreen platform has no window manager and no keyboard


class Witness(logging.Handler):
    """Collects what must not happen. ``close`` gives the hooks back."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.exceptions: Counter[str] = Counter()
        self.qt: Counter[str] = Counter()
        self.lately: deque[str] = deque(maxlen=8)  # what was done, by whoever does it
        self.before: dict[str, list[str]] = {}  # what was done before each fault was first seen
        self._hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
        sys.excepthook = lambda kind, error, trace: self._saw("uncaught", error)
        threading.excepthook = lambda args: self._saw("in a thread", args.exc_value)
        sys.unraisablehook = lambda args: self._saw("unraisable", args.exc_value)
        self._before = qInstallMessageHandler(self._listen)
        logging.getLogger("braggscope").addHandler(self)
        logging.getLogger("braggscope").setLevel(logging.DEBUG)
        faulthandler.enable()

    def emit(self, record: logging.LogRecord) -> None:
        """Errors that no sentence was prepared for reach the log with their traceback."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not getattr(error, "expected", False) and not _of_the_world(error):
            self._saw("in a job", error)

    def _saw(self, where: str, error: BaseException | None) -> None:
        text = "".join(traceback.format_exception(error)) if error is not None else "?"
        self._note(self.exceptions, f"{where}: {text}")

    def _listen(self, _kind: object, _context: object, text: str | None) -> None:
        if text and not any(word in text for word in HARMLESS):
            self._note(self.qt, text)
            self.before[text].extend(traceback.format_stack(limit=8)[:-1])

    def _note(self, counter: Counter[str], text: str) -> None:
        counter[text] += 1
        self.before[text] = list(self.lately)

    def close(self) -> None:
        """Stop watching."""
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._hooks
        qInstallMessageHandler(self._before)
        logging.getLogger("braggscope").removeHandler(self)
        super().close()


def _of_the_world(error: BaseException) -> bool:
    """Whether an error is about files and values, which a sentence tells: no slip of the program."""
    slips = (TypeError, AttributeError, LookupError, AssertionError, NameError, ArithmeticError)
    return not isinstance(error, slips)


class Heartbeat(QObject):
    """A timer in the GUI thread, and a thread that looks at what the GUI thread does while the beat is late.

    A stall counts by the processor time that the GUI thread took in it: on a busy machine the rest is other
    people's. ``stalls`` holds wall seconds, processor seconds and the innermost lines of code seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stalls: list[tuple[float, float, str]] = []
        self.resting = False  # there is no window yet
        self._gui = threading.get_ident()
        self._seen: Counter[str] = Counter()
        self._last, self._cpu = time.monotonic(), time.thread_time()
        self._done = threading.Event()
        self._handler = signal.signal(signal.SIGUSR1, lambda _, frame: self._note(frame))
        self._timer = QTimer(self)
        self._timer.setInterval(BEAT_MS)
        self._timer.timeout.connect(self._beat)
        self._timer.start()
        self._watch = threading.Thread(target=self._look, name="heartbeat", daemon=True)
        self._watch.start()

    def _beat(self) -> None:
        if self.resting:
            return
        now, cpu = time.monotonic(), time.thread_time()
        if now - self._last > LATE_S:
            seen = dict(self._seen)  # at once: the next signal may add to it
            where = max(seen, key=seen.__getitem__, default="?")
            self.stalls.append((now - self._last, cpu - self._cpu, where))
        self.forgive()

    def forgive(self) -> None:
        """Start counting anew: the loop did not run, and nobody waited for it."""
        self._last, self._cpu = time.monotonic(), time.thread_time()
        self._seen.clear()

    def _note(self, frame: FrameType | None) -> None:
        self._seen[_where(frame)] += 1

    def _look(self) -> None:  # by a signal: frames held by another thread would keep painters alive too long
        while not self._done.wait(LOOK_S):
            if time.monotonic() - self._last > 2 * LOOK_S and not self.resting:
                signal.pthread_kill(self._gui, signal.SIGUSR1)

    def close(self) -> None:
        """Stop."""
        self._done.set()
        self._timer.stop()
        self._watch.join()
        signal.signal(signal.SIGUSR1, self._handler)

    def worst(self) -> float:
        """Most processor seconds between two beats that were further apart than half a second."""
        return max((cpu for _, cpu, _ in self.stalls), default=0.0)


def _where(frame: FrameType | None) -> str:
    places = []
    while frame is not None and len(places) < 12:
        places.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(places)


def resident_mb() -> float:
    """Resident memory of this process, MB."""
    return psutil.Process(os.getpid()).memory_info().rss / 1e6


def slope(at: list[float], values: list[float]) -> float:
    """Median of the slopes between all pairs (Theil and Sen): single jumps do not count."""
    x, y = np.array(at), np.array(values)
    one, other = np.triu_indices(len(x), 1)
    return float(np.median((y[other] - y[one]) / (x[other] - x[one])))
