"""The Instrument panel: values in, whole instruments and cells out."""

import math

import pytest
from PyQt6.QtCore import Qt

from braggscope.models.calibrants import CALIBRANTS
from braggscope.models.geometry import Beam, Instrument
from braggscope.widgets.instrument_panel import InstrumentPanel

INSTRUMENT = Instrument.from_beam(0.4, (1e-4, 2e-4), Beam((131.4, 120.7), 0.12, 0.02, 0.5, 0.1))
CELLS = tuple(CALIBRANTS.values())


@pytest.fixture
def panel(qtbot) -> InstrumentPanel:
    made = InstrumentPanel()
    qtbot.addWidget(made)
    made.resize(260, 900)
    made.set_cells(CELLS)
    made.set_cell(CELLS[0])
    with qtbot.waitExposed(made):
        made.show()
    return made


def record(signal) -> list:
    got: list = []
    signal.connect(lambda *args: got.append(args[0] if args else None))
    return got


def enter(qtbot, field, text: str) -> None:
    field.setFocus()
    field.selectAll()
    qtbot.keyClick(field, Qt.Key.Key_Delete)
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_setters_do_not_emit(panel):
    signals = (
        panel.instrument_changed, panel.cell_changed, panel.rings_toggled, panel.refinement.refine_requested,
        panel.refinement.apply_requested, panel.refinement.discard_requested, panel.load_requested,
    )  # fmt: skip
    got = [record(signal) for signal in signals]
    panel.set_instrument(INSTRUMENT, "a.poni")
    panel.set_cell(CELLS[3])
    panel.set_cell(CELLS[0].model_copy(update={"name": "mine"}))
    panel.set_rings_shown(True)
    panel.refinement.set_result([("RMS after", "0.2 px")])
    panel.set_instrument(None)
    assert got == [[]] * len(signals)


def test_an_instrument_is_shown_with_units_and_comes_back_the_same(panel, qtbot):
    panel.set_instrument(INSTRUMENT, "a.poni")
    shown = {key: field.text() for key, field in panel.fields.items()}
    assert float(shown["energy_keV"]) == pytest.approx(12.398419843 / 0.4)
    assert shown["wavelength_angstrom"] == "0.4"
    assert shown["distance_m"] == "120"
    assert (shown["pixel_size_x_m"], shown["pixel_size_y_m"]) == ("100", "200")
    assert (shown["beam_x_px"], shown["beam_y_px"]) == ("131.4", "120.7")
    assert float(shown["tilt"]) == pytest.approx(math.degrees(0.02))
    assert panel.sections["instrument"].header.summary == "a.poni"
    got = record(panel.instrument_changed)
    enter(qtbot, panel.fields["distance_m"], "130")
    (changed,) = got
    beam = changed.beam
    assert beam.distance_m == pytest.approx(0.13)
    assert beam.centre_px == pytest.approx((131.4, 120.7))
    assert (beam.tilt, beam.tilt_direction, beam.twist) == pytest.approx((0.02, 0.5, 0.1))
    assert changed.pixel_size_m == pytest.approx((1e-4, 2e-4))


def test_typing_from_nothing_emits_once_it_is_enough(panel, qtbot):
    panel.set_instrument(None, known={"pixel_size_x_m": 75e-6})
    assert "needs energy, distance, centre x, centre y" in panel.sections["instrument"].header.summary
    assert not panel.save.isEnabled()
    got = record(panel.instrument_changed)
    for key, text in (("wavelength_angstrom", "0.5"), ("distance_m", "200"), ("beam_x_px", "10.5")):
        enter(qtbot, panel.fields[key], text)
    assert got == []
    enter(qtbot, panel.fields["beam_y_px"], "-3")
    (made,) = got
    assert made.wavelength_angstrom == pytest.approx(0.5)
    assert made.pixel_size_m == pytest.approx((75e-6, 75e-6))
    assert made.beam.centre_px == pytest.approx((10.5, -3))
    assert float(panel.fields["energy_keV"].text()) == pytest.approx(24.796839686)


