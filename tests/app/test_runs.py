"""Records of whole-series runs: what comes back from the journal is what was seen live, in bounded memory."""

import os

import numpy as np
import pytest

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.runs import JOURNALS, RunKey, RunRecord, prune, recall
from braggscope.app.engine.summary import QUANTITIES, Curves, summarise
from braggscope.app.sources.reader import Reader
from braggscope.models.results import PeakTable


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
    assert [frame for frame, _ in key.tables()] == [i for i in range(12) if i != 5]
    assert RunKey.of(info, fit_only.with_detect(minval=61.0)).folder != key.folder
    (key.folder / "frames.sqlite").write_bytes(b"damaged" * 1000)
    assert recall(key, info.frames, silent_context()) is None


@pytest.mark.parametrize("n", [0, 1, 50])
def test_summaries(n):
    x = np.linspace(0, 1, n)
    table = PeakTable.blank(n, frame=3, x_fit=x, y_fit=0.0, x_braggnn=0.0, y_braggnn=0.0, distance=x)
    curves = Curves(2)
    curves.add(summarise(3, table))  # beyond the known end: a series that grew
    assert curves.done.tolist() == [False, False, False, True]
    assert curves.values["count"][3] == n
    if n:
        assert curves.values["median"][3] == pytest.approx(np.median(table["distance"]))
        assert curves.values["lost"][3] == 0
    assert np.isnan(curves.values["median"][:3]).all()


def test_a_lost_peak_does_not_count_as_a_distance():
    table = PeakTable.blank(
        4,
        x_fit=np.array([0.1, 0.3, 5.0, np.nan]),
        x_braggnn=0.0,
        distance=np.array([0.1, 0.3, 5.0, np.nan]),
    )
    found = summarise(0, table)
    assert (found.count, found.fitted, found.lost) == (4, 3, 2)
    assert found.mean == pytest.approx(0.2)
    alone = summarise(0, table.with_columns(x_braggnn=np.full(4, np.nan), distance=np.full(4, np.nan)))
    assert np.isnan(alone.lost)


def test_the_oldest_journals_go_first(home):
    from braggscope.app.folders import state_folder

    folder = state_folder() / "runs"
    for i in range(JOURNALS + 5):
        Journal.start(folder / f"{i:03d}", {"source": "s", "parameters": "p"}).close()
        os.utime(folder / f"{i:03d}", (i + 1000, i + 1000))
    prune(keep={folder / "001"})
    left = sorted(p.name for p in folder.iterdir())
    assert left == ["001", *(f"{i:03d}" for i in range(5, JOURNALS + 5))]
