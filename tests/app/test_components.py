"""A second spot that was not detected has a row of its own, everywhere, and counts as no detected peak."""

from dataclasses import dataclass, replace

import h5py
import numpy as np
import pytest
from command_line import FLAGS, same

from braggscope.app.engine.agreement import AgreementSample, compare
from braggscope.app.engine.batch import Outcome, SeriesJob, run_series
from braggscope.app.engine.components import further_peaks
from braggscope.app.engine.findings import gather
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.journal import Journal, decode, encode
from braggscope.app.engine.movies import frame_note
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.patch import patch_detail
from braggscope.app.engine.peaks import analyse, blank_table, find, localize
from braggscope.app.engine.runs import RunKey, RunRecord
from braggscope.app.engine.summary import Curves, summarise
from braggscope.app.export.peaklists import read_positions
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.app.presenters.views import marks_of, patch_content, with_rejected
from braggscope.app.state.session import PeakKey, Session
from braggscope.models import profiles
from braggscope.models.compare import places
from braggscope.models.fitting.fits import Fits
from braggscope.models.fitting.hidden import Hidden
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.detect import select
from braggscope.models.prepare import Prepared, Preparer
from braggscope.models.results import COLUMNS, PeakTable, Source, Status, in_frame_pixels
from braggscope.models.tracks.edits import edited
from braggscope.models.tracks.link import link
from braggscope.models.tracks.table import Edit

SHAPE = (64, 80)
SPOTS = ((52.3, 16.4, 900.0), (20.2, 20.3, 500.0), (35.7, 47.1, 400.0))  # x, y, height: by falling score
SECOND = (22.9, 21.6, 230.0)  # in the flank of the one in the middle
PARAMETERS = Parameters().with_detect(minval=100, minscore=100).with_localize(methods=("fit",))
FIT_ONLY = ("x_braggnn", "y_braggnn", "x_net", "y_net", "x_net_err", "y_net_err", "quality", "distance")
FRAMES = 16


def frame(drift: float = 0.0, seed: int = 3) -> np.ndarray:
    image = np.full(SHAPE, 20.0)
    for x, y, height in (*SPOTS, SECOND):
        image += profiles.peak(SHAPE, x + drift, y, height, 3.0)
    return np.random.default_rng(seed).poisson(image).astype(np.uint16)


def prepare(image: np.ndarray) -> Prepared:
    return Preparer(PARAMETERS.prepare, shape=SHAPE).apply([image])


@pytest.fixture(scope="module")
def table() -> PeakTable:
    return analyse(prepare(frame()), 7, PARAMETERS, None).table


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory):
    """A series in which everything drifts."""
    path = tmp_path_factory.mktemp("paired") / "paired.h5"
    with h5py.File(path, "w") as file:
        file["/entry/data/data"] = np.stack([frame(0.03 * k, seed=k) for k in range(FRAMES)])
    return path


@pytest.fixture(scope="module")
def tables() -> list[PeakTable]:
    return [analyse(prepare(frame(0.03 * k, seed=k)), k, PARAMETERS, None).table for k in range(FRAMES)]


def test_the_row_behind_that_of_its_peak(table):
    assert table["peak"].tolist() == [0, 1, 1, 2]
    assert table["component"].tolist() == [0, 0, 1, 0]
    assert table.detected.tolist() == [True, True, False, True]
    for name in ("frame", "col", "row", "birth", "death", "score", "n_components"):
        assert table[name][2] == table[name][1]
    assert (table["frame"] == 7).all()
    assert table["n_components"].tolist() == [1, 2, 2, 1]
    x, y, x_err, y_err = (table[name][2] for name in ("x", "y", "x_err", "y_err"))
    assert abs(x - SECOND[0]) < 3 * x_err < 0.6
    assert abs(y - SECOND[1]) < 3 * y_err < 0.6
    assert table["amplitude"][2] == pytest.approx(SECOND[2], rel=0.25)
    assert (table["status"][2], table["method"][2]) == (Status.OK, Source.FIT)
    assert (x, y) == (table["x_fit"][2], table["y_fit"][2])
    assert table["fwhm_major"][2] > table["fwhm_minor"][2] > 1.0
    assert np.isnan([table[name][2] for name in FIT_ONLY]).all()


