"""Disks, calibration, Bragg vector map and strain maps: values in, gestures out."""

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest

from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Lattice, Probe
from braggscope.widgets import theme
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.prepare_fields import NumberField
from braggscope.widgets.strain_bragg import BraggPanel, logarithmic
from braggscope.widgets.strain_calibration import CalibrationPanel
from braggscope.widgets.strain_disks import DisksPanel, LiveCount
from braggscope.widgets.strain_handles import FrameHandles
from braggscope.widgets.strain_map_row import MapPicture, best_columns, value_text
from braggscope.widgets.strain_maps import COMPONENTS, StrainMapsPanel
from braggscope.widgets.strain_overlay import (
    Detector,
    DiskMarks,
    StrainOverlay,
    dragged,
    ellipse_curve,
    lattice_handles,
)
from braggscope.widgets.strain_plots import Along, Spread

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
LATTICE = Lattice((32.0, 30.0), (12.0, 1.0), (-2.0, 11.0))


def heard(signal):
    said = []
    signal.connect(lambda *values: said.append(values[0] if len(values) == 1 else values))
    return said


def shown(qtbot, widget, width, height):
    qtbot.addWidget(widget)
    widget.resize(width, height)
    widget.show()
    return widget


def type_in(field, text):
    field.setText(text)
    field.editingFinished.emit()


# ---- disks ----


@pytest.fixture
def disks(qtbot):
    return shown(qtbot, DisksPanel(), 320, 640)


def test_a_slider_moves_live_and_settles_once(disks):
    said = heard(disks.changed)
    field = disks.sliders["threshold"]
    field.slider.setSliderDown(True)
    for step in (100, 150, 200):
        field.slider.setValue(step)
    field.slider.setSliderDown(False)
    moves = [changes["threshold"] for changes, live in said if live]
    assert moves == pytest.approx([0.04, 0.09, 0.16])
    assert said[-1] == ({}, False)
    assert sum(not live for _, live in said) == 1


def test_showing_parameters_says_nothing(disks):
    said = [heard(disks.changed), heard(disks.overlay_changed)]
    disks.set_strain(Strain(method="lattice", threshold=0.2, spacing=14.0, kernel="flat", most=50), 6.5)
    disks.set_overlay(("lattice", "network"))
    assert not any(said)
    assert disks.method.value() == "lattice"
    assert disks.sliders["spacing"].field.text() == "14"
    assert disks.sliders["threshold"].slider.value() == round(500 * 0.2**0.5)
    assert disks.choices["kernel"].currentData() == "flat"
    assert [k for k, check in disks.overlays.items() if check.isChecked()] == ["network", "lattice"]
    disks.set_strain(Strain(), 6.0)  # the slider stands at the assumed spacing, the field is empty
    assert disks.sliders["spacing"].field.text() == ""
    assert disks.sliders["spacing"].slider.value() == round(500 * (8 / 99) ** 0.5)


def test_an_emptied_field_means_none_only_where_none_is_allowed(disks):
    disks.set_strain(Strain(spacing=20.0, threshold=0.3), 6.5)
    said = heard(disks.changed)
    type_in(disks.sliders["spacing"].field, "")
    type_in(disks.sliders["threshold"].field, "")
    type_in(disks.numbers["most"], "")
    assert [changes for changes, _ in said if changes] == [
        {"spacing": None},
        {"threshold": 0.0},
        {"most": 200},
    ]
    refused = heard(disks.refused)
    type_in(disks.numbers["absolute"], "much")
    assert "is not a number" in refused[0]


def test_methods_are_chosen_and_drawn_side_by_side(disks):
    said, drawn = heard(disks.changed), heard(disks.overlay_changed)
    disks.method.button("correlation").click()
    disks.set_overlay(("correlation",))
    disks.overlays["lattice"].click()
    assert said == [({"method": "correlation"}, False)]
    assert drawn == [("correlation", "lattice")]
    disks.set_counts({"correlation": LiveCount(1, 2.4), "lattice": LiveCount(0, 0.0, "no lattice here")})
    assert disks.counts["correlation"].text() == "1 disk · 2 ms"
    assert disks.counts["lattice"].text() == "no lattice here"
    assert disks.counts["network"].text() == ""


