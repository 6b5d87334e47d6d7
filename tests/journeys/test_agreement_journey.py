"""Agreement of methods, of parameter sets and with a list of peaks, as a user meets it."""

import h5py
import numpy as np
import pytest
from PyQt6.QtWidgets import QFileDialog
from stage import Stage, until

from braggscope.app.state.session import ParameterSet
from braggscope.models.compare import GATE_PX
from braggscope.models.results import PeakTable


@pytest.fixture
def analysed(program) -> Stage:
    """The short series, all of it analysed."""
    program.run_series()
    return program


def _plot(stage: Stage):
    return stage.window.agreement_plot


def _choose(stage: Stage, box, key: str) -> None:
    box.setCurrentIndex(box.findData(key))
    box.activated.emit(box.currentIndex())


def _open_list(stage: Stage, monkeypatch, path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_, **__: (str(path), "")))
    stage.press(_plot(stage).open)
    until(lambda: path.name in [_plot(stage).second.itemText(k) for k in range(_plot(stage).second.count())],
          "the list")  # fmt: skip
    until(lambda: _plot(stage).statistics().pairs > 0, "the pairs")
    stage.idle()


def _table(stage: Stage, entry: ParameterSet | None = None) -> PeakTable:
    return PeakTable.concatenate(table for _, table in stage.program.runs.record(entry).key.tables())


def _detected(stage: Stage) -> PeakTable:
    table = _table(stage)
    return table.take(table.detected)


def test_the_plot_shows_what_the_journal_holds(analysed):
    table = _detected(analysed)
    distance = table["distance"]
    shown = _plot(analysed)._shown
    assert shown.pairs == np.count_nonzero(distance <= GATE_PX)
    assert shown.far == np.count_nonzero(distance > GATE_PX)
    alone = np.isfinite(table["x_fit"]) ^ np.isfinite(table["x_braggnn"])
    assert shown.silent == np.count_nonzero(alone)
    near = distance[distance <= GATE_PX]
    assert _plot(analysed).statistics().median == pytest.approx(np.median(near))
    assert f"{shown.pairs:,} pairs" in _plot(analysed).remark.text()


def test_a_point_selects_its_peak_everywhere(analysed):
    plot = _plot(analysed)
    _choose(analysed, plot.view, "sigma")
    assert plot.pages.currentWidget() is plot.trends
    shown = plot._shown
    k = int(np.flatnonzero(shown.frame != analysed.state.frame)[3])
    plot.trends.point_clicked.emit(int(np.flatnonzero(plot._drawn == k)[0]))
    frame, peak = int(shown.frame[k]), int(shown.peak[k])
    until(lambda: analysed.state.frame == frame, "the frame")
    analysed.look()
    until(lambda: analysed.program.peaks.selected_row() == peak, "the peak")
    until(lambda: analysed.patch is not None and analysed.patch.peak == peak, "the patch")
    assert analysed.window.peak_table._current == peak


def test_another_pair_of_methods(analysed):
    plot = _plot(analysed)
    _choose(analysed, plot.first, "combined")
    until(lambda: plot._shown.pairs > 0, "the pairs")
    table = _detected(analysed)
    known = np.isfinite(table["x_fit"])
    apart = np.hypot(table["x"] - table["x_braggnn"], table["y"] - table["y_braggnn"])
    assert plot._shown.pairs == np.count_nonzero(apart <= GATE_PX)
    _choose(analysed, plot.second, "fit")
    until(lambda: plot._shown.pairs == np.count_nonzero(known), "other pairs")
    apart = np.hypot(table["x"] - table["x_fit"], table["y"] - table["y_fit"])[known]
    assert plot.statistics().median == np.median(apart) == 0.0  # alone, the fit stands as it is
    assert plot.statistics().p95 == pytest.approx(np.percentile(apart, 95))


def test_a_list_of_peaks_is_paired_and_both_sides_are_counted(analysed, monkeypatch, series):
    plot = _plot(analysed)
    _open_list(analysed, monkeypatch, series)  # the truth of the simulation
    assert plot.pair()[0] == "fit"
    with h5py.File(series) as file:
        visible = np.count_nonzero(file["truth/peaks/visible"][()])
    shown = plot._shown
    table = _table(analysed)
    assert shown.pairs + shown.far <= np.count_nonzero(np.isfinite(table["x_fit"]))
    assert shown.pairs > 0.5 * len(table)
    assert plot.statistics().median < 0.3
    assert shown.only_second > 0
    assert f"{shown.only_second:,} only in the list" in plot.remark.text()
    job = next(title for title in analysed.rows() if title.startswith("Compare with"))
    assert analysed.rows()[job] == "done"
    sample = analysed.program.runs.agreement._sample
    paired = np.isfinite(sample._positions[: sample.seen, 4, 0]).sum()
    further = np.count_nonzero(~table.detected)  # of a joint fit: in the list, too, or not
    assert 0 <= visible - (paired + shown.only_second) <= further
    missed = sample.unmatched
    frame = int(np.bincount(missed.frame).argmax())
    analysed.go_to(frame)
    assert len(analysed.canvas.overlays.missed) == np.count_nonzero(missed.frame == frame) > 0
    assert not analysed.canvas.grab().isNull()


def test_without_a_run_only_the_frame_is_compared_and_that_is_said(program, monkeypatch, series):
    plot = _plot(program)
    _open_list(program, monkeypatch, series)
    assert plot.remark.text().endswith("this frame only")
    first = plot._shown.pairs
    assert set(plot._shown.frame) == {0}
    program.go_to(20)
    until(lambda: set(plot._shown.frame) == {20}, "the pairs of the other frame")
    assert first > 0


def test_two_parameter_sets_are_paired(analysed):
    plot = _plot(analysed)
    few = float(np.median(_table(analysed)["score"]))
    analysed.program.runs.add_set()
    analysed.program.peaks._detect("", minscore=few)
    analysed.look()
    analysed.run_series()
    keys = [plot.second.itemData(k) for k in range(plot.second.count())]
    other = next(key for key in keys if key.startswith("set:"))
    _choose(analysed, plot.second, other)
    until(lambda: plot._shown.pairs > 0, "the pairs")
    assert plot.statistics().median == 0.0  # the same peaks of the same frames
    ours, theirs = (len(_table(analysed, entry)) for entry in reversed(analysed.state.sets))
    assert plot._shown.only_second == theirs - ours > 0  # further peaks of a joint fit among them
    agreement, sample = analysed.program.runs.agreement, analysed.program.runs.agreement._sample
    analysed.program.runs.record(analysed.state.sets[0]).curves.done[-1] = False  # still running
    analysed.program.runs.show()
    until(lambda: agreement._sample not in (None, sample), "what the other run holds now")
    _choose(analysed, plot.first, other)  # both cannot be the other set
    assert plot.pair() == (other, "fit")
    until(lambda: agreement._sample is not None, "the pairs")
    analysed.go_to(int(np.bincount(agreement._sample.unmatched.frame).argmax()))
    assert len(analysed.canvas.overlays.missed) > 0
    analysed.program.desk.store.update(active=other.removeprefix("set:"))
    until(lambda: plot.pair() == ("fit", "braggnn"), "methods of the set itself")
    assert len(analysed.canvas.overlays.missed) == 0


def test_a_bad_list_is_refused_in_one_sentence(program, monkeypatch, tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", staticmethod(lambda *_, **__: (str(path), "")))
    program.program.trigger("compare_list")
    until(lambda: program.notice is not None and program.notice.level == "error", "the sentence")
    assert "bad.csv" in program.notice.text
    assert _plot(program).pair() == ("fit", "braggnn")
