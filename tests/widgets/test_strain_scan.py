"""The map of a scan: what it shows, and what mouse and keys mean on it."""

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QColor, QKeySequence, QShortcut
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from braggscope.widgets.scan_canvas import ScanCanvas
from braggscope.widgets.scan_paint import map_image, scale_bar
from braggscope.widgets.scan_panel import ScanPanel

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
SHIFT, ALT = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier
ROWS, COLUMNS = 12, 20


def make_canvas():
    widget = ScanCanvas()
    widget.resize(260, 180)
    values = np.arange(ROWS * COLUMNS, dtype=float).reshape(ROWS, COLUMNS)
    values[0, 0] = np.nan
    widget.set_values(values, 0, values.size, "gray")
    return widget


@pytest.fixture
def canvas(qtbot):
    widget = make_canvas()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def place(canvas, row, column):
    return canvas.viewport.transform().map(QPointF(column, row)).toPoint()


def heard(signal):
    calls = []
    signal.connect(lambda *values: calls.append(values))
    return calls


def test_a_click_and_a_drag_move_there(canvas):
    moves = heard(canvas.moved)
    QTest.mousePress(canvas, LEFT, NONE, place(canvas, 3, 7))
    QTest.mouseMove(canvas, place(canvas, 5, 9))
    QTest.mouseRelease(canvas, LEFT, NONE, place(canvas, 5, 9))
    QTest.mouseMove(canvas, place(canvas, 8, 8))
    assert moves[0] == (3, 7)
    assert moves[-1] == (5, 9)


def test_setters_do_not_emit_and_the_cross_is_where_it_was_put(canvas):
    calls = [heard(getattr(canvas, name)) for name in ("moved", "stepped", "region_drawn", "line_drawn")]
    canvas.set_position((4, 10))
    canvas.set_regions({"reference": (1, 4, 2, 8), "probe": (6, 9, 2, 5), "roi": (0, 2, 15, 18)})
    canvas.set_line((0.0, 0.0, 10.0, 5.0))
    canvas.set_step((2.0, "nm"))
    canvas.set_axes((0.3, 0.3 + np.pi / 2))
    picture = canvas.grab().toImage()
    at = place(canvas, 4, 16)  # on the level line of the cross, away from everything else
    assert QColor(picture.pixel(at)).lightness() > 240
    assert not any(calls)


@pytest.mark.parametrize(
    ("key", "held", "step"),
    [(Qt.Key.Key_Left, NONE, (0, -1)), (Qt.Key.Key_Down, NONE, (1, 0)), (Qt.Key.Key_Up, SHIFT, (-10, 0)),
     (Qt.Key.Key_Right, SHIFT, (0, 10))],
)  # fmt: skip
def test_arrow_keys_step_in_the_scan(canvas, key, held, step):
    steps, pans = heard(canvas.stepped), heard(canvas.panned)
    QTest.keyClick(canvas, key, held)
    QTest.keyClick(canvas, key, held | ALT)
    assert steps == [step]
    assert pans == [step]


def test_arrow_keys_win_over_shortcuts_of_the_window_only_with_the_focus(qtbot):
    window, other, canvas = QWidget(), QWidget(), make_canvas()
    qtbot.addWidget(window)
    other.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    column = QVBoxLayout(window)
    column.addWidget(canvas)
    column.addWidget(other)
    stolen = heard(QShortcut(QKeySequence("Right"), window).activated)
    steps = heard(canvas.stepped)
    window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    assert (len(steps), len(stolen)) == (1, 0)
    other.setFocus()
    QTest.keyClick(other, Qt.Key.Key_Right)
    assert (len(steps), len(stolen)) == (1, 1)


