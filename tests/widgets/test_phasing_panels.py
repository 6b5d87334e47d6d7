"""The docks of the Coherent workspace that phase, and its page: values in, gestures out."""

import math

import numpy as np
import pytest
from coherent_hands import maker, typed
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.scene import Clip
from braggscope.widgets.coherent_view import CoherentView
from braggscope.widgets.phasing_choices import METHODS, PRESETS, PhasingStanding
from braggscope.widgets.phasing_curves import PhasingCurves
from braggscope.widgets.phasing_panel import PhasingPanel
from braggscope.widgets.phasing_result import EXPORTS, PhasingResult
from braggscope.widgets.phasing_starts import PhasingStarts, StartRow


@pytest.fixture
def make(qtbot):
    return maker(qtbot)


# ---- phasing ----


def test_phasing_is_shown_without_a_word(make, qtbot):
    panel = make(PhasingPanel)
    value = Phasing(
        method="all", iterations="5*ER", starts=7, runs=3, seed=9, beta=0.8, support_threshold=0.2,
        support_every=4, refinement=0, coherence="none", background=False, break_twin=True, start="random",
    )  # fmt: skip
    with qtbot.assertNotEmitted(panel.phasing_changed):
        panel.set_phasing(value)
    assert panel.method.currentText() == METHODS["all"]
    assert panel.sequence.text() == "5*ER"
    assert (panel.starts.value(), panel.runs.value(), panel.seed.value()) == (7, 3, 9)
    assert panel.twin.isChecked()
    assert not panel.background.isChecked()


def test_a_sequence_is_checked_while_it_is_typed(make, qtbot):
    panel = make(PhasingPanel)
    panel.sequence.setFocus()
    panel.sequence.selectAll()
    QTest.keyClicks(panel.sequence, "20*ER+7*FOO")
    assert "FOO" in panel.error.text()
    assert "at position" in panel.error.text()
    with qtbot.assertNotEmitted(panel.phasing_changed):
        QTest.keyClick(panel.sequence, Qt.Key.Key_Return)
    assert "cannot be read" in panel.error.text()
    with qtbot.waitSignal(panel.phasing_changed) as signal:
        typed(panel.sequence, "2*(20*ER+30*HIO)")
    assert signal.args[0].iterations == "2*(20*ER+30*HIO)"
    assert not panel.error.isVisible()
    assert panel.iterations.header.summary == "100 iterations"


def test_every_preset_is_a_sequence(make, qtbot):
    panel = make(PhasingPanel)
    for action, text in zip(panel.presets.menu().actions(), PRESETS.values(), strict=True):
        action.trigger()
        assert panel.sequence.text() == text


def test_runs_and_starts_stay_possible(make):
    panel = make(PhasingPanel)
    found = []
    panel.phasing_changed.connect(found.append)
    panel.runs.setValue(5)
    assert (found[-1].starts, found[-1].runs) == (5, 5)
    panel.starts.setValue(2)
    assert (found[-1].starts, found[-1].runs) == (2, 2)


def test_the_button_starts_and_cancels(make, qtbot):
    panel = make(PhasingPanel)
    assert not panel.start.isEnabled()
    panel.set_possible(True)
    with qtbot.waitSignal(panel.start_requested):
        panel.start.click()
    panel.set_standing(PhasingStanding(True, 30, 120, 65.0, "run 1"))
    assert panel.start.text() == "Cancel"
    assert panel.note.text() == "run 1 · 30 / 120 · 1 min 05 s left"
    with qtbot.waitSignal(panel.cancel_requested):
        panel.start.click()
    panel.set_standing(PhasingStanding())
    assert not panel.bar.isVisible()


