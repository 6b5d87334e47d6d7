import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QWheelEvent
from PyQt6.QtWidgets import QApplication

from braggscope.models.regions import Region
from braggscope.models.results import Status
from braggscope.widgets import frame_marks
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.marks import Marks
from braggscope.widgets.orientation import Orientation

LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier
SIGNALS = (
    "hovered", "clicked", "double_clicked", "region_drawn", "line_drawn", "tool_dismissed",
    "open_requested", "demo_requested", "context_requested",
)  # fmt: skip


def marks(n, selected=None, **changes):
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0, 63, n), rng.uniform(0, 47, n)
    columns = {"score": rng.uniform(1, 1e4, n), "status": np.zeros(n, np.uint8)} | changes
    return Marks(x, y, columns["score"], columns["status"], x + 0.3, y, selected)


@pytest.fixture
def view(qtbot):
    widget = FrameView()
    qtbot.addWidget(widget)
    widget.resize(500, 400)
    widget.show()
    widget.set_frame(np.full((48, 64), 0xFF000000, np.uint32), (48, 64))
    return widget


def place(view, x, y):
    return view.canvas.screen_position(x, y).toPoint()


def colour_at(view, x, y):
    return QColor(view.canvas.grab().toImage().pixel(place(view, x, y))).getRgb()[:3]


