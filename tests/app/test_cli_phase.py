"""The command that phases: what it writes, what it says, and how it ends."""

import contextlib
import json
import os
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest
import tifffile
from command_line import COMMAND

from braggscope.app.engine.cdi import Stack, check_memory, phase_stack
from braggscope.app.engine.jobs import Cancelled, Context, Ticket
from braggscope.app.sources.protocol import SourceError
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.parameters import Parameters

SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), oversampling=(2.5, 2.5, 2.5), peak_counts=1e5)
QUICK = ["--iterations", "30*RAAR+10*ER", "--starts", "1"]


@pytest.fixture(scope="module")
def counts():
    return measure(grow(SPEC), SPEC).counts


@pytest.fixture(scope="module")
def stack(counts, tmp_path_factory):
    path = tmp_path_factory.mktemp("stack") / "scan.npy"
    np.save(path, counts)
    return path


def transform(obj):
    return np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(obj), norm="ortho"))


def test_the_file_is_what_it_promises(run, stack, counts, tmp_path):
    out = tmp_path / "out.h5"
    flags = ["--voxel-size", "6,7,8", "--q", "0,2.6,0.5", "--runs", "2"]
    code, said, err = run("phase", stack, "-o", out, *QUICK, *flags)
    assert (code, said) == (0, "")
    assert "chi_model" in err
    with h5py.File(out) as file:
        entry = file[file.attrs["default"]]
        obj, intensity = entry["object"][()], entry["data/data"][()]
        assert obj.dtype == np.complex64
        assert obj.shape == (32, 32, 32)
        np.testing.assert_allclose(intensity, counts, rtol=1e-5)
        modulus, amplitude = np.abs(transform(obj)), np.sqrt(intensity)
        scale = (modulus * amplitude).sum() / (modulus**2).sum()
        rest = amplitude - scale * modulus
        attributes = entry["object"].attrs
        assert attributes["chi"] == pytest.approx(np.linalg.norm(rest) / np.linalg.norm(amplitude), rel=1e-4)
        assert attributes["R"] == pytest.approx(np.abs(rest).sum() / amplitude.sum(), rel=1e-4)
        assert attributes["chi"] < 0.3
        assert 0 < attributes["chi_model"] < 0.3
        assert 0 < attributes["R_model"] < 1
        np.testing.assert_array_equal(attributes["voxel_size"], (6, 7, 8))
        support = entry["support"][()].astype(bool)
        assert (obj[~support] == 0).all()
        for name in ("displacement", "strain"):
            assert np.isnan(entry[name][()][~entry["image/inside"][()].astype(bool)]).all()
        assert entry["displacement"].attrs["units"] == "angstrom"
        image = entry[entry.attrs["default"]]
        assert image[image.attrs["signal"]].shape == (32, 32, 32)
        assert list(image.attrs["axes"]) == ["z", "y", "x"]
        assert image["z"].attrs["units"] == "nm"
        assert len(entry["runs/free_log_likelihood"]) == 2
        assert entry["prtf/prtf"].shape == entry["prtf/frequency"].shape
        assert 2 <= entry["runs/mode"].attrs["runs"] <= len(entry["runs/start"])
        process = entry["process"]
        assert json.loads(process["parameters"].asstr()[()])["iterations"] == QUICK[1]
        assert process["program"].asstr()[()] == "Braggscope"
        assert process["source"].asstr()[()] == str(stack)
        classes = {name: item.attrs.get("NX_class") for name, item in entry.items() if hasattr(item, "keys")}
        assert classes["process"] == "NXprocess"
        assert classes["data"] == classes["image"] == "NXdata"


def test_without_geometry_there_are_voxels_and_no_strain(run, stack, tmp_path):
    assert run("phase", stack, "-o", tmp_path / "a.cxi", *QUICK)[0] == 0
    with h5py.File(tmp_path / "a.cxi") as file:
        assert "strain" not in file["entry"]
        assert file["entry/image/z"].attrs["units"] == "voxel"
        assert file["cxi_version"][()] == 160
        np.testing.assert_array_equal(file["entry_1/image_1/data"], file["entry/object"])


