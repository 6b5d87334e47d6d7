"""Masks, regions, binning and calibration, drawn and typed in the window."""

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog
from stage import CONTROL, Stage, drag, until


def _answer(monkeypatch, path) -> None:
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_, **__: (str(path), "")))


def _inside(table, box) -> np.ndarray:
    (x0, y0), (x1, y1) = box
    return (table["col"] > x0) & (table["col"] < x1) & (table["row"] > y0) & (table["row"] < y1)


def _box_around_a_peak(program: Stage):
    at = np.stack([program.listed["col"], program.listed["row"]], axis=1)
    col, row = at[np.argmax(((at > 16) & (at < 111)).all(axis=1))]
    return (float(col) - 9.3, float(row) - 9.3), (float(col) + 9.3, float(row) + 9.3)


def test_a_drawn_mask_hides_peaks_until_undone(program):
    box, before = _box_around_a_peak(program), len(program.listed)
    inside = _inside(program.listed, box)
    assert inside.any()
    program.program.trigger("mask_rectangle")
    program.drag_image(*box)
    program.look()
    assert len(program.state.parameters.prepare.masked) == 1
    assert not _inside(program.listed, box).any()
    assert len(program.marks) == len(program.listed)
    mask = program.desk.picture.prepared.mask
    (x0, y0), (x1, y1) = box
    assert mask[round(y0) + 1 : round(y1) - 1, round(x0) + 1 : round(x1) - 1].all()
    assert program.canvas.overlays.masked
    program.key(Qt.Key.Key_Z, CONTROL)
    program.look()
    assert len(program.listed) == before
    assert _inside(program.listed, box).sum() == inside.sum()
    assert not program.canvas.overlays.masked


def test_after_a_shape_the_mouse_selects_again(program):
    box = _box_around_a_peak(program)
    program.program.trigger("region_rectangle")
    program.drag_image(*box)
    program.look()
    x, y = program.listed["col"][0], program.listed["row"][0]
    program.click_image(float(x), float(y))
    assert program.state.selected is not None


def test_a_region_restricts_detection(program):
    box, before = _box_around_a_peak(program), program.listed
    program.program.trigger("region_rectangle")
    program.drag_image(*box)
    program.look()
    assert 0 < len(program.listed) < len(before)
    assert _inside(program.listed, box).all()
    program.program.trigger("clear_shapes")
    program.look()
    assert len(program.listed) == len(before)


def test_a_drawn_ellipse_and_polygon_are_masks(program):
    program.program.trigger("mask_ellipse")
    program.drag_image((30, 30), (60, 50))
    program.look()
    mask = program.desk.picture.prepared.mask
    assert mask[40, 45]
    program.program.trigger("mask_polygon")
    for corner in ((80, 20), (110, 20), (95, 50)):
        program.click_image(*corner)
    program.key(Qt.Key.Key_Return)
    program.look()
    assert program.desk.picture.prepared.mask[30, 95]
    assert [shape.kind for shape in program.state.parameters.prepare.masked] == ["ellipse", "polygon"]


def test_binning_changes_the_shape_and_back(program):
    assert program.canvas.viewport.shape == (128, 128)
    button = program.window.prepare_panel.binning.button(2)
    program.window.show_panel("prepare")
    program.window.prepare_panel.binning.button(2).click()
    assert button.isChecked()
    program.look()
    assert program.canvas.viewport.shape == (64, 64)
    assert program.desk.picture.prepared.image.shape == (64, 64)
    assert (program.listed["col"] < 64).all()
    program.window.prepare_panel.binning.button(1).click()
    program.look()
    assert program.canvas.viewport.shape == (128, 128)


@pytest.mark.parametrize("field", ["dark_file", "flat_file", "mask_file"])
def test_a_calibration_of_the_wrong_shape_is_one_sentence(program, tmp_path, monkeypatch, field):
    path = tmp_path / "wrong.npy"
    np.save(path, np.ones((20, 30), np.float32))
    _answer(monkeypatch, path)
    before = program.state
    program.program.preparation.ask_file(field)
    until(lambda: program.notice is not None, "the notice")
    text = program.notice.text
    assert program.notice.level == "error"
    assert field.partition("_")[0] in text
    assert "(20, 30)" in text
    assert "(128, 128)" in text
    program.key(Qt.Key.Key_Z, CONTROL)
    program.window.notices.close_button.click()
    program.look()
    assert program.state.parameters == before.parameters
    assert len(program.marks) > 0


def test_a_dark_is_subtracted(program, tmp_path, monkeypatch):
    path = tmp_path / "dark.npy"
    np.save(path, np.full((128, 128), 5.0, np.float32))
    _answer(monkeypatch, path)
    before = program.desk.picture.prepared
    program.program.preparation.ask_file("dark_file")
    program.look()
    after = program.desk.picture.prepared
    good = ~(before.mask | after.mask)
    assert np.allclose(after.image[good], before.image[good].astype(float) - 5)


def test_a_saved_mask_is_the_same_when_loaded(program, tmp_path, monkeypatch):
    program.program.trigger("mask_rectangle")
    program.drag_image((20, 20), (40, 44))
    program.look()
    mask = program.desk.picture.prepared.mask.copy()
    _answer(monkeypatch, tmp_path / "mask.tif")
    program.program.trigger("save_mask")
    until(lambda: program.notice is not None, "the notice")
    assert program.notice.level == "info", program.notice.text
    program.program.trigger("clear_shapes")
    program.look()
    assert not np.array_equal(program.desk.picture.prepared.mask, mask)
    program.program.trigger("load_mask")
    program.look()
    assert np.array_equal(program.desk.picture.prepared.mask, mask)


def test_line_and_radial_profiles_are_measured(program):
    panel = program.window.region_panel
    seen = []
    original = panel.set_profile
    panel.set_profile = lambda *arguments: (seen.append(arguments), original(*arguments))
    program.program.trigger("line_profile")
    program.drag_image((10, 64), (110, 64))
    until(lambda: seen, "the line profile")
    assert len(seen[0][0]) > 90
    program.program.trigger("radial_profile")
    until(lambda: len(seen) > 1, "the radial profile")
    assert panel.isVisible()


def test_moving_with_the_handle_of_a_slider_held_stays_one_undo(program):
    track = program.window.threshold_panel.minval.track
    scale = track.scale()
    before = program.state.parameters
    points = [track.rect().center()] * 2
    for value in (200.0, 300.0):
        points.append(points[0].__class__(round(scale.x(value)), points[0].y()))
    drag(track, points)
    program.look()
    assert program.state.parameters != before
    program.key(Qt.Key.Key_Z, CONTROL)
    assert program.state.parameters == before
