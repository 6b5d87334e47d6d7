"""Three linked slices: where a voxel is drawn, what the mouse does, what is read off."""

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QWheelEvent
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from braggscope.models.cdi.layers import data_layer, object_layer
from braggscope.widgets.levels_track import colours_of
from braggscope.widgets.slices_scale import SliceScale, number_text
from braggscope.widgets.slices_view import SlicesView

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHAPE = (20, 30, 40)


@pytest.fixture
def view(qtbot):
    view = SlicesView()
    qtbot.addWidget(view)
    view.resize(700, 600)
    view.show()
    counts = np.ones(SHAPE, np.float32)
    counts[5, 10, 30] = 1e4
    counts[0, 0, 0] = -1
    view.set_layer(data_layer(counts))
    return view


def pixel(canvas, place):
    at = canvas.point_of(place).toPoint()
    return canvas.grab().toImage().pixelColor(at)


def test_a_bright_voxel_is_bright_where_it_should_be_in_all_slices(view):
    view.set_place((5, 10, 30))
    bright = QColor.fromRgb(int(colours_of("inferno")[255]))
    for canvas in view.canvases:
        assert pixel(canvas, (5, 10, 30)).name() == bright.name()  # the cross-hair leaves its voxel free
        assert pixel(canvas, (9, 20, 13)).name() != bright.name()
    view.set_place((6, 11, 31))
    for canvas in view.canvases:
        assert pixel(canvas, (6, 11, 31)).name() != bright.name()


@pytest.mark.parametrize("up", [False, True])
def test_places_and_points_belong_together(view, up):
    view.set_layer(view.layer, y_up=up)
    view.set_place((3, 7, 11))
    for canvas in view.canvases:
        for place in ((3, 7, 11), (0, 0, 0), (19, 29, 39)):
            shown = [3, 7, 11]
            shown[canvas.rows], shown[canvas.columns] = place[canvas.rows], place[canvas.columns]
            assert canvas.voxel_at(canvas.point_of(tuple(shown))) == tuple(shown)
    top = view.canvases[0].point_of((3, 29, 11)).y() < view.canvases[0].point_of((3, 0, 11)).y()
    assert top is up


def test_a_click_moves_all_and_says_the_value(view, qtbot):
    canvas = view.canvases[2]
    with qtbot.waitSignal(view.place_changed) as signal:
        QTest.mouseClick(canvas, LEFT, NONE, canvas.point_of((5, 10, 20)).toPoint())
    assert signal.args == [(5, 10, 20)]
    assert view.place == (5, 10, 20)
    view.set_place((5, 10, 30))
    assert view.readout.text() == "(z, y, x) = (5, 10, 30)   10,000 counts"
    view.set_place((0, 0, 0))
    assert view.readout.text().endswith("masked")


def test_setters_never_emit(view, qtbot):
    with qtbot.assertNotEmitted(view.place_changed), qtbot.assertNotEmitted(view.stroke_drawn):
        view.set_place((1, 2, 3))
        view.set_brush(3.0)
        view.set_layer(None)
        view.set_layer(data_layer(np.ones(SHAPE)))


def wheel(canvas, steps, modifier=NONE):
    at = QPointF(canvas.rect().center())
    event = QWheelEvent(
        at, canvas.mapToGlobal(at), canvas.rect().center() * 0, canvas.rect().center() * 0 + _angle(steps),
        Qt.MouseButton.NoButton, modifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)


def _angle(steps):
    from PyQt6.QtCore import QPoint

    return QPoint(0, 120 * steps)


def test_the_wheel_steps_and_zooms_about_the_cross_hair(view):
    view.set_place((5, 10, 30))
    wheel(view.canvases[0], 1)
    assert view.place == (6, 10, 30)
    for _ in range(30):
        wheel(view.canvases[0], 1)
    assert view.place == (19, 10, 30)
    before = view.canvases[0]._region
    wheel(view.canvases[0], 1, Qt.KeyboardModifier.ControlModifier)
    after = view.canvases[0]._region
    assert after[2][1] - after[2][0] < before[2][1] - before[2][0]
    assert after[2][0] <= 30 <= after[2][1]
    for _ in range(9):
        wheel(view.canvases[0], -1, Qt.KeyboardModifier.ControlModifier)
    assert view.canvases[0]._region == ((0, 19), (0, 29), (0, 39))


def test_the_brush_gives_the_voxels_it_went_over_and_moves_nothing(view, qtbot):
    view.set_place((5, 10, 20))
    view.set_brush(2.0)
    canvas = view.canvases[0]
    with qtbot.waitSignal(view.stroke_drawn) as signal:
        QTest.mousePress(canvas, LEFT, NONE, canvas.point_of((5, 3, 4)).toPoint())
        QTest.mouseRelease(canvas, LEFT, NONE, canvas.point_of((5, 3, 4)).toPoint())
    assert signal.args == [((5, 3, 4),)]
    assert view.place == (5, 10, 20)


def test_an_object_is_shown_with_its_surroundings_and_true_proportions(view):
    inside = np.zeros(SHAPE, bool)
    inside[5:12, 8:20, 10:30] = True
    view.set_layer(object_layer("phase", np.zeros(SHAPE), inside, (2.0, 1.0, 1.0)))
    (z0, z1), _, (x0, x1) = view.canvases[0]._region
    assert 0 < z0 < 5
    assert 11 < z1 < 19
    box = view.canvases[1].frame_rect()  # rows are z, of twice the size
    assert box.height() / box.width() == pytest.approx(2 * (z1 - z0 + 1) / (x1 - x0 + 1))
    view.set_place((6, 9, 11))
    kept = view.canvases[0]._region
    view.set_layer(object_layer("modulus", np.ones(SHAPE), spacing=(2.0, 1.0, 1.0)), keep=True)
    assert view.canvases[0]._region == kept
    assert view.place == (6, 9, 11)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (1.0, "1"),
        (12345, "12,345"),
        (1e6, "1e6"),
        (-2.13e-4, "−2.1e−4"),
        (37.26, "37.3"),
    ],
)
def test_numbers_are_short(value, text):
    assert number_text(value) == text


def test_the_scale_says_what_the_colours_mean(qtbot):
    scale = SliceScale()
    qtbot.addWidget(scale)
    assert scale.ends() == ("", "")
    scale.set_layer(data_layer(np.array([[[0.0, 1e6]]])))
    assert scale.ends() == ("0.5", "1e6")
    scale.set_layer(object_layer("phase", np.zeros((1, 1, 2))))
    assert scale.ends() == ("−π", "π rad")
    scale.set_layer(object_layer("displacement", np.array([[[-0.2, 0.2]]])))
    assert scale.ends() == ("−0.2", "0.2 Å")
    scale.grab()
