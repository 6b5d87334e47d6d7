import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt

from braggscope.widgets.levels_panel import MAPS, LevelsPanel
from braggscope.widgets.levels_track import (
    BAR,
    LABELS,
    colours_of,
    density,
    friendly,
    mean_heights,
    stretched,
    ticks,
)

LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier
SIGNALS = ("levels_changed", "colormap_changed", "scale_changed", "auto_requested")


@pytest.fixture
def panel(qtbot):
    widget = LevelsPanel()
    qtbot.addWidget(widget)
    widget.resize(112, 500)
    widget.show()
    edges = np.sinh(np.linspace(0, np.arcsinh(1000), 257))
    widget.set_histogram(np.full(256, 10.0), edges)
    widget.set_levels(2, 200)
    return widget


def record(panel):
    heard = []
    for name in SIGNALS:
        getattr(panel, name).connect(lambda *values, name=name: heard.append((name, *values)))
    return heard


def drag(qtbot, panel, start, end):
    track = panel.track
    ys = [round(track.y_of(value)) for value in (start, end)]
    qtbot.mousePress(track, LEFT, NO_KEYS, QPoint(60, ys[0]))
    for y in (sum(ys) // 2, ys[1]):
        qtbot.mouseMove(track, QPoint(60, y))
    qtbot.mouseRelease(track, LEFT, NO_KEYS, QPoint(60, ys[1]))


def test_dragging_the_upper_level(qtbot, panel):
    heard = record(panel)
    drag(qtbot, panel, 200, 600)
    name, low, high = heard[-1]
    assert name == "levels_changed"
    assert low == 2
    assert high == pytest.approx(600, rel=0.05)
    assert float(panel.upper_edit.text()) == pytest.approx(high, rel=1e-4)


def test_dragging_the_lower_level_stops_below_the_upper(qtbot, panel):
    heard = record(panel)
    drag(qtbot, panel, 2, 900)
    assert all(low < high == 200 for _, low, high in heard)
    assert heard


def test_dragging_between_moves_both(qtbot, panel):
    heard = record(panel)
    drag(qtbot, panel, 20, 40)
    _, low, high = heard[-1]
    assert low == pytest.approx(4.3, rel=0.15)
    assert high == pytest.approx(400, rel=0.15)


def test_exact_levels_can_be_typed(qtbot, panel):
    heard = record(panel)
    panel.lower_edit.selectAll()
    qtbot.keyClicks(panel.lower_edit, "12.5")
    qtbot.keyClick(panel.lower_edit, Qt.Key.Key_Return)
    assert heard == [("levels_changed", 12.5, 200.0)]


def test_crossed_levels_are_not_taken(qtbot, panel):
    heard = record(panel)
    panel.upper_edit.selectAll()
    qtbot.keyClicks(panel.upper_edit, "1")
    qtbot.keyClick(panel.upper_edit, Qt.Key.Key_Return)
    assert heard == []
    assert panel.upper_edit.text() == "200"


def test_leaving_a_field_untouched_emits_nothing(qtbot, panel):
    heard = record(panel)
    panel.set_levels(1 / 3, 200)
    panel.lower_edit.setFocus()
    panel.upper_edit.setFocus()
    assert heard == []


def test_the_menu_chooses_colours_and_scale(panel):
    heard = record(panel)
    actions = {action.text(): action for action in panel.menu.actions()}
    actions["viridis"].trigger()
    actions["Reversed"].trigger()
    actions["log scale"].trigger()
    actions["Automatic contrast"].trigger()
    assert heard == [
        ("colormap_changed", "viridis"), ("colormap_changed", "viridis_r"),
        ("scale_changed", "log"), ("auto_requested",),
    ]  # fmt: skip


def test_double_click_and_button_ask_for_automatic_levels(qtbot, panel):
    heard = record(panel)
    qtbot.mouseDClick(panel.track, LEFT, NO_KEYS, QPoint(60, 200))
    qtbot.mouseClick(panel.auto, LEFT)
    assert [name for name, *_ in heard if name == "auto_requested"] == ["auto_requested"] * 2


def test_setters_do_not_emit(panel):
    heard = record(panel)
    panel.set_histogram(np.ones(10), np.linspace(-5, 5, 11))
    panel.set_levels(-1, 4)
    panel.set_colormap("gray_r")
    panel.set_scale("sqrt")
    panel.grab()
    assert heard == []


def test_wrong_values_are_refused(panel):
    with pytest.raises(ValueError, match="edges"):
        panel.set_histogram(np.ones(10), np.arange(10.0))
    with pytest.raises(ValueError):
        panel.set_colormap("no such map")
    with pytest.raises(ValueError, match="cubic"):
        panel.set_scale("cubic")


def test_the_axis_runs_from_the_foot_to_the_head(panel):
    track = panel.track
    for value in (0.0, 1.0, 30.0, 1000.0):
        assert track.value_at(track.y_of(value)) == pytest.approx(value, abs=1e-6, rel=1e-6)
    assert track.y_of(0) > track.y_of(10) > track.y_of(1000)


def test_the_axis_does_not_jitter_from_frame_to_frame(panel):
    place = panel.track.y_of(30)
    for top in (700, 990, 850):
        panel.set_histogram(np.ones(64), np.sinh(np.linspace(0, np.arcsinh(top), 65)))
        assert panel.track.y_of(30) == place
    panel.set_histogram(np.ones(64), np.linspace(0, 1, 65))
    assert panel.track.y_of(1) < 20


def test_empty_bins_between_whole_numbers_leave_no_gaps():
    borders, heights = density(np.array([8.0, 0, 0, 0, 6, 0, 0, 1]), np.linspace(0, 8, 9))
    assert len(heights) == 3
    assert np.all(heights > 0)
    assert np.all(np.diff(borders) > 0)
    assert borders[0] == 0
    assert borders[-1] == 8


def test_a_row_of_pixels_shows_the_mean_of_the_bins_in_it():
    borders, heights = np.array([0.0, 1.0, 1.5, 4.0]), np.array([2.0, 8.0, 1.0])
    assert mean_heights(borders, heights, np.array([5.0, 4.0, 2.0, 1.0, -1.0])).tolist() == [0, 1, 4.5, 1]


def test_the_histogram_is_drawn_to_the_left_and_marked_between_the_levels(panel):
    track, edges = panel.track, np.sinh(np.linspace(0, np.arcsinh(8), 65))
    track.set_histogram(np.where(edges[:-1] < 4, 9.0, 1.0), edges)
    track.set_levels(2.0, 6.0)
    seen = track.grab().toImage()
    ratio = track.devicePixelRatioF()
    right = track.width() - 6 - BAR - 4

    def colour_at(x: float, value: float) -> str:
        return seen.pixelColor(round(x * ratio), round(track.y_of(value) * ratio)).name()

    dark, ground = colour_at(right, 1.0), colour_at(LABELS + 6, 7.0)
    assert len({dark, ground, colour_at(right, 3.0)}) == 3
    assert colour_at(right, 7.0) == dark
    assert colour_at(LABELS + 6, 1.0) == dark  # many counts reach far
    assert colour_at(LABELS + 6, 5.0) == ground  # few do not
    assert colour_at(right, 5.0) == colour_at(right, 3.0)  # between the levels


def test_an_empty_histogram_can_be_shown(panel):
    panel.set_histogram(np.zeros(16), np.linspace(0, 1, 17))
    panel.grab()


@pytest.mark.parametrize(("low", "high"), [(0, 65535), (-3, 40), (0, 1), (1200, 1300), (0, 0.01)])
def test_ticks_are_inside_apart_and_enough(low, high):
    least = (np.arcsinh(high) - np.arcsinh(low)) / 15
    chosen = ticks(low, high, least)
    assert all(low <= value <= high for value in chosen)
    assert np.all(np.diff(np.arcsinh(chosen)) >= least * 0.999)
    assert 3 <= len(chosen) <= 16


def test_numbers_are_friendly():
    assert [friendly(v) for v in (0, 0.25, 12, 1500, 20_000, 3e6)] == ["0", "0.25", "12", "1.5k", "20k", "3M"]


@pytest.mark.parametrize("scale", ["linear", "sqrt", "log"])
def test_every_scale_keeps_the_ends(scale):
    u = stretched(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), scale)
    assert u[[0, 1, 3, 4]] == pytest.approx([0, 0, 1, 1])
    assert 0.5 <= u[2] < 1


@pytest.mark.parametrize("name", MAPS)
def test_colour_maps_are_whole_and_reversible(name):
    colours = colours_of(name)
    assert colours.shape == (256,)
    assert np.all(colours >> 24 == 0xFF)
    assert np.array_equal(colours_of(f"{name}_r"), colours[::-1])