def test_the_probe_is_shown_with_its_numbers(disks):
    y, x = np.mgrid[-12:13, -12:13]
    image = (np.hypot(x, y) < 6.5).astype(np.float32)
    disks.probe.set_probe(Probe(image / image.sum(), 6.52, 1.1, (30.2, 31.7), "vacuum.h5"))
    assert dict(disks.probe.numbers.items())["Radius"] == "6.52 px"
    picture = disks.probe.picture.grab().toImage()
    assert QColor(picture.pixel(42, 42)).lightness() > 200
    assert QColor(picture.pixel(4, 4)).lightness() < 30
    changed = heard(disks.changed)
    type_in(disks.probe.radius, "7.5")
    assert changed == [({"probe_radius": 7.5}, False)]


# ---- the pattern ----


@pytest.fixture
def view(qtbot):
    widget = shown(qtbot, FrameView(), 400, 360)
    widget.set_frame(np.full((64, 64), 0xFF000000, np.uint32), (64, 64))
    widget.zoom_to_fit()
    return widget


def test_disks_are_circles_of_the_probe_with_a_dot(view):
    marks = DiskMarks("network", np.array([20.0]), np.array([30.0]), 8.0)
    view.set_disks(StrainOverlay((marks,), Detector((40.0, 40.0), 4.0, 12.0), LATTICE, handles=((5.0, 5.0),)))
    picture = view.canvas.grab().toImage()

    def ink(x, y):
        return QColor(picture.pixel(view.canvas.screen_position(x, y).toPoint()))

    assert ink(20, 30).blue() > 150
    assert ink(20, 26).lightness() < 60
    ring = [ink(20 + 8 * np.cos(t), 30 + 8 * np.sin(t)) for t in np.linspace(0, 6.28, 60)]
    assert max(colour.blue() for colour in ring) > 150
    assert ink(40, 48).lightness() > ink(40, 40).lightness()  # the annulus is tinted, its hole is not
    view.set_layer_visible("disks", False)
    hidden = QColor(view.canvas.grab().toImage().pixel(view.canvas.screen_position(20, 30).toPoint()))
    assert hidden.lightness() < 10