def test_errors_are_those_of_the_scatter():
    pulls = []
    for seed in range(40):
        found = analyse(prepare(frame(seed=100 + seed)), 0, PARAMETERS, None).table
        second = found.take(~found.detected)
        assert (second["peak"] == 1).all()
        pulls += ((second["x"] - SECOND[0]) / second["x_err"]).tolist()
        pulls += ((second["y"] - SECOND[1]) / second["y_err"]).tolist()
    assert len(pulls) >= 2 * 36
    assert 0.5 < np.mean(np.abs(pulls) < 1) < 0.85
    assert np.max(np.abs(pulls)) < 5


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_only_what_is_measured_has_further_peaks(table, limit):
    prepared = prepare(frame())
    candidates = find(prepared, PARAMETERS)
    detect = PARAMETERS.detect
    blank = blank_table(candidates, select(candidates, detect.minval, detect.minscore), 7)
    part, _ = localize(prepared, blank, PARAMETERS, None, limit=limit)
    rows = np.flatnonzero(table["peak"] < limit)
    assert part["component"].tolist() == [0, 0, 1, 0] if limit > 1 else [0, 0, 0]
    assert (part["status"][len(rows) :] == Status.PENDING).all()
    for column in COLUMNS:
        assert np.array_equal(
            part[column.name][: len(rows)], table[column.name][rows], equal_nan=column.dtype == "float64"
        )
    assert part["peak"][part.detected].tolist() == [0, 1, 2]


@dataclass
class Seer:
    """A network that knows where everything is, and sees a second peak beside each within ``reach`` px."""

    places: np.ndarray
    reach: float
    corner: tuple[int, int] = (0, 0)
    window: int = 15

    def locate(self, counts: np.ndarray, valid: np.ndarray):
        from braggscope.models.localizer.infer import Answer

        n = len(counts)
        half = self.window // 2
        second = np.full((n, 2), np.nan)
        overlap = np.zeros(n)
        for k, (dx, dy) in enumerate(self.places[:n]):
            if np.hypot(dx, dy) < self.reach:
                second[k], overlap[k] = (half + dx, half + dy), 0.95
        centre, error = np.full(n, float(half)), np.full(n, 0.1)
        return Answer(centre, centre, error, error, overlap, np.full(n, 0.9), second)


@pytest.mark.parametrize("limit", [None, 2])
def test_one_that_the_network_sees(table, limit):
    prepared = prepare(frame())
    parameters = PARAMETERS.with_localize(methods=("fit", "net"))
    candidates = find(prepared, parameters)
    blank = blank_table(candidates, select(candidates, 100, 100), 7)
    beside = np.full((3, 2), 99.0)
    beside[1] = SECOND[0] - blank["col"][1], SECOND[1] - blank["row"][1]
    networks = Networks(net=Seer(beside, 6.0))
    found, _ = localize(prepared, blank, parameters, networks, limit=limit)
    assert found["component"].tolist() == [0, 0, 1, 0]
    assert np.hypot(found["x"][2] - SECOND[0], found["y"][2] - SECOND[1]) < 0.5
    assert np.isnan([found[name][2] for name in FIT_ONLY]).all()
    beside[0] = 3.0, 3.0  # nothing is there
    found, _ = localize(prepared, blank, parameters, networks, limit=limit)
    assert found["component"].tolist() == [0, 0, 1, 0]


