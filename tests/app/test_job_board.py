"""What is said of jobs that failed."""

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

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