def test_handles_are_dragged_and_other_presses_are_left_alone(view):
    handles = FrameHandles(view.canvas)
    handles.set_handles({"a": (44.0, 31.0), "origin": (32.0, 30.0)})
    moved, released, clicked = heard(handles.moved), heard(handles.released), heard(view.clicked)
    start, end = (view.canvas.screen_position(*at).toPoint() for at in ((44.5, 31.0), (50.0, 20.0)))
    QTest.mousePress(view.canvas, LEFT, NONE, start)
    QTest.mouseMove(view.canvas, end)
    QTest.mouseRelease(view.canvas, LEFT, NONE, end)
    assert released == ["a"]
    assert moved[-1][0] == "a"
    np.testing.assert_allclose(moved[-1][1:], (50, 20), atol=0.2)
    assert clicked == []
    QTest.mouseClick(view.canvas, LEFT, NONE, view.canvas.screen_position(10, 10).toPoint())
    assert len(clicked) == 1
    steps = heard(handles.stepped)
    QTest.keyClick(view.canvas, Qt.Key.Key_Down)
    handles.steps = True
    QTest.keyClick(view.canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert steps == [(10, 0)]


def test_a_dragged_tip_changes_its_vector_alone():
    tips = lattice_handles(LATTICE)
    assert tips == {"a": (44.0, 31.0), "b": (30.0, 41.0), "origin": (32.0, 30.0)}
    moved = dragged(LATTICE, "b", 40.0, 50.0)
    assert (moved.origin, moved.a, moved.b) == (LATTICE.origin, LATTICE.a, (8.0, 20.0))
    moved = dragged(LATTICE, "origin", 1.0, 2.0)
    assert (moved.a, moved.b, moved.origin) == (LATTICE.a, LATTICE.b, (1.0, 2.0))


def test_the_outline_of_an_ellipse_has_its_ratio_and_direction():
    curve = ellipse_curve((5.0, 6.0), 10.0, 1.21, 0.4) - (5.0, 6.0)
    radius = np.hypot(*curve.T)
    assert radius.max() / radius.min() == pytest.approx(1.21, rel=1e-3)
    assert radius.max() * radius.min() == pytest.approx(100, rel=1e-3)
    x, y = curve[radius.argmax()]
    assert np.arctan2(y, x) % np.pi == pytest.approx(0.4, abs=0.02)


# ---- calibration ----


@pytest.fixture
def calibration(qtbot):
    return shown(qtbot, CalibrationPanel(), 320, 700)


@pytest.mark.parametrize("key", ["origin", "ellipse", "lattice", "pixel", "rotation"])
def test_a_step_is_shown_before_it_is_applied(calibration, key):
    said = [heard(s) for s in (calibration.requested, calibration.applied, calibration.discarded)]
    section = calibration.sections[key]
    section.set_open(True)
    ask, apply, discard = section.buttons
    assert not apply.isVisible()
    ask.click()
    calibration.set_result(key, [("Found", "12.3")])
    assert apply.isVisible()
    assert section.outcome.items() == [("Found", "12.3")]
    apply.click()
    discard.click()
    calibration.set_result(key, [])
    assert not apply.isVisible()
    assert said == [[key], [key], [key]]


def test_typed_calibrations_are_fields_of_the_parameters(calibration):
    said = heard(calibration.changed)
    calibration.set_strain(Strain(ellipse=(1.1, 0.5), lattice=(20.0, 1.0, -1.0, 22.0)))
    assert said == []
    type_in(calibration.angle, "90")
    type_in(calibration.rotation, "-30")
    type_in(calibration.pixel, "0.012")
    type_in(calibration.vectors["bx"], "-2.5")
    type_in(calibration.fewest, "7")
    calibration.forget.click()
    assert said[0]["ellipse"] == pytest.approx((1.1, np.pi / 2))
    assert said[1]["rotation"] == pytest.approx(-np.pi / 6)
    assert said[2:] == [{"pixel_inv_angstrom": 0.012}, {"lattice": (20.0, 1.0, -2.5, 22.0)}, {"fewest": 7},
                        {"lattice": None}]  # fmt: skip
    for changes in said:
        Strain.model_validate({**dict(Strain()), **changes})


def test_vectors_wait_until_all_four_numbers_are_typed(calibration):
    said = heard(calibration.changed)
    for name, text in (("ax", "20"), ("ay", "0"), ("bx", "0")):
        type_in(calibration.vectors[name], text)
    assert said == []
    type_in(calibration.vectors["by"], "21")
    assert said == [{"lattice": (20.0, 0.0, 0.0, 21.0)}]


def test_pictures_of_proposals(calibration):
    calibration.set_origin_maps(np.array([[0.0, 0.4]]), np.array([[0.1, -0.2]]))
    assert calibration.origin_maps.cells[0].picture.high == pytest.approx(0.4)
    calibration.set_curl(np.array([-1.0, 0, 1]), np.array([1.0, 0, 1]), 0.2)
    assert calibration.curl_found.value() == pytest.approx(0.2)
    assert calibration.known_spacing() is None
    calibration.spacing.setText("3.135")
    assert calibration.known_spacing() == 3.135


# ---- Bragg vector map ----


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


def picture(key, values, errors=None, unit="%", high=3.0):
    return MapPicture(key, COMPONENTS.get(key, key), values, errors, unit, -high, high)


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


def test_both_themes_paint_every_panel(qapp, maps, disks, calibration):
    try:
        for colours in (theme.LIGHT, theme.DARK):
            theme.apply(qapp, colours, "")
            for widget in (maps, disks, calibration):
                assert not widget.grab().isNull()
    finally:
        theme.apply(qapp, theme.DARK, "")


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_number_that_is_not_finite_is_refused(qtbot, text):
    field = NumberField("Fewest")
    qtbot.addWidget(field)
    entered, refused = [], []
    field.entered.connect(entered.append)
    field.refused.connect(refused.append)
    field.setText(text)
    field.editingFinished.emit()
    assert entered == []
    assert "not finite" in refused[0]
