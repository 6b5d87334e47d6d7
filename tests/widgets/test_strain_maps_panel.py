"""Docks Bragg vectors and Strain maps: values in, gestures out."""

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, QRectF, QSizeF
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QApplication
from strain_hands import heard, picture, shown

from braggscope.widgets import theme
from braggscope.widgets.plotting import tick_font
from braggscope.widgets.scan_canvas import ScanCanvas
from braggscope.widgets.scan_paint import box_size, outside
from braggscope.widgets.strain_bragg import BraggPanel, logarithmic
from braggscope.widgets.strain_calibration import CalibrationPanel
from braggscope.widgets.strain_disks import DisksPanel
from braggscope.widgets.strain_map_row import MapCell, best_columns, value_text
from braggscope.widgets.strain_maps import StrainMapsPanel
from braggscope.widgets.strain_plots import Along, Spread


def test_the_bragg_vector_map_shows_weak_spots_beside_strong_ones(qtbot):
    panel = shown(qtbot, BraggPanel(), 300, 300)
    assert panel.hint.isVisible()
    values = np.zeros((40, 50))
    values[5, 5], values[20, 25], values[30, 40] = 1e4, 10.0, np.nan
    panel.set_picture(values, "bragg", "2 disks")
    assert panel.canvas.isVisible()
    colours = logarithmic(values)
    assert colours[5, 5] != colours[20, 25] != colours[0, 0]
    assert colours[30, 40] == colours[0, 0]
    asked = heard(panel.requested)
    panel.compute.click()
    panel.set_running(True)
    panel.compute.click()
    assert len(asked) == 1
    panel.set_picture(None, "region")
    assert panel.hint.isVisible()
    assert not panel.compute.isVisible()
    assert logarithmic(np.zeros((3, 3))).shape == (3, 3)


# ---- maps ----


@pytest.fixture
def maps(qtbot):
    panel = shown(qtbot, StrainMapsPanel(), 1200, 280)
    values = np.linspace(-2, 2, 60).reshape(6, 10)
    values[0, 0] = np.nan
    strains = [picture(key, values, np.full((6, 10), 0.02)) for key in ("exx", "eyy", "exy")]
    panel.set_pictures([*strains, picture("theta", values, None, "°", 1.0)], "")
    panel.set_possible(True)
    return panel


def test_maps_of_one_scale_share_a_bar(maps):
    assert [cell.bar.isVisible() for cell in maps.maps.cells] == [False, False, True, True]
    assert len({cell.canvas.size() for cell in maps.maps.cells[:3]}) <= 2
    assert maps.maps.cells[2].bar.high == 3.0
    assert maps.maps.cells[3].bar.unit == "°"
    maps.maps.set_position((5, 9))
    assert maps.maps.cells[0].value.text() == "2.000 ± 0.020 %"
    assert maps.maps.cells[3].value.text() == "2.000 °"
    maps.maps.set_position((0, 0))
    assert maps.maps.cells[1].value.text() == "no value"


@pytest.mark.parametrize(
    ("count", "shape", "room", "columns"),
    [(4, (24, 64), (900, 260), 2), (4, (64, 64), (900, 200), 4), (3, (10, 100), (600, 300), 1),
     (4, (60, 20), (300, 300), 4), (0, (5, 5), (100, 100), 1)],
)  # fmt: skip
def test_maps_stand_where_they_are_largest(count, shape, room, columns):
    assert best_columns(count, shape, room) == columns


def test_negative_values_have_a_true_minus():
    values = np.full((2, 2), -1.5)
    assert value_text(picture("exx", values), 1, 1) == "−1.500 %"
    assert value_text(picture("exx", values), 5, 1) == ""
    assert value_text(picture("count", np.full((2, 2), 30.0), unit=""), 1, 1) == "30"


def test_compressed_and_stretched_have_colours_that_do_not_depend_on_red_and_green(maps):
    from braggscope.widgets.scan_paint import map_image
    from braggscope.widgets.strain_map_row import DIVERGING

    ends = map_image(np.array([[-3.0, 0.0, 3.0]]), -3, 3, DIVERGING)
    low, middle, high = (QColor(ends.pixel(x, 0)) for x in range(3))
    assert low.blue() - low.red() > 50
    assert high.red() - high.blue() > 50
    assert middle.lightness() > 200


