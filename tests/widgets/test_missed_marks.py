import numpy as np
import pytest

from braggscope.widgets.frame_view import FrameView

SIDE = 64


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


def test_many_of_them_are_drawn_in_time(view):
    view.set_missed(np.random.default_rng(0).uniform(0, SIDE, (5000, 2)))
    assert not view.canvas.grab().isNull()
