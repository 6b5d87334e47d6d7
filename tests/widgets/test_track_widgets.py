"""Track table, plot and waterfall: setters never emit, gestures do."""

import time

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtTest import QTest

from braggscope.widgets.theme import SERIES_COLOURS
from braggscope.widgets.track_model import NAMES, TrackRows
from braggscope.widgets.track_table import TrackTable
from braggscope.widgets.tracks_plot import FROM_FILE, TrackCurve, TracksPlot
from braggscope.widgets.waterfall import WaterfallContent, WaterfallView

LEFT = Qt.MouseButton.LeftButton
NAN = float("nan")


def heard(signal):
    """A list that fills with what a signal says."""
    said = []
    signal.connect(lambda *values: said.append(values[0] if len(values) == 1 else values))
    return said


@pytest.fixture
def rows():
    return TrackRows(
        ("1", "2", "10", "2.1"),
        np.array([0, 0, 5, 20]),
        np.array([40, 39, 9, 40]),
        np.array([41, 40, 5, 21]),
        np.array([12.0, 90.0, 5.0, NAN]),
        np.array([0.004, -0.0012, NAN, 0.0]),
        ("", "", "", "split from 2 at 18"),
    )


@pytest.fixture
def table(qtbot, rows):
    widget = TrackTable()
    qtbot.addWidget(widget)
    widget.resize(700, 260)
    widget.set_tracks(rows, "4 tracks")
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def click(table, track, modifier=Qt.KeyboardModifier.NoModifier):
    index = table.model.index(table.model.line_of(track), 1)
    table.lines.scrollTo(index)
    port = table.lines.viewport()
    QTest.mouseClick(port, LEFT, modifier, table.lines.visualRect(index).center())


def test_the_longest_track_comes_first_and_headers_sort(table):
    assert table.model.rows.tolist() == [0, 1, 3, 2]
    header = table.lines.horizontalHeader()
    header.sectionClicked.emit(NAMES.index("name"))
    table.model.sort(NAMES.index("name"))
    assert table.model.rows.tolist() == [0, 1, 3, 2], "2.1 before 10"
    table.model.sort(NAMES.index("change"), Qt.SortOrder.DescendingOrder)
    assert table.model.rows.tolist() == [0, 3, 1, 2], "unknown last"


def test_twenty_thousand_tracks_are_chosen_at_once(table):
    count = 20_000
    numbers = np.arange(count)
    known, words = np.full(count, 1.0), tuple(map(str, numbers))
    table.set_tracks(TrackRows(words, numbers, numbers, numbers % 97, known, known, ("",) * count))
    chosen = []
    table.chosen.connect(chosen.append)
    start = time.perf_counter()
    table.lines.selectAll()
    table.set_chosen(chosen[0], {})
    took = time.perf_counter() - start
    assert sorted(chosen[0]) == numbers.tolist()
    assert sorted(table.selected()) == numbers.tolist()
    assert took < 0.7
    scattered = np.random.default_rng(1).permutation(count)[:500].tolist()
    table.set_chosen(scattered, {})
    assert (table.selected()[0], sorted(table.selected())) == (scattered[0], sorted(scattered))


def test_cells(table):
    assert table.model.text(1, "change") == "−0.120"
    assert table.model.text(2, "change") == "–"
    assert table.model.text(3, "snr") == "–"
    assert table.model.text(3, "origin") == "split from 2 at 18"
    assert table.note.text() == "4 tracks"


def test_a_click_chooses_and_setters_are_silent(table):
    said = heard(table.chosen)
    table.set_chosen([3, 1], {3: "#56b4e9", 1: "#e69f00"})
    assert said == []
    assert table.selected() == [3, 1]
    assert table.buttons["join"].isEnabled()
    assert not table.buttons["split"].isEnabled()
    click(table, 0)
    assert said == [[0]]
    click(table, 2, Qt.KeyboardModifier.ControlModifier)
    assert sorted(said[-1]) == [0, 2]
    table.set_tracks(TrackRows())
    assert len(said) == 2
    assert not any(button.isEnabled() for button in table.buttons.values())


def test_buttons_and_the_delete_key_ask(table):
    said = heard(table.requested)
    click(table, 1)
    for key in ("split", "delete", "export"):
        QTest.mouseClick(table.buttons[key], LEFT)
    QTest.keyClick(table.lines, Qt.Key.Key_Delete)
    assert said == ["split", "delete", "export", "delete"]


def test_a_name_is_told_and_not_taken(table):
    said = heard(table.renamed)
    index = table.model.index(table.model.line_of(1), NAMES.index("name"))
    assert table.model.setData(index, "  rim   grain ")
    assert said == [(1, "rim grain")]
    assert table.model.text(1, "name") == "2", "the name comes back from outside"
    assert not table.model.setData(index, "2")
    assert not table.model.setData(index, "   ")


def curve(track, offset, colour="#56b4e9", n=50):
    frames = np.arange(n)
    values = offset + 0.1 * frames
    return TrackCurve(
        track, str(track + 1), colour, frames, frames.astype(float), values, np.full(n, 0.2), values
    )


