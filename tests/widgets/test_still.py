import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QObject, QRect
from PyQt6.QtGui import QRegion
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from braggscope.models.results import PeakTable, Status
from braggscope.widgets.frame_canvas import FrameCanvas
from braggscope.widgets.peak_table import PeakTableView
from braggscope.widgets.still import Still
from braggscope.widgets.threshold_panel import ThresholdPanel
from braggscope.widgets.timeline import Timeline


class Painted(QObject):
    """Notes what is painted of a widget."""

    def __init__(self, widget):
        super().__init__(widget)
        self.region = QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint:
            self.region += event.region()
        return False


class Around(QWidget):
    """A window that counts how often it is laid out and painted."""

    def __init__(self, inside):
        super().__init__()
        self.layouts = self.paints = 0
        row = QHBoxLayout(self)
        row.addWidget(inside)
        row.addStretch(1)

    def event(self, event):
        self.layouts += event.type() == QEvent.Type.LayoutRequest
        return super().event(event)

    def paintEvent(self, event):
        self.paints += 1


@pytest.fixture
def around(qtbot):
    def make(inside):
        window = Around(inside)
        qtbot.addWidget(window)
        window.resize(600, 300)
        window.show()
        for _ in range(3):
            QApplication.processEvents()
        window.layouts = window.paints = 0
        return window

    return make


def turn(act):
    act()
    for _ in range(3):
        QApplication.processEvents()


def test_a_text_that_fits_lays_nothing_out(around):
    label = QLabel("100 peaks")
    window = around(Still(label))
    turn(lambda: label.setText("99 peaks"))
    assert window.layouts == 0
    assert label.text() == "99 peaks"


def test_a_longer_text_gets_its_room(around):
    label = QLabel("9")
    window = around(Still(label))
    turn(lambda: label.setText("a much longer text than before"))
    assert window.layouts == 1
    assert label.width() >= label.sizeHint().width()
    assert label.geometry() == QRect(0, 0, label.parentWidget().width(), label.parentWidget().height())


def test_a_text_that_grew_while_nobody_saw_it_gets_its_room(around):
    label = QLabel("")
    held = Still(label)
    window = around(held)
    window.hide()
    turn(lambda: label.setText("3 of 12,345"))
    turn(window.show)
    assert window.layouts > 0
    assert label.width() >= label.sizeHint().width()


def test_counts_and_numbers_of_a_frame_lay_nothing_out(around):
    panel, timeline, page = ThresholdPanel(), Timeline(), QWidget()
    column = QVBoxLayout(page)
    column.addWidget(panel)
    column.addWidget(timeline)
    timeline.set_count(100)
    timeline.set_axis("voltage_V", np.linspace(1, 2, 100))
    panel.set_count(120, 3000)
    window = around(page)

    def step():
        panel.set_count(119, 2999)
        timeline.set_frame(50)

    turn(step)
    assert window.layouts == 0


def test_what_lies_behind_a_frame_is_not_painted_with_it(around):
    canvas = FrameCanvas()
    canvas.set_pixels(np.full((50, 60), 0xFF445566, np.uint32), (50, 60))
    window = around(canvas)
    turn(canvas.update)
    assert window.paints == 0
    neighbour = QPushButton("x")
    seen = around(neighbour)
    turn(neighbour.update)
    assert seen.paints > 0  # an ordinary widget is


def test_another_frame_does_not_reset_the_table(qtbot):
    view = PeakTableView()
    qtbot.addWidget(view)
    view.show()
    resets, chosen = [], []
    view.model.modelReset.connect(lambda: resets.append(1))
    view.peak_selected.connect(chosen.append)
    for count in (5, 9, 3, 3, 0, 4):
        table = PeakTable.blank(count)
        table["peak"][:] = np.arange(count) + 10 * count
        view.set_table(table)
        view.select(count - 1 if count else None)
        assert view.model.rowCount() == len(view.model.rows) == count
        shown = [view.model.data(view.model.index(k, 0)) for k in range(count)]
        assert shown == [str(number) for number in table["peak"]]
        rows = [index.row() for index in view.lines.selectionModel().selectedRows()]
        assert rows == ([count - 1] if count else [])
    assert resets == chosen == []


def test_other_cells_and_another_hint_are_painted(around):
    view = PeakTableView()
    view.set_table(PeakTable.blank(3, peak=np.arange(3)))
    view.resize(600, 300)
    window = around(view)
    port = view.lines.viewport()
    painted = Painted(port)
    turn(lambda: view.set_table(PeakTable.blank(3, peak=np.arange(3) + 7)))
    for line in range(3):
        cell = view.lines.visualRect(view.model.index(line, 0))
        assert painted.region.contains(cell.center())
    view.model.set_status(Status.SATURATED)
    turn(lambda: view.set_table(PeakTable.blank(0)))
    painted.region = QRegion()
    turn(lambda: view.set_table(PeakTable.blank(10, peak=np.arange(10), status=int(Status.OK))))
    assert "saturated" in view.lines.hint
    assert painted.region.contains(port.rect().center())
    assert window.isVisible()