def test_every_kind_of_stack_gives_the_same(run, stack, counts, tmp_path):
    (tmp_path / "frames").mkdir()
    for i, frame in enumerate(counts):
        tifffile.imwrite(tmp_path / "frames" / f"scan_{i + 1}.tif", frame)
    tifffile.imwrite(tmp_path / "stack.tif", counts, photometric="minisblack")
    np.savez(tmp_path / "a.npz", amplitude=np.sqrt(counts))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan/data"] = counts
    places = [tmp_path / "frames", tmp_path / "stack.tif", f"{tmp_path / 'a.h5'}::/scan/data"]
    found = []
    for number, place in enumerate([stack, *places, tmp_path / "a.npz"]):
        extra = ["--input", "amplitude"] if number == 4 else []
        out = tmp_path / f"out{number}.h5"
        assert run("phase", place, "-o", out, "--iterations", "3*ER", "--starts", "1", *extra)[0] == 0
        with h5py.File(out) as file:
            found.append(file["entry/object"][()])
    for other in found[1:4]:
        np.testing.assert_array_equal(found[0], other)
    np.testing.assert_allclose(found[4], found[0], atol=1e-3 * np.abs(found[0]).max())


def test_the_same_seed_gives_the_same_object_and_parameters_files_count(run, stack, tmp_path):
    settings = Parameters().with_phasing(iterations="4*RAAR", refinement=0, starts=1, seed=3)
    file = tmp_path / "settings.json"
    file.write_text(settings.model_dump_json())
    run("phase", stack, "-o", tmp_path / "a.h5", "--parameters", file)
    run("phase", stack, "-o", tmp_path / "b.h5", "--parameters", file)
    run("phase", stack, "-o", tmp_path / "c.h5", "--parameters", file, "--seed", "4")
    objects = []
    for name in "abc":
        with h5py.File(tmp_path / f"{name}.h5") as done:
            assert "refined" not in done["entry"]
            assert "chi_model" not in done["entry/object"].attrs
            objects.append(done["entry/object"][()])
    np.testing.assert_array_equal(objects[0], objects[1])
    assert (objects[0] != objects[2]).any()


def test_demo_coherent_has_its_truth(run, tmp_path):
    out = tmp_path / "demo.h5"
    code, said, _ = run("demo", "coherent", "-o", out, "--seed", "3")
    assert (code, said.strip()) == (0, str(out))
    with h5py.File(out) as file:
        counts, obj = file["entry/data/data"][()], file["truth/object"][()]
        assert counts.shape == (64, 64, 64)
        assert counts.max() == pytest.approx(1e6, rel=0.01)
        expected = np.abs(transform(obj)) ** 2
        expected *= file["truth/expected"][()].max() / expected.max()
        np.testing.assert_allclose(expected, file["truth/expected"], rtol=1e-3, atol=1e-2)
        assert file["truth/strain"].shape == file["truth/displacement"].shape == (64, 64, 64)
        assert json.loads(file["entry/process/parameters"].asstr()[()])["seed"] == 3
    other = tmp_path / "again.h5"
    run("demo", "coherent", "-o", other, "--seed", "3")
    assert other.read_bytes() == out.read_bytes()


