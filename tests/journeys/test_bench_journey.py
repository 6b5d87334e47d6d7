"""The simulation bench in the window: live, never stale, and the same as its script."""

import time
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from stage import Stage, settle, until

import braggscope.app.presenters.bench as presenter
from braggscope.models.bench_settings import BOUND, BenchSettings, Neighbour
from braggscope.models.simbench import draw, least_errors


@pytest.fixture
def bench(launch) -> Stage:
    """The bench, started for the first time, with BraggNN loaded."""
    stage = launch()
    stage.program.trigger("simulation_bench")
    _quiet(stage)
    until(lambda: "BraggNN" in [row[0] for row in _table(stage)], "BraggNN in the table")
    return stage


def _table(stage: Stage) -> list[list[str]]:
    return stage.window.bench_view.texts()


def _quiet(stage: Stage) -> None:
    def ready() -> bool:
        lanes = stage.desk.lanes
        return not lanes.bench.busy and not lanes.models.busy and len(_table(stage)) > 3

    until(ready, "the bench")
    settle(0.05)
    until(ready, "the bench")


def test_the_bench_opens_and_answers(bench):
    view = bench.window.bench_view
    assert view.isVisible()
    assert bench.state.workspace == "accuracy"
    rows = {row[0]: row for row in _table(bench)}
    assert float(rows["Gaussian fit"][1]) < 1.15 * float(rows["Cramér-Rao bound"][1])
    assert float(rows["Cramér-Rao bound"][1]) < float(rows["BraggNN"][1])
    assert not view.progress.isVisible()
    whole, _ = view.panels._panels
    assert {mark.kind for mark in whole.marks} >= {"truth", "fit", "voigt", "mass", "braggnn"}
    truth = draw(BenchSettings(), 1).peaks[0, 0, 1:3] + 5
    shown = next(mark for mark in whole.marks if mark.kind == "truth")
    assert (shown.x, shown.y) == pytest.approx(tuple(truth))


def test_sliding_ends_with_the_newest_settings_and_shows_no_older_ones(bench):
    view, shown = bench.window.bench_view, []
    original = view.set_outcomes

    def listen(outcomes, draws):
        shown.append((view.controls.settings, outcomes))
        original(outcomes, draws)

    view.set_outcomes = listen
    slider = view.controls.peak["snr"].slider
    for _ in range(12):
        QTest.keyClick(slider, Qt.Key.Key_Right)
        settle(0.02)
    _quiet(bench)
    assert shown
    last = view.controls.settings
    assert last.snr > 20
    checked: dict[BenchSettings, np.ndarray] = {}
    for settings, outcomes in shown:
        if settings not in checked:
            checked[settings] = least_errors(draw(settings)).errors
        bound = next(o for o in outcomes if o.key == BOUND)
        assert np.array_equal(bound.errors, checked[settings])
    assert shown[-1][0] == last
    assert len(shown[-1][1]) == len(_table(bench))


def test_the_patch_comes_at_once(bench):
    view, waits = bench.window.bench_view, []
    for snr in (10.0, 40.0, 90.0, 160.0, 300.0):
        before = view.panels._panels
        start = time.monotonic()
        settings = replace(view.controls.settings, snr=snr)
        bench.program.bench.set(settings)
        until(lambda before=before: view.panels._panels is not before, "the patch", 5)
        waits.append(time.monotonic() - start)
    print(f"\npatch after {1e3 * np.median(waits):.0f} ms (median of {len(waits)})")
    _quiet(bench)


def test_changed_settings_of_the_fit_change_the_answers(bench):
    before = next(row for row in _table(bench) if row[0] == "Gaussian fit")
    bench.program.peaks.localize(noise="uniform")
    until(lambda: next((r for r in _table(bench) if r[0] == "Gaussian fit"), before) != before, "other fits")
    _quiet(bench)


def test_the_script_gives_the_numbers_of_the_table(bench, capsys, monkeypatch):
    monkeypatch.setattr(presenter, "DRAWS", 200)
    settings = BenchSettings(snr=35.0, second=Neighbour(4.5, 0.4, 0.6), missing=2)
    bench.program.bench.set(settings)
    _quiet(bench)
    bench.press(bench.window.bench_view.copy)
    exec(QGuiApplication.clipboard().text(), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()
    printed = {line.partition(" median")[0].strip(): line for line in lines if " median" in line}
    rows = _table(bench)
    assert len(rows) >= 5
    for name, median, p95, *_ in rows:
        expected = f"{median} / {p95} px".replace("–", "inf")
        assert expected in printed[name]


def test_closing_while_the_bench_is_at_work_leaves_nothing(bench):
    bench.program.bench.set(BenchSettings(window=21, sigma=3.0))
    assert bench.close() < 2
