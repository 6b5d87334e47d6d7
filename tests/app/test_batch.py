"""A whole series: every frame once, in whatever order, with failures listed and nothing lost."""

import threading
import time

import h5py
import numpy as np
import pytest

from braggscope.app.api import analyse_series
from braggscope.app.engine import batch
from braggscope.app.engine.batch import Gate, SeriesJob, assemble, run_series
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.journal import Journal, JournalError
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.setup import make_preparer
from braggscope.app.engine.watching import read_batch
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.combine import CUT_OFF
from braggscope.models.parameters import Parameters
from braggscope.models.regions import Region
from braggscope.models.results import COLUMNS, Status

KEY = {"source": "s", "parameters": "p"}


def same(a, b):
    return all(np.array_equal(a[c.name], b[c.name], equal_nan=c.dtype == "float64") for c in COLUMNS)


def test_every_spot_of_every_frame_is_found_where_it_is(series, fit_only):
    table = analyse_series(str(series.path), fit_only)
    assert np.array_equal(table["frame"], np.repeat(np.arange(12), 3))
    assert np.array_equal(table["peak"], np.tile([0, 1, 2], 12))
    assert (table["status"] == Status.OK).all()
    found = np.stack([table["x"], table["y"]], axis=1).reshape(12, 3, 2)
    assert np.abs(found - series.truth).max() < 0.12
    assert np.isnan(table["x_braggnn"]).all()
    assert np.isnan(table["distance"]).all()


def test_nothing_under_either_threshold_and_falling_scores(series):
    parameters = Parameters().with_detect(minval=15.0, minscore=12.0).with_localize(methods=("fit",))
    table = analyse_series(str(series.path), parameters, range(3))
    assert len(table) > 30
    assert (table["birth"] >= 15.0).all()
    assert (table["score"] >= 12.0).all()
    assert (table["status"] != Status.PENDING).all()
    for frame in range(3):
        part = table.take(table["frame"] == frame)
        assert np.array_equal(part["peak"], np.arange(len(part)))
        assert (np.diff(part["score"]) <= 0).all()
    unfitted = table["status"] != Status.OK
    assert unfitted.any()
    assert np.isnan(table["x_fit"][unfitted]).all()


def test_the_detectors_agree(series, fit_only):
    fast = analyse_series(str(series.path), fit_only, [4])
    slow = analyse_series(str(series.path), fit_only.with_detect(detector="findpeaks"), [4])
    assert same(fast, slow)


def test_the_number_of_workers_changes_nothing(series, fit_only):
    one = analyse_series(str(series.path), fit_only, workers=1)
    assert same(one, analyse_series(str(series.path), fit_only, range(11, -1, -1), workers=4))
    with pytest.raises(ValueError, match="at least one worker"):
        SeriesJob(str(series.path), range(3), fit_only, workers=0)


def test_a_broken_frame_is_named_and_the_rest_goes_on(broken_series, fit_only, tmp_path):
    job = SeriesJob(str(broken_series), range(12), fit_only)
    journal = Journal.start(tmp_path / "j", KEY)
    outcomes = []
    problems = run_series(job, None, silent_context(), journal=journal, on_outcomes=outcomes.extend)
    assert list(problems) == [5]
    assert "rame 5" in problems[5]
    assert journal.done() == set(range(12)) - {5}
    assert journal.problems() == problems
    assert sorted(o.frame for o in outcomes) == list(range(12))
    journal.close()
    with pytest.raises(SourceError, match="1 frames failed; the first is 5"):
        analyse_series(str(broken_series), fit_only)


def in_time(job, **more):
    """What a run gives, or Cancelled where it takes too long."""
    ticket = Ticket(0)
    timer = threading.Timer(10, ticket.cancel)
    timer.start()
    try:
        return run_series(job, None, Context(ticket, lambda _: None), **more)
    finally:
        timer.cancel()


