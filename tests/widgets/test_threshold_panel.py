import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QWheelEvent
from PyQt6.QtWidgets import QApplication

from braggscope.widgets import theme
from braggscope.widgets.histogram_slider import HistogramSlider
from braggscope.widgets.histogram_track import LogScale, stepped
from braggscope.widgets.threshold_panel import ThresholdPanel

EDGES = np.geomspace(1.0, 1000.0, 31)
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def slider(qtbot):
    widget = HistogramSlider("MINVAL")
    qtbot.addWidget(widget)
    widget.resize(340, 110)
    widget.set_histogram(np.full(30, 5), EDGES)
    widget.set_value(45.0)
    widget.show()
    return widget


@pytest.fixture
def panel(qtbot):
    widget = ThresholdPanel()
    qtbot.addWidget(widget)
    widget.resize(344, 340)
    widget.set_histograms(np.arange(30), EDGES, np.arange(30), EDGES)
    widget.set_thresholds(45, 60)
    widget.show()
    return widget


def emissions(*signals):
    heard = []
    for signal in signals:
        signal.connect(lambda *args: heard.append(args))
    return heard


def at(slider, value):
    return QPoint(round(slider.track.scale().x(value)), 20)


@pytest.mark.parametrize("value", [1.0, 3.3, 45.0, 990.0])
def test_the_axis_maps_there_and_back_within_a_pixel(value):
    scale = LogScale(1.0, 1000.0, 8.0, 324.0)
    pixel = (1000.0 / 1.0) ** (1 / 308.0)
    assert scale.value(scale.x(value)) == pytest.approx(value, rel=pixel - 1 + 0.01)


def test_the_left_end_is_zero_and_the_right_end_the_limit():
    scale = LogScale(2.0, 500.0, 8.0, 324.0)
    assert scale.value(8.0) == 0.0
    assert scale.value(-50.0) == 0.0
    assert scale.value(9999.0) == 500.0
    assert scale.x(0.0) == 8.0


@pytest.mark.parametrize(
    ("value", "steps", "after"),
    [
        (45, 1, 46),
        (45, -1, 44),
        (450, 1, 460),
        (0.45, 1, 0.46),
        (0, 1, 1),
        (1, -1, 0),
        (0, -1, 0),
        (999, 1, 1000),
        (45, 0, 45),
        (0, 0, 0),
    ],
)
def test_steps_are_round_and_grow_with_the_value(value, steps, after):
    lo = 0.01 if 0 < value < 1 else 1.0
    assert stepped(value, steps, lo, 1000.0) == pytest.approx(after)


def test_a_click_jumps_and_commits_once_at_release(slider, qtbot):
    changed, committed = emissions(slider.value_changed), emissions(slider.committed)
    qtbot.mousePress(slider.track, LEFT, pos=at(slider, 200.0))
    assert len(changed) == 1
    assert committed == []
    qtbot.mouseRelease(slider.track, LEFT, pos=at(slider, 200.0))
    assert committed == [(slider.value,)]
    assert slider.value == pytest.approx(200.0, rel=0.03)
    assert slider.box.value() == slider.value


def test_a_drag_is_followed_continuously(slider, qtbot):
    changed, committed = emissions(slider.value_changed), emissions(slider.committed)
    qtbot.mousePress(slider.track, LEFT, pos=at(slider, 45.0))
    for target in (60.0, 80.0, 120.0):
        qtbot.mouseMove(slider.track, pos=at(slider, target))
    qtbot.mouseRelease(slider.track, LEFT, pos=at(slider, 120.0))
    values = [value for (value,) in changed]
    assert values == sorted(values)
    assert len(values) >= 3
    assert committed == [(values[-1],)]


def test_dragging_past_the_left_end_reaches_zero(slider, qtbot):
    qtbot.mousePress(slider.track, LEFT, pos=at(slider, 45.0))
    qtbot.mouseMove(slider.track, pos=QPoint(-30, 20))
    qtbot.mouseRelease(slider.track, LEFT, pos=QPoint(-30, 20))
    assert slider.value == 0.0


def test_the_axis_does_not_move_under_a_drag(slider, qtbot):
    qtbot.mousePress(slider.track, LEFT, pos=at(slider, 45.0))
    slider.set_histogram(np.ones(30), np.geomspace(1.0, 60000.0, 31))
    assert slider.track.limits == (1.0, 1000.0)
    qtbot.mouseRelease(slider.track, LEFT, pos=at(slider, 45.0))
    assert slider.track.limits == (1.0, 60000.0)