@pytest.mark.parametrize(
    ("key", "text", "word"),
    [
        ("energy_keV", "-3", "above 0"),
        ("distance_m", "0", "above 0"),
        ("tilt", "95", "below 90"),
        ("beam_x_px", "oh", "not a number"),
        ("energy_keV", "inf", "Energy"),
    ],
)
def test_what_makes_no_sense_is_said_and_the_old_value_stays(panel, qtbot, key, text, word):
    panel.set_instrument(INSTRUMENT)
    before = panel.fields[key].text()
    got = record(panel.instrument_changed)
    enter(qtbot, panel.fields[key], text)
    assert got == []
    assert word in panel.error.text()
    if word != "not a number":
        assert panel.fields[key].text() == before
    enter(qtbot, panel.fields["distance_m"], "99")
    assert panel.error.text() == ""


def test_substances_and_own_cells(panel, qtbot):
    got = record(panel.cell_changed)
    panel.cells.setCurrentIndex(2)
    panel.cells.activated.emit(2)
    assert got == [CELLS[2]]
    assert not panel.own.isVisible()
    panel.cells.setCurrentIndex(len(CELLS))
    panel.cells.activated.emit(len(CELLS))
    assert panel.own.isVisible()
    enter(qtbot, panel.own.numbers["a"], "3.9")
    assert (got[-1].a, got[-1].b, got[-1].c) == (3.9, 3.9, 3.9)
    assert got[-1].sites  # still ceria, stretched
    enter(qtbot, panel.own.numbers["c"], "4.1")
    assert (got[-1].a, got[-1].c) == (3.9, 4.1)
    enter(qtbot, panel.own.group, "I")
    assert got[-1].space_group == "I"
    assert not got[-1].sites
    enter(qtbot, panel.own.group, "Q 3")
    assert len(got) == 4
    assert "no space group" in panel.error.text()
    assert panel.own.group.text() == "I"
    enter(qtbot, panel.own.numbers["gamma"], "400")
    assert "no cell" in panel.error.text()


def test_refinement_is_asked_for_and_decided(panel, qtbot):
    panel.set_instrument(INSTRUMENT)
    asked, applied = record(panel.refinement.refine_requested), record(panel.refinement.apply_requested)
    assert not panel.refinement.decision.isVisible()
    panel.refinement.free["tilt"].setChecked(True)
    qtbot.mouseClick(panel.refinement.refine, Qt.MouseButton.LeftButton)
    assert asked == [("centre", "distance", "tilt")]
    panel.refinement.set_result([], running=True)
    assert panel.refinement.refine.text() == "Refining…"
    panel.refinement.set_result([("RMS before", "15.4 px"), ("RMS after", "0.29 px")], "15 → 0.29 px")
    assert panel.refinement.decision.isVisible()
    assert panel.refinement.header.summary == "15 → 0.29 px"
    qtbot.wait(20)
    assert panel.refinement.apply.visibleRegion().boundingRect().height() > 10  # scrolled to
    qtbot.mouseClick(panel.refinement.apply, Qt.MouseButton.LeftButton)
    assert applied == [None]


def test_size_is_asked_for_with_the_width_of_the_instrument(panel, qtbot):
    panel.set_instrument(INSTRUMENT)
    size = panel.widths
    size.set_open(True)
    asked = record(size.analysis_requested)
    enter(qtbot, size.own, "0.05")
    qtbot.mouseClick(size.analyse, Qt.MouseButton.LeftButton)
    assert asked == [pytest.approx(math.radians(0.05))]
    enter(qtbot, size.own, "-1")
    assert "Own width" in panel.error.text()
    assert size.own.text() == "0.05"
    size.set_result([], running=True)
    assert size.analyse.text() == "Analysing…"
    size.set_result([("Size", "18.0(4) nm")])
    assert size.outcome.items() == [("Size", "18.0(4) nm")]
    panel.set_instrument(None)
    assert not size.analyse.isEnabled()
