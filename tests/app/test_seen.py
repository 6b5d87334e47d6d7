"""A job that opens the source again finds what was looked at, or refuses: other frames are not to mix."""

import contextlib
import os

import numpy as np
import pytest

from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.engine.networks import Networks
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader

REFUSED = r"a\.npy has changed since it was opened; open it again\."


@pytest.fixture
def looked_at(tmp_path, series):
    """A file of four frames, and the engine of a window that has opened it."""
    path = tmp_path / "a.npy"
    np.save(path, series.frames[:4])
    with Reader() as reader:
        yield path, FrameEngine(reader, reader.open(str(path)), lambda _: Networks())


@contextlib.contextmanager
def journal_in(folder):
    with contextlib.closing(Journal.start(folder, {"source": "s", "parameters": "p"})) as journal:
        yield journal


def test_what_has_not_changed_is_analysed(looked_at, fit_only, tmp_path):
    path, engine = looked_at
    with journal_in(tmp_path / "j") as journal:
        for followed in (False, True):
            job = SeriesJob(str(path), range(4), fit_only, seen=engine.seen(followed))
            assert run_series(job, None, silent_context(), journal=journal) == {}
        assert journal.done() == set(range(4))


def test_another_measurement_under_the_same_name_is_refused(looked_at, series, fit_only, tmp_path):
    path, engine = looked_at
    np.save(path, series.frames[3::-1])
    job = SeriesJob(str(path), range(4), fit_only, seen=engine.seen(False))
    with journal_in(tmp_path / "j") as journal:
        with pytest.raises(SourceError, match=REFUSED):
            run_series(job, None, silent_context(), journal=journal)
        assert not journal.done()
        assert not journal.problems()
    out = tmp_path / "out"
    out.mkdir()
    movie = MovieJob(str(path), range(4), fit_only, out / "a.gif", seen=engine.seen(False))
    with pytest.raises(SourceError, match=REFUSED):
        make_movie(movie, None, silent_context())
    assert list(out.iterdir()) == []


def test_what_is_followed_may_have_grown(looked_at, series, fit_only):
    path, engine = looked_at
    np.save(path, series.frames)
    job = SeriesJob(str(path), range(4), fit_only, seen=engine.seen(True))
    assert run_series(job, None, silent_context()) == {}


@pytest.mark.parametrize(
    "other",
    [lambda frames: frames[:3], lambda frames: frames[:, :-1], lambda frames: frames.astype(np.int32)],
    ids=["fewer", "another shape", "another type"],
)
def test_what_is_followed_stays_what_it_is(looked_at, series, fit_only, other):
    path, engine = looked_at
    np.save(path, other(series.frames))
    job = SeriesJob(str(path), range(4), fit_only, seen=engine.seen(True))
    with pytest.raises(SourceError, match=REFUSED):
        run_series(job, None, silent_context())


def test_what_is_followed_stays_the_same_file(looked_at, series, fit_only, tmp_path):
    path, engine = looked_at
    np.save(tmp_path / "longer.npy", series.frames)
    os.replace(tmp_path / "longer.npy", path)
    job = SeriesJob(str(path), range(4), fit_only, seen=engine.seen(True))
    with pytest.raises(SourceError, match=REFUSED):
        run_series(job, None, silent_context())
