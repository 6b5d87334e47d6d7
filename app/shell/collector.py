"""Python's garbage collector, kept to the GUI thread.

Cyclic garbage holds widgets, and Qt objects that are destroyed in another thread than their own crash the
program sooner or later. The automatic collector runs in whichever thread happens to allocate.
"""

import gc

from PyQt6.QtCore import QObject, QTimer

from braggscope.app.engine.jobs import Lane
from braggscope.app.memory import give_back

EVERY_MS = 1000
GIVE_BACK_MS = 30_000


class Collector(QObject):
    """Collects on a timer, by the thresholds of the automatic collector, which rests from now on."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        if gc.get_freeze_count():  # by a window before this one, which is gone
            gc.unfreeze()
            gc.collect()
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self.look)
        self._timer.start()

    def look(self) -> None:
        """Collect the oldest generation that is due."""
        counted = zip(gc.get_count(), gc.get_threshold(), strict=True)
        due = [generation for generation, (count, most) in enumerate(counted) if count > most]
        if due:
            gc.collect(max(due))

    def give_back_in(self, lane: Lane) -> None:
        """Give free pages back to the system now and then, in a lane: nobody waits for it."""
        timer = QTimer(self)
        timer.timeout.connect(lambda: lane.submit(lambda _: give_back(), lambda _: None))
        timer.start(GIVE_BACK_MS)

    @staticmethod
    def keep_what_is_there() -> None:
        """Leave all objects of now out of later collections, which become short: modules stay anyway."""
        gc.freeze()

    def close(self) -> None:
        """Rest, and let everything be collected again."""
        self._timer.stop()
        gc.unfreeze()
