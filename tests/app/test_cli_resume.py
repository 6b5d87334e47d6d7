"""Runs that were finished, killed or interrupted, and how they go on."""

import os
import signal
import sqlite3
import subprocess
import time

import h5py
import numpy as np
import psutil
import pytest
from command_line import COMMAND, FLAGS, same

from braggscope.app.engine.journal import read_manifest
from braggscope.app.export.poni import write_poni
from braggscope.app.export.tables import read_peaks
from braggscope.models.geometry import Beam, Instrument


def test_a_finished_table_is_left_alone(run, series, tmp_path):
    out = tmp_path / "a.h5"
    words = ["peaks", series.path, "-o", out, *FLAGS]
    assert run(*words, "--resume")[0] == 0  # without a journal: fresh
    written = out.stat().st_mtime_ns
    code, _, err = run(*words, "--resume")
    assert (code, "nothing to do" in err) == (0, True)
    assert out.stat().st_mtime_ns == written
    assert [p.name for p in (tmp_path / "a.h5.journal").iterdir()] == ["manifest.json"]
    assert run(*words)[0] == 0  # without --resume it is made again
    assert out.stat().st_mtime_ns != written


def test_resume_of_something_else_is_refused(run, fails, series, table, tmp_path):
    out = tmp_path / "a.h5"
    assert run("peaks", series.path, "-o", out, *FLAGS)[0] == 0
    before = out.read_bytes()
    base = ["peaks", series.path, "-o", out, "--resume", *FLAGS]
    assert "other parameters" in fails(*base, "--minval", "61")
    assert "other parameters" in fails(*base, "--frames", "0:6")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["data"] = series.frames
    assert "another source" in fails("peaks", other, "-o", out, "--resume", *FLAGS)
    mask = tmp_path / "m.npy"
    np.save(mask, np.zeros((64, 80), np.uint8))
    assert run("peaks", series.path, "-o", tmp_path / "b.h5", "--mask", mask, *FLAGS)[0] == 0
    np.save(mask, np.ones((64, 80), np.uint16))
    words = ["peaks", series.path, "-o", tmp_path / "b.h5", "--mask", mask, "--resume", *FLAGS]
    assert "other parameters" in fails(*words)
    assert out.read_bytes() == before


def test_a_finished_table_of_another_instrument_is_refused(run, fails, series, tmp_path):
    out = tmp_path / "ä b.h5"
    for name, distance in (("near", 0.1), ("far", 0.2)):
        instrument = Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((-30.0, 30.0), distance))
        write_poni(tmp_path / f"{name}.poni", instrument, (64, 80))
    words = ["peaks", series.path, "-o", out, *FLAGS]
    assert run(*words, "--poni", tmp_path / "near.poni")[0] == 0
    before = out.read_bytes()
    assert "nothing to do" in run(*words, "--resume", "--poni", tmp_path / "near.poni")[2]
    assert "another instrument" in fails(*words, "--resume", "--poni", tmp_path / "far.poni")
    assert "another instrument" in fails(*words, "--resume")
    assert out.read_bytes() == before


def test_an_unfinished_run_goes_on_with_another_instrument(run, broken_series, tmp_path):
    out = tmp_path / "a.h5"
    instrument = Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((-30.0, 30.0), 0.1))
    write_poni(tmp_path / "near.poni", instrument, (64, 80))
    words = ["peaks", broken_series, "-o", out, *FLAGS]
    assert "--resume tries them again" in run(*words)[2]
    assert np.isnan(read_peaks(out)["d"]).all()
    assert run(*words, "--resume", "--poni", tmp_path / "near.poni")[0] == 0
    peaks = read_peaks(out)
    np.testing.assert_allclose(peaks["d"], instrument.d_angstrom(peaks["x"], peaks["y"]), rtol=1e-12)


def test_resume_keeps_suggested_thresholds(run, series, tmp_path):
    words = ["peaks", series.path, "-o", tmp_path / "a.h5", "--localize", "fit", "--device", "cpu"]
    assert "Thresholds" in run(*words)[2]
    code, _, err = run(*words, "--resume")
    assert code == 0
    assert "nothing to do" in err


LENGTH = 70  # frames


@pytest.fixture(scope="module")
def long_series(tmp_path_factory):
    """Noise with hundreds of maxima in every frame: seconds of work, some commits of the journal."""
    path = tmp_path_factory.mktemp("long") / "long.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.random.default_rng(3).poisson(20, (LENGTH, 48, 48)).astype(np.uint16)
    return path


LONG = ["--minval", "20", "--minscore", "12", "--localize", "fit", "--device", "cpu"]


def recorded(folder):
    try:
        with sqlite3.connect(f"file:{folder / 'frames.sqlite'}?mode=ro", uri=True) as database:
            count = database.execute("SELECT COUNT(*) FROM frames").fetchone()[0]
        database.close()
    except sqlite3.Error:
        return 0
    return count


def stopped(series, out, number):
    """Start a run, send a signal once some frames are recorded; the process and its children."""
    process = subprocess.Popen(
        [*COMMAND, "peaks", str(series), "-o", str(out), *LONG, "--workers", "1"], stderr=subprocess.PIPE
    )
    folder = out.with_name(out.name + ".journal")
    end = time.monotonic() + 60
    while recorded(folder) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.01)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    return process.returncode, said.decode(), children


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_a_killed_and_an_interrupted_run_resume_to_the_same_table(run, long_series, tmp_path):
    whole = tmp_path / "whole.h5"
    assert run("peaks", long_series, "-o", whole, *LONG)[0] == 0

    killed = tmp_path / "killed.h5"
    code, _, children = stopped(long_series, killed, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not killed.exists()
    done = recorded(tmp_path / "killed.h5.journal")
    assert 3 <= done < LENGTH
    assert psutil.wait_procs(children, timeout=3)[1] == []
    code, _, err = run("peaks", long_series, "-o", killed, *LONG, "--resume")
    assert code == 0
    assert read_manifest(tmp_path / "killed.h5.journal")["finished"] == "killed.h5"
    same(killed, whole)

    interrupted = tmp_path / "interrupted.h5"
    interrupted.write_text("old")
    start = time.monotonic()
    code, err, children = stopped(long_series, interrupted, signal.SIGINT)
    assert time.monotonic() - start < 60
    assert code == 130
    assert "Traceback" not in err
    assert err.strip().endswith("Interrupted; --resume goes on from here.")
    assert interrupted.read_text() == "old"
    assert psutil.wait_procs(children, timeout=3)[1] == []
    names = {"killed.h5", "whole.h5", "interrupted.h5"}
    assert {p.name for p in tmp_path.iterdir()} == names | {f"{n}.journal" for n in names}
    assert 3 <= recorded(tmp_path / "interrupted.h5.journal") < LENGTH
    assert run("peaks", long_series, "-o", interrupted, *LONG, "--resume")[0] == 0
    same(interrupted, whole)
