import itertools

import pytest

from braggscope.widgets.orientation import Orientation

SHAPE = (3, 5)
ALL = [Orientation(r, h, v) for r in (0, 90, 180, 270) for h in (False, True) for v in (False, True)]


@pytest.mark.parametrize("orientation", ALL)
def test_round_trip(orientation):
    for x, y in itertools.product((0, 1.25, 4), (0, 0.5, 2)):
        there = orientation.to_display(x, y, SHAPE)
        assert orientation.to_raw(*there, SHAPE) == pytest.approx((x, y))


@pytest.mark.parametrize("orientation", ALL)
def test_pixels_land_on_pixels_of_the_displayed_frame(orientation):
    rows, columns = orientation.display_shape(SHAPE)
    pixels = itertools.product(range(SHAPE[1]), range(SHAPE[0]))
    landed = {tuple(round(v) for v in orientation.to_display(x, y, SHAPE)) for x, y in pixels}
    assert landed == set(itertools.product(range(columns), range(rows)))


def test_a_quarter_turn_is_clockwise_on_screen():
    assert Orientation(90).to_display(0, 0, SHAPE) == pytest.approx((2, 0))  # top left goes to top right
    assert Orientation(0, flip_horizontal=True).to_display(0, 0, SHAPE) == pytest.approx((4, 0))
    assert Orientation(0, flip_vertical=True).to_display(0, 0, SHAPE) == pytest.approx((0, 2))


@pytest.mark.parametrize("orientation", ALL)
def test_turned_turns_what_is_seen(orientation):
    x, y = orientation.to_display(1, 2, SHAPE)
    rows, _ = orientation.display_shape(SHAPE)
    assert orientation.turned(90).to_display(1, 2, SHAPE) == pytest.approx((rows - 1 - y, x))


def test_only_right_angles():
    with pytest.raises(ValueError, match="45"):
        Orientation(45)
