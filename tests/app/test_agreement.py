"""Agreement of methods over runs, beside other lists, and the reading of such lists."""

import h5py
import numpy as np
import pytest

from braggscope.app.engine.agreement import OTHER, AgreementSample, compare
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.export.peaklists import read_positions
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError, write_peaks
from braggscope.models.compare import Positions
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable, Status


def table(frame, n, away=1.0):
    """Peaks 10 px apart; BraggNN is ``away`` px to the left of the fit."""
    x = 10.0 * np.arange(n)
    return PeakTable.blank(
        n, frame=frame, peak=np.arange(n), col=x.astype(int), row=5,
        x_fit=x, y_fit=5.0, x_braggnn=x - away, y_braggnn=5.0, x=x, y=5.0,
    )  # fmt: skip


def test_the_sample_is_uniform_and_bounded():
    sample = AgreementSample(500)
    for frame in range(100):
        sample.add(table(frame, 60))
    found = sample.differences("fit", "braggnn")
    assert (sample.seen, found.pairs, len(found.dx)) == (6000, 6000, 500)
    quarters = np.bincount(found.frame // 25, minlength=4)
    assert quarters.min() > 85  # 125 expected, 4 sigma below
    assert len(np.unique(np.stack([found.frame, found.peak]), axis=1).T) == 500
    assert (found.dx == 1.0).all()
    assert (sample.differences("braggnn", "fit").dx == -1.0).all()
    assert sample.methods == ("fit", "braggnn", "combined")


def test_what_has_no_pair_is_counted_for_every_two_methods():
    peaks = table(0, 5)
    peaks.columns["status"][0] = Status.REJECTED
    peaks.columns["x_fit"][1] = np.nan
    peaks.columns["x_braggnn"][2] += 3.0  # 2 px off, within the gate
    peaks.columns["x_braggnn"][3] -= 2.1  # 3.1 px off
    sample = AgreementSample(10)
    sample.add(peaks)
    found = sample.differences("fit", "braggnn")
    assert (found.pairs, found.silent, found.far, len(found.dx)) == (2, 1, 1, 2)
    assert sample.differences("fit", "combined")[5:] == (3, 1, 0, 0)
    assert sample.differences("fit", "net").silent == 3


def test_a_list_is_paired_within_frames_and_both_sides_are_counted():
    tables = [(frame, table(frame, 4)) for frame in (0, 2)]
    other = Positions(
        np.array([2, 0, 0, 1, 2]), np.array([0.2, 10.1, 55.0, 0.0, 30.0]), np.array([5.0, 5.0, 5.0, 5.0, 7.0])
    )
    sample = compare(tables, 2, 1, other, silent_context())
    found = sample.differences("fit", OTHER)
    assert (found.pairs, found.silent, found.only_second) == (3, 5, 1)
    assert sorted(found.dx) == pytest.approx([-0.2, -0.1, 0.0])
    assert sample.unmatched.frame.tolist() == [0]  # frame 1 was not analysed
    assert sample.unmatched.x.tolist() == [55.0]


def test_entries_on_second_spots_are_pairs_and_on_rejected_peaks_are_alone():
    at = np.array([10.0, 13.5, 40.0, 60.0])
    table = PeakTable.blank(4, x=at, y=at, x_fit=at, y_fit=at, component=np.array([0, 1, 0, 0], np.int16))
    table = table.with_columns(status=np.array([Status.OK] * 3 + [Status.REJECTED], np.uint8))
    other = Positions(np.zeros(4, np.int64), at + 0.1, at)
    sample = compare([(0, table)], 1, 1, other, silent_context())
    found = sample.differences("fit", OTHER)
    assert (found.pairs, found.only_second, found.silent) == (3, 1, 0)
    assert found.pairs + found.only_second == len(other.x)


def test_binned_runs_are_compared_in_pixels_of_the_frame():
    other = Positions(np.array([0]), np.array([20.5]), np.array([10.5]))  # pixel (10, 5) of bins of 2 x 2
    sample = compare([(0, table(0, 2))], 1, 2, other, silent_context())
    assert sample.differences("fit", OTHER).dx == pytest.approx([0.0])


def test_a_comparison_can_be_cancelled():
    ticket = Ticket(1)
    ticket.cancel()
    with pytest.raises(Cancelled):
        compare([(0, table(0, 2))], 1, 1, Positions.concatenate([]), Context(ticket, lambda _: None))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".cxi"])
def test_our_own_tables_come_back_as_lists(tmp_path, suffix):
    peaks = [table(frame, 3) for frame in (1, 4)]
    path = tmp_path / f"peaks{suffix}"
    write_peaks(path, peaks, Provenance("s", "i", Parameters()))
    found = read_positions(path)
    assert found.frame.tolist() == [1, 1, 1, 4, 4, 4]
    assert found.x.tolist() == [0.0, 10.0, 20.0] * 2
    assert (found.y == 5.0).all()


def test_lists_of_other_programs(tmp_path):
    (tmp_path / "plain.csv").write_text("#X,Y\n1.5,2\n3,4.25\n")
    plain = read_positions(tmp_path / "plain.csv")
    assert plain.frame.tolist() == [0, 0]
    assert plain.x.tolist() == [1.5, 3.0]
    (tmp_path / "remarks.csv").write_text("# from elsewhere\n# 2 spots\nframe,row,col\n2,5,1e-1\n4,6,7\n")
    remarks = read_positions(tmp_path / "remarks.csv")
    assert (remarks.frame.tolist(), remarks.x.tolist()) == ([2, 4], [0.1, 7.0])
    with h5py.File(tmp_path / "network.h5", "w") as file:
        file["peak_fidx"], file["peak_row"], file["peak_col"] = [3.0], [10.5], [7.25]
    network = read_positions(tmp_path / "network.h5")
    assert [float(column[0]) for column in network] == [3.0, 7.25, 10.5]
    with h5py.File(tmp_path / "truth.h5", "w") as file:
        group = file.create_group("truth/peaks")
        group["frame"], group["x"], group["y"], group["visible"] = (
            [0, 1],
            [1.0, 2.0],
            [3.0, 4.0],
            [True, False],
        )
    assert read_positions(tmp_path / "truth.h5").x.tolist() == [1.0]
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        group = file.create_group("entry_1/result_1")
        group["nPeaks"] = [1, 0, 2]
        group["peakXPosRaw"], group["peakYPosRaw"] = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    cheetah = read_positions(tmp_path / "run.cxi")
    assert cheetah.frame.tolist() == [0, 2, 2]
    assert cheetah.x.tolist() == [0.0, 4.0, 5.0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "a,b\n1,2\n", "columns wanted"),
        ("a.csv", "x,y\none,two\n", "not numbers"),
        ("a.csv", "", "could not be read"),
        ("a.h5", "no file of HDF5", "could not be read"),
    ],
)
def test_bad_lists_end_in_one_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ExportError, match=words) as caught:
        read_positions(path)
    assert name in str(caught.value)


def test_a_list_that_is_not_there_ends_in_one_sentence(tmp_path):
    with pytest.raises(ExportError, match=r"gone\.csv"):
        read_positions(tmp_path / "gone.csv")
