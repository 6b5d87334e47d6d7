import math

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication

from braggscope.models.bench_settings import BOUND, BenchSettings, Neighbour, Outcome
from braggscope.widgets.bench_controls import PEAK, SECOND
from braggscope.widgets.bench_view import BenchPatch, BenchView
from braggscope.widgets.patch_panels import Mark

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def view(qtbot):
    widget = BenchView()
    qtbot.addWidget(widget)
    widget.resize(1240, 720)
    widget.show()
    return widget


@pytest.fixture
def heard(view):
    said = []
    view.settings_changed.connect(said.append)
    return said


def outcomes():
    errors = np.sort(np.random.default_rng(0).rayleigh(0.05, 1000))
    lost = np.sort(np.append(errors[:-20] * 2, np.full(20, np.inf)))
    return [
        Outcome(BOUND, "Cramér-Rao bound", errors, coverage=0.683),
        Outcome("fit", "Gaussian fit", errors * 1.01, (0.001, -0.002), 0.68, 0, 41.0),
        Outcome("braggnn", "BraggNN", lost, (0.01, 0.0), math.nan, 20, 30.0),
    ]


def test_settings_make_a_round_trip(view, heard):
    chosen = BenchSettings(
        2.5, 1.75, math.radians(35), 0.25, 60.0, 120.0, 3.5, Neighbour(5.0, math.radians(-40), 0.8), 3, 15,
        "gaussian", 7,
    )  # fmt: skip
    view.set_settings(chosen)
    assert view.controls.settings == chosen
    for name, row in view.controls.peak.items():
        value = getattr(chosen, name)
        assert row.value == pytest.approx(math.degrees(value) if name == "angle" else value)
    assert view.controls.second["angle"].value == pytest.approx(-40)
    assert heard == []


@pytest.mark.parametrize("name", PEAK)
def test_every_number_of_the_peak_can_be_slid(view, heard, qtbot, name):
    row = view.controls.peak[name]
    qtbot.keyClick(row.slider, Qt.Key.Key_End)
    high = row.scale.high
    expected = math.radians(high) if name == "angle" else high
    assert getattr(heard[-1], name) == pytest.approx(expected)
    assert row.value == pytest.approx(high)
    qtbot.keyClick(row.slider, Qt.Key.Key_Home)
    low = row.scale.low
    assert getattr(heard[-1], name) == pytest.approx(math.radians(low) if name == "angle" else low)


@pytest.mark.parametrize("name", SECOND)
def test_the_second_peak_is_switched_on_and_slid(view, heard, qtbot, name):
    assert not view.controls.second[name].slider.isEnabled()
    view.controls.second_on.click()
    assert heard[-1].second == Neighbour(4.0, pytest.approx(0.5, abs=0.01), 0.6)
    qtbot.keyClick(view.controls.second[name].slider, Qt.Key.Key_End)
    high = view.controls.second[name].scale.high
    assert getattr(heard[-1].second, name) == pytest.approx(math.radians(high) if name == "angle" else high)
    view.controls.second_on.click()
    assert heard[-1].second is None


def test_the_numbers_of_both_peaks_stand_under_each_other(view):
    rows = (*view.controls.peak.values(), *view.controls.second.values())
    for widgets in ([row.slider for row in rows], [row.box for row in rows]):
        assert len({(w.mapTo(view, w.rect().topLeft()).x(), w.width()) for w in widgets}) == 1


def test_numbers_are_typed(view, heard, qtbot):
    box = view.controls.peak["snr"].box
    box.selectAll()
    qtbot.keyClicks(box, "100")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert heard[-1].snr == 100.0


def test_a_smaller_window_takes_what_no_longer_fits(view, heard):
    view.set_settings(BenchSettings(window=21, missing=10, second=Neighbour(10.0, 0.0, 0.5)))
    view.controls.window_size.button(11).click()
    assert (heard[-1].window, heard[-1].missing, heard[-1].second.distance) == (11, 5, 6.0)
    view.controls.noise.button("gaussian").click()
    assert heard[-1].noise == "gaussian"
    view.controls.again.click()
    assert heard[-1].seed == 1


def test_the_table_says_what_was_measured(view, heard):
    view.set_outcomes(outcomes(), 1000)
    rows = view.texts()
    assert [row[0] for row in rows] == ["Cramér-Rao bound", "Gaussian fit", "BraggNN"]
    assert rows[0][3:] == ["", "", "0.683", "", ""]
    assert rows[1][3:] == ["+0.0010", "−0.0020", "0.680", "0", "41"]
    assert rows[2][5:] == ["–", "20", "30"]
    assert rows[2][2] != "–"
    assert view.note.text().startswith("1,000 draws · ")
    assert heard == []


def test_curves_end_where_answers_end_and_the_bound_has_its_lines(view):
    found = outcomes()
    view.set_outcomes(found, 1000)
    x, y = view.curves["braggnn"].getData()
    assert y[-1] == pytest.approx(0.98)
    assert 10 ** x[489] == pytest.approx(found[2].errors[489])
    assert [line.value() for line in view.lines] == pytest.approx(
        [math.log10(found[0].quantile(share)) for share in (0.5, 0.95)]
    )
    view.set_outcomes([], 0)
    assert not any(line.isVisible() for line in view.lines)
    assert view.curves["braggnn"].getData()[0] is None or len(view.curves["braggnn"].getData()[0]) == 0


def test_the_patch_and_its_middle_show_the_marks(view):
    data = np.arange(121.0).reshape(11, 11)
    mark = Mark("truth", 5.25, 4.75, math.nan, math.nan)
    view.set_patch(BenchPatch(data, np.ones((11, 11), bool), (mark,)))
    whole, middle = view.panels._panels
    assert whole.marks == (mark,)
    assert middle.image.tolist() == data[4:7, 4:7].tolist()
    assert (middle.marks[0].x, middle.marks[0].y) == (1.25, 0.75)
    assert not view.grab().isNull()
    view.set_patch(None)
    assert view.panels._panels == ()


def test_the_bar_goes_when_all_is_done(view):
    view.set_progress(2, 6)
    assert view.progress.isVisible()
    view.set_progress(6, 6)
    assert not view.progress.isVisible()


def test_a_script_is_asked_for(view, qtbot):
    asked = []
    view.copy_requested.connect(lambda: asked.append(1))
    qtbot.mouseClick(view.copy, LEFT)
    assert asked == [1]


def test_it_fits_a_small_screen(view):
    QApplication.processEvents()
    assert view.minimumSizeHint().width() < 640
    area = view.controls.parentWidget()
    assert view.controls.minimumSizeHint().width() <= area.width()
