"""The command that says what a file is."""

import json
import subprocess

import h5py
import numpy as np
from command_line import COMMAND, FLAGS


def test_info(run, series):
    code, out, err = run("info", series.path)
    assert (code, err) == (0, "")
    assert "64 rows x 80 columns" in out
    code, out, _ = run("info", series.path, "--json")
    said = json.loads(out)
    assert (code, said["frames"], said["shape"], said["dtype"]) == (0, 12, [64, 80], "uint16")


def test_info_leaves_out_settings_and_says_what_cannot_be_shown(run, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.ones((3, 8, 9), np.uint16)
        file["entry/energy"] = 9.0
        file["entry/time"] = np.arange(3.0)
        file["entry/waves"] = np.ones((3, 8, 9), np.complex64)
    listed = [line for line in run("info", tmp_path / "a.h5")[1].splitlines() if line.startswith("dataset")]
    assert {line.split()[1] for line in listed} == {"/entry/data/data", "/entry/waves"}
    assert any("complex" in line for line in listed)


def test_what_is_odd_about_a_source_is_said(run, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = np.full((3, 30, 30), np.nan, np.float32)
    warning = json.loads(run("info", tmp_path / "a.h5", "--json")[1])["warnings"][0]
    code, _, err = run("peaks", tmp_path / "a.h5", "-o", tmp_path / "a.csv", *FLAGS)
    assert code == 0
    assert warning in err.splitlines()


def test_info_json_has_no_bare_nan(run, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["time", ".", "."])
        file["entry"].attrs.update(NX_class="NXentry", default="data")
        file.attrs["default"] = "entry"
        data["data"] = np.full((3, 8, 9), np.nan, np.float32)
        data["time"] = [np.nan, np.inf, 1.0]
        data["time"].attrs["units"] = "s"

    def refuse(text):
        raise AssertionError(text)

    code, out, _ = run("info", tmp_path / "a.h5", "--json")
    said = json.loads(out, parse_constant=refuse)
    assert code == 0
    assert said["warnings"]


def test_unreadable_files(fails, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"nothing")
    assert "a.h5" in fails("info", tmp_path / "a.h5")
    assert "none.h5" in fails("info", tmp_path / "none.h5")
    assert "a.h5" in fails("peaks", tmp_path / "a.h5", "-o", tmp_path / "p.csv")
    assert "a.h5" in fails("movie", tmp_path / "a.h5", "-o", tmp_path / "m.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_closed_pipe_is_no_error(series):
    process = subprocess.Popen(
        [*COMMAND, "info", str(series.path), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 0


def test_the_rows_and_columns_of_a_scan_are_said(run, tmp_path):
    np.save(tmp_path / "scan.npy", np.ones((3, 5, 8, 9), np.uint16))
    np.save(tmp_path / "series.npy", np.ones((15, 8, 9), np.uint16))
    assert "scan    3 rows x 5 columns" in run("info", tmp_path / "scan.npy")[1].splitlines()
    said = run("info", tmp_path / "series.npy")[1].splitlines()
    assert not [line for line in said if line.startswith("scan")]
