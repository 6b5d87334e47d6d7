"""What is said of jobs: that they run, that they were cancelled, that they failed."""

import queue
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from braggscope.app.engine.jobs import Lane
from braggscope.app.presenters.jobs import JobBoard


class NowLane:
    """Keeps what follows a job."""

    def submit(self, run, on_done, *, on_error, **_):
        self.on_done, self.on_error = on_done, on_error
        return Mock()


@pytest.fixture
def said():
    """Failures that are shown, by key."""
    return {}


@pytest.fixture
def board(said):
    desk = SimpleNamespace(
        settle=lambda key: said.pop(key, None),
        fail=lambda error, key: said.__setitem__(key, str(error)),
        busy_changed=Mock(),
    )
    return JobBoard(desk, Mock())


def submit(board, about):
    lane, about = NowLane(), Path(about)
    board.submit(lane, f"Table {about.name}", lambda _: None, lambda _: "done", about=about)
    return lane


def test_failures_of_files_of_one_name_stand_beside_each_other(board, said):
    submit(board, "/a/peaks.csv").on_error(ValueError("no room in a"))
    submit(board, "/b/peaks.csv").on_error(ValueError("no room in b"))
    assert len(said) == 2
    submit(board, "/b/peaks.csv").on_done(None)
    assert list(said.values()) == ["no room in a"]
    submit(board, "/a/peaks.csv").on_done(None)
    assert not said


@pytest.fixture
def inbox():
    """Deliveries to the side of the window."""
    return queue.Queue()


@pytest.fixture
def lane(inbox):
    made = Lane("test", inbox.put)
    yield made
    assert made.close()


def rows(board):
    """Titles and states on the panel."""
    return {job.title: job.state for job in board._panel.set_jobs.call_args[0][0]}


def deliver(inbox):
    """The next delivery, once it comes."""
    inbox.get(timeout=5)()


def test_a_job_without_progress_runs_and_one_behind_it_ends_as_soon_as_it_is_cancelled(board, lane, inbox):
    release, ended = threading.Event(), []

    def write(_):
        assert release.wait(5)

    board.submit(lane, "first", write, lambda _: "written", on_end=lambda: ended.append("first"))
    second = board.submit(
        lane, "second", write, lambda _: "written",
        on_end=lambda: ended.append("second"), on_stopped=lambda: ended.append("stopped"),
    )  # fmt: skip
    assert rows(board) == {"first": "waiting", "second": "waiting"}
    deliver(inbox)
    assert rows(board) == {"first": "running", "second": "waiting"}
    board.cancel(second)
    deliver(inbox)
    assert ended == ["second", "stopped"]
    assert rows(board) == {"first": "running", "second": "cancelled"}
    release.set()
    deliver(inbox)
    assert rows(board) == {"first": "done", "second": "cancelled"}
    assert ended == ["second", "stopped", "first"]


def test_a_running_job_is_called_cancelled_only_once_it_is(board, lane, inbox):
    begun, release = threading.Event(), threading.Event()

    def write(context):
        begun.set()
        assert release.wait(5)
        context.check()

    key = board.submit(lane, "table", write, lambda _: "written")
    assert begun.wait(5)
    board.cancel(key)
    assert rows(board) == {"table": "waiting"}
    deliver(inbox)
    assert rows(board) == {"table": "running"}
    release.set()
    deliver(inbox)
    assert rows(board) == {"table": "cancelled"}
