import numpy as np
import pytest
from frame_hands import LEFT, black_frame, place, record, wheel
from PyQt6.QtCore import QPoint
from PyQt6.QtGui import QColor

from braggscope.models.regions import Region
from braggscope.models.render import hatched
from braggscope.models.results import Status
from braggscope.widgets import frame_marks
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.marks import Marks
from braggscope.widgets.orientation import Orientation


def marks(n, selected=None, **changes):
    rng = np.random.default_rng(4)
    x, y = rng.uniform(0, 63, n), rng.uniform(0, 47, n)
    columns = {"score": rng.uniform(1, 1e4, n), "status": np.zeros(n, np.uint8)} | changes
    return Marks(x, y, columns["score"], columns["status"], x + 0.3, y, selected)


@pytest.fixture
def view(qtbot):
    return black_frame(qtbot)


def colour_at(view, x, y):
    return QColor(view.canvas.grab().toImage().pixel(place(view, x, y))).getRgb()[:3]


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


def test_setters_do_not_emit(view):
    heard = record(view)
    view.set_marks(marks(30, selected=2))
    view.set_mask(hatched(np.eye(48, 64, dtype=bool)))
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
    view.set_mask(hatched(np.eye(48, 64, dtype=bool)))
    marked = view.canvas.grab().toImage()
    view.hold_overlays(True)
    assert view.canvas.grab().toImage() == plain != marked
    view.hold_overlays(False)
    view.set_layer_visible("peaks", False)
    view.set_layer_visible("mask", False)
    assert view.canvas.grab().toImage() == plain


def test_bad_pixels_are_tinted_by_the_very_pixels_given(view):
    mask = np.zeros((48, 64), bool)
    mask[10, 20:40] = True
    pixels = hatched(mask)
    view.set_frame(np.full((48, 64), 0xFFFFFFFF, np.uint32), (48, 64))
    view.set_mask(pixels)
    assert int(view.canvas.overlays.mask.constBits()) == pixels.ctypes.data, "nothing of the size is made"
    dense, light = colour_at(view, 22, 10), colour_at(view, 26, 10)
    assert sum(dense) < sum(light) < sum(colour_at(view, 20, 11)) == 3 * 255
    image = view.canvas.overlays.mask
    view.set_mask(pixels)
    assert view.canvas.overlays.mask is image
    view.set_mask(None)
    assert colour_at(view, 26, 10) == (255, 255, 255)


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