@pytest.mark.parametrize("step", ["summarise", "encode"])
def test_a_frame_whose_peaks_do_not_fit_in_memory_is_listed(series, fit_only, monkeypatch, step):
    plain, outcomes = getattr(batch, step), []

    def short(*arguments):
        if (arguments[-1]["frame"] == 7).any():
            raise MemoryError
        return plain(*arguments)

    monkeypatch.setattr(batch, step, short)
    job = SeriesJob(str(series.path), range(12), fit_only, workers=1)
    problems = in_time(job, on_outcomes=outcomes.extend)
    assert list(problems) == [7]
    assert problems[7].startswith("Frame 7 could not be analysed: There is not enough memory")
    assert sorted(o.frame for o in outcomes if not o.problem) == [k for k in range(12) if k != 7]


@pytest.mark.parametrize("where", ["a worker", "the reading thread"])
def test_what_stops_a_thread_ends_the_run(series, fit_only, monkeypatch, where):
    class Broken(Gate):
        def wait(self):
            raise MemoryError

    def unread(*_):
        raise MemoryError

    gate = Broken() if where == "a worker" else None
    if gate is None:
        monkeypatch.setattr(batch, "read_one", unread)
    with pytest.raises(MemoryError):
        in_time(SeriesJob(str(series.path), range(12), fit_only), gate=gate)


def test_frames_in_the_journal_are_not_done_again(series, fit_only, tmp_path):
    journal = Journal.start(tmp_path / "j", KEY)
    run_series(
        SeriesJob(str(series.path), range(0, 12, 2), fit_only), None, silent_context(), journal=journal
    )
    seen, outcomes = [], []
    context = Context(Ticket(0), lambda p: seen.append((p.done, p.total)))
    job = SeriesJob(str(series.path), range(4, 12), fit_only)
    run_series(job, None, context, journal=journal, on_outcomes=outcomes.extend)
    assert sorted(o.frame for o in outcomes) == [5, 7, 9, 11]
    assert seen[-1] == (8, 8)  # of the frames wanted; frames 0 and 2 of the journal are others
    whole = assemble(journal.tables()).take(slice(0, None))
    journal.close()
    assert same(whole.take(whole["frame"] >= 4), analyse_series(str(series.path), fit_only, range(4, 12)))


class SlowLocalizer:
    """Answers the middle of the patch, after a while."""

    window = 11

    def __init__(self, seconds):
        self.seconds = seconds
        self.started = threading.Event()

    def locate(self, patches):
        self.started.set()
        time.sleep(self.seconds)
        return np.full((len(patches), 2), 5.0)


def test_cancel_within_a_fifth_of_a_second(series, fit_only, tmp_path):
    ticket, slow = Ticket(0), SlowLocalizer(0.6)
    parameters = fit_only.with_localize(methods=("fit", "braggnn"))
    ended = []

    def run():
        journal = Journal.start(tmp_path / "j", KEY)
        try:
            run_series(
                SeriesJob(str(series.path), range(12), parameters), Networks(slow),
                Context(ticket, lambda _: None), journal=journal,
            )  # fmt: skip
        except Cancelled:
            ended.append(time.monotonic())
        finally:
            journal.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert slow.started.wait(20)
    start = time.monotonic()
    ticket.cancel()
    thread.join(5)
    assert ended
    assert ended[0] - start < 0.3  # 0.2 s and what a busy machine adds


def test_cancelled_runs_keep_what_is_done(series, fit_only, tmp_path):
    ticket = Ticket(0)
    journal = Journal.start(tmp_path / "j", KEY)
    got = []

    def stop_after_a_few(outcomes):
        got.extend(outcomes)
        if len(got) >= 3:
            ticket.cancel()

    parameters = fit_only.with_localize(methods=("fit", "braggnn"))
    with pytest.raises(Cancelled):
        run_series(
            SeriesJob(str(series.path), range(12), parameters, workers=1), Networks(SlowLocalizer(0.06)),
            Context(ticket, lambda _: None), journal=journal, on_outcomes=stop_after_a_few,
        )  # fmt: skip
    done = journal.done()
    journal.close()
    assert {o.frame for o in got} <= done
    assert 3 <= len(done) < 12