def test_curves_break_where_another_stage_ran(make):
    curves = make(PhasingCurves)
    assert curves.hint.isVisible()
    curves.add_points([(1, 0.5, 0.6, "start 1"), (2, 0.4, 0.5, "start 1"), (3, 0.3, math.nan, "refinement")])
    curves.add_points([(4, 0.2, 0.3, "start 1")])
    assert curves.stages == {"start 1": 3, "refinement": 1}
    assert curves.legend.text().endswith("refinement: misfit 0.3000")
    assert not curves.hint.isVisible()
    x, y = curves._curves[("start 1", "chi")].getData()
    assert np.isnan(x[2])
    assert 10 ** y[-1] == pytest.approx(0.2)
    assert ("refinement", "R") not in curves._curves
    curves.clear()
    assert curves.stages == {}


def test_starts_are_listed_marked_and_chosen(make, qtbot):
    starts = make(PhasingStarts)
    rows = [
        StartRow("iterative", 2, -0.5, 0.03, 0.1, 0.02, 0.0),
        StartRow("network", 0, -0.7, 0.04, 0.2, math.nan, 0.1),
    ]
    with qtbot.assertNotEmitted(starts.chosen):
        starts.set_rows(rows, 1)
    assert starts.texts()[0] == ["Iterative", "3", "−0.500", "0.0300", "0.1000", "0.0200", "0.000"]
    assert starts.texts()[1][5] == "–"
    assert [i.row() for i in starts.table.selectionModel().selectedRows()] == [1]
    with qtbot.waitSignal(starts.chosen) as signal:
        at = starts.table.visualItemRect(starts.table.item(0, 2)).center()
        QTest.mouseClick(starts.table.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert signal.args == [0]
    starts.set_rows(())
    assert not starts.clear.isEnabled()


def test_a_result_is_shown_and_can_be_exported_in_every_format(make, qtbot):
    result = make(PhasingResult)
    assert result.hint.isVisible()
    assert not result.export.isEnabled()
    result.set_facts([("chi", "0.03")], "Kept.")
    assert result.facts.items() == [("chi", "0.03")]
    result.set_strain(np.array([1.0, 5.0, 2.0]), np.array([-1, 0, 1, 2]) * 1e-3, "strain")
    assert not result.strain_hint.isVisible()
    result.set_transfer(np.array([0.1, 0.2, 0.3]), np.array([1, 0.5, 0.1]), 0.25, "8 nm")
    assert result.reached.isVisible()
    assert result.reached.value() == 0.25
    result.set_transfer(np.zeros(0), np.zeros(0), None, "")
    assert result.transfer_hint.isVisible()
    asked = []
    result.export_requested.connect(asked.append)
    for action in result.export.menu().actions():
        action.trigger()
    assert asked == [key for key, *_ in EXPORTS]
    result.set_facts(None)
    assert result.hint.isVisible()


# ---- page ----


def test_the_page_arranges_slices_and_tells_gestures(make, qtbot):
    page = make(CoherentView, 900, 600)
    assert page.empty.isVisible()
    page.set_working()
    page.set_object_known(True)
    page.set_show("both")
    assert page.data.isVisible()
    assert page.object.isVisible()
    assert not page.surface.isVisible()
    page.set_show("object")
    assert page.surface.isVisible()
    assert not page.brush.isVisible()
    page.set_quantities(("modulus", "phase", "strain"), "strain")
    assert page.quantity.currentData() == "strain"
    assert page.quantity.count() == 3
    with qtbot.waitSignal(page.show_changed) as signal:
        page.shown.button("data").click()
    assert signal.args == ["data"]
    clips = []
    page.clip_changed.connect(clips.append)
    page.clipped.click()
    page.clip_at.setValue(30)
    page.clipped.click()
    assert clips == [Clip(2, 0.5), Clip(2, 0.3), None]


def test_brush_and_eraser_exclude_each_other(make):
    page = make(CoherentView, 900, 600)
    page.set_working()
    page.brush.click()
    assert page.data.canvases[0].brush == page.radius.value()
    page.eraser.click()
    assert not page.brush.isChecked()
    assert page.data.canvases[0].erase
    page.put_brush_down()
    assert page.data.canvases[0].brush == 0