def test_choices_are_said_and_shown(maps):
    said = heard(maps.view_changed)
    maps.set_view({"method": "lattice", "beside": "network", "component": "exy", "shown": "error",
                   "limit": 1.5, "limit_deg": 0.5})  # fmt: skip
    assert said == []
    assert maps.component.isVisible()
    assert (maps.method.currentData(), maps.beside.currentData()) == ("lattice", "network")
    maps.shown.button("validity").click()
    maps.limit.setValue(2.0)
    assert said == [{"shown": "validity"}, {"limit": 2.0}]
    maps.set_view({"method": "network", "beside": "", "component": "exx", "shown": "strain",
                   "limit": 3.0, "limit_deg": 3.0})  # fmt: skip
    assert not maps.component.isVisible()


def test_starting_and_cancelling_take_the_same_room_in_every_style(maps, qtbot):
    maps.setStyleSheet("QPushButton { padding: 4px 50px; }")
    qtbot.wait(20)
    wanted = maps.run.sizeHint().width()
    assert maps.run.width() >= wanted
    before = maps.method.geometry()
    maps.set_running(True, 0, 10, "")
    qtbot.wait(20)
    assert maps.cancel.width() >= wanted
    assert maps.method.geometry() == before


def test_a_run_can_be_started_cancelled_and_resumed(maps):
    started, cancelled = heard(maps.run_requested), heard(maps.cancel_requested)
    maps.run.click()
    maps.set_running(True, 30, 60, "30 / 60 · 4 s left")
    assert not maps.run.isVisible()
    assert maps.bar.value() == 30
    maps.cancel.click()
    maps.set_running(False)
    maps.set_possible(True, resumable=True)
    assert maps.run.text() == "Resume"
    assert (len(started), len(cancelled)) == (1, 1)


def test_without_maps_the_panel_says_what_to_do(maps):
    asked = heard(maps.demo_requested)
    maps.set_pictures([], "Open a 4D-STEM scan or the demo.")
    maps.set_possible(False)
    assert maps.hint.isVisible()
    assert not maps.run.isEnabled()
    assert not maps.export.isEnabled()
    maps.demo.click()
    assert len(asked) == 1


def test_exports_and_copies_are_in_one_menu(maps):
    exported, copied = heard(maps.export_requested), heard(maps.copy_requested)
    forgotten = heard(maps.clear_reference_requested)
    for action in maps.menu.actions():
        action.trigger()
    assert exported == ["h5", "tif", "csv", "png", "pdf"]
    assert copied == ["python", "command"]
    assert len(forgotten) == 1


def test_histogram_and_profile_with_its_band(maps):
    edges = np.linspace(-3, 3, 31)
    maps.plots.set_spreads([Spread("εxx", "#56b4e9", edges, np.arange(30.0), "0 ± 1 %")], "strain / %")
    assert "εxx" in maps.plots.legend.text()
    assert "0 ± 1 %" in maps.plots.histogram.toolTip()
    distance = np.arange(5.0)
    values = np.array([0, 1, np.nan, 3, 4.0])
    maps.plots.set_profile([Along("εxx", "#56b4e9", distance, values, np.full(5, 0.2))], "distance / nm", "")
    maps.plots.choice.button("profile").click()
    assert maps.plots.profile.isVisible()
    assert not maps.plots.no_line.isVisible()
    line, low, high, _ = maps.plots._lines._items[0]
    np.testing.assert_allclose(high.yData - low.yData, 0.4)
    assert np.isnan(line.yData[2])
    maps.plots.set_profile([], "", "")
    assert maps.plots.no_line.isVisible()


def test_both_themes_paint_every_panel(qapp, qtbot, maps):
    disks, calibration = shown(qtbot, DisksPanel(), 320, 640), shown(qtbot, CalibrationPanel(), 320, 700)
    try:
        for colours in (theme.LIGHT, theme.DARK):
            theme.apply(qapp, colours, "")
            for widget in (maps, disks, calibration):
                assert not widget.grab().isNull()
    finally:
        theme.apply(qapp, theme.DARK, "")