def test_one_peak_between_two_is_one():
    frame = profiles.peak((40, 60), 20.0, 20.0, 500.0, 3.0) + profiles.peak((40, 60), 26.0, 20.0, 500.0, 3.0)
    frame += profiles.peak((40, 60), 23.1, 21.5, 200.0, 3.0)
    rows, cols = np.array([20, 20, 22, 22]), np.array([20, 26, 23, 23])
    fits = fit_peaks(np.random.default_rng(0).poisson(frame + 10).astype(float), None, rows, cols)
    assert (fits.status == Status.OK).all()
    found = further_peaks(Hidden(np.array([1, 0]), fits), 2)
    assert (found.owner.tolist(), found.component.tolist(), len(found.entry)) == ([0], [1], 1)
    strange = _moved(fits, 2, fits.x[1] - fits.x[2], fits.y[1] - fits.y[2])  # to where a detected one is
    found = further_peaks(Hidden(np.array([0, 0]), strange), 2)
    assert found.entry.tolist() == [3]
    two = _moved(fits, 3, 0.0, 6.0)
    found = further_peaks(Hidden(np.array([0, 0]), two), 2)
    assert found.component.tolist() == [1, 2]
    swapped = fits.take(np.array([2, 1, 0]))
    swapped = replace(swapped, col=fits.col[[0, 1, 2]], row=fits.row[[0, 1, 2]])
    found = further_peaks(Hidden(np.array([0]), swapped), 2)
    assert (found.own.tolist(), found.entry.tolist()) == ([2, 1], [0])


def _moved(fits: Fits, k: int, dx: float, dy: float) -> Fits:
    x, y = fits.x.copy(), fits.y.copy()
    x[k], y[k] = x[k] + dx, y[k] + dy
    return replace(fits, x=x, y=y)


def test_no_count_knows_it(table):
    assert summarise(7, table).count == summarise(7, table).fitted == 3
    record = RunRecord(RunKey("a", "b", "c"), Curves(8))
    record.add([Outcome(7, table, summarise(7, table))])
    assert (record.peaks, record.sample.seen) == (3, 3)
    found = gather([(7, table)], 8, {}, 7)
    assert (found.peaks, dict(found.statuses)) == (3, {"ok": 3})
    assert "3 peaks" in frame_note(PARAMETERS, table)


