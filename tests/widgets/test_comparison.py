import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.error_plot import QUANTITIES, Curve, ErrorPlot
from braggscope.widgets.offset_plot import MOST_DRAWN, OffsetPlot

LEFT = Qt.MouseButton.LeftButton
FRAMES = np.arange(100)


def curve(name="A", level=0.2):
    values = np.full(100, level)
    values[40:45] = np.nan
    return Curve(name, "#56b4e9", FRAMES, values)


def record(widget, *names):
    heard = []
    for name in names:
        getattr(widget, name).connect(lambda *args, name=name: heard.append((name, *args)))
    return heard


def view_point(plot, x, y):
    box = plot.getPlotItem().getViewBox()
    return plot.mapFromScene(box.mapViewToScene(QPointF(x, y)))


@pytest.fixture
def errors(qtbot):
    widget = ErrorPlot()
    qtbot.addWidget(widget)
    widget.resize(640, 260)
    widget.show()
    widget.set_curves([curve("A", 0.2), curve("B", 0.6)])
    QApplication.processEvents()
    return widget


@pytest.fixture
def offsets(qtbot):
    widget = OffsetPlot()
    qtbot.addWidget(widget)
    widget.resize(360, 420)
    widget.show()
    return widget


# error against frame


def test_curves_are_drawn_with_gaps_and_named(errors):
    assert [entry[0] for entry in errors.legend.entries] == ["A", "B"]
    x, y = errors._lines[0].getOriginalDataset()
    assert np.array_equal(x, FRAMES)
    assert np.isnan(y[42])
    assert not errors.hint.isVisible()
    errors.set_curves([curve()])
    assert [line.isVisible() for line in errors._lines] == [True, False]
    errors.set_curves([])
    assert errors.hint.isVisible()


def test_the_cursor_reads_the_values_of_its_frame(errors):
    errors.set_frame(30)
    assert errors.cursor_line.value() == 30
    assert [value for *_, value in errors.legend.entries] == ["0.200", "0.600"]
    assert len(errors.dots.points()) == 2
    errors.set_frame(42)
    assert [value for *_, value in errors.legend.entries] == ["", ""]
    assert len(errors.dots.points()) == 0


def test_a_click_gives_the_frame(errors, qtbot):
    heard = record(errors, "frame_clicked")
    qtbot.mouseClick(errors.plot.viewport(), LEFT, pos=view_point(errors.plot, 63.2, 0.4))
    assert heard == [("frame_clicked", 63)]
    assert errors.cursor_line.value() == 63


def test_the_cursor_can_be_dragged(errors, qtbot):
    errors.set_frame(20)
    QApplication.processEvents()
    heard = record(errors, "frame_clicked")
    port = errors.plot.viewport()
    qtbot.mouseMove(port, view_point(errors.plot, 20, 0.4))
    qtbot.mousePress(port, LEFT, pos=view_point(errors.plot, 20, 0.4))
    for x in (30, 45, 60):
        qtbot.wait(20)  # the scene drops moves that follow too fast
        qtbot.mouseMove(port, view_point(errors.plot, x, 0.4))
    qtbot.mouseRelease(port, LEFT, pos=view_point(errors.plot, 60, 0.4))
    assert heard
    assert abs(heard[-1][1] - 60) <= 2


def test_an_external_axis_that_passes_a_value_twice(errors, qtbot):
    volts = np.concatenate([np.linspace(3.0, 4.0, 50), np.linspace(4.0, 3.0, 50)])
    rising, falling = np.full(100, 0.2), np.full(100, 0.2)
    falling[50:] = 0.8
    errors.set_axis("voltage / V", volts)
    errors.set_curves([Curve("A", "#56b4e9", FRAMES, np.where(FRAMES < 50, rising, falling))])
    QApplication.processEvents()
    heard = record(errors, "frame_clicked")
    for y in (0.2, 0.8):
        qtbot.mouseClick(errors.plot.viewport(), LEFT, pos=view_point(errors.plot, volts[20], y))
        qtbot.wait(QApplication.doubleClickInterval() + 50)
    assert [frame for _, frame in heard] == [20, 79]
    errors.set_frame(60)
    assert errors.cursor_line.value() == volts[60]
    errors.set_axis("", None)
    assert errors.cursor_line.value() == 60


def test_frames_beyond_the_external_axis_are_left_out(errors):
    errors.set_axis("voltage / V", np.linspace(3, 4, 10))
    x, _ = errors._lines[0].getOriginalDataset()
    assert np.isfinite(x).sum() == 10
    errors.set_frame(50)


def test_the_quantity_is_chosen_by_the_user(errors, qtbot):
    heard = record(errors, "quantity_changed")
    errors.quantity.setFocus()
    qtbot.keyClick(errors.quantity, Qt.Key.Key_End)
    assert heard == [("quantity_changed", "count")]
    assert errors.plot.getPlotItem().getAxis("left").labelText == "peaks"


def test_error_plot_setters_never_emit(errors):
    heard = record(errors, "frame_clicked", "quantity_changed")
    for name in QUANTITIES:
        errors.set_quantity(name)
    errors.set_frame(7)
    errors.set_axis("T / K", np.linspace(300, 400, 100))
    errors.set_curves([curve(), curve("C", np.nan)])
    QApplication.processEvents()
    assert heard == []
    assert errors.quantity.currentData() == "count"


