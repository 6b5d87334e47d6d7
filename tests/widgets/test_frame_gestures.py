import numpy as np
import pytest
from frame_hands import LEFT, NO_KEYS, black_frame, drag, place, record, wheel
from PyQt6.QtCore import QPoint, QPointF, Qt

from braggscope.widgets.orientation import Orientation


@pytest.fixture
def view(qtbot):
    return black_frame(qtbot)


@pytest.mark.parametrize(
    "orientation", [Orientation(), Orientation(90), Orientation(270, True), Orientation(180)]
)
def test_a_click_reports_raw_pixels_whatever_the_orientation_and_zoom(qtbot, view, orientation):
    view.set_orientation(orientation)
    wheel(view, place(view, 12, 30), 3)
    heard = record(view, "clicked")
    qtbot.mouseClick(view.canvas, LEFT, NO_KEYS, place(view, 12, 30))
    ((_, x, y),) = heard
    assert (x, y) == pytest.approx((12, 30), abs=0.1)


def test_clicks_beside_the_frame_and_drags_are_no_clicks(qtbot, view):
    heard = record(view, "clicked")
    qtbot.mouseClick(view.canvas, LEFT, NO_KEYS, QPoint(1, 1))
    drag(qtbot, view, (30, 20), (20, 15))
    assert heard == []


def test_the_wheel_zooms_at_the_cursor(view):
    at = place(view, 50, 10)
    before, scale = view.canvas.viewport.to_image(QPointF(at)), view.canvas.viewport.scale
    wheel(view, at, 2)
    after = view.canvas.viewport.to_image(QPointF(at))
    assert view.canvas.viewport.scale == pytest.approx(scale * 1.25**2)
    assert (after.x(), after.y()) == pytest.approx((before.x(), before.y()))


def test_dragging_moves_the_frame_with_the_mouse(qtbot, view):
    wheel(view, place(view, 32, 24), 6)
    start = place(view, 32, 24)
    qtbot.mousePress(view.canvas, LEFT, NO_KEYS, start)
    for shift in (QPoint(10, 5), QPoint(40, 20)):
        qtbot.mouseMove(view.canvas, start + shift)
    qtbot.mouseRelease(view.canvas, LEFT, NO_KEYS, start + QPoint(40, 20))
    assert (place(view, 32, 24) - start - QPoint(40, 20)).manhattanLength() <= 2


def test_hovering_reports_positions_and_nothing_outside(qtbot, view):
    heard = record(view, "hovered")
    qtbot.mouseMove(view.canvas, place(view, 5, 6))
    qtbot.mouseMove(view.canvas, QPoint(2, 2))
    assert heard[0][1] == pytest.approx((5, 6), abs=0.1)
    assert heard[-1] == ("hovered", None)


@pytest.mark.parametrize("kind", ["rectangle", "ellipse"])
def test_drawing_a_box_in_a_turned_view(qtbot, view, kind):
    view.set_orientation(Orientation(90))
    view.set_tool(kind)
    heard = record(view)
    drag(qtbot, view, (10, 12), (30, 25))
    regions = [values[0] for name, *values in heard if name == "region_drawn"]
    assert [region.kind for region in regions] == [kind]
    assert np.ravel(regions[0].points) == pytest.approx([10, 12, 30, 25], abs=0.1)
    assert not [name for name, *_ in heard if name == "clicked"]


def test_shift_draws_equal_sides(qtbot, view):
    view.set_tool("rectangle")
    heard = record(view, "region_drawn")
    canvas = view.canvas
    qtbot.mousePress(canvas, LEFT, NO_KEYS, place(view, 10, 12))
    canvas._tool.move(canvas.viewport.to_image(QPointF(place(view, 30, 25))), True)
    qtbot.mouseRelease(canvas, LEFT, NO_KEYS, place(view, 30, 25))
    (x0, y0), (x1, y1) = heard[0][1].points
    assert abs(x1 - x0) == pytest.approx(abs(y1 - y0))


def test_drawing_a_line(qtbot, view):
    view.set_tool("line")
    heard = record(view, "line_drawn", "region_drawn")
    drag(qtbot, view, (3, 4), (40, 30))
    ((name, *ends),) = heard
    assert name == "line_drawn"
    assert ends == pytest.approx([3, 4, 40, 30], abs=0.1)


@pytest.mark.parametrize("ending", ["enter", "double click"])
def test_drawing_a_polygon(qtbot, view, ending):
    view.set_tool("polygon")
    heard = record(view)
    corners = [(10, 10), (40, 12), (30, 35)]
    for corner in corners:
        qtbot.mouseClick(view.canvas, LEFT, NO_KEYS, place(view, *corner))
    if ending == "enter":
        qtbot.keyClick(view.canvas, Qt.Key.Key_Return)
    else:
        qtbot.mouseDClick(view.canvas, LEFT, NO_KEYS, place(view, *corners[-1]))
    ((region,),) = [values for name, *values in heard if name == "region_drawn"]
    assert region.kind == "polygon"
    assert np.asarray(region.points) == pytest.approx(np.asarray(corners), abs=0.1)


def test_escape_first_drops_the_shape_and_then_the_tool(qtbot, view):
    view.set_tool("rectangle")
    heard = record(view, "region_drawn", "tool_dismissed")
    qtbot.mousePress(view.canvas, LEFT, NO_KEYS, place(view, 10, 12))
    qtbot.mouseMove(view.canvas, place(view, 30, 25))
    qtbot.keyClick(view.canvas, Qt.Key.Key_Escape)
    qtbot.mouseRelease(view.canvas, LEFT, NO_KEYS, place(view, 30, 25))
    assert heard == []
    qtbot.keyClick(view.canvas, Qt.Key.Key_Escape)
    assert heard == [("tool_dismissed",)]


def test_a_click_with_a_box_tool_is_no_region(qtbot, view):
    view.set_tool("ellipse")
    heard = record(view, "region_drawn")
    qtbot.mouseClick(view.canvas, LEFT, NO_KEYS, place(view, 10, 12))
    assert heard == []


def test_an_unknown_tool_or_layer_is_refused(view):
    with pytest.raises(ValueError, match="lasso"):
        view.set_tool("lasso")
    with pytest.raises(ValueError, match="stars"):
        view.set_layer_visible("stars", True)


def test_the_step_follows_the_zoom(qtbot, view):
    heard = record(view, "step_changed")
    big = np.zeros((1200, 1600), np.uint32)
    view.set_frame(big, (1200, 1600))
    assert view.step == 3  # 500 px wide less the margins: 0.2975 screen px per pixel
    wheel(view, QPoint(250, 200), 8)
    assert view.step == 1
    assert heard[0] == ("step_changed", 3)
    assert heard[-1] == ("step_changed", 1)
