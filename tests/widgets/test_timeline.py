import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.timeline import Timeline
from braggscope.widgets.timeline_track import columns_of, tick_step

LEFT = Qt.MouseButton.LeftButton
NO_KEYS = Qt.KeyboardModifier.NoModifier
SIGNALS = ("frame_changed", "play_toggled", "fps_changed", "mode_changed", "sum_changed")


@pytest.fixture
def timeline(qtbot):
    widget = Timeline()
    qtbot.addWidget(widget)
    widget.resize(820, 96)
    widget.show()
    widget.set_count(480)
    return widget


def record(timeline):
    heard = []
    for name in SIGNALS:
        getattr(timeline, name).connect(lambda *values, name=name: heard.append((name, *values)))
    return heard


def on_track(timeline, frame):
    return QPoint(round(timeline.track.x_of(frame)), 20)


def test_click_and_drag_scrub(qtbot, timeline):
    heard = record(timeline)
    track = timeline.track
    qtbot.mousePress(track, LEFT, NO_KEYS, on_track(timeline, 100))
    for frame in (150, 200):
        qtbot.mouseMove(track, on_track(timeline, frame))
    qtbot.mouseRelease(track, LEFT, NO_KEYS, on_track(timeline, 200))
    assert [frame for _, frame in heard] == [100, 150, 200]
    assert timeline.frame == timeline.number.value() == 200


def test_dragging_beyond_the_ends_stops_there(qtbot, timeline):
    heard = record(timeline)
    timeline.set_frame(5)
    qtbot.mousePress(timeline.track, LEFT, NO_KEYS, QPoint(0, 20))
    qtbot.mouseMove(timeline.track, QPoint(819, 20))
    qtbot.mouseRelease(timeline.track, LEFT, NO_KEYS, QPoint(819, 20))
    assert [frame for _, frame in heard] == [0, 479]


def test_hovering_does_not_scrub(qtbot, timeline):
    heard = record(timeline)
    qtbot.mouseMove(timeline.track, on_track(timeline, 300))
    timeline.grab()
    assert heard == []
    assert timeline.frame == 0


def test_buttons_step_and_stop_at_the_ends(qtbot, timeline):
    heard = record(timeline)
    for name in ("forward", "forward", "back", "last", "forward", "first"):
        qtbot.mouseClick(getattr(timeline, name), LEFT)
    assert [frame for _, frame in heard] == [1, 2, 1, 479, 0]


def test_the_wheel_steps(timeline):
    heard = record(timeline)
    for delta in (-120, -60, -60, 120):
        event = QWheelEvent(
            QPointF(50, 20), QPointF(50, 20), QPoint(), QPoint(0, delta),
            Qt.MouseButton.NoButton, NO_KEYS, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(timeline.track, event)
    assert [frame for _, frame in heard] == [1, 2, 1]


def test_a_frame_number_can_be_typed(qtbot, timeline):
    heard = record(timeline)
    timeline.number.selectAll()
    qtbot.keyClicks(timeline.number, "213")
    assert heard == []  # not while typing
    qtbot.keyClick(timeline.number, Qt.Key.Key_Return)
    assert heard == [("frame_changed", 213)]
    assert timeline.number.text() == "213 / 480"


def test_play_toggles(qtbot, timeline):
    heard = record(timeline)
    qtbot.mouseClick(timeline.play, LEFT)
    timeline.set_playing(True)
    qtbot.mouseClick(timeline.play, LEFT)
    assert heard == [("play_toggled", True), ("play_toggled", False)]


def test_pace_mode_and_sum(qtbot, timeline):
    heard = record(timeline)
    timeline.fps.stepUp()
    timeline.sum.stepUp()
    timeline.mode.setFocus()
    qtbot.keyClick(timeline.mode, Qt.Key.Key_Down)
    assert heard == [("fps_changed", 25.0), ("sum_changed", 2), ("mode_changed", "realtime")]


def test_setters_do_not_emit(timeline):
    heard = record(timeline)
    timeline.set_count(100)
    timeline.set_frame(99)
    timeline.set_playing(True)
    timeline.set_fps(12)
    timeline.set_mode("realtime")
    timeline.set_sum(5)
    timeline.set_curve(np.arange(100.0), "fit", "peaks")
    timeline.set_done(np.ones(100, bool))
    timeline.set_axis("voltage_V", np.linspace(3, 4, 100))
    timeline.set_follow(True)
    timeline.set_count(10)
    timeline.grab()
    assert heard == []
    assert (timeline.frame, timeline.number.value(), timeline.number.maximum()) == (9, 9, 9)
    assert timeline.mode.currentText() == "Real time"


def test_the_axis_is_read_out_with_its_unit(timeline):
    timeline.set_axis("voltage_V", np.where(np.arange(480) == 7, np.nan, 3.925))
    assert timeline.axis.text().split() == ["3.925", "V", "voltage"]
    timeline.set_frame(7)
    assert not timeline.axis.isVisible()
    timeline.set_axis("", None)
    assert not timeline.axis.isVisible()


def test_analysed_frames_and_curve_are_drawn(timeline):
    def picture():
        return timeline.track.grab().toImage()

    empty = picture()
    done = np.zeros(480, bool)
    done[:240] = True
    timeline.set_done(done)
    shaded = picture()
    left, right = on_track(timeline, 60), on_track(timeline, 420)
    assert shaded.pixel(left) != empty.pixel(left)
    assert shaded.pixel(right) == empty.pixel(right)
    timeline.set_curve(np.where(done, 5.0, np.nan), "fit", "")
    assert picture().pixel(left) != shaded.pixel(left)
    assert picture().pixel(right) == empty.pixel(right)


def test_a_long_series_keeps_its_extremes(timeline):
    n = 100_000
    timeline.set_count(n)
    values = np.full(n, 1.0)
    values[77_777], values[5:9] = 50.0, np.nan
    timeline.set_curve(values, "fit", "peaks")
    timeline.set_done(np.arange(n) < 90_000)
    timeline.grab()
    low, high = timeline.track._minima_maxima(800)
    assert len(high) == 800
    assert np.nanmax(high) == 50
    assert np.nanmin(low) == 1
    assert timeline.track.frame_at(timeline.track.x_of(99_999)) == 99_999


def test_groups_cover_every_frame_once():
    for frames, width in ((1, 800), (480, 800), (801, 800), (100_000, 333)):
        starts = columns_of(frames, width)
        assert starts[0] == 0
        assert np.all(np.diff(starts) > 0)
        assert len(starts) == min(frames, width)


def test_frame_numbers_are_round_and_apart():
    assert tick_step(480, 800) == 50
    assert tick_step(5, 800) == 1
    assert tick_step(100_000, 800) == 10_000


def test_no_series_is_no_trouble(timeline):
    timeline.set_count(0)
    timeline.grab()
    assert not timeline.play.isEnabled()
    assert timeline.height() <= 96


def test_the_buttons_stay_where_they_are_without_an_axis(qtbot, timeline):
    places = []
    for values in (np.full(480, 3.925), None):
        timeline.set_axis("voltage_V", values)
        qtbot.wait(20)
        places.append([widget.geometry() for widget in (timeline.play, timeline.number, timeline.mode)])
    assert places[0] == places[1]


def test_a_narrow_axis_drops_its_name_before_its_value(qtbot, timeline):
    timeline.set_axis("voltage_V", np.full(480, 3.925))
    timeline.resize(timeline.width() - timeline.axis.width() + 60, 96)
    qtbot.wait(20)
    assert timeline.axis.shown_text() == "3.925 V"
