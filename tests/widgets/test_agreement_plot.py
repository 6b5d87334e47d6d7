import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtWidgets import QApplication

from braggscope.models.compare import NO_DIFFERENCES, QUANTITIES, Differences
from braggscope.widgets.agreement_plot import MOST_DRAWN, VIEWS, AgreementPlot
from braggscope.widgets.method_grid import concise

LEFT = Qt.MouseButton.LeftButton


def differences(dx, dy, frame=None, peak=None, **counts):
    n = len(dx)
    rng = np.random.default_rng(7)
    frame = np.arange(n) // 10 if frame is None else np.asarray(frame)
    peak = np.arange(n) % 10 if peak is None else np.asarray(peak)
    against = {
        "sigma": rng.uniform(1, 3, n), "snr": 10 ** rng.uniform(0.5, 2.5, n),
        "elongation": rng.uniform(1, 3, n), "frame": frame.astype(float),
    }  # fmt: skip
    return Differences(
        np.asarray(dx), np.asarray(dy), frame, peak, against, **({"pairs": n, "silent": 0, "far": 0} | counts)
    )


def scatter(n, seed=0, **counts):
    rng = np.random.default_rng(seed)
    return differences(rng.normal(0.1, 0.05, n), rng.normal(-0.05, 0.05, n), **counts)


def record(widget, *names):
    heard = []
    for name in names:
        getattr(widget, name).connect(lambda *args, name=name: heard.append((name, *args)))
    return heard


def view_point(plot, x, y):
    box = plot.getPlotItem().getViewBox()
    return plot.mapFromScene(box.mapViewToScene(QPointF(x, y)))


@pytest.fixture
def plot(qtbot):
    widget = AgreementPlot()
    qtbot.addWidget(widget)
    widget.resize(380, 460)
    widget.show()
    return widget


def test_statistics_are_written_with_errors_and_counts(plot):
    plot.set_differences(scatter(5000, silent=1234, far=5, only_second=7), note="this frame only")
    found = plot.statistics()
    assert found.dx == pytest.approx(0.1, abs=0.004)
    assert plot.summary.text().startswith(f"median {found.median:.3f}")
    assert f"Δx\u00a0{concise(found.dx, found.dx_err)}" in plot.summary.text()
    assert "Δy\u00a0−0.0" in plot.summary.text()
    assert plot.remark.text() == (
        "5,000 pairs · 1,234 with one answer · 5 further than 3 px apart · 7 only in the list"
        " · this frame only"
    )


def test_the_ring_holds_68_percent(plot):
    plot.set_differences(scatter(5000))
    x, y, radius = plot.plane.statistics()
    assert (x, y) == pytest.approx((0.1, -0.05), abs=0.004)
    assert radius == pytest.approx(0.05 * np.sqrt(-2 * np.log(0.32)), rel=0.04)


def test_many_points_are_thinned_and_that_is_said(plot):
    plot.set_differences(scatter(50_000))
    assert len(plot.plane.points.x) == MOST_DRAWN
    assert "20,000 drawn" in plot.remark.text()
    plot.set_view("snr")
    assert len(plot.trends.rows[0].points.x) == MOST_DRAWN


def test_the_plane_has_equal_scales_and_aligned_margins(plot):
    plot.set_differences(scatter(500))
    QApplication.processEvents()
    plane = plot.plane
    px, py = plane.plot.getPlotItem().getViewBox().viewPixelSize()
    assert px == pytest.approx(py, rel=0.02)
    plane.plot.setXRange(-0.2, 0.3)
    QApplication.processEvents()
    assert plane.top.viewRange()[0] == pytest.approx(plane.plot.viewRange()[0])
    assert plane.right.viewRange()[1] == pytest.approx(plane.plot.viewRange()[1])

    def screen_x(part, x):
        return part.mapTo(plot, view_point(part, x, 0.0)).x()

    assert abs(screen_x(plane.top, 0.1) - screen_x(plane.plot, 0.1)) <= 2


@pytest.mark.parametrize("view", VIEWS)
def test_a_click_finds_its_peak_in_every_view(plot, qtbot, view):
    data = differences([0.1, -0.1, 0.0], [0.1, -0.1, 0.0], [5, 6, 7], [1, 2, 3])
    plot.set_differences(data)
    plot.set_view(view)
    QApplication.processEvents()
    heard = record(plot, "peak_clicked")
    if view == "plane":
        target, x = plot.plane.plot, -0.1
    else:
        target, x = plot.trends.rows[1].plot, data.against[view][1]
        target.setYRange(-0.3, 0.3)
        plot.trends.rows[1].plot.setXRange(0.0, 10.0)
        x = np.log10(x) if view == "snr" else x
    QApplication.processEvents()
    qtbot.mouseClick(target.viewport(), LEFT, pos=view_point(target, x, -0.1))
    assert heard == [("peak_clicked", 6, 2)]
    qtbot.wait(QApplication.doubleClickInterval() + 50)
    qtbot.mouseClick(target.viewport(), LEFT, pos=view_point(target, x, 0.25))
    assert len(heard) == 1


