"""Records of whole-series runs: what comes back from the journal is what was seen live, in bounded memory."""

import os

import numpy as np
import pytest

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.runs import JOURNALS, Offsets, RunKey, RunRecord, prune, recall, stored_tables
from braggscope.app.engine.summary import QUANTITIES, Curves, summarise
from braggscope.app.sources.reader import Reader
from braggscope.models.results import PeakTable, Status


def offsets_table(frame, n):
    return PeakTable.blank(
        n, frame=frame, peak=np.arange(n), x_fit=np.arange(n) * 1.0, y_fit=0.0, x_braggnn=0.0, y_braggnn=1.0
    )


def test_a_recalled_run_is_the_live_one(home, broken_series, fit_only):
    with Reader() as reader:
        info = reader.open(str(broken_series))
    key = RunKey.of(info, fit_only)
    assert recall(key, info.frames, silent_context()) is None
    live = RunRecord(key, Curves(info.frames))
    journal = Journal.resume(key.folder, key.journal_key())
    job = SeriesJob(info.location, range(12), fit_only)
    run_series(job, None, silent_context(), journal=journal, on_outcomes=live.add)
    journal.close()
    again = recall(key, info.frames, silent_context())
    assert (again.done, again.peaks, again.problems) == (live.done, live.peaks, live.problems) == (
        11, 33, live.problems
    )  # fmt: skip
    for name in QUANTITIES:
        assert np.array_equal(again.curves.values[name], live.curves.values[name], equal_nan=True)
    assert [frame for frame, _ in stored_tables(key)] == [i for i in range(12) if i != 5]
    assert RunKey.of(info, fit_only.with_detect(minval=61.0)).folder != key.folder
    (key.folder / "frames.sqlite").write_bytes(b"damaged" * 1000)
    assert recall(key, info.frames, silent_context()) is None


def test_offsets_are_a_uniform_bounded_sample():
    sample = Offsets(500)
    for frame in range(100):
        sample.add(offsets_table(frame, 60))
    assert sample.seen == 6000
    assert sample.points.shape == (500, 4)
    frames = np.bincount(sample.points[:, 2].astype(int) // 25, minlength=4)
    assert frames.min() > 85  # 125 expected, 4 sigma below
    assert len(np.unique(sample.points[:, 2:], axis=0)) == 500
    assert np.array_equal(sample.points[:, 0], sample.points[:, 3])


def test_rejected_and_unpaired_peaks_are_no_offsets():
    table = offsets_table(0, 3)
    table.columns["status"][1] = Status.REJECTED
    table.columns["x_fit"][2] = np.nan
    sample = Offsets(10)
    sample.add(table)
    assert (sample.seen, sample.unpaired, len(sample.points)) == (1, 1, 1)


@pytest.mark.parametrize("n", [0, 1, 50])
def test_summaries(n):
    table = offsets_table(3, n).with_columns(distance=np.linspace(0, 1, n))
    curves = Curves(2)
    curves.add(summarise(3, table))  # beyond the known end: a series that grew
    assert curves.done.tolist() == [False, False, False, True]
    assert curves.values["count"][3] == n
    if n:
        assert curves.values["median"][3] == pytest.approx(np.median(table["distance"]))
    assert np.isnan(curves.values["median"][:3]).all()


def test_the_oldest_journals_go_first(home):
    from braggscope.app.folders import state_folder

    folder = state_folder() / "runs"
    for i in range(JOURNALS + 5):
        Journal.start(folder / f"{i:03d}", {"source": "s", "parameters": "p"}).close()
        os.utime(folder / f"{i:03d}", (i + 1000, i + 1000))
    prune(keep={folder / "001"})
    left = sorted(p.name for p in folder.iterdir())
    assert left == ["001", *(f"{i:03d}" for i in range(5, JOURNALS + 5))]
