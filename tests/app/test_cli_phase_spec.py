"""The command that phases takes the geometry of a rocking curve from a file of SPEC."""

import json

import h5py
import numpy as np
import pytest

SPEC = """#F sample
#O0 th  Delta  Nu  mono
#P0 1 2 3 4

#S 4 ascan th 1 1.31 31 1
#P0 1 30 10 8.5
#L th  Counts
{rows}
"""
QUICK = ["--iterations", "10*RAAR+5*ER", "--starts", "1"]
REST = ["--distance", "0.8", "--pixel", "55,50"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    z, y, x = np.indices((32, 32, 32)) - 16
    path = tmp_path_factory.mktemp("stack") / "scan.npy"
    np.save(path, np.round(1e5 * np.sinc(z / 4) ** 2 * np.sinc(y / 4) ** 2 * np.sinc(x / 4) ** 2))
    return path


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "sample.spec"
    path.write_text(SPEC.format(rows="\n".join(f"{1 + 0.01 * k:.4f} {k}" for k in range(32))))
    return path


def test_the_scan_gives_the_geometry(run, stack, spec, tmp_path):
    names = ["--spec-names", "energy=mono,gamma=-Nu,axis=x"]
    out = tmp_path / "out.h5"
    code, _, err = run("phase", stack, "-o", out, *QUICK, "--spec", spec, "--scan", "4", *names, *REST)
    assert code == 0, err
    assert "From 32 points of the scan: energy = mono, delta = Delta, gamma = -Nu, step = th about x." in err
    with h5py.File(out) as file:
        geometry = json.loads(file["entry/process/parameters"].asstr()[()])["geometry"]
    assert geometry.pop("pixel_um") == [55, 50]
    assert geometry == pytest.approx(
        {
            "energy_keV": 8.5, "distance_m": 0.8, "delta_deg": 30, "gamma_deg": -10,
            "step_deg": 0.01, "axis": "x",
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--scan", "4"], "--scan belongs to --spec"),
        (["--distance", "1"], "--distance belongs to --spec"),
        (["--spec", "SPEC"], "needs the number of the scan"),
        (["--spec", "SPEC", "--scan", "4"], "still needs the energy"),
        (["--spec", "SPEC", "--scan", "4", "--spec-names", "energy=mono"], "still needs the distance"),
        (["--spec", "SPEC", "--scan", "4", "--pixel", "wide"], "--pixel wide is no size"),
        (["--spec", "SPEC", "--scan", "5"], "has no scan 5"),
        (["--spec", "SPEC", "--scan", "4", "--spec-names", "energy=mono,axis=x", *REST, "--pixel", "-1"],
         "pixel size must be above 0"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(run, stack, spec, tmp_path, flags, said):
    given = [str(spec) if flag == "SPEC" else flag for flag in flags]
    code, _, err = run("phase", stack, "-o", tmp_path / "out.h5", *QUICK, *given)
    assert code == 2
    assert said in err
    assert not (tmp_path / "out.h5").exists()


def test_another_count_of_points_and_an_unclear_axis_are_said(run, stack, spec, tmp_path):
    flags = ["--spec", spec, "--scan", "4", "--spec-names", "energy=mono", *REST]
    short = tmp_path / "short.npy"
    np.save(short, np.load(stack)[:30])
    code, _, err = run("phase", short, "-o", tmp_path / "out.h5", *QUICK, *flags)
    assert code == 0, err
    assert "The scan has 32 points and the stack 30 frames" in err
    assert "not known about which axis th turns" in err