def test_arrow_keys_step_and_a_run_of_them_is_one_commitment(slider, qtbot):
    changed, committed = emissions(slider.value_changed), emissions(slider.committed)
    slider.track.setFocus()
    for _ in range(3):
        qtbot.keyClick(slider.track, Qt.Key.Key_Right)
    assert [value for (value,) in changed] == [46.0, 47.0, 48.0]
    qtbot.waitUntil(lambda: bool(committed), timeout=2000)
    assert committed == [(48.0,)]
    qtbot.keyClick(slider.track, Qt.Key.Key_Home)
    assert slider.value == 0.0
    qtbot.keyClick(slider.track, Qt.Key.Key_Up)
    assert slider.value == 1.0


def test_the_wheel_steps(slider, qtbot):
    centre = QPointF(slider.track.rect().center())
    with qtbot.waitSignal(slider.committed, timeout=2000):
        for delta in (120, 120, -120):
            QApplication.sendEvent(
                slider.track,
                QWheelEvent(centre, centre, QPoint(), QPoint(0, delta), Qt.MouseButton.NoButton,
                            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False),
            )  # fmt: skip
    assert slider.value == 46.0


def test_typing_is_exact_and_needs_enter(slider, qtbot):
    changed, committed = emissions(slider.value_changed), emissions(slider.committed)
    slider.box.selectAll()
    qtbot.keyClicks(slider.box, "123.25")
    assert changed == []
    qtbot.keyClick(slider.box, Qt.Key.Key_Return)
    assert changed == committed == [(123.25,)]
    assert slider.box.text() == "123.25"


def test_numbers_have_no_trailing_zeros(slider):
    for value, text in ((0.0, "0"), (45.0, "45"), (0.125, "0.125"), (65535.0, "65535")):
        slider.set_value(value)
        assert slider.box.text() == text


def test_setters_never_emit(panel, slider):
    heard = emissions(
        slider.value_changed, slider.committed, panel.minval_changed, panel.minscore_changed,
        panel.committed, panel.detector_changed, panel.suggest_requested,
    )  # fmt: skip
    slider.set_value(7)
    slider.set_range(0.0, 5e4)
    slider.set_histogram(np.zeros(30), EDGES)
    panel.set_thresholds(3, 4)
    panel.set_ranges((1, 100), (1, 200))
    panel.set_histograms(np.ones(30), EDGES, np.ones(30), EDGES)
    panel.set_count(1, 2, "note")
    panel.set_detector("findpeaks")
    QApplication.processEvents()
    assert heard == []


def test_what_is_kept_is_coloured_and_the_rest_is_dim(slider):
    shot = slider.track.grab().toImage()
    ratio = shot.devicePixelRatio()
    base = round((slider.track.height() - slider.track.fontMetrics().height() - 12) * ratio)
    scale = slider.track.scale()
    accent = QColor(theme.current().accent)

    def distance(value):
        colour = shot.pixelColor(round(scale.x(value) * ratio), base)
        return abs(colour.blue() - accent.blue()) + abs(colour.red() - accent.red())

    assert distance(300.0) + 60 < distance(5.0)


def test_the_panel_routes_each_slider_to_its_signal(panel, qtbot):
    minval, minscore = emissions(panel.minval_changed), emissions(panel.minscore_changed)
    committed = emissions(panel.committed)
    qtbot.mouseClick(panel.minval.track, LEFT, pos=at(panel.minval, 100.0))
    assert len(minval) == len(committed) == 1
    assert minscore == []
    qtbot.mouseClick(panel.minscore.track, LEFT, pos=at(panel.minscore, 200.0))
    assert len(minval) == len(minscore) == 1
    assert len(committed) == 2
    assert minscore[0][0] == pytest.approx(200.0, rel=0.03)


def test_the_count_is_grouped_and_the_note_shown(panel):
    panel.set_count(14, 3127)
    assert panel.count.text() == "<b>14</b> of 3,127 candidates"
    assert not panel.note.isVisible()
    panel.set_count(1, 1, "frame not read yet")
    assert panel.count.text().endswith("1 candidate")
    assert panel.note.isVisible()


def test_suggest_and_the_detector_are_the_users_choice(panel, qtbot):
    with qtbot.waitSignal(panel.suggest_requested, timeout=1000):
        qtbot.mouseClick(panel.suggest, LEFT)
    panel.detector.setFocus()
    with qtbot.waitSignal(panel.detector_changed, timeout=1000) as heard:
        qtbot.keyClick(panel.detector, Qt.Key.Key_Down)
    assert heard.args == ["findpeaks"]
