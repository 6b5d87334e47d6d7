"""The strain command: what it writes, how it goes on, what it refuses; and what the window copies of it."""

import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import h5py
import numpy as np
import psutil
import pytest
from command_line import COMMAND
from scans import RADIUS, SIDE, disk, small_scan

from braggscope.app.api import map_strain, read_strain, write_strain
from braggscope.app.export.snippets_strain import strain_as_command, strain_as_python
from braggscope.models.parameters import Parameters

FLAGS = ["--method", "correlation", "--reference", "0:4,0:2"]
CORRELATION = Parameters().with_strain(method="correlation", reference=(0, 4, 0, 2))


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    return small_scan(tmp_path_factory.mktemp("cli") / "scan.h5")


@pytest.fixture(scope="module")
def maps(scan, tmp_path_factory):
    """The file that the library writes of the same scan."""
    path = tmp_path_factory.mktemp("maps") / "maps.h5"
    write_strain(path, map_strain(str(scan.path), CORRELATION))
    return path


def same(a, b):
    """Equal within what no map shows; in whole test runs files of two processes differed in some bits."""
    first, second = read_strain(a), read_strain(b)
    assert np.array_equal(first.strain.valid, second.strain.valid)
    for name in ("exx", "eyy", "exy", "theta", "exx_err"):
        mine, other = getattr(first.strain, name), getattr(second.strain, name)
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-7, err_msg=name)
    assert np.array_equal(first.disks.pattern, second.disks.pattern)
    for name in ("x", "y", "intensity"):
        mine, other = getattr(first.disks, name), getattr(second.disks, name)
        np.testing.assert_allclose(mine, other, rtol=1e-6, err_msg=name)


def test_the_command_writes_what_the_library_measures(run, scan, maps, tmp_path):
    out = tmp_path / "ä b.h5"
    code, said, err = run("strain", scan.path, "-o", out, *FLAGS, "--workers", "1")
    assert (code, said) == (0, "")
    assert "strain at 24 positions of 24" in err
    same(out, maps)
    assert [p.name for p in (tmp_path / "ä b.h5.journal").iterdir()] == ["manifest.json"]


def test_the_truth_is_in_the_file(scan, maps):
    error = read_strain(maps).strain.exx - scan.exx
    assert np.sqrt(np.mean(error**2)) < 2e-3


@pytest.mark.parametrize(("suffix", "files"), [("csv", ["a.csv", "a.csv.json"]), ("tif", ["a_exx.tif"])])
def test_other_formats(run, scan, tmp_path, suffix, files):
    assert run("strain", scan.path, "-o", tmp_path / f"a.{suffix}", *FLAGS)[0] == 0
    assert all((tmp_path / name).exists() for name in files)
    code, _, err = run("strain", scan.path, "-o", tmp_path / f"a.{suffix}", *FLAGS, "--resume")
    assert (code, "nothing to do" in err) == (0, True)


def test_series_probe_and_raw_files(run, scan, maps, tmp_path):
    np.save(tmp_path / "series.npy", scan.patterns.reshape(24, SIDE, SIDE))
    (tmp_path / "scan.raw").write_bytes(scan.patterns.tobytes())
    np.save(tmp_path / "probe.npy", np.random.default_rng(1).poisson(5000 * disk(30.2, 31.4)))
    words = ["strain", "-o", tmp_path / "a.h5", *FLAGS]
    assert run(*words, tmp_path / "series.npy", "--scan-shape", "4,6")[0] == 0
    same(tmp_path / "a.h5", maps)
    assert run(*words, tmp_path / "scan.raw", "--raw-shape", f"4,6,{SIDE},{SIDE}")[0] == 0
    same(tmp_path / "a.h5", maps)
    assert run(*words, scan.path, "--probe", tmp_path / "probe.npy")[0] == 0
    assert read_strain(tmp_path / "a.h5").probe.radius == pytest.approx(RADIUS, abs=0.1)


