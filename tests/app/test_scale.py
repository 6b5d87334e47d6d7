"""A short form of the measurements of long series: nothing grows with the number of frames."""

import gc
import os

import h5py
import numpy as np
import psutil
import pytest

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal
from braggscope.models.parameters import Parameters

DIFFERENT, FRAMES = 20, 800


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """800 frames that repeat 20 different ones, by a virtual dataset."""
    folder = tmp_path_factory.mktemp("scale")
    with h5py.File(folder / "base.h5", "w") as file:
        file["data"] = np.random.default_rng(3).poisson(20, (DIFFERENT, 40, 40)).astype(np.uint16)
    layout = h5py.VirtualLayout((FRAMES, 40, 40), "u2")
    for start in range(0, FRAMES, DIFFERENT):
        layout[start : start + DIFFERENT] = h5py.VirtualSource("base.h5", "data", (DIFFERENT, 40, 40))
    with h5py.File(folder / "series.h5", "w") as file:
        file.create_virtual_dataset("data", layout)
    return folder / "series.h5"


@pytest.mark.skipif(os.name == "nt", reason="resident memory is counted otherwise")
def test_memory_stays_flat_and_no_frame_is_lost_or_doubled(repeated, tmp_path):
    parameters = Parameters().with_detect(minval=34.0, minscore=20.0).with_localize(methods=("fit",))
    journal = Journal.start(tmp_path / "j", {"source": "a", "parameters": "b"})
    here, seen, memory = psutil.Process(), [], []

    def look(outcomes):
        seen.extend(o.frame for o in outcomes)
        memory.append((len(seen), here.memory_info().rss))

    gc.collect()
    job = SeriesJob(str(repeated), range(FRAMES), parameters)
    assert run_series(job, None, silent_context(), journal=journal, on_outcomes=look) == {}
    assert sorted(seen) == list(range(FRAMES))
    done, rss = np.array(memory).T
    early = rss[(done > 0.1 * FRAMES) & (done <= 0.4 * FRAMES)].max()
    assert rss[-1] < 1.05 * early, f"{early / 1e6:.0f} -> {rss[-1] / 1e6:.0f} MB"
    tables = list(journal.tables())
    assert [frame for frame, _ in tables] == list(range(FRAMES))
    for frame, table in tables[DIFFERENT:]:
        first = tables[frame % DIFFERENT][1]
        assert np.array_equal(table["x"], first["x"], equal_nan=True)
    journal.close()
