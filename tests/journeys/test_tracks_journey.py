"""Tracks in the real window: linked after a run, one selection everywhere, edits with undo, export."""

import h5py
import numpy as np
import pytest
from late import left_alone
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import CONTROL, LEFT, NONE, settle, until

from braggscope.app.export.tables import read_peaks
from braggscope.app.presenters.track_views import label
from braggscope.models.tracks.quantities import SUMMARY_COLUMNS


@pytest.fixture
def tracked(program):
    """A window with the Tracks workspace open on an analysed series."""
    parameters = program.state.parameters.with_localize(methods=("fit",))
    program.program.store.replace(program.state.with_parameters(parameters))
    program.look()
    program.run_series()
    program.program.trigger("tracks_workspace")
    linked(program)
    return program


def linked(program):
    until(lambda: program.program.tracks.linked is not None, "the tracks", 90)
    until(lambda: not program.desk.lanes.tracks.busy, "the end of linking")
    settle(0.05)


def click_line(program, track, modifier=NONE):
    lines, model = program.window.track_table.lines, program.window.track_table.model
    index = model.index(model.line_of(track), 1)
    lines.scrollTo(index)
    QTest.mouseClick(lines.viewport(), LEFT, modifier, lines.visualRect(index).center())


def strip_shown(program):
    until(lambda: program.window.waterfall._content is not None, "the spot through time")


def longest(program):
    return int(np.argmax(program.program.tracks.linked.tracks.length))


def test_an_analysed_series_is_linked_and_one_selection_is_everywhere(tracked):
    tracks = tracked.program.tracks.linked.tracks
    assert len(tracks) >= 5
    assert tracks.length.max() == 24
    assert tracked.window.track_table.model.rowCount() == len(tracks)
    assert tracked.rows()["Tracks"] == "done"
    assert tracked.window.track_table.isVisible()
    assert tracked.window.tracks_plot.isVisible()
    assert tracked.window.tracks_plot.hint.isVisible(), "nothing is selected yet"
    _select_everywhere(tracked)


def test_nothing_is_linked_before_a_run(program):
    program.program.trigger("tracks_workspace")
    settle(0.3)
    assert program.program.tracks.linked is None
    assert "Ctrl+R" in program.window.track_table.lines.hint


def _select_everywhere(tracked):
    presenter, window = tracked.program.tracks, tracked.window
    k = longest(tracked)
    rows = presenter.linked.tracks.rows(k)
    click_line(tracked, k)
    tracked.look()
    strip_shown(tracked)
    assert presenter.chosen == [k]
    assert presenter.track_of(tracked.state.selected) == k
    assert tracked.program.peaks.selected_row() is not None
    curve = window.tracks_plot._curves[0]
    assert curve.track == k
    np.testing.assert_array_equal(np.sort(curve.frames), np.sort(presenter.linked.table["frame"][rows]))
    (trail,) = window.frame_view.canvas.overlays.trails
    assert len(trail) == len(rows)
    assert window.waterfall._content.name == presenter.linked.tracks.name[k]
    assert np.isfinite(window.waterfall._content.patches).any()

    tracked.go_to(9)  # the selected peak moves on with its track
    assert tracked.state.selected.frame == 9
    assert presenter.track_of(tracked.state.selected) == k

    window.tracks_plot.point_clicked.emit(k, 17)  # what a click on a point says
    tracked.look()
    assert (tracked.state.frame, tracked.state.selected.frame) == (17, 17)
    window.waterfall.frame_clicked.emit(3)
    tracked.look()
    assert (tracked.state.frame, tracked.state.selected.frame) == (3, 3)

    other = next(j for j in range(len(presenter.linked.tracks)) if j != k and presenter._key_at(j, 3))
    key = presenter._key_at(other, 3)
    tracked.click_image(key.col, key.row)  # a spot on the frame
    until(lambda: presenter.chosen == [other], "the track of the spot")
    assert window.track_table.selected() == [other]


def test_several_tracks_are_overlaid_and_every_quantity_is_drawn(tracked):
    lengths = tracked.program.tracks.linked.tracks.length
    one, other = (int(k) for k in np.argsort(-lengths)[:2])
    click_line(tracked, one)
    click_line(tracked, other, CONTROL)
    curves = tracked.window.tracks_plot._curves
    assert {curve.track for curve in curves} == {one, other}
    assert curves[0].colour != curves[1].colour
    assert len(tracked.window.frame_view.canvas.overlays.trails) == 2
    tracked.program.trigger("series_workspace")
    assert len(tracked.window.frame_view.canvas.overlays.trails) == 0
    tracked.program.trigger("tracks_workspace")
    _every_quantity(tracked)


def _every_quantity(tracked):
    click_line(tracked, longest(tracked))
    plot = tracked.window.tracks_plot
    keys = [plot.quantity.itemData(k) for k in range(plot.quantity.count())]
    assert {"x", "y", "radius", "width", "intensity", "orientation", "d", "strain"} <= set(keys)
    for key in keys:
        plot.quantity_changed.emit(key)
        assert np.isfinite(plot._curves[0].values).any(), key
    plot.quantity_changed.emit("strain")
    assert np.isfinite(plot._curves[0].errors).any()
    plot.axis_changed.emit("voltage_V")
    assert plot.plot.getPlotItem().getAxis("bottom").labelText.startswith("voltage")
    volts = tracked.desk.info.axes["voltage_V"]
    np.testing.assert_array_equal(plot._curves[0].x, volts[plot._curves[0].frames])


@pytest.mark.parametrize(
    ("name", "shown"),
    [("voltage_V", "voltage / V"), ("omega_start_deg", "omega start / deg"), ("cell", "cell"),
     ("exposure_time", "exposure time"), ("Spannung in V", "Spannung in V")],
)  # fmt: skip
def test_only_units_follow_the_stroke_of_an_axis(name, shown):
    assert label(name) == shown


