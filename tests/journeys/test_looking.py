"""Looking at a series: open, thresholds, select, reject."""

import threading

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from stage import CONTROL, SHIFT, settle, until

from braggscope.app import composition
from braggscope.models.results import Status

Key = Qt.Key


def test_open_by_drop_shows_frame_metadata_and_tree(program, series):
    window = program.window
    assert "series.h5" in window.windowTitle()
    assert program.canvas.title == "Frame 0"
    assert window.frame_view._stack.currentWidget() is program.canvas
    text = window.metadata_panel.values.as_text()
    assert "128 × 128 px" in text
    assert "24" in text
    assert len(program.marks) == len(program.listed) == len(program.desk.table) > 3
    assert program.desk.picture.prepared.mask.any()  # the gap between modules


def test_thresholds_follow_the_handle(program):
    before = len(program.marks)
    detect = program.state.parameters.detect
    until(lambda: program.window.threshold_panel.minval.track.counts.any(), "the histogram")
    for name, factor in (("minval", 3.0), ("minscore", 3.0)):
        wanted = max(getattr(detect, name), 30.0) * factor
        program.drag_threshold(name, wanted)
        program.look()
        value = getattr(program.state.parameters.detect, name)
        assert value > getattr(detect, name)
        table = program.desk.table
        assert np.all(table["birth"] >= program.state.parameters.detect.minval)
        assert np.all(table["score"] >= program.state.parameters.detect.minscore)
    assert len(program.marks) == len(program.listed) < before
    assert f"<b>{len(program.marks):,}</b>" in program.window.threshold_panel.count.text()
    program.key(Key.Key_Z, CONTROL)  # a drag is one step of undo
    program.key(Key.Key_Z, CONTROL)
    program.look()
    assert program.state.parameters.detect == detect
    assert len(program.marks) == before


def test_a_click_selects_everywhere_and_del_rejects(program):
    table = program.desk.table
    row = _lonely(table)
    program.click_image(float(table["x_fit"][row]), float(table["y_fit"][row]))
    assert program.program.peaks.selected_row() == row
    assert program.window.peak_table.selected_rows().tolist() == [row]
    assert program.marks.selected is not None
    until(lambda: program.patch is not None and program.patch.peak == row, "the patch")
    assert f"PEAK {row} · FRAME 0" in program.window.patch_view.caption.text()
    shown = program.desk.picture.prepared.image
    x0, y0 = (round(v) for v in program.patch.origin)
    assert np.array_equal(shown[y0 : y0 + 11, x0 : x0 + 11], program.patch.data)
    program.key(Key.Key_N)
    assert program.program.peaks.selected_row() == (row + 1) % len(table)
    program.key(Key.Key_N, SHIFT)
    assert program.program.peaks.selected_row() == row
    program.key(Key.Key_Delete)
    assert program.listed["status"][row] == Status.REJECTED
    assert Status.REJECTED in program.marks.status
    until(lambda: program.patch.status == Status.REJECTED, "the patch of the rejected peak")
    program.key(Key.Key_Z, CONTROL)
    assert program.listed["status"][row] == Status.OK
    assert Status.REJECTED not in program.marks.status
    until(lambda: program.patch.status == Status.OK, "the patch of the peak taken back")


def test_a_click_on_nothing_selects_nothing(program):
    table = program.desk.table
    program.key(Key.Key_N)
    assert program.program.peaks.selected_row() == 0
    ys, xs = np.mgrid[5:123:6, 5:123:6]
    far = np.hypot(xs[..., None] - table["col"], ys[..., None] - table["row"]).min(-1)
    at = np.unravel_index(np.argmax(far), far.shape)
    program.click_image(float(xs[at]), float(ys[at]))
    assert program.state.selected is None
    assert program.window.peak_table.selected_rows().size == 0
    assert program.marks.selected is None


def test_several_rows_of_the_table_are_rejected_with_del(program, qtbot):
    lines = program.window.peak_table.lines
    lines.setFocus()
    lines.selectAll()
    chosen = program.window.peak_table.selected_rows()
    assert len(chosen) == len(program.listed) > 1
    qtbot.keyClick(lines, Key.Key_Delete)
    assert np.all(program.listed["status"] == Status.REJECTED)
    program.key(Key.Key_Z, CONTROL)
    assert not np.any(program.listed["status"] == Status.REJECTED)


def test_rejected_peaks_stay_rejected_on_return(program):
    program.key(Key.Key_N)
    program.key(Key.Key_Delete)
    rejected = next(iter(program.state.rejected))
    program.go_to(5)
    assert not np.any(program.listed["status"] == Status.REJECTED)
    program.go_to(0)
    hit = (program.listed["row"] == rejected.row) & (program.listed["col"] == rejected.col)
    assert program.listed["status"][hit].tolist() == [Status.REJECTED]


def _lonely(table) -> int:
    """A fitted peak with no neighbour near."""
    x, y = table["x_fit"], table["y_fit"]
    for row in np.flatnonzero(table["status"] == Status.OK):
        others = np.arange(len(table)) != row
        near = np.hypot(table["col"] - x[row], table["row"] - y[row])[others]
        inside = 8 < x[row] < 119 and 8 < y[row] < 119
        if inside and near.min() > 14:
            return int(row)
    raise AssertionError("no lonely peak in this frame")


@pytest.mark.parametrize("widths", [(1280,), (1600,), (1600, 1280)])
def test_all_menus_have_room_beside_the_tools(launch, widths):
    program = launch()
    bar = program.window.menuBar()
    for width in widths:
        program.window.resize(width, 800)
        until(lambda w=width: program.window.width() == w, "the size")
        settle(0.05)
    tools = bar.cornerWidget(Qt.Corner.TopRightCorner).geometry()
    ends = [bar.actionGeometry(action).right() for action in bar.actions()]
    assert ends == sorted(ends)
    assert ends[0] > 0
    assert ends[-1] < tools.left()


def test_the_mask_is_made_behind_the_window_and_only_to_be_seen(program):
    overlays = program.canvas.overlays
    assert int(overlays.mask.constBits()) == program.desk.picture.overlay.ctypes.data
    program.program.trigger("show_mask")
    until(lambda: program.desk.picture.overlay is None, "the picture without it")
    program.go_to(3)
    assert overlays.mask is None
    program.program.trigger("show_mask")
    until(lambda: overlays.mask is not None, "the mask")


def test_the_error_report_is_made_behind_the_window(program, monkeypatch):
    made, where = composition.error_report, []

    def told(session):
        where.append(threading.current_thread())
        return made(session)

    monkeypatch.setattr(composition, "error_report", told)
    QGuiApplication.clipboard().setText("")
    program.program.trigger("error_report")
    until(lambda: "Session:" in QGuiApplication.clipboard().text(), "the report")
    assert where != [threading.main_thread()]
    until(lambda: "Error report copied" in program.notice.text, "the notice")
