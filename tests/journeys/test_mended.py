"""What once went wrong in the window and must not again."""

import json
import os
import shutil

import pytest
from PyQt6.QtCore import Qt
from stage import CONTROL, settle, until

from braggscope.app.engine.jobs import silent_context
from braggscope.resources.loader import ROOT, manifest


def test_shapes_stay_on_the_detector_when_the_binning_changes(program):
    preparation = program.program.preparation
    program.program.trigger("mask_rectangle")
    program.drag_image((20, 20), (41, 45))
    program.look()
    preparation.change(centre=(63.5, 63.5))
    program.program.peaks.select_row(0)
    program.program.peaks.toggle_reject()
    before = program.state
    preparation.change(binning=2)
    program.look()
    after = program.state.parameters.prepare
    for old, new in zip(before.parameters.prepare.masked[0].points, after.masked[0].points, strict=True):
        assert new == pytest.approx([(value + 0.5) / 2 - 0.5 for value in old])
    assert after.centre == (31.5, 31.5)
    assert program.state.selected is None
    assert not program.state.rejected
    program.program.peaks.select_row(0)
    program.key(Qt.Key.Key_Z, CONTROL)
    assert program.state.parameters == before.parameters
    assert program.state.rejected == before.rejected
    assert program.state.selected is None


def test_selecting_a_peak_does_not_take_a_profile_away(program):
    seen = []
    program.window.region_panel.set_profile = lambda *arguments: seen.append(arguments)
    program.program.preparation.radial()
    for row in range(3):
        program.program.peaks.select_row(row)
    until(lambda: seen, "the radial profile", 5)


def test_weights_that_failed_are_tried_again(program, tmp_path):
    path = tmp_path / "mine.safetensors"
    program.program.peaks.localize(braggnn=str(path))
    until(lambda: program.notice is not None, "the notice")
    program.window.notices.close_button.click()
    program.program.peaks.localize(braggnn="braggnn")
    program.look()
    program.program.peaks.localize(braggnn=str(path))
    until(lambda: program.notice is not None, "the notice again", 5)


def test_a_run_reads_replaced_weights_again(program, tmp_path):
    path = tmp_path / "mine.safetensors"
    shutil.copy(ROOT / manifest()["braggnn"]["file"], path)
    program.program.peaks.localize(braggnn=str(path))
    until(lambda: program.program.networks_ready, "the network")
    shelf, parameters = program.program.shelf, program.state.parameters
    first = shelf.blocking(parameters, silent_context()).braggnn
    assert shelf.blocking(parameters, silent_context()).braggnn is first
    os.utime(path, ns=(1, 1))
    assert shelf.blocking(parameters, silent_context()).braggnn is not first


def test_a_session_whose_file_is_missing_stays_on_disk(launch, home, series, tmp_path):
    path = tmp_path / "away.h5"
    shutil.copy(series, path)
    first = launch()
    first.open(path)
    first.close()
    (kept,) = home.rglob("session.json")
    path.rename(tmp_path / "elsewhere.h5")
    second = launch()
    until(lambda: second.notice is not None, "the notice")
    second.program.trigger("log_scale")
    settle(1.0)
    second.close()
    assert json.loads(kept.read_text("utf-8"))["location"].startswith(str(path))


def test_playing_stops_with_the_file(program, series, tmp_path):
    other = tmp_path / "other.h5"
    shutil.copy(series, other)
    program.program.store.update(fps=1.0)
    program.program.playback.play(True)
    program.open(other)
    assert not program.program.playback._timer.isActive()