def test_a_bias_that_depends_on_the_width_is_seen_in_the_trend(plot):
    data = scatter(4000)
    data = data._replace(dx=0.1 * (data.against["sigma"] - 2.0) + 0.01 * data.dy)
    plot.set_differences(data)
    plot.set_view("sigma")
    at, level = plot.trends.rows[0].median.getData()
    assert level == pytest.approx(0.1 * (at - 2.0), abs=0.01)
    low, high = plot.trends.rows[0].low.getData()[1], plot.trends.rows[0].high.getData()[1]
    assert (low < level).all()
    assert (level < high).all()


def test_peaks_without_the_quantity_are_left_out_of_its_view(plot):
    data = scatter(50)
    data.against["sigma"][:20] = np.nan
    plot.set_differences(data)
    plot.set_view("sigma")
    assert len(plot.trends.rows[0].points.x) == 30
    plot.highlight(int(data.frame[3]), int(data.peak[3]))
    assert len(plot.trends.rows[0].chosen.getData()[0]) == 0
    plot.highlight(int(data.frame[33]), int(data.peak[33]))
    assert plot.trends.rows[0].chosen.getData()[0] == pytest.approx([data.against["sigma"][33]])


def test_methods_are_chosen_by_the_user(plot, qtbot):
    heard = record(plot, "pair_changed")
    plot.set_methods([("fit", "fit"), ("net", "network"), ("file:a", "a.csv")], ("fit", "file:a"))
    assert plot.pair() == ("fit", "file:a")
    assert heard == []
    plot.first.setFocus()
    qtbot.keyClick(plot.first, Qt.Key.Key_Down)
    assert heard == [("pair_changed", "net", "file:a")]


def test_a_list_is_asked_for_by_its_button(plot, qtbot):
    heard = record(plot, "list_requested")
    qtbot.mouseClick(plot.open, LEFT)
    assert heard == [("list_requested",)]


def test_setters_never_emit_and_nothing_is_said_in_words(plot):
    heard = record(plot, "peak_clicked", "pair_changed", "list_requested")
    plot.set_differences(scatter(50))
    plot.highlight(2, 3)
    assert len(plot.plane.chosen.getData()[0]) == 1
    plot.highlight(99, 3)
    assert len(plot.plane.chosen.getData()[0]) == 0
    for view in VIEWS:
        plot.set_view(view)
        plot.highlight(2, 3)
        assert plot.hint.isVisible() is False
    assert len(plot.trends.rows[0].chosen.getData()[0]) == 1
    plot.set_view("sigma")  # the ring stays when the view changes
    assert len(plot.trends.rows[0].chosen.getData()[0]) == 1
    plot.set_differences(NO_DIFFERENCES, note="pairing with a.csv …")
    assert plot.hint.isVisible()
    assert plot.summary.text() == ""
    assert plot.remark.text() == "pairing with a.csv …"
    assert heard == []
    assert set(QUANTITIES) == set(VIEWS) - {"plane"}


def test_points_are_painted_where_they_belong(plot):
    # twelve points at the origin keep the median and the 68 % ring clear of the four that are looked at
    dx, dy = np.zeros(16), np.zeros(16)
    dx[:4], dy[:4] = [0.3, -0.3, 0.3, -0.3], [-0.2, 0.2, 0.2, -0.2]
    plot.set_differences(differences(dx, dy), "#ff0000")
    QApplication.processEvents()
    plane = plot.plane.plot
    shot = plane.grab().toImage()
    ratio = shot.devicePixelRatio()

    def reddish(x, y):
        at = view_point(plane, x, y)
        colour = shot.pixelColor(round(at.x() * ratio), round(at.y() * ratio))
        return colour.red() - colour.green() > 80

    assert all(reddish(dx[k], dy[k]) for k in range(4))
    assert not reddish(0.15, 0.1)
    assert plot.plane.points.boundingRect().contains(QPointF(0.3, -0.2))


def test_the_trends_lie_side_by_side_where_there_is_little_height(plot):
    plot.set_differences(scatter(500))
    plot.set_view("snr")
    QApplication.processEvents()
    one, other = (row.plot for row in plot.trends.rows)
    assert one.x() == other.x()
    assert one.y() < other.y()
    plot.resize(500, 240)
    QApplication.processEvents()
    assert one.y() == other.y()
    assert one.x() < other.x()
    assert plot.minimumSizeHint().width() <= 300