def test_an_axis_from_a_file(tracked, monkeypatch, tmp_path):
    click_line(tracked, longest(tracked))
    good, bad = tmp_path / "temperature_K.csv", tmp_path / "short.csv"
    good.write_text("\n".join(str(300 + i) for i in range(24)))
    bad.write_text("1\n2\n")
    plot = tracked.window.tracks_plot
    for path in (good, bad):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_, p=path: (str(p), "")))
        plot.axis_file_requested.emit()
        until(lambda: not tracked.desk.lanes.small.busy, "the file")
        settle(0.05)
        np.testing.assert_array_equal(plot._curves[0].x, 300 + plot._curves[0].frames)
    assert "has 2 values, and the series has 24 frames" in tracked.notice.text


def test_split_join_rename_delete_and_undo(tracked):
    presenter, table = tracked.program.tracks, tracked.window.track_table
    k, before = longest(tracked), len(presenter.linked.tracks)
    name = presenter.linked.tracks.name[k]
    click_line(tracked, k)
    tracked.go_to(12)
    tracked.press(table.buttons["split"])
    until(lambda: len(presenter.linked.tracks) == before + 1, "the split")
    tracks = presenter.linked.tracks
    assert tracks.last[tracks.name.index(name)] == 11
    assert tracks.first[tracks.name.index(f"{name}b")] == 12

    click_line(tracked, tracks.name.index(name))
    click_line(tracked, tracks.name.index(f"{name}b"), CONTROL)
    tracked.press(table.buttons["join"])
    until(lambda: len(presenter.linked.tracks) == before, "the join")
    tracked.key(Qt.Key.Key_Z, CONTROL)
    until(lambda: len(presenter.linked.tracks) == before + 1, "the undone join")
    tracked.key(Qt.Key.Key_Z, CONTROL)
    until(lambda: len(presenter.linked.tracks) == before, "the undone split")

    k = longest(tracked)
    table.model.setData(table.model.index(table.model.line_of(k), 0), "rim grain")
    until(lambda: "rim grain" in presenter.linked.tracks.name, "the name")
    click_line(tracked, presenter.linked.tracks.name.index("rim grain"))
    tracked.press(table.buttons["delete"])
    until(lambda: len(presenter.linked.tracks) == before - 1, "the end of the track")
    assert "rim grain" not in presenter.linked.tracks.name
    tracked.program.trigger("undo")
    until(lambda: "rim grain" in presenter.linked.tracks.name, "its return")


def test_edits_survive_a_rejected_peak_and_another_analysis(tracked):
    presenter = tracked.program.tracks
    k = longest(tracked)
    click_line(tracked, k)
    presenter.hand.rename(k, "kept")
    until(lambda: "kept" in presenter.linked.tracks.name, "the name")
    rows = presenter.linked.tracks.rows(presenter.linked.tracks.name.index("kept"))
    presenter.select(presenter.linked.tracks.name.index("kept"), 20)
    tracked.look()
    tracked.program.peaks.toggle_reject()
    until(
        lambda: (
            "kept" in presenter.linked.tracks.name
            and presenter.linked.tracks.length[presenter.linked.tracks.name.index("kept")] == len(rows) - 1
        ),
        "the track without the peak",
    )


def test_tracks_of_other_parameters_are_never_shown_nor_exported(tracked, monkeypatch):
    presenter, store = tracked.program.tracks, tracked.program.store
    monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_: pytest.fail("asked")))
    first = presenter.linked
    tracked.program.trigger("series_workspace")
    settle(0.3)
    assert presenter.linked is first, "nothing has changed"
    tracked.program.runs.add_set()
    detect = tracked.state.parameters.detect
    store.replace(
        tracked.state.with_parameters(tracked.state.parameters.with_detect(minval=2 * detect.minval))
    )
    until(lambda: presenter.linked is None, "the end of the old tracks")
    tracked.program.trigger("export_tracks")
    assert "no tracks yet" in tracked.notice.text
    tracked.program.trigger("tracks_workspace")
    settle(0.3)
    assert presenter.linked is None
    store.update(active="A")
    linked(tracked)
    np.testing.assert_array_equal(presenter.linked.table["x"], first.table["x"])
    store.update(active="B")
    until(lambda: presenter.linked is None, "the end of the tracks of the other set")


def test_tracks_are_exported(tracked, monkeypatch, tmp_path):
    presenter = tracked.program.tracks
    for suffix in ("h5", "csv"):
        path = tmp_path / f"tracks.{suffix}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_, p=path: (str(p), "")))
        tracked.press(tracked.window.track_table.buttons["export"])
        tracked.idle()
        assert len(read_peaks(path)) == len(presenter.linked.table)
    with h5py.File(tmp_path / "tracks.h5") as file:
        np.testing.assert_array_equal(file["entry/peaks/track"][()], presenter.linked.tracks.track)
        assert set(file["entry/tracks"]) == {column.name for column in SUMMARY_COLUMNS}
        assert np.isfinite(file["entry/peaks/strain"][()]).any()
        assert "voltage_V" in file["entry/peaks"]
    assert (tmp_path / "tracks_tracks.csv").exists()
    left_alone(tracked, tmp_path / "tracks.csv", presenter.export, "Tracks to")
    _what_cannot_be_done_is_said(tracked)


def _what_cannot_be_done_is_said(tracked):
    presenter = tracked.program.tracks
    presenter.hand.join()
    assert "Select two tracks" in tracked.notice.text
    click_line(tracked, longest(tracked))
    tracked.go_to(0)
    presenter.hand.split()
    assert "Go to one of the frames 1 to 23" in tracked.notice.text
    assert tracked.state.track_edits == ()