def test_what_is_one_click_away_is_offered(maps):
    taken = heard(maps.offer_taken)
    assert not maps.offer.isVisible()
    maps.set_offer("Refine", "By the lattice fit")
    maps.offer.click()
    assert len(taken) == 1
    maps.set_offer("")
    assert not maps.offer.isVisible()


def test_scales_are_shown_without_a_word_and_given_back_to_the_data(maps):
    said = heard(maps.view_changed)
    maps.set_limits(2.0, 0.5)
    assert (maps.limit.value(), maps.limit_deg.value()) == (2.0, 0.5)
    assert said == []
    next(a for a in maps.menu.actions() if "colour scales" in a.text()).trigger()
    assert said == [{"limit": None, "limit_deg": None}]


def test_maps_under_each_other_do_not_push_the_window_apart(maps):
    before = maps.minimumSizeHint().height()
    maps.set_pictures([picture(str(k), np.zeros((10, 100))) for k in range(3)], "")
    maps.resize(700, 280)
    assert maps.minimumSizeHint().height() <= max(before, 280)


@pytest.mark.parametrize(
    ("place", "corner"),
    [((0, 40, 200, 60), (20, 17)), ((0, 0, 200, 60), (20, 63)), ((60, 0, 140, 100), (17, 40)),
     ((0, 0, 140, 100), (143, 40)), ((0, 0, 200, 100), None)],
)  # fmt: skip
def test_what_is_written_on_a_map_stands_beside_it_where_there_is_room(place, corner):
    near = QPointF(20, 40)
    found = outside(QRectF(*place), QRectF(0, 0, 200, 100), QSizeF(40, 20), near)
    assert (None if found is None else (found.x(), found.y())) == corner


def test_no_maps_and_no_notes_ask_for_more_room_than_others(qtbot):
    panel = shown(qtbot, StrainMapsPanel(), 940, 230)
    values, asked = np.zeros((30, 8)), set()
    for names in ((), ("exx",), ("exx", "eyy", "exy"), ("exx", "eyy", "exy", "theta")):
        for note in ("", "138 of 140 positions"):
            panel.set_pictures([picture(name, values, values) for name in names], "")
            panel.set_note(note)
            QApplication.processEvents()
            asked.add((panel.minimumSizeHint().width(), panel.minimumSizeHint().height()))
    assert len(asked) == 1


def test_a_value_without_room_leaves_out_its_error_first(qtbot):
    cell = shown(qtbot, MapCell(), 400, 200)
    cell.canvas.set_position((1, 1))
    cell.show_picture(picture("exx", np.full((3, 3), 1.25), np.full((3, 3), 0.5)), False)
    assert cell.value.shown_text() == "1.250 ± 0.500 %"
    words = cell.title.sizeHint().width() + cell.value.fontMetrics().horizontalAdvance("1.250 ± 0.500 %")
    cell.resize(words, 200)
    assert cell.value.shown_text() == "1.250 %"
    assert cell.value.toolTip() == "1.250 ± 0.500 %"


def test_what_is_long_in_a_note_ends_in_dots(qtbot):
    panel = shown(qtbot, StrainMapsPanel(), 740, 230)
    panel.set_note("measured with other settings · " * 9)
    assert panel.note.shown_text().startswith("measured with other settings · measured")
    assert panel.note.shown_text().endswith("…")


@pytest.mark.parametrize("size", [(220, 320), (320, 220)])
def test_words_beside_a_scan_do_not_lie_on_it(qtbot, size):
    canvas = shown(qtbot, ScanCanvas(), *size)
    canvas.set_values(np.zeros((60, 20)), 0, 1, "cividis")
    before = canvas.viewport.frame_on_screen()
    canvas.set_regions({"reference": (0, 20, 0, 10)})
    canvas.set_step((2.0, "nm"))
    place, room = canvas.viewport.frame_on_screen(), QRectF(canvas.rect())
    for words in (box_size("reference", tick_font()), box_size("20 nm", tick_font()) + QSizeF(20, 7)):
        assert outside(place, room, words, place.topLeft()) is not None
    canvas.set_regions({})
    canvas.set_step(None)
    assert canvas.viewport.frame_on_screen() == before