def test_braggnn_answers_whatever_became_of_the_fit(series):
    class Middle(SlowLocalizer):
        def locate(self, patches):
            assert patches.shape[1:] == (11, 11)
            assert patches.min() >= 0
            assert patches.max() <= 1
            return np.full((len(patches), 2), (5.25, 4.5))

    parameters = Parameters().with_detect(minval=15.0, minscore=12.0)
    job = SeriesJob(str(series.path), [0], parameters)
    outcomes = []
    assert not run_series(job, Networks(Middle(0)), silent_context(), on_outcomes=outcomes.extend)
    table = outcomes[0].table
    assert np.allclose(table["x_braggnn"], table["col"] + 0.25)
    assert np.allclose(table["y_braggnn"], table["row"] - 0.5)
    fitted = table["status"] == Status.OK
    assert np.isfinite(table["distance"][fitted]).all()
    assert list(np.unique(table.labels("method")[fitted])) == ["fit"]
    cut = np.isin(
        table["status"], CUT_OFF
    )  # peaks that an edge or bad pixels cut off have no combined answer
    assert cut.any()
    assert np.array_equal(table.labels("method")[~fitted] == "braggnn", ~cut[~fitted])
    answered = ~fitted & ~cut
    assert np.array_equal(table["x"][answered], table["x_braggnn"][answered])
    assert np.isnan(table["x"][cut]).all()
    assert np.isnan(table["x_err"][~fitted]).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_sums_reach_as_far_as_there_are_frames(series, fit_only, count):
    parameters = fit_only.with_prepare(sum_frames=count)
    with Reader() as reader:
        info = reader.open(str(series.path))
        preparer = make_preparer(parameters.prepare, info, reader)
    for frame in (0, 10, 11):
        summed = series.frames[frame : frame + count]
        wanted = summed.sum(axis=0, dtype=np.int64)
        assert np.array_equal(preparer.apply(list(summed)).image, wanted)
        table = analyse_series(str(series.path), parameters, [frame])
        assert np.array_equal(table["birth"], wanted[table["row"], table["col"]])


def test_binning_regions_and_masks_act_on_the_table(series, fit_only, tmp_path):
    binned = analyse_series(str(series.path), fit_only.with_prepare(binning=2), [0])
    blocks = series.frames[0].reshape(32, 2, 40, 2).sum(axis=(1, 3))
    assert np.array_equal(binned["birth"], blocks[binned["row"] // 2, binned["col"] // 2])
    plain = analyse_series(str(series.path), fit_only, [0])
    assert np.abs(binned["x"] - plain["x"]).max() < 0.2

    region = Region(kind="rectangle", points=((30.0, 20.0), (50.0, 40.0)))
    inside = analyse_series(str(series.path), fit_only.with_prepare(regions=(region,)), [0])
    assert len(inside) == 1
    assert abs(inside["x"][0] - 40.2) < 0.15

    mask = np.zeros(series.frames[0].shape, np.uint8)
    mask[5:20, 5:25] = 1
    with h5py.File(tmp_path / "mask.h5", "w") as file:
        file["entry/mask"] = mask
    masked = analyse_series(str(series.path), fit_only.with_prepare(mask_file=str(tmp_path / "mask.h5")), [0])
    assert len(masked) == 2
    assert not mask[masked["row"], masked["col"]].any()


def test_a_folder_that_is_no_batch_is_named_as_it_was_chosen(tmp_path):
    folder = tmp_path / "newcomer"
    folder.mkdir()
    with pytest.raises(JournalError, match=r"no journal of a batch at .*/newcomer;"):
        read_batch(folder)


def test_a_mask_of_another_shape_is_one_sentence(series, fit_only, tmp_path):
    np.save(tmp_path / "mask.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(SourceError, match="shape"):
        analyse_series(str(series.path), fit_only.with_prepare(mask_file=str(tmp_path / "mask.npy")), [0])
