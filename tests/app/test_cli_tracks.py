"""The command that links a peak table: what it writes, what it says, what it refuses."""

import json

import h5py
import numpy as np
import pytest
from command_line import FLAGS, same
from pyarrow import csv, parquet

from braggscope.app.demo import write_demo_series
from braggscope.app.engine.axis import read_axis
from braggscope.app.export.poni import write_poni
from braggscope.app.export.tables import read_peaks
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.peaks.simulate import SeriesSpec

FRAMES = 40


@pytest.fixture
def poni(tmp_path):
    """A detector 0.2 m behind the sample, the beam beside it."""
    path = tmp_path / "geometry.poni"
    instrument = Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((-300.0, 30.0), 0.2))
    write_poni(path, instrument, (64, 80))
    return path, instrument


@pytest.fixture(scope="session")
def demo_peaks(tmp_path_factory):
    """(peak table, its series) of a short demo series, which says its geometry and its axes."""
    from braggscope.app.cli import main

    folder = tmp_path_factory.mktemp("demo")
    series = folder / "series.h5"
    write_demo_series(series, spec=SeriesSpec(frames=FRAMES, shape=(96, 96), grains=6, seed=3))
    path = folder / "peaks.h5"
    assert main(["peaks", str(series), "-o", str(path), *FLAGS], lambda _: 0) == 0
    return path, series


def test_three_spots_are_three_tracks_in_every_format(run, table, tmp_path, poni):
    for suffix in ("csv", "parquet", "h5"):
        out = tmp_path / f"out.{suffix}"
        code, printed, err = run("tracks", table, "-o", out, "--poni", poni[0])
        assert (code, printed) == (0, "")
        assert "3 tracks of 36 peaks; 0 splits, 0 merges" in err
    rows = parquet.read_table(tmp_path / "out.parquet")
    summary = csv.read_csv(tmp_path / "out_tracks.csv")
    text = csv.read_csv(tmp_path / "out.csv")
    assert text.column_names == rows.column_names
    assert text["track"].equals(rows["track"])
    np.testing.assert_array_equal(text["strain_smooth"].to_numpy(), rows["strain_smooth"].to_numpy())
    assert summary["length"].to_pylist() == [12, 12, 12]
    assert np.bincount(rows["track"].to_numpy()).tolist() == [12, 12, 12]
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["entry"].attrs["default"] == "tracks"
        for name in rows.column_names:
            stored, text = file["entry/peaks"][name][()], rows[name].to_pylist()
            if stored.dtype.kind == "S":
                assert stored.astype(str).tolist() == [word or "" for word in text], name
            else:
                np.testing.assert_allclose(stored, np.array(text, float), rtol=1e-14, err_msg=name)
        assert file["entry/tracks/name"].asstr()[()].tolist() == ["1", "2", "3"]
        assert file["entry/peaks/d"].attrs["units"] == "angstrom"
    same(tmp_path / "out.csv", tmp_path / "out.h5")


def test_spacings_are_those_of_the_poni(run, table, tmp_path, poni):
    path, instrument = poni
    assert run("tracks", table, "-o", tmp_path / "out.h5", "--poni", path)[0] == 0
    peaks = read_peaks(tmp_path / "out.h5")
    np.testing.assert_allclose(peaks["d"], instrument.d_angstrom(peaks["x"], peaks["y"]), rtol=1e-12)
    with h5py.File(tmp_path / "out.h5") as file:
        strain, error = (file[f"entry/peaks/{name}"][()] for name in ("strain", "strain_err"))
        first = file["entry/tracks/d_reference"][()][file["entry/peaks/track"][()]]
    np.testing.assert_allclose(strain, peaks["d"] / first - 1, atol=1e-12)
    assert (error > 0).all()
    assert np.ptp(strain) > 10 * np.median(error), "the spots move outwards"
    assert run("tracks", table, "-o", tmp_path / "b.h5", "--poni", path, "--d0", "2.5")[0] == 0
    with h5py.File(tmp_path / "b.h5") as file:
        np.testing.assert_allclose(file["entry/peaks/strain"][()], peaks["d"] / 2.5 - 1, atol=1e-12)


def test_another_instrument_is_the_one_that_is_stated(run, demo_peaks, tmp_path):
    path, _ = demo_peaks
    other = Instrument.from_beam(0.8, (1e-4, 1e-4), Beam((-300.0, 30.0), 0.3))
    write_poni(tmp_path / "other.poni", other, (96, 96))
    assert run("tracks", path, "-o", tmp_path / "a.csv", "--poni", tmp_path / "other.poni")[0] == 0
    stated = Instrument.model_validate(json.loads((tmp_path / "a.csv.json").read_text())["instrument"])
    peaks = read_peaks(tmp_path / "a.csv")
    np.testing.assert_allclose(peaks["d"], stated.d_angstrom(peaks["x"], peaks["y"]), rtol=1e-9)


def test_a_full_disk_is_one_sentence_and_the_old_tracks_stay(fails, table, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=5 << 20)
    out = tmp_path / "a.h5"
    out.write_text("old")
    monkeypatch.setattr("braggscope.app.files.RESERVE", (5 << 20) - 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "make room" in fails("tracks", table, "-o", out)
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]
    assert out.read_text() == "old"


def test_without_geometry_there_are_tracks_but_no_strain(run, table, tmp_path):
    assert run("tracks", table, "-o", tmp_path / "out.csv")[0] == 0
    names = csv.read_csv(tmp_path / "out.csv").column_names
    assert "track" in names
    assert "strain" not in names