@pytest.fixture
def plot(qtbot):
    widget = TracksPlot()
    qtbot.addWidget(widget)
    widget.resize(600, 300)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def test_the_plot_says_what_to_do_and_draws_error_bars(plot):
    assert plot.hint.isVisible()
    plot.set_curves([curve(0, 0.0), curve(3, 5.0, "#e69f00")], "x / px", "voltage / V")
    assert not plot.hint.isVisible()
    bars, line, points = plot._items[1]
    x, y = bars.getData()
    assert len(x) == 100
    np.testing.assert_allclose(y[:2], [4.8, 5.2])
    assert len(points.getData()[0]) == 50
    np.testing.assert_allclose(line.getData()[1][:2], [5.0, 5.1])
    assert "voltage" in plot.plot.getPlotItem().getAxis("bottom").labelText
    plot.set_curves([curve(0, 0.0)], "x / px")
    assert not plot._items[1][0].isVisible()


def test_every_curve_looks_different_and_the_legend_says_how_many_it_leaves_out(plot):
    inks = [SERIES_COLOURS[k % len(SERIES_COLOURS)] for k in range(24)]
    plot.set_curves([curve(k, k, inks[k]) for k in range(24)], "x / px")
    looks = {(line.opts["pen"].color().name(), line.opts["pen"].style()) for _, line, _ in plot._items}
    marks = {(points.opts["brush"].color().name(), points.opts["symbol"]) for *_, points in plot._items}
    assert len(looks) == len(marks) == 24
    assert plot.legend.text().endswith("… and 16 more")


def test_clicks_find_points_or_frames(plot):
    points, frames = heard(plot.point_clicked), heard(plot.frame_clicked)
    plot.set_curves([curve(0, 0.0), curve(3, 5.0)], "x / px")
    plot.set_cursor(7.0)
    assert points == []
    QTest.qWait(20)
    plot._go_to(QPointF(20.0, 7.0))
    assert points == [(3, 20)]
    plot._go_to(QPointF(30.2, 5.5))
    assert frames == [30]


def test_choices_are_told_only_when_the_user_makes_them(plot):
    quantities, axes, files = (
        heard(plot.quantity_changed),
        heard(plot.axis_changed),
        heard(plot.axis_file_requested),
    )
    plot.set_quantities([("x", "position x"), ("strain", "strain")], "strain")
    plot.set_axes([("frame", "frame"), ("voltage_V", "voltage / V")], "voltage_V")
    assert (quantities, axes) == ([], [])
    assert plot.quantity.currentData() == "strain"
    assert plot.axis.currentData() == "voltage_V"
    plot.quantity.activated.emit(0)
    plot.axis.activated.emit(0)
    plot.axis.activated.emit(plot.axis.findData(FROM_FILE))
    assert (quantities, axes, len(files)) == (["x"], ["frame"], 1)


@pytest.fixture
def waterfall(qtbot):
    widget = WaterfallView()
    qtbot.addWidget(widget)
    widget.resize(420, 420)
    widget.show()
    qtbot.waitExposed(widget)
    return widget


def content(n=40, size=21):
    frames = np.arange(10, 10 + 2 * n, 2)
    rows, cols = np.mgrid[:size, :size]
    x = 5 + 10 * np.arange(n) / n
    patches = np.array([1000 * np.exp(-((cols - c) ** 2 + (rows - 10) ** 2) / 4) for c in x], np.float32)
    patches[:, 0, 0] = np.nan
    way = np.column_stack((frames, 100 + x, np.full(n, 60.0)))
    return WaterfallContent("4", "#56b4e9", frames, patches, (100.0, 50.0), 1, way)


def test_the_waterfall_follows_the_spot(waterfall):
    assert waterfall.hint.isVisible()
    waterfall.set_content(content())
    assert not waterfall.hint.isVisible()
    image = waterfall.image.image
    assert image.shape == (21, 79)
    assert image[:, 0].argmax() == 5
    assert image[:, -1].argmax() == 15
    assert waterfall.image.boundingRect().height() == 21
    waterfall.along.setCurrentIndex(1)
    waterfall.along.activated.emit(1)
    assert (waterfall.image.image.argmax(axis=0) == 10).all()
    waterfall.set_content(None)
    assert waterfall.hint.isVisible()


def test_patches_and_profile_go_to_frames(waterfall):
    said = heard(waterfall.frame_clicked)
    waterfall.set_content(content())
    waterfall.set_frame(50)
    assert said == []
    QTest.qWait(20)
    cells = waterfall.film._cells()
    assert len(cells) >= 3
    k, box = cells[1]
    QTest.mouseClick(waterfall.film, LEFT, Qt.KeyboardModifier.NoModifier, box.center().toPoint())
    assert said == [int(content().frames[k])]
    waterfall._go_to(QPointF(33.3, 105.0))
    assert said[-1] == 33