# offsets


def scatter(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.1, 0.05, n), rng.normal(-0.05, 0.05, n), np.arange(n) // 10, np.arange(n) % 10


def test_statistics_against_the_normal_distribution(offsets):
    offsets.set_points(*scatter(5000))
    x, y, radius = offsets.statistics()
    assert x == pytest.approx(0.1, abs=0.004)
    assert y == pytest.approx(-0.05, abs=0.004)
    assert radius == pytest.approx(0.05 * np.sqrt(-2 * np.log(0.32)), rel=0.04)
    assert offsets.summary.text().startswith(f"Δx {x:+.3f}   Δy −{-y:.3f}")


def test_peaks_without_a_pair_are_counted_not_drawn(offsets):
    dx, dy, frame, peak = scatter(100)
    dx[:7] = np.nan
    offsets.set_points(dx, dy, frame, peak, note="3 rejected")
    assert offsets.remark.text() == "93 peaks · 7 without a pair · 3 rejected"
    assert len(offsets.points.x) == 93


def test_many_points_are_thinned_and_that_is_said(offsets):
    offsets.set_points(*scatter(50_000))
    assert len(offsets.points.x) == MOST_DRAWN
    assert "20,000 drawn" in offsets.remark.text()
    assert offsets.statistics()[0] == pytest.approx(0.1, abs=0.002)


def test_the_scales_are_equal_and_the_margins_aligned(offsets, qtbot):
    offsets.set_points(*scatter(500))
    QApplication.processEvents()
    px, py = offsets.plot.getPlotItem().getViewBox().viewPixelSize()
    assert px == pytest.approx(py, rel=0.02)
    offsets.plot.setXRange(-0.2, 0.3)
    QApplication.processEvents()
    assert offsets.top.viewRange()[0] == pytest.approx(offsets.plot.viewRange()[0])
    assert offsets.right.viewRange()[1] == pytest.approx(offsets.plot.viewRange()[1])

    def screen_x(plot, x):
        return plot.mapTo(offsets, view_point(plot, x, 0.0)).x()

    assert abs(screen_x(offsets.top, 0.1) - screen_x(offsets.plot, 0.1)) <= 2


def test_a_click_finds_its_peak_and_empty_ground_does_not(offsets, qtbot):
    dx, dy = np.array([0.1, -0.1, 0.0]), np.array([0.1, -0.1, 0.0])
    offsets.set_points(dx, dy, np.array([5, 6, 7]), np.array([1, 2, 3]))
    QApplication.processEvents()
    heard = record(offsets, "peak_clicked")
    qtbot.mouseClick(offsets.plot.viewport(), LEFT, pos=view_point(offsets.plot, -0.1, -0.1))
    assert heard == [("peak_clicked", 6, 2)]
    assert offsets.chosen.getData()[0].tolist() == [-0.1]
    qtbot.wait(QApplication.doubleClickInterval() + 50)
    qtbot.mouseClick(offsets.plot.viewport(), LEFT, pos=view_point(offsets.plot, 0.1, -0.1))
    assert len(heard) == 1


def test_offset_setters_never_emit_and_nothing_is_said_in_words(offsets):
    heard = record(offsets, "peak_clicked")
    offsets.set_points(*scatter(50))
    offsets.highlight(2, 3)
    assert len(offsets.chosen.getData()[0]) == 1
    offsets.highlight(99, 3)
    assert len(offsets.chosen.getData()[0]) == 0
    nothing = np.full(4, np.nan)
    offsets.set_points(nothing, nothing, np.arange(4), np.arange(4))
    assert offsets.hint.isVisible()
    assert offsets.remark.text() == "4 without a pair"
    assert heard == []


def test_curves_survive_a_hundred_thousand_frames(errors):
    frames = np.arange(100_000)
    errors.set_curves([Curve("A", "#56b4e9", frames, np.random.default_rng(0).random(100_000))])
    errors.set_frame(99_999)
    assert not errors.grab().isNull()
    assert errors.plot.viewRange()[0][1] >= 99_999


def test_points_are_painted_where_they_belong(offsets):
    # twelve points at the origin keep the median and the 68 % ring clear of the four that are looked at
    dx, dy = np.zeros(16), np.zeros(16)
    dx[:4], dy[:4] = [0.3, -0.3, 0.3, -0.3], [-0.2, 0.2, 0.2, -0.2]
    offsets.set_points(dx, dy, np.arange(16), np.arange(16), "#ff0000")
    QApplication.processEvents()
    shot = offsets.plot.grab().toImage()
    ratio = shot.devicePixelRatio()

    def reddish(x, y):
        at = view_point(offsets.plot, x, y)
        colour = shot.pixelColor(round(at.x() * ratio), round(at.y() * ratio))
        return colour.red() - colour.green() > 80

    assert all(reddish(dx[k], dy[k]) for k in range(4))
    assert not reddish(0.15, 0.1)
    assert offsets.points.boundingRect().contains(QPointF(0.3, -0.2))
