import numpy as np
import pytest
from PyQt6.QtCore import QRectF

from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.marks import Marks

SIDE = 64
WINDOW = QRectF(0, 0, 640, 640)


@pytest.fixture
def view(qtbot):
    widget = FrameView()
    qtbot.addWidget(widget)
    widget.resize(640, 640)
    widget.show()
    widget.set_frame(np.full((SIDE, SIDE), 0xFF000000, np.uint32), (SIDE, SIDE))
    return widget


def lit(view, x, y, reach=8):
    """How many pixels of the screen are bright around a raw position."""
    shot = view.canvas.grab().toImage()
    ratio = shot.devicePixelRatio()
    at = view.canvas.screen_position(x, y)
    near = range(-reach, reach + 1)
    colours = [
        shot.pixelColor(round((at.x() + dx) * ratio), round((at.y() + dy) * ratio))
        for dx in near
        for dy in near
    ]
    return sum(colour.green() > 120 for colour in colours)


def test_missed_peaks_are_crossed_where_they_are(view):
    before = lit(view, 20.0, 40.0)
    view.set_missed(np.array([[20.0, 40.0], [500.0, 5.0]]))
    assert lit(view, 20.0, 40.0) > before + 5
    assert lit(view, 40.0, 20.0) == 0
    assert view.canvas.shown_legend()[-1] == ("cross", "net", "only in the list")
    view.set_layer_visible("peaks", False)
    assert lit(view, 20.0, 40.0) == before
    assert view.canvas.shown_legend() == ()
    view.set_layer_visible("peaks", True)
    view.set_missed(np.zeros((0, 2)))
    assert lit(view, 20.0, 40.0) == before


def test_positions_of_the_network_are_diamonds_when_zoomed_in(view):
    nothing, away = np.array([np.nan]), np.array([50.0])
    marks = Marks(away, away, np.array([9.0]), np.zeros(1, np.uint8), nothing, nothing,
                  net=np.array([[20.0, 40.0]]))  # fmt: skip
    view.set_marks(marks)
    view.zoom_by(0.2)
    assert not len(view.canvas._drawing(marks, view.canvas.viewport.transform(), WINDOW).net)
    view.zoom_to_fit()
    drawn = view.canvas._drawing(marks, view.canvas.viewport.transform(), WINDOW)
    at = view.canvas.screen_position(20.0, 40.0)
    np.testing.assert_allclose(drawn.net, [[at.x(), at.y()]])
    assert lit(view, 20.0, 40.0, 12) > 10


def test_many_of_them_are_drawn_in_time(view):
    view.set_missed(np.random.default_rng(0).uniform(0, SIDE, (5000, 2)))
    assert not view.canvas.grab().isNull()
