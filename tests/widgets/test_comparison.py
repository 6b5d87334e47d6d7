import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtWidgets import QApplication

from braggscope.widgets.error_plot import QUANTITIES, Curve, ErrorPlot

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


def test_curves_survive_a_hundred_thousand_frames(errors):
    frames = np.arange(100_000)
    errors.set_curves([Curve("A", "#56b4e9", frames, np.random.default_rng(0).random(100_000))])
    errors.set_frame(99_999)
    assert not errors.grab().isNull()
    assert errors.plot.viewRange()[0][1] >= 99_999