def wheel(view, at, notches):
    event = QWheelEvent(
        QPointF(at), QPointF(view.canvas.mapToGlobal(at)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, NO_KEYS, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view.canvas, event)


def record(view, *names):
    heard = []
    for name in names or SIGNALS:
        getattr(view, name).connect(lambda *values, name=name: heard.append((name, *values)))
    return heard


def drag(qtbot, view, start, end, keys=NO_KEYS):
    qtbot.mousePress(view.canvas, LEFT, keys, place(view, *start))
    middle = (np.add(start, end) / 2).tolist()
    for at in (middle, end):
        qtbot.mouseMove(view.canvas, place(view, *at))
    qtbot.mouseRelease(view.canvas, LEFT, keys, place(view, *end))


def test_pixels_are_where_they_belong(view):
    rgb = np.full((48, 64), 0xFF000000, np.uint32)
    rgb[10, 20] = 0xFFFF8000
    view.set_frame(rgb, (48, 64))
    assert colour_at(view, 20, 10) == (255, 128, 0)
    assert colour_at(view, 21, 10) == colour_at(view, 20, 11) == (0, 0, 0)
    view.set_orientation(Orientation(90, flip_vertical=True))
    assert colour_at(view, 20, 10) == (255, 128, 0)


def test_a_pooled_frame_covers_the_same_ground(view):
    rgb = np.full((24, 32), 0xFF000000, np.uint32)
    rgb[5, 10] = 0xFFFF8000
    view.set_frame(rgb, (48, 64))
    assert colour_at(view, 20, 10) == colour_at(view, 21, 11) == (255, 128, 0)
    assert colour_at(view, 22, 11) == (0, 0, 0)


def test_a_read_only_frame_can_be_shown(view):
    rgb = np.full((48, 64), 0xFF00FF00, np.uint32)
    rgb.flags.writeable = False
    view.set_frame(rgb, (48, 64))
    assert colour_at(view, 30, 30) == (0, 255, 0)


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


def test_setters_do_not_emit(view):
    heard = record(view)
    view.set_marks(marks(30, selected=2))
    view.set_mask(np.eye(48, 64, dtype=bool))
    view.set_regions([Region(kind="rectangle", points=((1, 1), (5, 5)))], [])
    view.set_rings([("003", np.array([[0.0, 0.0], [60.0, 40.0]]))])
    view.set_trails([np.array([[0.0, 0.0], [60.0, 40.0]])])
    view.set_orientation(Orientation(90))
    view.set_legend([("plus", "fit", "Gaussian")])
    view.set_tool("line")
    view.zoom_one_to_one()
    view.centre_on(5, 5)
    view.zoom_to_fit()
    view.grab()
    assert heard == []
    view.clear("No such file")
    assert [signal for signal in heard if signal != ("hovered", None)] == []


def test_the_step_follows_the_zoom(qtbot, view):
    heard = record(view, "step_changed")
    big = np.zeros((1200, 1600), np.uint32)
    view.set_frame(big, (1200, 1600))
    assert view.step == 3  # 500 px wide less the margins: 0.2975 screen px per pixel
    wheel(view, QPoint(250, 200), 8)
    assert view.step == 1
    assert heard[0] == ("step_changed", 3)
    assert heard[-1] == ("step_changed", 1)


def test_a_new_shape_is_fitted_and_the_same_shape_keeps_the_view(view):
    wheel(view, QPoint(200, 200), 4)
    scale = view.canvas.viewport.scale
    view.set_frame(np.zeros((48, 64), np.uint32), (48, 64))
    assert view.canvas.viewport.scale == scale
    view.set_frame(np.zeros((20, 20), np.uint32), (20, 20))
    assert view.canvas.viewport.fitted


def test_one_to_one_and_centre_on(view):
    view.zoom_one_to_one()
    assert view.canvas.viewport.scale == pytest.approx(1 / view.canvas.devicePixelRatioF())
    view.centre_on(60, 5)
    assert (place(view, 60, 5) - view.canvas.rect().center()).manhattanLength() <= 2


def test_the_core_of_a_marked_spot_stays_free(view):
    one = Marks(
        *(np.array([v]) for v in (20.0, 10.0, 100.0)), np.zeros(1, np.uint8), *np.full((2, 1), np.nan)
    )
    view.set_marks(one)
    assert colour_at(view, 20, 10) == (0, 0, 0)
    arm = view.canvas.viewport.scale * 2 + 3
    shot = view.canvas.grab().toImage()
    at = place(view, 20, 10) + QPoint(round(arm), 0)
    assert max(QColor(shot.pixel(at + QPoint(0, k))).blue() for k in (-1, 0, 1)) > 150


def test_hidden_layers_and_held_overlays_draw_nothing(view):
    plain = view.canvas.grab().toImage()
    view.set_marks(marks(40))
    view.set_mask(np.eye(48, 64, dtype=bool))
    marked = view.canvas.grab().toImage()
    view.hold_overlays(True)
    assert view.canvas.grab().toImage() == plain != marked
    view.hold_overlays(False)
    view.set_layer_visible("peaks", False)
    view.set_layer_visible("mask", False)
    assert view.canvas.grab().toImage() == plain


def test_many_marks_are_stamped_where_few_are_stroked(view, monkeypatch):
    given = marks(60, status=np.where(np.arange(60) < 50, Status.OK, Status.MASKED).astype(np.uint8))

    def picture():
        view.set_marks(given)
        image = view.canvas.grab().toImage()
        pixels = np.frombuffer(image.constBits().asarray(image.sizeInBytes()), np.uint8)
        return pixels.reshape(image.height(), -1).astype(float)

    view.set_frame(np.full((48, 64), 0xFF606060, np.uint32), (48, 64))
    bare = view.canvas.grab().toImage().constBits().asarray(4 * 500 * 400)
    bare = np.frombuffer(bare, np.uint8).reshape(400, -1).astype(float)
    monkeypatch.setattr(frame_marks, "EXACT", 1000)
    stroked = picture()
    monkeypatch.setattr(frame_marks, "EXACT", 0)
    stamped = picture()
    marked = np.abs(stroked - bare).sum()
    assert 0 < np.abs(stamped - stroked).sum() < 0.45 * marked  # half a pixel off at most


def test_at_most_the_limit_is_drawn_and_said(view):
    n = frame_marks.MAX_MARKS + 5000
    given = marks(n, selected=int(np.argmin(marks(n).score)))
    view.set_marks(given)
    assert view.drawn == frame_marks.MAX_MARKS
    kept = view.canvas._marks
    assert kept.score[kept.selected] == given.score[given.selected]
    assert np.sort(kept.score)[1] >= np.sort(given.score)[5000]
    before = view.canvas.grab().toImage()
    view.canvas.total_marks = view.drawn
    assert view.canvas.grab().toImage() != before  # the sentence over the frame


def test_labels_name_the_reasons_of_the_strongest():
    status = np.full(500, Status.MASKED, np.uint8)
    status[:10], status[10:20] = Status.OK, Status.PENDING
    given = marks(500, status=status)
    view = FrameView().canvas.viewport
    drawing = frame_marks.build(
        given, view.transform(), 1.0, view.frame_on_screen().adjusted(-99, -99, 99, 99)
    )
    assert len(drawing.labels) == frame_marks.MAX_LABELS
    assert {text for _, text in drawing.labels} == {"masked"}


def test_empty_state_says_what_to_do(qtbot, view):
    view.clear("The file is cut short", "run7.h5 ends after 120 of 480 frames; copy it again.")
    assert view.empty.isVisible()
    assert view.empty.title.text() == "The file is cut short"
    heard = record(view)
    qtbot.mouseClick(view.empty.open_button, LEFT)
    qtbot.mouseClick(view.empty.demo_button, LEFT)
    assert heard == [("open_requested",), ("demo_requested",)]
    view.set_frame(np.zeros((48, 64), np.uint32), (48, 64))
    assert not view.empty.isVisible()
    view.clear()
    assert "demo" in view.empty.detail.text()
