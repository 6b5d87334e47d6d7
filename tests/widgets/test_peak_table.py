import time

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor, QGuiApplication

from braggscope.models.results import COLUMNS, PeakTable, Status
from braggscope.widgets import theme
from braggscope.widgets.peak_table import EMPTY, PeakTableView
from braggscope.widgets.peak_table_model import FIELDS, POSITION, sorted_rows

LEFT = Qt.MouseButton.LeftButton
NAN = np.nan


def small_table():
    return PeakTable.blank(
        5,
        peak=np.arange(5),
        col=[10, 20, 30, 40, 50],
        row=[11, 21, 31, 41, 51],
        score=np.array([887.0, 880.0, 849.0, 60.25, 12345.0]),
        status=[Status.OK, Status.MASKED, Status.OK, Status.REJECTED, Status.EDGE],
        x=[10.12345, NAN, 29.5, 40.0, NAN],
        y=[11.5, NAN, 31.25, 41.0, NAN],
        distance=[0.21, NAN, 0.07, 0.5, NAN],
        fwhm_major=[3.74, NAN, 4.54, 4.0, NAN],
        fwhm_minor=[2.65, NAN, 3.0, 3.5, NAN],
        chi2=[1.23, NAN, 0.91, 1.2, NAN],
    )


def large_table(n=100_000):
    rng = np.random.default_rng(5)
    return PeakTable.blank(
        n, frame=np.sort(rng.integers(0, 480, n)), peak=np.arange(n), score=rng.lognormal(4, 1, n),
        x=rng.uniform(0, 4096, n), y=rng.uniform(0, 4096, n), distance=rng.random(n),
        status=rng.integers(0, 9, n),
    )  # fmt: skip


@pytest.fixture
def view(qtbot):
    widget = PeakTableView()
    qtbot.addWidget(widget)
    widget.resize(700, 260)
    widget.set_table(small_table())
    widget.show()
    return widget


@pytest.fixture
def heard(view):
    signals = []
    view.peak_selected.connect(lambda row: signals.append(("selected", row)))
    view.reject_requested.connect(lambda rows: signals.append(("reject", rows.tolist())))
    return signals


def cell(view, line, name):
    return view.model.index(line, POSITION[name]).data()


def click(view, qtbot, line, modifier=Qt.KeyboardModifier.NoModifier):
    rect = view.lines.visualRect(view.model.index(line, POSITION["score"]))
    qtbot.mouseClick(view.lines.viewport(), LEFT, modifier, rect.center())