def test_geometry_and_axes_of_the_series_are_found(run, demo_peaks, tmp_path):
    path, series = demo_peaks
    code, _, err = run("tracks", path, "-o", tmp_path / "out.parquet")
    assert code == 0, err
    rows = parquet.read_table(tmp_path / "out.parquet")
    with h5py.File(series) as file:
        voltage = file["entry/data/voltage_V"][()]
    np.testing.assert_array_equal(rows["voltage_V"].to_numpy(), voltage[rows["frame"].to_numpy()])
    assert np.isfinite(rows["strain_smooth"].to_numpy()[rows["track"].to_numpy() >= 0]).all()
    note = json.loads(rows.schema.metadata[b"braggscope"])
    assert note["tracks"]["settings"]["gap"] == 10
    assert note["source"].startswith(str(series))


def test_an_axis_of_one_or_two_columns(run, table, tmp_path):
    (tmp_path / "one.csv").write_text(
        "# cell 3\ntemperature_K\n" + "\n".join(f"{300 + i}" for i in range(12))
    )
    assert run("tracks", table, "-o", tmp_path / "a.csv", "--axis", tmp_path / "one.csv")[0] == 0
    rows = csv.read_csv(tmp_path / "a.csv")
    np.testing.assert_array_equal(rows["temperature_K"].to_numpy(), 300 + rows["frame"].to_numpy())
    (tmp_path / "two.csv").write_text("frame;voltage_V\n3;3.5\n4;3.6\n")
    assert run("tracks", table, "-o", tmp_path / "b.csv", "--axis", tmp_path / "two.csv")[0] == 0
    rows = csv.read_csv(tmp_path / "b.csv")
    frame, volts = rows["frame"].to_numpy(), rows["voltage_V"].to_numpy()
    assert (volts[frame == 4] == 3.6).all()
    assert np.isnan(volts[(frame < 3) | (frame > 4)]).all()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("frame;cell voltage\n3;3,5\n4;3,6\n", "cell voltage"),
        ("3\t3,5\n4\t3,6\n", "axis"),
        ("3 3,5\n4 3,6\n", "axis"),
        ('frame,voltage_V\n3,"3,5"\n4, 3.6\n', "voltage_V"),
        ("voltage_V\n" + "3,5\n" * 4 + "3,6\n" * 8, "voltage_V"),
        ("cell voltage\n" + "3.5\n" * 4 + "3.6\n" * 8, "cell voltage"),
    ],
)
def test_axes_as_spreadsheets_write_them(tmp_path, text, name):
    (tmp_path / "axis.csv").write_text(text)
    axis = read_axis(tmp_path / "axis.csv", 12)
    assert axis.name == name
    assert axis.values[[3, 4]].tolist() == [3.5, 3.6]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1\n2\n3\n", "has 3 values, and the series has 12 frames"),
        ("", "holds no numbers"),
        ("1\ntwo\n3\n", "line 2: 'two' is no number"),
        ("1,2\n3\n", "different lengths"),
        ("0,1\n99,2\n", "names frame 99, and the series has frames 0 to 11"),
        ("0,1\n0,2\n", "names a frame twice"),
        ("0.5,1\n", "numbers of frames"),
    ],
)
def test_a_bad_axis_is_one_sentence_and_nothing_is_written(run, table, tmp_path, text, said):
    (tmp_path / "axis.csv").write_text(text)
    code, out, err = run("tracks", table, "-o", tmp_path / "a.csv", "--axis", tmp_path / "axis.csv")
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["axis.csv"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gap", "-1"], "--gap -1 is not possible"),
        (["--gate", "0"], "--gate 0 is not possible"),
        (["--gate", "nan"], "--gate nan is not possible"),
        (["--d0", "-2"], "--d0 -2 is not possible"),
        (["--d0", "2"], "--d0 needs the geometry"),
        (["--poni", "nowhere.poni"], "nowhere.poni cannot be read"),
        (["--axis", "nowhere.csv"], "nowhere.csv could not be read"),
    ],
)
def test_what_cannot_work_is_one_sentence(run, table, tmp_path, words, said):
    code, out, err = run("tracks", table, "-o", tmp_path / "a.csv", *words)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_odd_files_are_refused(run, table, tmp_path, demo_peaks, poni):
    assert "no known suffix" in run("tracks", table, "-o", tmp_path / "a.cxi")[2]
    assert "There is no file" in run("tracks", tmp_path / "no.csv", "-o", tmp_path / "a.csv")[2]
    err = run("tracks", demo_peaks[1], "-o", tmp_path / "a.csv")[2]
    assert err.startswith("braggscope: series.h5 is no peak table; choose one"), "frames"
    assert len(err.splitlines()) == 1
    copy = tmp_path / "copy.h5"
    copy.write_bytes(table.read_bytes())
    assert "choose another name" in run("tracks", copy, "-o", copy)[2]
    same(copy, table)
    code, _, err = run("tracks", demo_peaks[0], "-o", tmp_path / "a.csv", "--poni", poni[0])
    assert code == 2, "the poni of another detector"
    assert "64 x 80" in err
    assert "96 x 96" in err


def test_an_empty_table_has_no_tracks(run, series, tmp_path):
    empty = tmp_path / "none.csv"
    assert (
        run("peaks", series.path, "-o", empty, "--minval", "60000", "--minscore", "60000", *FLAGS[4:])[0] == 0
    )
    for suffix in ("csv", "parquet", "h5"):
        code, _, err = run("tracks", empty, "-o", tmp_path / f"a.{suffix}")
        assert code == 0, err
        assert "0 tracks of 0 peaks;" in err


def test_gap_and_gate_are_used(run, table, tmp_path):
    run("tracks", table, "-o", tmp_path / "a.csv", "--gate", "0.01")
    assert (csv.read_csv(tmp_path / "a.csv")["track"].to_numpy() == -1).any()
