"""How far the preparation of a stack is: reading takes the time of a disk, preparing that of a processor."""

import time
from typing import Any

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.within import Within

PREPARE_S, ALIEN_S = 5e-8, 1.2e-7  # of CPU for a voxel, measured from 128^3 to 256^3; and for alien peaks
STEPS, ALIEN_STEPS = 4, 4  # of preparing, and those more where alien peaks are looked for
PERIOD_S = 0.1  # between two reports at least
WHOLE = 1000  # parts that progress is counted in


class Pace(Within):
    """Reports parts in a thousand of the time that reading and preparing ``voxels`` will take together.

    Frames come in by ``progress``, steps of preparing by ``step``; both raise Cancelled.
    """

    def __init__(self, outer: Context, voxels: int, aliens: bool) -> None:
        super().__init__(outer)
        self._begun, self._next = time.monotonic(), 0.0
        self._read_s, self._prepare_s = 0.0, (PREPARE_S + ALIEN_S * aliens) * voxels
        self._step, self._steps = 0, STEPS + ALIEN_STEPS * aliens

    def progress(self, done: int, total: int, note: str = "", payload: Any = None) -> None:
        """``done`` of ``total`` frames were read."""
        self._outer.check()
        self._read_s = spent = time.monotonic() - self._begun
        reading = spent * total / done if done else 0.0
        self._say(spent, reading, f"frame {done:,} of {total:,}")

    def step(self) -> None:
        """One step of preparing is done."""
        self._outer.check()
        self._step = min(self._step + 1, self._steps)
        spent = self._read_s + self._prepare_s * self._step / (self._steps + 1)
        self._say(spent, self._read_s, "preparing")

    def _say(self, spent: float, reading: float, note: str) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PERIOD_S
            whole = reading + self._prepare_s
            self._outer.progress(int(WHOLE * spent / whole) if reading or self._step else 0, WHOLE, note)