def click_header(view, qtbot, name):
    header = view.lines.horizontalHeader()
    k = POSITION[name]
    at = QPoint(header.sectionViewportPosition(k) + header.sectionSize(k) // 2, header.height() // 2)
    qtbot.mouseClick(header.viewport(), LEFT, pos=at)


def test_cells_say_what_the_table_holds(view):
    expected = ["0", "887", "10.123", "11.500", "0.210", "3.74 × 2.65", "1.23", "ok"]
    assert [cell(view, 0, name) for name in view.visible_columns()] == expected


def test_a_peak_without_a_fit_shows_its_pixel_and_dashes(view):
    expected = ["1", "880", "20", "21", "–", "–", "–", "masked"]
    assert [cell(view, 1, name) for name in view.visible_columns()] == expected


def test_every_column_of_the_table_can_be_shown(view):
    assert {field.name for field in FIELDS} == {column.name for column in COLUMNS}
    for field in FIELDS:
        view.set_column_visible(field.name, True)
        assert isinstance(cell(view, 0, field.name), str)
        assert isinstance(cell(view, 1, field.name), str)
    assert len(view.visible_columns()) == len(COLUMNS)


def test_numbers_stand_right_words_left_and_rejected_ones_are_struck_out(view):
    index = view.model.index
    assert index(0, POSITION["x"]).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignRight
    assert index(0, POSITION["status"]).data(Qt.ItemDataRole.TextAlignmentRole) & Qt.AlignmentFlag.AlignLeft
    assert index(3, POSITION["x"]).data(Qt.ItemDataRole.FontRole).strikeOut()
    assert index(0, POSITION["x"]).data(Qt.ItemDataRole.FontRole) is None
    good, reason = (index(k, POSITION["status"]).data(Qt.ItemDataRole.ForegroundRole) for k in (0, 1))
    assert good == QColor(theme.current().good)
    assert reason == QColor(theme.current().warning)


def test_a_click_selects_the_row_of_the_table(view, heard, qtbot):
    click(view, qtbot, 2)
    assert heard == [("selected", 2)]
    click_header(view, qtbot, "score")
    assert view.model.rows.tolist() == [3, 2, 1, 0, 4]
    assert heard == [("selected", 2)]
    assert view.selected_rows().tolist() == [2]
    click(view, qtbot, 0)
    assert heard[-1] == ("selected", 3)


def test_keys_move_the_selection(view, heard, qtbot):
    view.select(0)
    qtbot.keyClick(view.lines, Qt.Key.Key_Down)
    qtbot.keyClick(view.lines, Qt.Key.Key_Down)
    assert heard == [("selected", 1), ("selected", 2)]


def test_headers_sort_both_ways_with_nan_last(view, qtbot):
    click_header(view, qtbot, "distance")
    assert view.model.rows.tolist() == [2, 0, 3, 1, 4]
    click_header(view, qtbot, "distance")
    assert view.model.rows.tolist() == [3, 0, 2, 1, 4]
    click_header(view, qtbot, "x")
    assert view.model.rows.tolist() == [0, 1, 2, 3, 4]  # a pixel stands in for a lacking position
    click_header(view, qtbot, "status")
    assert [cell(view, k, "status") for k in range(5)] == ["edge", "masked", "ok", "ok", "rejected"]


def test_sorting_is_stable():
    rows = sorted_rows(np.arange(6), np.array([1.0, 0.0, 1.0, np.nan, 0.0, 1.0]), descending=True)
    assert rows.tolist() == [0, 2, 5, 1, 4, 3]


def test_the_filter_counts_and_keeps_the_selection(view, heard, qtbot):
    texts = [view.filter.itemText(k) for k in range(view.filter.count())]
    assert texts == ["all peaks  5", "ok  2", "rejected  1", "edge  1", "masked  1"]
    view.select(2)
    view.filter.setFocus()
    qtbot.keyClick(view.filter, Qt.Key.Key_Down)
    assert view.model.rows.tolist() == [0, 2]
    assert view.selected_rows().tolist() == [2]
    assert view.count.text() == "2 of 5"
    assert heard == []
    view.select(4)  # filtered out
    assert view.selected_rows().size == 0


def test_a_filter_that_finds_nothing_in_the_next_table_says_so(view, qtbot):
    view.filter.setFocus()
    for _ in range(4):
        qtbot.keyClick(view.filter, Qt.Key.Key_Down)
    assert view.model.status is Status.MASKED
    table = small_table()
    view.set_table(table.take(table["status"] == Status.OK))
    assert view.model.rowCount() == 0
    assert "masked" in view.lines.hint
    view.grab()


def test_delete_asks_to_reject_what_is_selected(view, heard, qtbot):
    qtbot.keyClick(view.lines, Qt.Key.Key_Delete)
    assert heard == []
    click(view, qtbot, 1)
    click(view, qtbot, 3, Qt.KeyboardModifier.ShiftModifier)
    heard.clear()
    qtbot.keyClick(view.lines, Qt.Key.Key_Delete)
    assert heard == [("reject", [1, 2, 3])]


def test_copy_gives_tab_separated_text_in_full_precision(view, qtbot):
    click(view, qtbot, 0)
    qtbot.keyClick(view.lines, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    names, values = (line.split("\t") for line in lines)
    assert names == ["peak", "score", "x", "y", "distance", "fwhm_major", "fwhm_minor", "chi2", "status"]
    assert dict(zip(names, values, strict=True))["x"] == "10.12345"
    assert values[-1] == "ok"


def test_without_a_selection_everything_on_screen_is_copied(view):
    view.copy()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 6
    assert lines[2].split("\t")[2] == "nan"


def test_the_frame_column_comes_with_several_frames(view):
    assert "frame" not in view.visible_columns()
    view.set_table(large_table(100))
    assert view.visible_columns()[0] == "frame"
    view.set_column_visible("frame", False)
    view.set_table(large_table(200))
    assert "frame" not in view.visible_columns()


def test_the_column_menu_shows_and_hides(view):
    menu = view.column_menu(view)
    action = next(a for a in menu.actions() if a.text() == "χ²")
    assert action.isChecked()
    action.trigger()
    assert "chi2" not in view.visible_columns()


def test_setters_never_emit(view, heard):
    view.select(3)
    view.set_table(large_table(50))
    view.select(None)
    view.set_table(None)
    assert heard == []
    assert view.lines.hint == EMPTY


def test_a_new_table_keeps_order_and_selected_row(view, qtbot):
    click_header(view, qtbot, "score")
    view.select(2)
    view.set_table(small_table())
    assert view.model.rows.tolist() == [3, 2, 1, 0, 4]
    assert view.selected_rows().tolist() == [2]


def test_a_hundred_thousand_peaks_are_no_burden(view, qtbot):
    table = large_table()
    start = time.perf_counter()
    view.set_table(table)
    click_header(view, qtbot, "distance")
    view.select(777)
    bar = view.lines.verticalScrollBar()
    for k in range(20):
        bar.setValue(k * bar.maximum() // 20)
        view.lines.viewport().repaint()
    view.lines.selectAll()
    rows = view.selected_rows()
    assert time.perf_counter() - start < 3.0  # a cell-by-cell table needs minutes
    assert (np.diff(table["distance"][view.model.rows]) >= 0).all()
    assert len(rows) == 100_000


def with_further():
    """Peak 1 has a further one behind it."""
    return PeakTable.blank(
        4, peak=[0, 1, 1, 2], component=[0, 0, 1, 0], row=[5, 6, 6, 7], col=[5, 6, 6, 7],
        score=np.array([9.0, 8.0, 8.0, 7.0]), x=[5.0, 6.0, 8.5, 7.0], y=[5.0, 6.0, 6.5, 7.0],
    )  # fmt: skip


def test_a_further_peak_is_listed_behind_its_own_and_not_counted(view):
    view.set_table(with_further())
    assert [view.model.text(row, "peak") for row in range(4)] == ["0", "1", "1.1", "2"]
    assert view.filter.itemText(0) == "all peaks  3"
    assert view.filter.itemText(1) == "ok  3"
    assert view.count.text() == ""
    view.model.sort(POSITION["peak"], Qt.SortOrder.DescendingOrder)
    assert view.model.rows.tolist() == [3, 1, 2, 0]


def test_the_keys_go_past_a_further_peak(view, heard, qtbot):
    """Whoever hears that its line was gone to selects its detected peak; the line keeps the mark."""
    view.set_table(with_further())
    view.peak_selected.connect(lambda row: view.select(1 if row == 2 else row))
    view.select(0)
    for _ in range(3):
        qtbot.keyClick(view.lines, Qt.Key.Key_Down)
    assert view.selected_rows().tolist() == [3]
    view.select(1)
    assert view.selected_rows().tolist() == [1]
