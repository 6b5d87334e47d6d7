"""Nothing that a user did is lost by looking at something else."""

import json
import shutil

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog
from stage import CONTROL, Stage, until

from braggscope.app.shell.settings import settings_path
from braggscope.app.state.session import load_session
from braggscope.models.results import Status

KEY = Qt.Key


@pytest.fixture
def other(series, tmp_path):
    path = tmp_path / "other.h5"
    shutil.copy(series, path)
    return path


def reject(program: Stage) -> object:
    program.key(KEY.Key_N)
    program.key(KEY.Key_Delete)
    (rejected,) = program.state.rejected
    return rejected


def test_rejections_are_back_with_their_series(program, series, other):
    rejected = reject(program)
    program.open(other)
    assert not program.state.rejected
    program.open(series)
    assert program.state.rejected == {rejected}
    assert "1 rejected peak" in program.notice.text
    assert np.sum(program.listed["status"] == Status.REJECTED) == 1
    program.key(KEY.Key_Z, CONTROL)
    assert not program.state.rejected


def test_rejections_are_back_after_the_series_was_closed(program, series):
    rejected = reject(program)
    program.program.trigger("close_source")
    until(lambda: program.desk.engine is None, "the empty window")
    program.open(series)
    assert program.state.rejected == {rejected}


def test_a_session_of_nothing_closes_what_is_open(program, tmp_path, monkeypatch):
    from braggscope.app.state.session import Session, save_session

    path = tmp_path / "empty.braggscope.json"
    save_session(Session(fps=5.0), path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))
    program.program.sessions.ask_open()
    until(lambda: program.state.fps == 5.0, "the session")
    assert program.desk.engine is None
    assert program.state.location is None


def test_sessions_do_not_wait_for_movies(program, tmp_path, monkeypatch):
    import threading

    go_on = threading.Event()
    program.desk.lanes.export.submit(lambda _: go_on.wait(60), lambda _: None)
    path = tmp_path / "mine.braggscope.json"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    program.program.sessions.ask_save()
    until(path.exists, "the session", 5)
    go_on.set()
    assert load_session(path).location == program.state.location


def test_settings_are_written_while_the_window_is_open(program, home):
    dark = program.program.preferences.value.theme == "dark"
    program.program.trigger("theme")
    wanted = "light" if dark else "dark"

    def written() -> bool:
        path = settings_path()
        return path.exists() and json.loads(path.read_text())["preferences"].get("theme") == wanted

    until(written, "the settings", 10)


@pytest.mark.parametrize("name", ["series", "mask"])
def test_a_mask_never_replaces_what_is_read(program, other, tmp_path, monkeypatch, name):
    from braggscope.app.export.masks import write_mask

    program.open(other)
    path = other
    if name == "mask":
        path = tmp_path / "mask.tif"
        write_mask(path, np.zeros((128, 128), bool))
        program.program.preparation.change(mask_file=str(path))
        program.look()
    content = path.read_bytes()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    program.program.preparation.ask_save_mask()
    until(lambda: program.notice is not None and "choose another name" in program.notice.text, "the refusal")
    assert path.read_bytes() == content
