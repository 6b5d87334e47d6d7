"""Every action of the table once, on an open series and in the empty window."""

import shutil

import pytest
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication, QDialog, QFileDialog, QMessageBox
from stage import Stage, settle, until

from braggscope.app.demo_coherent import Known
from braggscope.app.shell.actions import ACTIONS, MENUS

LAST = ("close_source", "quit")
KEYS = [action.key for action in ACTIONS if action.key not in LAST]


@pytest.fixture(scope="module")
def stages(series, warm, tmp_path_factory, qapp):
    """Two windows for all actions: one with a series, one without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRAGGSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
        full, empty = Stage(), Stage()
        full.open(series)
        full.program.peaks.step(1)
        yield {"series": full, "empty": empty}
        for stage in (full, empty):
            stage.close()


@pytest.fixture
def dialogs(monkeypatch, tmp_path):
    """Every file dialog is cancelled; the demo series is not made."""
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_, **__: ("", "")))
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", staticmethod(lambda *_, **__: ([], "")))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", staticmethod(lambda *_, **__: ""))


def _finish(stage: Stage) -> None:
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog | QMessageBox) and widget.isVisible():
            widget.close()
    for overlay in (stage.window.palette_overlay, stage.window.help_overlay):
        overlay.hide()
    stage.window.frame_view.set_tool(None)
    until(lambda: not stage.program.jobs.running, "the end of the jobs", 60)
    settle(0.02)


@pytest.mark.parametrize("where", ["series", "empty"])
@pytest.mark.parametrize("key", KEYS)
def test_an_action_does_its_work_without_complaint(
    stages, dialogs, qt_messages, monkeypatch, series, tmp_path, where, key
):
    stage = stages[where]
    monkeypatch.setattr("braggscope.app.demo.ensure_demo_series", lambda **_: series)
    known = ((1.0, 1.0, 1.0), (0.0, 0.0, 1.0))
    monkeypatch.setattr(
        "braggscope.app.demo_coherent.ensure_demo_coherent", lambda **_: (series, Known(*known))
    )
    monkeypatch.setattr(
        "braggscope.app.demo_strain.write_demo_strain", lambda path, **_: shutil.copy(series, path)
    )
    action = stage.window.actions_by_key[key]
    needs = next(a.needs for a in ACTIONS if a.key == key)
    if where == "series":
        if stage.desk.engine is None:
            stage.open(series)
        if stage.program.peaks.selected_row() is None:
            stage.look()
            stage.program.peaks.step(1)
        if key not in ("undo", "redo", "cancel_run"):
            assert action.isEnabled()
    elif needs:
        assert not action.isEnabled()
    action.setEnabled(True)  # nothing breaks even where it should not be possible
    action.trigger()
    _finish(stage)
    notice = stage.notice
    if notice is not None:
        assert key == "paste_parameters" or notice.level != "error", notice.text
        stage.window.notices._queue.clear()
        stage.window.notices.hide()
    if key.endswith("workspace") or key == "open_demo_scan":
        stage.program.trigger("series_workspace")
    if where == "empty" and key.startswith("open_demo"):
        stage.look()
        stage.program.trigger("close_source")
        settle(0.02)
        assert stage.desk.engine is None


def test_every_action_has_a_place_and_one_meaning():
    keys = [shortcut for action in ACTIONS for shortcut in action.shortcuts]
    assert len(keys) == len(set(keys))
    assert {action.menu for action in ACTIONS} == set(MENUS)


def test_checked_actions_tell_the_state(program):
    window = program.window
    for key, read in (
        ("log_scale", lambda: program.state.display.scale == "log"),
        ("show_peaks", lambda: program.state.display.show_peaks),
        ("show_mask", lambda: program.state.display.show_mask),
        ("follow", lambda: program.state.follow),
        ("noise_poisson", lambda: program.state.parameters.localize.noise == "poisson"),
        ("window_auto", lambda: program.state.parameters.localize.window == "auto"),
        ("window_11", lambda: program.state.parameters.localize.window == 11),
        ("window_21", lambda: program.state.parameters.localize.window == 21),
    ):
        for _ in range(2):
            before = read()
            program.program.trigger(key)
            assert read() is not before, key
            assert window.actions_by_key[key].isChecked() == read(), key
            settle(0.02)
    program.look()


def test_parameters_travel_over_the_clipboard(program):
    before = program.state.parameters
    program.program.trigger("copy_parameters")
    program.program.peaks.nudge("minval", True)
    assert program.state.parameters != before
    program.program.trigger("paste_parameters")
    assert program.state.parameters == before
    QGuiApplication.clipboard().setText("nonsense")
    program.program.trigger("paste_parameters")
    assert program.state.parameters == before
    assert "clipboard" in program.notice.text


def test_closing_the_file_and_the_window(program, series):
    program.program.trigger("close_source")
    assert program.window.frame_view._stack.currentWidget() is program.window.frame_view.empty
    assert program.window.windowTitle() == "Braggscope"
    assert not len(program.listed)
    assert program.marks is None
    program.open(series)
    program.program.trigger("quit")
    assert not program.window.isVisible()
    assert program.desk.lanes.frame._closed
