"""Jobs that may be over in a moment: listed only where they are not."""

import threading
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from braggscope.app.engine.jobs import Lane, Order
from braggscope.app.presenters import jobs
from braggscope.app.presenters.jobs import JobBoard
from braggscope.app.shell.delivery import Delivery
from braggscope.widgets.jobs_panel import JobsPanel


@pytest.fixture
def place(qtbot, monkeypatch):
    """A board with a short patience, and a lane that keeps the newest only."""
    monkeypatch.setattr(jobs, "QUICK_MS", 60)
    panel = JobsPanel()
    qtbot.addWidget(panel)
    desk = SimpleNamespace(settle=Mock(), fail=Mock(), busy_changed=Mock())
    lane = Lane("quick", Delivery(), Order.LATEST)
    yield SimpleNamespace(board=JobBoard(desk, panel), panel=panel, desk=desk, lane=lane)
    lane.close()


def begin(place, replaces="", deaf=False, **more):
    """A job that runs until it is let go; a ``deaf`` one does not look whether it was cancelled."""
    go_on = threading.Event()

    def work(context):
        while not go_on.wait(0.005):
            if not deaf:
                context.check()

    def done(_):
        return "made"

    key = place.board.submit(place.lane, "Preparing", work, done, replaces=replaces, **more)
    return key, go_on


def states(place):
    return {key: row.job.state for key, row in place.panel.rows.items()}


def test_a_quick_job_is_never_listed(place, qtbot):
    key, go_on = begin(place)
    assert place.board.running == [key]
    go_on.set()
    qtbot.waitUntil(lambda: not place.board.running)
    qtbot.wait(100)
    assert states(place) == {}


def test_one_that_takes_longer_is_listed_and_stays(place, qtbot):
    key, go_on = begin(place)
    assert states(place) == {}
    qtbot.waitUntil(lambda: states(place) == {key: "running"})
    go_on.set()
    qtbot.waitUntil(lambda: states(place) == {key: "done"})


def test_a_newer_one_takes_the_place_of_one_that_is_listed(place, qtbot):
    older, _ = begin(place)
    qtbot.waitUntil(lambda: older in states(place))
    newer, go_on = begin(place, older)
    assert list(states(place)) == [newer]
    go_on.set()
    qtbot.waitUntil(lambda: states(place) == {newer: "done"})
    last, go_on = begin(place, newer)  # what is done is not replaced
    qtbot.waitUntil(lambda: last in states(place))
    assert states(place)[newer] == "done"
    go_on.set()
    qtbot.waitUntil(lambda: states(place) == {newer: "done", last: "done"})


def test_a_failure_is_listed_and_told_by_who_asked(place, qtbot):
    told, stopped = Mock(), Mock()

    def fails(_):
        raise ValueError("no such peak")

    place.board.submit(
        place.lane, "Preparing", fails, str, on_error=told, on_stopped=stopped, replaces=""
    )  # fmt: skip
    qtbot.waitUntil(lambda: list(states(place).values()) == ["failed"])
    assert str(told.call_args.args[0]) == "no such peak"
    assert not stopped.called
    assert not place.desk.fail.called


@pytest.mark.parametrize("deaf", [False, True])
def test_a_cancelled_one_says_so_at_once(place, qtbot, deaf):
    stopped = Mock()
    key, go_on = begin(place, deaf=deaf, on_stopped=stopped)
    qtbot.waitUntil(lambda: key in states(place))
    place.board.cancel(key)
    assert states(place) == {key: "cancelled"}
    go_on.set()
    qtbot.waitUntil(lambda: not place.lane.busy)
    qtbot.wait(20)
    assert states(place) == {key: "cancelled"}
    assert stopped.call_count == 1
