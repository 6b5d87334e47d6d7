"""Everything that comes once and stays, before memory is counted: modules, kernels, full histories."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PyQt6 import sip
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QAbstractButton, QComboBox

from braggscope.app.state.store import DEPTH
from braggscope.widgets.log_panel import MAX_LINES

if TYPE_CHECKING:
    from monkey import Monkey

PATIENCE_S = 10.0  # for what a gesture started; then it is cancelled
REST_S = 60.0
LEAVE_OUT = frozenset({"quit", "play", "follow"})
TWICE = 2  # what is made by the first is shown by the second


def warm_up(monkey: "Monkey") -> None:
    """Open every source and use whatever there is in its workspaces: actions, choices, buttons, jobs."""
    monkey.beat.resting = True  # which takes the thread for seconds
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401 - what tables are read and written with
    import torch._dynamo  # noqa: F401 - 800 modules, which the first step of any training imports

    monkey.beat.forgive()
    monkey.beat.resting = False
    world = monkey.world
    for source, workspaces in (
        (world.images, ("series",)),
        (world.crystal, ("coherent", "export")),
        (world.scan, ("strain", "export")),
        (world.series, ("series", "accuracy", "tracks", "export")),
    ):
        monkey.drop([source])
        rest(monkey)
        for workspace in workspaces:
            _do(monkey, partial(monkey.action, f"{workspace}_workspace"))
            for kind in (QComboBox, QAbstractButton):
                _use_all(monkey, kind)
            for job in ("prepare_volume", "phase_volume") if workspace == "coherent" else ():
                _do(monkey, partial(monkey.action, job))
    for key in sorted(set(monkey.window.actions_by_key) - LEAVE_OUT):
        _do(monkey, partial(monkey.action, key))
    _fill_histories(monkey)
    for _ in range(TWICE):
        monkey.reopen()
        rest(monkey)


def rest(monkey: "Monkey", patience_s: float = PATIENCE_S) -> None:
    """Let everything end that runs; what takes longer is cancelled."""
    begun, calm, program = time.monotonic(), 0, monkey.program
    while calm < 3 and time.monotonic() - begun < REST_S:
        QTest.qWait(10)
        busy = program.jobs.running or any(lane.busy for lane in program.desk.lanes.all())
        calm = 0 if busy else calm + 1
        if time.monotonic() - begun > patience_s:
            for key in program.jobs.running:
                program.jobs.cancel(key)


def _do(monkey: "Monkey", gesture: Callable[[], object]) -> None:
    monkey.guarded(gesture)
    monkey.shut()
    rest(monkey)


def _use_all(monkey: "Monkey", kind: type[QComboBox] | type[QAbstractButton]) -> None:
    """Click every button and go through every choice of a workspace."""
    for widget in monkey.window.findChildren(kind):
        if not sip.isdeleted(widget) and widget.isVisible() and widget.isEnabled():
            _do(monkey, partial(_use, widget))


def _use(widget: QComboBox | QAbstractButton) -> None:
    if isinstance(widget, QAbstractButton):
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
        return
    for k in (*range(widget.count()), widget.currentIndex()):
        if not sip.isdeleted(widget):
            widget.setCurrentIndex(k)
            widget.activated.emit(k)
            QTest.qWait(20)


def _fill_histories(monkey: "Monkey") -> None:
    """Undo and log keep so and so many steps and lines: their growth up to there is no leak."""
    panel = monkey.window.threshold_panel
    for k in range(DEPTH):
        monkey.program.store.end_merge()
        panel.minval_changed.emit(30.0 + k % 20)
    for _ in range(MAX_LINES):
        monkey.window.log_panel.append("info", "00:00:00", "One of as many lines as the log keeps.")
