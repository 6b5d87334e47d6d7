import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from braggscope.models.finetune import Distribution, Spread
from braggscope.models.paired import Change
from braggscope.models.tuning import Basis, Example, LearningPoint, Verdict
from braggscope.widgets.training_examples import distances
from braggscope.widgets.training_panel import Standing, TrainingPanel
from braggscope.widgets.training_text import spread_text

LIKE = Distribution(
    500, Spread(1.0, 1.234, 1.5), Spread(1.0, 1.4, 2.0), Spread(1.0, 1.2, 1.5), Spread(0.1, 0.3, 0.6),
    Spread(5, 12, 40), Spread(0.2, 0.6, 0.9), Spread(0.0, 0.5, 2.0), Spread(0.0, 0.01, 0.05), 0.4, 0.02,
    0.05, 0.02, Spread(0.1, 0.2, 0.3), 0.6,
)  # fmt: skip
BASIS = Basis(LIKE, 300, 60, 3574, 900, 0.081)
BETTER = Change(900, (0.083, 0.289), (0.046, 0.171), (-0.04, -0.03), (-0.2, -0.1))
SIMULATED = Change(3000, (0.231, 1.004), (0.14, 0.681), (-0.1, -0.08), (-0.4, -0.3))
CURVE = tuple(LearningPoint(k, 0.1 * k, 3.0 / (k + 1), 2.0 / (k + 1), 0.05, 0.12) for k in range(0, 50, 5))


def example(k=0):
    y, x = np.mgrid[:11, :11]
    image = np.exp(-((x - 5.3) ** 2 + (y - 4.8) ** 2) / 4).astype(np.float32)
    return Example(image, 3, (5.3, 4.8), (5.3 + 0.2 * k, 4.8), (5.3, 4.8 + 0.05 * k))


@pytest.fixture
def panel(qtbot):
    panel = TrainingPanel()
    qtbot.addWidget(panel)
    panel.resize(336, 900)
    panel.set_networks([("braggnn", "BraggNN"), ("net", "Localiser network")])
    panel.set_possible(True)
    panel.set_name("mine")
    panel.show()
    return panel


@pytest.fixture
def heard(panel):
    """What the panel says, in order."""
    said = []
    for name in ("start", "cancel", "resume", "discard", "use"):
        signal = getattr(panel, f"{name}_requested")
        signal.connect(lambda *values, name=name: said.append((name, *values)))
    return said


def click(button):
    assert button.isVisible()
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_start_names_network_name_and_time(panel, heard):
    panel.network.setCurrentIndex(1)
    panel.minutes.setValue(2.5)
    click(panel.start)
    assert heard == [("start", "net", "mine", 2.5)]


def test_setters_are_silent(panel, heard):
    panel.set_networks([("braggnn", "BraggNN")])
    panel.set_name("other")
    panel.set_possible(False)
    for stage in ("running", "stopped", "done", "idle"):
        panel.set_standing(Standing(stage, 3, 10, 4.0, "loss 1.2"))
    panel.set_basis(BASIS)
    panel.set_curve(CURVE)
    panel.set_outcome(Verdict(True, "Better."), BETTER, SIMULATED, 0.081, (example(),) * 6)
    assert heard == []


def test_without_series_or_name_nothing_starts(panel):
    panel.set_possible(False)
    assert not panel.start.isEnabled()
    panel.set_possible(True)
    assert panel.start.isEnabled()
    panel.set_name("   ")
    assert not panel.start.isEnabled()


def test_while_it_runs_it_can_only_be_cancelled(panel, heard):
    panel.set_standing(Standing("running", 30, 120, 75.0, "loss 1.20"))
    assert panel.bar.isVisible()
    assert (panel.bar.value(), panel.bar.maximum()) == (30, 120)
    assert panel.note.text() == "loss 1.20 · 1 min 15 s left"
    assert panel.start.text() == "Cancel"
    assert not panel.name.isEnabled()
    assert not panel.resume.isVisible()
    click(panel.start)
    assert heard == [("cancel",)]