def test_a_drawn_rectangle_holds_every_position_it_touches_and_no_others(canvas):
    drawn, moves = heard(canvas.region_drawn), heard(canvas.moved)
    canvas.set_tool("reference")
    QTest.mousePress(canvas, LEFT, NONE, place(canvas, 2, 3))
    QTest.mouseMove(canvas, place(canvas, 5, 9))
    QTest.mouseRelease(canvas, LEFT, NONE, place(canvas, 5, 9))
    assert drawn == [("reference", (2, 6, 3, 10))]
    QTest.mousePress(canvas, LEFT, NONE, place(canvas, 10, 18))
    QTest.mouseMove(canvas, place(canvas, 10, 18) * 4)  # far outside
    QTest.mouseRelease(canvas, LEFT, NONE, place(canvas, 10, 18) * 4)
    assert drawn[1] == ("reference", (10, 12, 18, 20))
    canvas.set_tool("line")
    QTest.mousePress(canvas, LEFT, NONE, place(canvas, 1, 1))
    lines = heard(canvas.line_drawn)
    QTest.mouseMove(canvas, place(canvas, 1, 11))
    QTest.mouseRelease(canvas, LEFT, NONE, place(canvas, 1, 11))
    np.testing.assert_allclose(lines[0][0], (1, 1, 11, 1), atol=0.1)
    dismissed = heard(canvas.tool_dismissed)
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert dismissed == [()]
    assert moves == []


def test_colours_stand_for_values_and_no_value_has_none():
    image = map_image(np.array([[0.0, 1.0, np.nan, np.inf, 9.0]]), 0.0, 1.0, "gray")
    colours = [QColor.fromRgba(image.pixel(x, 0)) for x in range(5)]
    assert [c.alpha() for c in colours] == [255, 255, 0, 0, 255]
    assert colours[0].lightness() == 0
    assert colours[1].lightness() == colours[4].lightness() == 255


@pytest.mark.parametrize(("step", "columns", "length"), [(2.0, 64, 20.0), (0.35, 200, 20.0), (1.0, 10, 2.0)])
def test_the_scale_bar_is_round_and_fits(step, columns, length):
    pixels, shown = scale_bar(step, columns)
    assert shown == pytest.approx(length)
    assert pixels * step == pytest.approx(shown)
    assert pixels <= 0.3 * columns + 1e-9


@pytest.fixture
def panel(qtbot):
    widget = ScanPanel()
    qtbot.addWidget(widget)
    widget.resize(300, 360)
    widget.show()
    return widget


def type_in(field, text):
    field.setText(text)
    field.editingFinished.emit()


@pytest.mark.parametrize("text", ["48 x 64", "48×64", "48, 64", " 48 * 64 "])
def test_a_scan_shape_is_read_as_people_write_it(panel, text):
    shapes = heard(panel.shape_changed)
    type_in(panel.shape, text)
    assert shapes == [((48, 64),)]


def test_a_shape_that_is_none_is_refused_in_one_sentence(panel):
    panel.set_shape((6, 8))
    shapes, refused = heard(panel.shape_changed), heard(panel.refused)
    type_in(panel.shape, "many")
    assert shapes == []
    assert "rows × columns" in refused[0][0]
    assert panel.shape.text() == "6 × 8"
    type_in(panel.shape, "6 × 8")
    assert shapes == []
    type_in(panel.shape, "")
    assert shapes == [(None,)]


def test_the_inputs_belong_to_the_image(panel):
    for key, shown in (("bright", (False, True, False)), ("dark", (True, True, False)),
                       ("detector", (False, False, True)), ("sum", (False, False, False))):  # fmt: skip
        panel.set_image(key)
        seen = (panel.inner.isVisible(), panel.outer.isVisible(), panel.shapes["ellipse"].isVisible())
        assert seen == shown, key
    radii = heard(panel.radii_changed)
    panel.set_image("dark")
    panel.set_radii(5, 20)
    type_in(panel.inner, "8")
    type_in(panel.outer, "")
    assert radii == [(8.0, 20), (5, None)]


def test_one_tool_at_a_time(panel):
    asked = heard(panel.tool_requested)
    panel.tools["probe"].click()
    panel.set_tool("probe")
    panel.tools["reference"].click()
    panel.set_tool("reference")
    assert asked == [("probe",), ("reference",)]
    assert not panel.tools["probe"].isChecked()
    panel.tools["reference"].click()
    assert asked[-1] == ("",)
