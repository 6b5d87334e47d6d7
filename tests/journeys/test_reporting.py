"""What leaves the window as a page or a list, and what comes back into it from batches run elsewhere."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFileDialog
from stage import until

from braggscope.app.cli import main
from braggscope.app.engine.journal import Journal, JournalError
from braggscope.app.engine.watching import Watch, read_batch, whole_record
from braggscope.app.export.tables import read_peaks
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.results import in_frame_pixels

BATCH = [sys.executable, "-m", "braggscope.app", "peaks"]
FLAGS = ["--minval", "200", "--minscore", "200", "--localize", "fit", "--device", "cpu"]


@pytest.fixture
def answer(monkeypatch):
    """What the file dialogs will answer."""
    chosen = {"path": ""}
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(QFileDialog, name, staticmethod(lambda *_, **__: (str(chosen["path"]), "")))
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", staticmethod(lambda *_, **__: str(chosen["path"]))
    )
    return chosen


def test_a_report_and_a_list_of_the_series_on_screen(program, tmp_path, answer):
    panel = program.window.export_panel
    program.program.reports.ask()
    assert "analyse the series first" in program.notice.text
    program.run_series()
    program.program.trigger("export_workspace")
    until(panel.report.isEnabled, "the report's button")
    answer["path"] = tmp_path / "report.html"
    program.press(panel.report)
    until((tmp_path / "report.html").exists, "the report")
    program.idle()
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "24 analysed, 0 failed" in text
    assert text.count("<img ") == 5
    for suffix in (".flt", ".csv"):
        answer["path"] = tmp_path / f"peaks{suffix}"
        program.press(panel.tables[suffix])
        until(answer["path"].exists, "the table")
    program.idle()
    rows, table = np.loadtxt(tmp_path / "peaks.flt"), read_peaks(tmp_path / "peaks.csv")
    np.testing.assert_allclose(rows[:, 1], table["x"][np.isfinite(table["x"])], atol=1e-6)


def test_what_is_copied_as_python_reproduces_the_numbers_on_screen(program, tmp_path):
    other = Instrument.from_beam(0.7, (1e-4, 1e-4), Beam((-40.0, 30.0), 0.21, 0.1, 0.3))
    program.program.instrument.choose(other, "typed in")
    program.go_to(5)
    until(lambda: np.isfinite(program.program.peaks.shown_table()["d"]).any(), "the spacings")
    program.program.trigger("copy_python")
    script = tmp_path / "s.py"
    end = "    print(repr({n: table[n].tolist() for n in ('x', 'y', 'x_err', 'x_braggnn', 'score', 'd')}))\n"
    script.write_text(QGuiApplication.clipboard().text() + end)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    found = eval(done.stdout.splitlines()[-1], {"nan": np.nan})
    listed = program.program.peaks.shown_table()
    np.testing.assert_allclose(listed["d"], other.d_angstrom(listed["x"], listed["y"]), rtol=1e-12)
    for name, values in found.items():
        np.testing.assert_array_equal(listed[name], values, name)


def test_a_batch_is_watched_while_it_runs_and_after(launch, long_series, tmp_path, answer):
    program = launch()
    out = tmp_path / "peaks.csv"
    process = subprocess.Popen(
        [*BATCH, str(long_series), "-o", str(out), *FLAGS, "--workers", "1"], stderr=subprocess.DEVNULL
    )
    folder = tmp_path / "peaks.csv.journal"
    until((folder / "frames.sqlite-wal").exists, "the journal")
    answer["path"] = folder
    program.program.trigger("open_batch")
    until(lambda: program.program.runs.record() is not None, "the record of the batch")
    until(lambda: program.program.runs.record().done == 300, "all frames")
    assert process.wait(60) == 0
    until(lambda: "finished" in program.notice.text if program.notice else False, "the end of the batch")
    assert program.state.current.name == "peaks.csv"
    assert program.state.parameters.detect.minval == 200
    table = read_peaks(out)
    assert program.program.runs.record().peaks == len(table)
    counts = program.program.runs.record().curves.values["count"]
    assert np.array_equal(counts, np.bincount(table["frame"], minlength=300))

    again = launch()
    again.program.watching.open(out)
    until(lambda: again.program.runs.record() is not None, "the record of the finished batch")
    assert again.program.runs.record().peaks == len(table)
    answer["path"] = tmp_path / "again.csv"
    again.program.exports.ask_table()
    until(answer["path"].exists, "the table of the finished batch")
    assert answer["path"].read_bytes() == out.read_bytes()
    again.program.trigger("tracks_workspace")
    until(lambda: again.program.tracks.linked is not None, "its tracks", 90)
    assert len(again.program.tracks.linked.table) == len(table)


def test_a_batch_stands_beside_a_run_with_the_same_parameters(launch, series, tmp_path):
    out = tmp_path / "part.csv"
    subprocess.run([*BATCH, str(series), "-o", str(out), "--frames", "0:8", *FLAGS], check=True)
    batch = read_batch(out)
    program = launch()
    program.open(series)
    store = program.program.store
    store.replace(store.state.with_parameters(batch.parameters))
    program.run_series()
    runs = program.program.runs
    whole = runs.record()
    assert whole.done > 8
    for _ in range(2):
        program.program.watching.open(out)
        until(lambda: runs.record().done == 8, "the record of the batch")
        first, second = program.state.sets  # the second time too
        assert (runs.record(first), runs.record(second).done) == (whole, 8)
        assert (program.state.current.name, first.name) == ("part.csv", "A")
        store.update(active=first.key)
        assert runs.record() is whole
    program.program.runs.remove_set(second.key)
    runs.add_set()
    assert runs.record() is whole, "the batch went with its set"


def test_the_end_of_a_batch_holds_every_frame_in_its_own_pixels(series_of_nothing, tmp_path):
    out, binned = tmp_path / "peaks.h5", tmp_path / "p.json"
    parameters = Parameters().with_detect(minval=60, minscore=60).with_localize(methods=("fit",))
    parameters = parameters.with_prepare(binning=2)
    binned.write_text(parameters.model_dump_json())
    assert main(["peaks", str(series_of_nothing), "-o", str(out), "--parameters", str(binned)], print) == 0
    watch = Watch(read_batch(out))
    found = whole_record(watch, 6, lambda: None)
    assert watch.finished
    assert found.done == 6, "frames without peaks are done too"
    peaks = read_peaks(out)
    assert 0 < found.peaks == len(peaks)
    tables = dict(watch.batch.key.tables())
    assert sorted(tables) == list(range(6))
    np.testing.assert_allclose(tables[2]["x"], (peaks["x"] + 0.5) / 2 - 0.5)
    np.testing.assert_array_equal(tables[2]["col"], peaks["col"] // 2)
    again = in_frame_pixels(tables[2], 2)
    for name in ("col", "row", "window", "x", "fwhm_major", "cov_xy", "slope_x"):
        np.testing.assert_allclose(again[name], peaks[name], rtol=1e-12, err_msg=name)


@pytest.fixture
def series_of_nothing(tmp_path):
    """Six frames of which only the third has a spot."""
    frames = np.random.default_rng(1).poisson(3, (6, 40, 40)).astype(np.uint16)
    row, col = np.mgrid[:40, :40]
    frames[2] += np.rint(400 * np.exp(-((row - 17.3) ** 2 + (col - 21.6) ** 2) / 18)).astype(np.uint16)
    with h5py.File(tmp_path / "series.h5", "w") as file:
        file["data"] = frames
    return tmp_path / "series.h5"


def test_what_is_no_batch_is_one_sentence(program, tmp_path, answer):
    answer["path"] = tmp_path
    program.program.trigger("open_batch")
    until(lambda: program.notice is not None, "the notice")
    assert "no journal of a batch" in program.notice.text


def test_watching_reads_only_and_says_what_is_damaged(tmp_path):
    with pytest.raises(JournalError, match="no journal of a batch"):
        read_batch(tmp_path / "a.csv")
    settings = {"settings": "{}", "location": "a.h5", "frame_axis": "2", "source": "s", "parameters": "p"}
    journal = Journal.start(tmp_path / "a.csv.journal", settings)
    journal.add([(3, None, "it was cut")])
    batch = read_batch(tmp_path / "a.csv")
    assert (batch.location, batch.frame_axis, batch.output) == ("a.h5", 2, tmp_path / "a.csv")
    watch = Watch(batch)
    assert [(o.frame, o.problem) for o in watch.poll()] == [(3, "it was cut")]
    assert watch.poll() == []
    journal.close()
    (tmp_path / "a.csv.journal" / "frames.sqlite").write_bytes(b"nothing" * 1000)
    with pytest.raises(JournalError, match="cannot be read"):
        Watch(batch).poll()
    Journal.start(tmp_path / "a.csv.journal", {**settings, "settings": "{"}).close()
    with pytest.raises(JournalError, match="start that again"):
        read_batch(tmp_path / "a.csv.journal")