def test_bad_input_is_one_sentence_and_writes_nothing(fails, stack, counts, tmp_path):
    out = tmp_path / "out.h5"
    rng = np.random.default_rng(0)
    thin = CoherentSpec(seed=0, shape=(32, 32, 32), oversampling=(2.5, 2.5, 1.3))
    cases = {
        "image": (counts[16], "3-D stack"),
        "noise": (rng.poisson(100.0, (32, 32, 32)).astype(np.uint16), "no Bragg peak"),
        "flat": (np.minimum(counts, 0.5 * counts.max()), "saturated"),
        "thin": (measure(grow(thin), thin).counts, "oversampled only"),
        "empty": (np.zeros((32, 32, 32), np.uint16), "no counts"),
    }
    for name, (values, what) in cases.items():
        np.save(tmp_path / f"{name}.npy", values)
        assert what in fails("phase", tmp_path / f"{name}.npy", "-o", out, *QUICK), name
    assert "at position 4" in fails("phase", stack, "-o", out, "--iterations", "20*XY")
    assert "three numbers" in fails("phase", stack, "-o", out, "--q", "1,2")
    assert "use one of" in fails("phase", stack, "-o", tmp_path / "out.csv")
    own = tmp_path / "own.h5"
    own.write_bytes(stack.read_bytes())
    assert "read here" in fails("phase", own, "-o", own)
    own.unlink()
    assert "invalid choice" in fails("phase", stack, "-o", out, "--method", "guess")
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(cases)


def test_what_is_given_in_vain_is_said_and_runs_are_ranked(run, stack, tmp_path):
    flags = ["--q", "0,2.6,0.5", "--crop", "500", "--runs", "2"]
    code, _, err = run("phase", stack, "-o", tmp_path / "out.h5", *QUICK, *flags)
    assert code == 0
    assert "give --voxel-size beside --q" in err
    assert "Nothing was cut to 500: the stack has 32 x 32 x 32 voxels." in err
    lines = err.splitlines()
    head = next(k for k, line in enumerate(lines) if line.split()[:3] == ["rank", "method", "start"])
    rows = [line.split() for line in lines[head + 1 : head + 3]]
    assert [row[:2] for row in rows] == [["1", "iterative"], ["2", "iterative"]]
    assert sorted(row[2] for row in rows) == ["1", "2"]
    free = [float(row[3]) for row in rows]
    assert free == sorted(free, reverse=True)
    with h5py.File(tmp_path / "out.h5") as file:
        np.testing.assert_allclose(file["entry/runs/free_log_likelihood"], free, atol=6e-4)


def test_too_little_memory_is_said_before_the_start():
    check_memory((128, 128, 128), available=8 << 30)
    with pytest.raises(SourceError, match="GiB of memory"):
        check_memory((1024, 1024, 1024), available=8 << 30)


def test_cancelling_stops_within_an_iteration(counts):
    ticket = Ticket(0)
    seen = []

    def report(progress):
        seen.append(progress)
        if progress.done == 7:
            ticket.cancel()

    stack = Stack(counts, np.zeros(counts.shape, np.bool_), "here", "")
    with pytest.raises(Cancelled):
        phase_stack(stack, Phasing(starts=1), Context(ticket, report))
    assert [progress.done for progress in seen] == list(range(1, 8))
    assert seen[-1].payload.obj.shape == (32, 32, 32)
    assert "chi" in seen[-1].note


def test_interrupting_leaves_nothing(stack, tmp_path):
    out = tmp_path / "out.h5"
    words = ["phase", str(stack), "-o", str(out), "--iterations", "100000*RAAR"]
    process = subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(6)
    for _ in range(5):  # one that meets an import may get lost; a user presses again
        os.kill(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            break
    _, err = process.communicate(timeout=5)
    assert process.returncode == 130, err
    assert list(tmp_path.iterdir()) == []


def test_a_scan_is_no_rocking_curve(run, tmp_path):
    np.save(tmp_path / "scan.npy", np.ones((4, 6, 32, 32), np.uint16))
    code, _, err = run("phase", tmp_path / "scan.npy", "-o", tmp_path / "out.h5")
    assert code == 2
    assert "is a scan of 4 x 6 patterns" in err


def test_voxels_have_a_size(run, stack, tmp_path):
    code, _, err = run("phase", stack, "-o", tmp_path / "out.h5", "--voxel-size=5,5,-5")
    assert (code, err.strip()) == (
        2, "braggscope: voxel_nm (5.0, 5.0, -5.0) is no size; give three numbers above 0.",
    )  # fmt: skip
