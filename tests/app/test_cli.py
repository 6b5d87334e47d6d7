"""The command line, word by word: what it writes, what it says, and how it ends."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import h5py
import numpy as np
import psutil
import pytest

from braggscope.app.cli import main
from braggscope.app.engine.journal import read_manifest
from braggscope.app.export.tables import read_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.results import COLUMNS

COMMAND = [sys.executable, "-m", "braggscope.app"]
FLAGS = ["--minval", "60", "--minscore", "150", "--localize", "fit", "--device", "cpu"]


def no_window(_):
    raise AssertionError("a window was asked for")


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def call(*words, open_window=no_window):
        code = main([str(word) for word in words], open_window)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fails(run):
    """Run a command that must end with exit code 2 and one sentence, which is returned."""

    def call(*words):
        code, out, err = run(*words)
        sentence = err.splitlines()[-1]
        assert code == 2
        assert out == ""
        assert "Traceback" not in err
        assert sentence.startswith("braggscope: ")
        assert sentence.endswith(".")
        return sentence

    return call


def same(a, b):
    a, b = (read_peaks(p) for p in (a, b))
    for c in COLUMNS:
        assert np.array_equal(a[c.name], b[c.name], equal_nan=c.dtype == "float64"), c.name


# -- window and words -----------------------------------------------------------------------------------


def test_without_a_command_the_window_opens(run):
    opened = []
    assert run("a.h5", "b.h5::/x", open_window=lambda files: opened.append(files) or 7)[0] == 7
    assert run(open_window=lambda files: opened.append(files) or 0)[0] == 0
    assert opened == [["a.h5", "b.h5::/x"], []]


@pytest.mark.parametrize("words", [["--help"], ["peaks", "--help"], ["--version"]])
def test_help_and_version(capsys, words):
    with pytest.raises(SystemExit) as ended:
        main(words, no_window)
    assert ended.value.code == 0
    assert "raggscope" in capsys.readouterr().out


def test_bad_words(fails, series):
    assert "required: -o" in fails("peaks", series.path)
    assert "nrecognized" in fails("--nonsense")
    assert "invalid choice" in fails("demo", "nothing")
    assert "invalid float" in fails("peaks", series.path, "-o", "a.csv", "--minval", "x")


def test_debug_shows_the_traceback(series):
    from braggscope.app.sources.protocol import SourceError

    for words in (["--debug", "info", "/none.h5"], ["info", "/none.h5", "--debug"]):
        with pytest.raises(SourceError):
            main(words, no_window)


def test_demo_writes_and_opens(run, tmp_path, monkeypatch):
    import braggscope.app.demo as demo

    written = []
    monkeypatch.setattr(demo, "write_demo_series", lambda path, seed, context: written.append((path, seed)))
    opened = []
    out = tmp_path / "d.h5"
    code, said, _ = run(
        "demo", "series", "-o", out, "--seed", "4", "--open", open_window=lambda f: opened.append(f) or 0
    )
    assert (code, said.strip(), written, opened) == (0, str(out), [(out, 4)], [[str(out)]])
    assert run("demo", "series", "-o", out)[0] == 0


def test_an_input_is_never_replaced(fails, series, tmp_path):
    own = tmp_path / "own.h5"
    own.write_bytes(series.path.read_bytes())
    settings = tmp_path / "out.csv.json"
    settings.write_text(Parameters().model_dump_json())
    out = tmp_path / "weights.safetensors"
    out.write_bytes(b"mine")
    for words in (
        ["peaks", own, "-o", own, *FLAGS],
        ["peaks", f"{own}::/entry/data/data", "-o", tmp_path / ".." / tmp_path.name / "own.h5", *FLAGS],
        ["peaks", series.path, "-o", own, "--mask", own, *FLAGS],
        ["peaks", series.path, "-o", tmp_path / "out.csv", "--parameters", settings],
        ["train", "braggnn", "-o", out, "--base", out],
    ):
        assert "read here; choose another name" in fails(*words)
    assert own.read_bytes() == series.path.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"own.h5", "out.csv.json", "weights.safetensors"}


def test_weights_have_a_suffix(fails, tmp_path):
    assert "use .safetensors" in fails("train", "braggnn", "-o", tmp_path / "w.txt", "--minutes", "1")


def test_without_a_network_auto_does_not_load_torch(series, tmp_path):
    words = ["peaks", str(series.path), "-o", str(tmp_path / "a.csv"), *FLAGS[:-2], "--frames", "0:1"]
    code = "import sys; from braggscope.app.cli import main; print(main(sys.argv[1:], None))"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "False"], done.stderr


# -- info -----------------------------------------------------------------------------------------------


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


# -- peaks ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(series, tmp_path_factory):
    """The table of the small series, by the command line."""
    path = tmp_path_factory.mktemp("peaks") / "whole.h5"
    assert main(["peaks", str(series.path), "-o", str(path), *FLAGS], no_window) == 0
    return path


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
        (["--localize", ","], "use fit, braggnn"),
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


# -- resume ---------------------------------------------------------------------------------------------


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


def test_resume_keeps_suggested_thresholds(run, series, tmp_path):
    words = ["peaks", series.path, "-o", tmp_path / "a.h5", "--localize", "fit", "--device", "cpu"]
    assert "Thresholds" in run(*words)[2]
    code, _, err = run(*words, "--resume")
    assert code == 0
    assert "nothing to do" in err


@pytest.fixture(scope="module")
def long_series(tmp_path_factory):
    """Noise with hundreds of maxima in every frame: seconds of work."""
    path = tmp_path_factory.mktemp("long") / "long.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.random.default_rng(3).poisson(20, (300, 48, 48)).astype(np.uint16)
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
    assert 3 <= done < 300
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
    assert 3 <= recorded(tmp_path / "interrupted.h5.journal") < 300
    assert run("peaks", long_series, "-o", interrupted, *LONG, "--resume")[0] == 0
    same(interrupted, whole)


# -- movie and snippets ---------------------------------------------------------------------------------


def test_movie(run, series, tmp_path):
    code, out, err = run("movie", series.path, "-o", tmp_path / "m", "--frames", "3:7", *FLAGS)
    assert (code, out) == (0, "")
    assert "4 frames" in err
    assert len(list((tmp_path / "m").iterdir())) == 4
    assert run("movie", series.path, "-o", tmp_path / "m.mp4", *FLAGS)[0] == 0
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"m", "m.json", "m.mp4", "m.mp4.json"}


def test_copied_command_and_script_give_the_table(run, series, table, fit_only, tmp_path, monkeypatch):
    from braggscope.app.export.snippets import as_command, as_python

    whole = read_peaks(table)
    environment = os.environ | {"PYTHONWARNINGS": "error::DeprecationWarning:__main__"}
    script = tmp_path / "s.py"
    script.write_text(as_python(str(series.path), fit_only, 7) + "    print(repr(table['x'].tolist()))\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == whole["x"][whole["frame"] == 7].tolist()

    odd = tmp_path / "a 'b' $c.h5"
    odd.symlink_to(series.path)
    shell = tmp_path / "braggscope"
    shell.write_text(f'#!/bin/sh\nexec {sys.executable} -m braggscope.app "$@" --device cpu\n')
    shell.chmod(0o755)
    command = as_command(str(odd), fit_only)
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    same(tmp_path / "peaks.h5", table)


def test_plain_parameters_need_no_file():
    import shlex

    from braggscope.app.cli import command_parser
    from braggscope.app.export.snippets import as_command
    from braggscope.app.options import read_parameters

    parameters = Parameters().with_detect(minval=0.1 + 0.2, minscore=1e-9, detector="findpeaks")
    command = as_command("x.h5::/a b", parameters, 2)
    assert "\n" not in command
    options = command_parser().parse_args(shlex.split(command)[1:])
    assert read_parameters(options) == parameters
    assert (options.file, options.frame_axis) == ("x.h5::/a b", 2)
