"""A user adapts BraggNN to a series, changes their mind, closes the window, comes back, uses the result."""

from pathlib import Path

import pytest
from PyQt6.QtTest import QTest
from stage import Stage, settle, until

from braggscope.app.demo import write_demo_series
from braggscope.app.engine import finetune
from braggscope.app.engine.checkpoint import checkpoint_folder
from braggscope.app.folders import weights_folder
from braggscope.models.peaks.simulate import SeriesSpec
from braggscope.models.tuning import Verdict

LONG = 100_000  # steps that nobody waits for


@pytest.fixture(scope="module")
def many_peaks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A series with enough peaks to learn from."""
    path = tmp_path_factory.mktemp("peaks") / "operando.h5"
    write_demo_series(path, spec=SeriesSpec(frames=24, shape=(192, 192), grains=24, seed=2))
    return path


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch):
    """Sets how many steps a training has, whatever its minutes."""
    return lambda count: monkeypatch.setattr(finetune, "steps_for", lambda *_: count)


@pytest.fixture
def accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every result is called better."""
    monkeypatch.setattr(finetune, "judge", lambda *_: Verdict(True, "Better, for once."))


def begin(stage: Stage, name: str):
    """Open the panel from the menu, name the weights, press Start. Returns the panel."""
    stage.program.trigger("fine_tune")
    panel = stage.window.training_panel
    until(panel.start.isVisible, "the panel")
    panel.name.clear()
    QTest.keyClicks(panel.name, name)
    stage.press(panel.start)
    return panel


def under_way(stage: Stage) -> None:
    """Wait until steps are done."""
    panel = stage.window.training_panel
    until(lambda: len(panel.curve._points) > 0 and panel.bar.maximum() > 1, "the first steps", 60)


def test_better_weights_are_used_under_their_name(launch, many_peaks, steps, accepting):
    steps(12)
    stage = launch()
    stage.open(many_peaks)
    assert stage.window.training_panel.name.text() == "operando"
    panel = begin(stage, "mine / 1")
    until(lambda: stage.program.training.running, "the start")
    until(lambda: not stage.program.training.running, "the end of the training", 90)
    settle(0.05)
    assert panel.verdict.text() == "Better, for once."
    assert "px" in dict(panel.peaks.items())["width σ"]
    assert len(panel.examples.examples) == 6
    assert stage.rows()["Fine-tune BraggNN · mine _ 1"] == "done"
    panel.ensureWidgetVisible(panel.use)
    stage.press(panel.use)
    stage.look()
    file = weights_folder() / "mine _ 1.safetensors"
    assert stage.state.parameters.localize.braggnn == str(file)
    assert file.exists()
    before = stage.listed["x_braggnn"].copy()
    stage.program.trigger("undo")
    stage.look()
    assert stage.state.parameters.localize.braggnn == "braggnn"
    assert (stage.listed["x_braggnn"] != before).any()
    begin(stage, "mine / 1")  # the name is taken now
    until(lambda: stage.notice is not None and stage.notice.level == "error", "the refusal")
    assert "already; give another name" in stage.notice.text
    stage.window.notices.remove(stage.notice.key)


def test_frames_are_looked_at_while_it_trains_and_cancel_keeps_the_work(launch, many_peaks, steps):
    steps(LONG)
    stage = launch()
    stage.open(many_peaks)
    panel = begin(stage, "mine")
    under_way(stage)
    for frame in (5, 11, 17):
        stage.go_to(frame)
        assert stage.listed["frame"][0] == frame
    assert stage.program.training.running
    stage.press(panel.start)  # which says Cancel now
    until(lambda: not stage.program.training.running, "the end", 10)
    until(panel.resume.isVisible, "the offer to resume")
    assert "interrupted" in panel.note.text()
    steps(LONG)
    stage.press(panel.resume)
    under_way(stage)
    assert panel.curve._points[0].step == 0
    stage.press(panel.start)
    until(panel.discard.isVisible, "the offer to discard", 10)
    stage.press(panel.discard)
    until(panel.start.isVisible, "an empty panel")
    until(lambda: not checkpoint_folder(weights_folder() / "mine.safetensors").exists(), "the removal")


def test_a_closed_window_offers_to_go_on(launch, many_peaks, steps):
    steps(LONG)
    stage = launch()
    stage.open(many_peaks)
    begin(stage, "mine")
    under_way(stage)
    assert stage.close() < 3.0
    assert (checkpoint_folder(weights_folder() / "mine.safetensors") / "state.pt").exists()
    again = launch()
    until(lambda: again.notice is not None and "mine" in again.notice.text, "the notice")
    assert "was interrupted; it can go on" in again.notice.text
    again.program.trigger("fine_tune")
    panel = again.window.training_panel
    until(panel.resume.isVisible, "the offer to resume")
    again.look()  # the series of the last session
    again.press(panel.resume)
    under_way(again)
    assert again.program.training.running


def test_an_honest_refusal_changes_nothing(launch, many_peaks, steps):
    steps(1)
    stage = launch()
    stage.open(many_peaks)
    panel = begin(stage, "mine")
    until(panel.verdict.isVisible, "the verdict", 90)
    assert panel.verdict.text().startswith("Refused: ")
    assert not panel.use.isVisible()
    assert not list(weights_folder().iterdir())
    assert stage.state.parameters.localize.braggnn == "braggnn"
    panel.minutes.setValue(0.1)
    stage.program.trigger("close_source")
    until(lambda: not panel.start.isEnabled(), "the button without a series")