def test_an_unknown_length_moves_the_bar(panel):
    panel.set_standing(Standing("running", note="reading frames"))
    assert panel.bar.maximum() == 0


def test_a_stopped_training_is_resumed_or_discarded(panel, heard):
    panel.set_standing(Standing("stopped", note="It was interrupted."))
    assert not panel.start.isVisible()
    assert not panel.bar.isVisible(), "nothing moves"
    click(panel.resume)
    click(panel.discard)
    assert heard == [("resume",), ("discard",)]
    panel.set_standing(Standing())
    assert panel.start.isVisible()
    assert not panel.resume.isVisible()


def test_accepted_weights_can_be_used(panel, heard):
    panel.set_outcome(Verdict(True, "Better: 0.083 → 0.046 px."), BETTER, SIMULATED, 0.081, (example(),) * 6)
    assert panel.verdict.property("role") == "good"
    click(panel.use)
    assert heard == [("use",)]
    cells = [[cell.text() for cell in row] for row in panel.changes.cells]
    assert cells[1] == ["held out", "0.083 → 0.046", "0.289 → 0.171"]
    assert cells[2] == ["simulated", "0.231 → 0.140", "1.004 → 0.681"]
    assert "known to 0.081 px" in panel.changes.note.text()
    assert panel.changes.minimumSizeHint().width() < 300  # or the columns are cut in the dock


def test_a_refusal_offers_nothing_to_use(panel):
    panel.set_outcome(Verdict(False, "Refused: no gain."), BETTER, SIMULATED, 0.081, ())
    assert panel.verdict.text() == "Refused: no gain."
    assert panel.verdict.property("role") == "warning"
    assert not panel.use.isVisible()
    assert not panel.examples.isVisible()
    panel.set_outcome(None)
    assert not panel.verdict.isVisible()
    assert not panel.outcome.isVisible()


def test_the_distribution_is_told_in_numbers(panel):
    panel.set_basis(BASIS)
    rows = dict(panel.peaks.items())
    assert rows["frames, held out"] == "300, 60"
    assert rows["width σ"] == "1 – 1.2 – 1.5 px"
    assert rows["Lorentzian share"] == "0.1 – 0.3 – 0.6"
    assert rows["cut below"] == "10 – 20 – 30 % of height"
    plain = LIKE.__class__(*(None if f in ("eta", "slope", "threshold") else getattr(LIKE, f)
                             for f in LIKE.__slots__))  # fmt: skip
    panel.set_basis(BASIS._replace(distribution=plain))
    assert not {"Lorentzian share", "cut below"} & set(dict(panel.peaks.items()))
    assert spread_text(Spread(0.001, 0.25, 123.4), "px") == "0.001 – 0.25 – 123 px"


def test_the_curve_is_drawn_as_far_as_it_goes(panel):
    panel.set_curve(CURVE)
    assert len(panel.curve.held_out.getOriginalDataset()[0]) == len(CURVE)
    assert "0.050 px from the fit" in panel.curve.legend.text()
    assert not panel.curve.hint.isVisible()
    panel.set_curve(())
    assert panel.curve.hint.isVisibleTo(panel.curve)


def test_examples_show_where_the_answers_lie(panel):
    panel.set_outcome(Verdict(True, "Better."), BETTER, SIMULATED, 0.08, tuple(example(k) for k in range(6)))
    assert distances(example(5)) == "1.00 → 0.25"
    widget = panel.examples
    widget.resize(320, widget.heightForWidth(320))
    picture = widget.grab().toImage()
    seen = {picture.pixelColor(x, y).name() for x in range(320) for y in range(picture.height())}
    assert "#ffb000" in seen  # the old answer
    assert "#3ddbb0" in seen  # the new one
    panel.set_outcome(None)
    assert widget.heightForWidth(320) == 0
