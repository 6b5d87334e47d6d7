"""The command that analyses a series: what it writes, what it says, what it refuses."""

import errno
import os
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from command_line import FLAGS, same

from braggscope.app.export.tables import read_peaks
from braggscope.models.parameters import Parameters


def test_peaks_of_every_format_agree(run, series, table, tmp_path):
    whole = read_peaks(table)
    assert len(whole) == 36
    for suffix in (".csv", ".parquet"):
        code, out, err = run("peaks", series.path, "-o", tmp_path / f"a{suffix}", *FLAGS, "--workers", "1")
        assert (code, out) == (0, "")
        assert "36 peaks in 12 frames" in err
        same(tmp_path / f"a{suffix}", table)
    assert run("peaks", series.path, "-o", tmp_path / "a.cxi", *FLAGS)[0] == 0
    with h5py.File(tmp_path / "a.cxi") as file:
        lists = file["entry_1/result_1"]
        assert np.array_equal(lists["peakXPosRaw"][()].ravel(), whole["x"])
        assert np.array_equal(lists["peakYPosRaw"][()].ravel(), whole["y"])


def test_thresholds_are_suggested_and_said(run, series, tmp_path):
    code, _, err = run("peaks", series.path, "-o", tmp_path / "a.csv", "--localize", "fit", "--device", "cpu")
    assert code == 0
    assert "Thresholds: minval" in err
    counts = np.bincount(read_peaks(tmp_path / "a.csv")["frame"])
    assert (counts == 3).all()
    code, _, err = run("peaks", series.path, "-o", tmp_path / "b.csv", *FLAGS[2:])
    assert "minscore 150" in err


@pytest.mark.parametrize(
    ("text", "frames"),
    [("2:5", [2, 3, 4]), ("::5", [0, 5, 10]), ("7", [7]), (":2", [0, 1]), ("-1", [11]), ("10:99", [10, 11])],
)
def test_frames(run, series, tmp_path, text, frames):
    assert run("peaks", series.path, "-o", tmp_path / "a.csv", f"--frames={text}", *FLAGS)[0] == 0
    assert np.unique(read_peaks(tmp_path / "a.csv")["frame"]).tolist() == frames


def test_flags_override_the_parameters_file(run, series, tmp_path):
    given = Parameters().with_detect(minval=60.0, minscore=500.0).with_localize(methods=("fit",), window=15)
    (tmp_path / "p.json").write_text(given.model_dump_json())
    words = ["peaks", series.path, "-o", tmp_path / "a.h5", "--parameters", tmp_path / "p.json"]
    assert run(*words, "--device", "cpu")[0] == 0
    assert len(read_peaks(tmp_path / "a.h5")) == 24
    assert run(*words, "--device", "cpu", "--minscore", "700")[0] == 0
    assert len(read_peaks(tmp_path / "a.h5")) == 12
    with h5py.File(tmp_path / "a.h5") as file:
        used = Parameters.model_validate_json(file["entry/process/parameters"][()])
    assert used == given.with_detect(minscore=700.0)


def test_a_mask_file(run, series, tmp_path, monkeypatch):
    mask = np.zeros((64, 80), np.uint8)
    mask[:20] = 1
    np.save(tmp_path / "mask.npy", mask)
    monkeypatch.chdir(tmp_path)
    assert run("peaks", series.path, "-o", "a.csv", "--mask", "mask.npy", *FLAGS)[0] == 0
    assert len(read_peaks(tmp_path / "a.csv")) == 24