def test_another_list_that_holds_it_finds_it(table):
    """A list's entry on a second spot is a pair like any other, so the list has no peak that ours lacks."""
    sample = compare([(7, table)], 1, 1, places(table), silent_context())
    assert (sample.seen, len(sample.unmatched.x)) == (4, 0)
    assert sample.differences("combined", "other").pairs == 4
    without = compare([(7, table.take(table.detected))], 1, 1, places(table), silent_context())
    assert len(without.unmatched.x) == 1
    assert AgreementSample().seen == 0


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".cxi", ".flt"])
def test_every_format_holds_it(tables, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    whole = PeakTable.concatenate(tables)
    provenance = Provenance("/data/a.h5", "id", PARAMETERS, "", "", "cpu", "0:16:1")
    assert write_peaks(path, tables, provenance) == len(whole) > 3 * FRAMES
    if suffix == ".flt":
        sc, fc = np.loadtxt(path)[:, :2].T
        assert np.allclose(np.stack((fc, sc)), np.stack((whole["x"], whole["y"])), atol=1e-6)
    elif suffix == ".cxi":
        back = read_positions(path)
        assert np.array_equal(np.stack(back), np.stack((whole["frame"], whole["x"], whole["y"])))
    else:
        back = read_peaks(path)
        for column in COLUMNS:
            assert np.array_equal(
                back[column.name], whole[column.name], equal_nan=column.dtype == "float64"
            ), column.name


def test_a_journal_and_a_resumed_run_hold_it(tables, paired, home):
    again = decode(encode(tables[0]))
    assert again["component"].tolist() == tables[0]["component"].tolist()
    key = RunKey("paired", PARAMETERS.fingerprint("all"), "")
    for frames in (range(5), range(FRAMES)):
        journal = Journal.resume(key.folder, key.journal_key())
        run_series(SeriesJob(str(paired), frames, PARAMETERS), None, silent_context(), journal=journal)
        stored = dict(journal.tables())
        journal.close()
    for k, live in enumerate(tables):
        for column in COLUMNS:
            values = stored[k][column.name]
            assert np.array_equal(values, live[column.name], equal_nan=column.dtype == "float64")


def test_the_command_line_says_how_many(run, paired, tmp_path):
    words = ["peaks", paired, "-o", tmp_path / "a.h5", *FLAGS[4:], "--minval", "100", "--minscore", "100"]
    code, _, err = run(*words)
    table = read_peaks(tmp_path / "a.h5")
    further = int((~table.detected).sum())
    assert code == 0
    assert further > FRAMES // 2
    assert f"{3 * FRAMES} peaks and {further} second spots beside them in {FRAMES} frames" in err
    words[3] = tmp_path / "b.csv"
    assert run(*words, "--workers", "1")[0] == 0
    same(tmp_path / "a.h5", tmp_path / "b.csv")


def test_pixels_of_the_whole_frame(table):
    whole = in_frame_pixels(table, 2)
    assert whole["component"].tolist() == table["component"].tolist()
    assert whole["x"][2] == pytest.approx(2 * table["x"][2] + 0.5)


def test_selected_and_rejected_with_its_peak(table):
    row, col = int(table["row"][1]), int(table["col"][1])
    key, further = (PeakKey(frame=7, row=row, col=col, component=k) for k in (0, 1))
    assert key.index_in(table) == further.index_in(table) == 1
    assert further.detected == key == PeakKey(frame=7, row=row, col=col)
    rejected = with_rejected(table, frozenset({key}))
    assert (rejected["status"] == Status.REJECTED).tolist() == [False, True, True, False]
    assert summarise(7, rejected).count == 2
    marks = marks_of(table, Session(selected=further))
    assert (len(marks), marks.selected) == (4, 1)
    assert marks.score[2] < marks.score[[0, 1, 3]].min()


def test_the_patch_shows_both(table):
    detail = patch_detail(prepare(frame()), table, 1, PARAMETERS, Networks())
    assert detail.further["component"].tolist() == [1]
    assert detail.model is not None
    x, y = (round(float(table[name][2])) - origin for name, origin in zip("xy", detail.origin, strict=True))
    assert detail.model[y, x] > 20 + 0.6 * SECOND[2]
    content = patch_content(detail, PARAMETERS.localize)
    assert [row.label for row in content.rows] == ["Gaussian", "Gaussian 2"]
    assert content.rows[1].x == table["x"][2]
    assert not len(patch_detail(prepare(frame()), table, 0, PARAMETERS, Networks()).further)


def test_a_track_follows_it_and_is_edited_by_hand(tables):
    whole = PeakTable.concatenate(tables)
    tracks = link(whole)
    second = np.flatnonzero(~whole.detected)
    owner = second - 1
    number = np.bincount(tracks.track[second] + 1).argmax() - 1
    assert number >= 0
    assert (tracks.track[second] == number).all()
    assert not np.isin(number, tracks.track[owner])
    assert np.allclose(tracks.x[second], SECOND[0] + 0.03 * whole["frame"][second], atol=0.3)
    shuffled = np.random.default_rng(0).permutation(len(whole))
    assert np.array_equal(link(whole.take(shuffled)).track, tracks.track[shuffled])
    at = int(second[tracks.track[second] == number][0])
    names = ("frame", "row", "col", "component")
    edit = Edit("rename", tuple(int(whole[name][at]) for name in names), name="second")
    new, lost = edited(whole, tracks, [edit])
    assert (lost, new.name[number]) == (0, "second")
    assert "second" not in (new.name[k] for k in np.unique(tracks.track[owner]))