def test_flags_override_a_file_of_parameters(run, scan, tmp_path):
    wanted = Parameters().with_strain(method="network", threshold=0.2, frame=0.5)
    (tmp_path / "p.json").write_text(wanted.model_dump_json())
    words = ["strain", scan.path, "-o", tmp_path / "a.h5", "--parameters", tmp_path / "p.json"]
    assert run(*words, "--method", "correlation")[0] == 0
    stored = read_strain(tmp_path / "a.h5")
    settings = stored.provenance["parameters"]["strain"]
    assert (settings["method"], settings["threshold"], settings["frame"]) == ("correlation", 0.2, 0.5)
    assert settings["pixel_inv_angstrom"] == 0.04  # what the source says
    assert stored.strain.frame == 0.5


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scan-shape", "5,5"], "holds 24 patterns, which make no scan of 5 x 5"),
        (["--scan-shape", "4x6"], "--scan-shape 4x6 is no shape"),
        (["--reference", "0:9,0:2"], "beyond the scan of 4 x 6"),
        (["--region", "0:4,0:7"], "beyond the scan of 4 x 6"),
        (["--reference", "3,4"], "--reference 3,4 is no region"),
        (["--probe", "nowhere.h5"], "nowhere.h5"),
        (["--weights", "net=a.safetensors"], "use disks=FILE"),
        (["--raw-shape", "4,6"], "is one image of 4 x 6"),
        (["--method", "fft"], "invalid choice"),
        (["--workers", "0"], "--workers 0"),
        (["--method", "network", "--weights", "disks=nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_options_that_make_no_sense(fails, scan, tmp_path, words, says):
    assert says in fails("strain", scan.path, "-o", tmp_path / "a.h5", "--method", "correlation", *words)
    assert list(tmp_path.iterdir()) == []


def test_sources_that_are_no_scan(fails, scan, tmp_path):
    np.save(tmp_path / "image.npy", scan.patterns[0, 0])
    np.save(tmp_path / "series.npy", scan.patterns.reshape(24, SIDE, SIDE))
    words = ["-o", tmp_path / "a.h5", "--method", "correlation"]
    assert "is one image" in fails("strain", tmp_path / "image.npy", *words)
    assert "--scan-shape R,C" in fails("strain", tmp_path / "series.npy", *words)
    assert "no known suffix" in fails("strain", scan.path, "-o", tmp_path / "a.xlsx")
    assert "read here" in fails("strain", tmp_path / "series.npy", "-o", scan.path, "--probe", scan.path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image.npy", "series.npy"]


def test_no_lattice_leaves_an_old_output_and_the_journal(fails, scan, maps, tmp_path):
    alone = np.random.default_rng(3).poisson(300 * disk(30, 31) + 0.3, (3, 4, SIDE, SIDE)).astype(np.uint16)
    np.save(tmp_path / "one.npy", alone)
    out = tmp_path / "a.h5"
    out.write_bytes(maps.read_bytes())
    assert "lattice" in fails("strain", tmp_path / "one.npy", "-o", out, "--method", "correlation")
    assert out.read_bytes() == maps.read_bytes()
    assert (tmp_path / "a.h5.journal" / "frames.sqlite").exists()


# -- journal --------------------------------------------------------------------------------------------


def test_resume_of_something_else_is_refused(run, fails, scan, tmp_path):
    out = tmp_path / "a.h5"
    words = ["strain", scan.path, "-o", out, *FLAGS]
    assert run(*words)[0] == 0
    written = out.read_bytes()
    assert "nothing to do" in run(*words, "--resume")[2]
    assert "other parameters" in fails("strain", scan.path, "-o", out, "--method", "correlation", "--resume")
    np.save(tmp_path / "other.npy", scan.patterns)
    assert "another source" in fails("strain", tmp_path / "other.npy", "-o", out, *FLAGS, "--resume")
    assert out.read_bytes() == written


@pytest.fixture(scope="module")
def long_scan(tmp_path_factory):
    """Seconds of work, some commits of the journal."""
    path = tmp_path_factory.mktemp("long") / "long.h5"
    patterns = np.tile(small_scan(path).patterns, (12, 5, 1, 1))
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=patterns, chunks=(1, 1, SIDE, SIDE))
    return path


def recorded(folder):
    try:
        with sqlite3.connect(f"file:{folder / 'frames.sqlite'}?mode=ro", uri=True) as database:
            count = database.execute("SELECT COUNT(*) FROM frames").fetchone()[0]
        database.close()
    except sqlite3.Error:
        return 0
    return count


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_goes_on_with_the_same_result(run, long_scan, tmp_path, number):
    out, whole = tmp_path / "a.h5", tmp_path / "b.h5"
    words = ["strain", long_scan, "-o", out, "--method", "correlation", "--workers", "1"]
    folder = out.with_name(out.name + ".journal")
    code, attempts = 0, 0
    while code == 0 and attempts < 4:  # a run may end before the signal reaches it
        out.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        attempts += 1
        process = subprocess.Popen([*COMMAND, *map(str, words)], stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while recorded(folder) < 40 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(number)
        code = process.wait(20)
        process.stderr.close()
    assert code == (-9 if number == signal.SIGKILL else 130)
    assert not out.exists()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    before = recorded(folder)
    assert 0 < before < 1440
    assert run(*words, "--resume")[0] == 0
    words[3] = whole
    assert run(*words)[0] == 0
    same(out, whole)


def test_positions_that_failed_are_said_and_tried_again(run, scan, tmp_path):
    broken, out = tmp_path / "broken.h5", tmp_path / "a.h5"
    with h5py.File(broken, "w") as file:
        data = file.create_dataset("data", data=scan.patterns, chunks=(1, 1, SIDE, SIDE), compression="gzip")
        data.id.write_direct_chunk((1, 1, 0, 0), b"\x07" * 40)
    code, _, err = run("strain", broken, "-o", out, *FLAGS)
    assert code == 0
    assert "position 7 failed" in err
    assert "strain at 23 positions of 24" in err
    assert "1 pattern failed; --resume tries them again." in err
    assert np.isnan(read_strain(out).strain.exx[1, 1])
    code, _, err = run("strain", broken, "-o", out, *FLAGS, "--resume")
    assert (code, "position 7 failed" in err) == (0, True)


# -- what the window copies -----------------------------------------------------------------------------


def test_copied_command_and_script_give_the_maps(run, scan, maps, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = tmp_path / "a 'b' $c.h5"
    odd.symlink_to(scan.path)
    documents, _, words = strain_as_command(str(odd), CORRELATION).rpartition("\n")
    assert documents == ""
    assert run(*shlex.split(words)[1:])[0] == 0
    same(tmp_path / "strain.h5", maps)
    (tmp_path / "strain.h5").unlink()
    (tmp_path / "s.py").write_text(strain_as_python(str(scan.path), CORRELATION))
    environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}
    done = subprocess.run([sys.executable, "s.py"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("exx ")
    same(tmp_path / "strain.h5", maps)


def test_what_flags_cannot_say_travels_in_a_document(run, scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parameters = CORRELATION.with_strain(threshold=0.1, frame=0.3, probe_region=(0, 2, 0, 2))
    command = strain_as_command(str(scan.path), parameters, 0, (0, 3, 0, 6))
    documents, _, words = command.rpartition("\n")
    subprocess.run(documents, shell=True, check=True)
    assert run(*shlex.split(words)[1:])[0] == 0
    stored = read_strain(tmp_path / "strain.h5")
    assert stored.strain.frame == 0.3
    assert stored.strain.valid.sum() == 18
    assert stored.provenance["parameters"]["strain"]["threshold"] == 0.1


def test_a_reference_outside_the_region_is_refused_before_anything_is_read(run, scan, tmp_path):
    out = tmp_path / "a.h5"
    code, _, err = run("strain", scan.path, "-o", out, *FLAGS, "--region", "0:4,2:6")
    assert code == 2
    assert "--reference 0:4,0:2 lies outside --region 0:4,2:6" in err
    assert not list(tmp_path.iterdir())


def test_a_typed_probe_radius_is_used_and_doubted(run, scan, tmp_path):
    out = tmp_path / "a.h5"
    code, _, err = run("strain", scan.path, "-o", out, *FLAGS, "--probe-radius", "6.8", "--workers", "1")
    assert "probe's radius of 6.8 px does not fit" in err
    assert code == 0
    with h5py.File(out) as file:
        assert file["entry/probe/image"].attrs["radius_px"] == pytest.approx(6.8)
    code, _, err = run("strain", scan.path, "-o", tmp_path / "b.h5", "--probe-radius", "-1")
    assert code == 2
    assert "probe_radius" in err