def test_another_frame_axis(run, series, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.moveaxis(series.frames, 0, 2)
    words = ["peaks", tmp_path / "a.h5", "-o", tmp_path / "a.csv", "--frame-axis", "2", *FLAGS]
    assert run(*words)[0] == 0
    assert len(read_peaks(tmp_path / "a.csv")) == 36


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minval", "nan"], "minval"),
        (["--minval=-1"], "minval"),
        (["--minscore", "inf"], "minscore"),
        (["--localize", "magic"], "magic"),
        (["--localize", ","], "use fit, braggnn, net"),
        (["--weights", "braggnn"], "braggnn=FILE"),
        (["--weights", "other=a.pth"], "braggnn=FILE"),
        (["--weights", "braggnn=/none.pth", "--localize", "braggnn"], "none.pth"),
        (["--weights", "braggnn=magic", "--localize", "braggnn"], "magic"),
        (["--parameters", "/none.json"], "none.json"),
        (["--mask", "/none.tif"], "none.tif"),
        (["--frames", "5:5"], "selects none"),
        (["--frames", "20:"], "selects none"),
        (["--frames", "99"], "selects none"),
        (["--frames", "1:2:0"], "no range"),
        (["--frames", "a"], "no range"),
        (["--frames", ""], "no range"),
        (["--frames", "1:2:3:4"], "no range"),
        (["--workers", "0"], "workers"),
        (["--frame-axis", "7"], "axis"),
        (["--device", "tpu"], "device"),
    ],
)
def test_bad_values(fails, series, tmp_path, words, said):
    assert said in fails("peaks", series.path, "-o", tmp_path / "a.csv", *FLAGS, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[1]", '{"detect": {"minval": -1}}', '{"nonsense": 1}', "\xff"])
def test_bad_parameter_files(fails, series, tmp_path, text):
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("latin-1"))
    said = fails("peaks", series.path, "-o", tmp_path / "a.csv", "--parameters", path)
    assert "p.json holds no usable parameters" in said


def test_bad_outputs(fails, series, tmp_path):
    (tmp_path / "d.csv").mkdir()
    assert "no known suffix" in fails("peaks", series.path, "-o", tmp_path / "a.txt", *FLAGS)
    assert "does not exist" in fails("peaks", series.path, "-o", tmp_path / "no" / "a.csv", *FLAGS)
    assert "is a folder" in fails("peaks", series.path, "-o", tmp_path / "d.csv", *FLAGS)
    assert "is no movie" in fails("movie", series.path, "-o", tmp_path / "a.avi", *FLAGS)
    assert "--fps" in fails("movie", series.path, "-o", tmp_path / "a.mp4", *FLAGS, "--fps", "0")
    assert "does not exist" in fails("demo", "series", "-o", tmp_path / "no" / "a.h5")
    assert "does not exist" in fails("train", "braggnn", "-o", tmp_path / "no" / "a.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["d.csv"]


def test_failed_frames_are_named_and_tried_again(run, broken_series, series, table, tmp_path):
    out = tmp_path / "a.h5"
    code, _, err = run("peaks", broken_series, "-o", out, *FLAGS)
    assert code == 0
    assert "frame 5 failed" in err
    assert "--resume tries them again" in err
    assert 5 not in read_peaks(out)["frame"]
    code, _, err = run("peaks", broken_series, "-o", out, *FLAGS, "--resume")
    assert code == 0
    assert "frame 5 failed" in err


def test_when_no_frame_can_be_analysed_the_old_table_stays(fails, broken_series, tmp_path):
    out = tmp_path / "a.csv"
    out.write_text("old")
    assert "No frame" in fails("peaks", broken_series, "-o", out, "--frames", "5", *FLAGS)
    assert out.read_text() == "old"


# -- disks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".h5", ".cxi", ".flt"])
def test_a_full_disk_is_one_sentence_and_keeps_the_old_table_and_the_journal(
    run, fails, series, tmp_path, monkeypatch, suffix
):
    out = tmp_path / f"a{suffix}"
    out.write_text("old")
    words = ["peaks", series.path, "-o", out, *FLAGS]
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
        if suffix not in (".h5", ".cxi"):  # those look before they write
            full.setattr(os, "fsync", no_room)
        assert "make room" in fails(*words)
    assert out.read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {out.name, f"{out.name}.journal"}
    code, _, err = run(*words, "--resume")
    assert (code, "36 peaks in 12 frames" in err) == (0, True)


def no_room(_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_under_the_journal(run, fails, series, tmp_path, monkeypatch):
    """A database that may not grow says what a full disk says."""
    from braggscope.app.engine.journal import Journal

    made = Journal.__init__

    def small(journal, *words):
        made(journal, *words)
        (pages,) = journal._database.execute("PRAGMA page_count").fetchone()
        journal._database.execute(f"PRAGMA max_page_count = {pages}")

    words = ["peaks", series.path, "-o", tmp_path / "a.csv", *FLAGS]
    with monkeypatch.context() as full:
        full.setattr(Journal, "__init__", small)
        assert "make room and go on with --resume" in fails(*words)
    assert not (tmp_path / "a.csv").exists()
    assert run(*words, "--resume")[0] == 0


def test_a_folder_that_cannot_be_written(fails, series, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "choose another" in fails("peaks", series.path, "-o", tmp_path / "a.csv", *FLAGS)
    assert list(tmp_path.iterdir()) == []
