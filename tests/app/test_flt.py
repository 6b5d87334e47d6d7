"""Peak lists for ImageD11, read back the way that program reads them."""

import json

import h5py
import numpy as np
import pytest
from command_line import FLAGS

from braggscope.app.export.flt import TITLES, write_flt
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable, Status

PROVENANCE = Provenance("/data/a b.h5", "id", Parameters())


def columns(path):
    """``# name = value`` lines, one line of titles, numbers: (values by name, columns by title)."""
    heads = [line[1:].strip() for line in path.read_text("utf-8").splitlines() if line.startswith("#")]
    values = dict(line.split(" = ", 1) for line in heads if "=" in line)
    (titles,) = [line.split() for line in heads if "=" not in line]
    numbers = np.loadtxt(path, ndmin=2).reshape(-1, len(titles))
    return values, dict(zip(titles, numbers.T, strict=True))


def one(**given):
    numbers = {"x": 10.25, "y": 20.5, "row": 20, "col": 10, "birth": 900, "score": 880, "status": Status.OK}
    return PeakTable.blank(1, **(numbers | given))


def test_slow_is_the_row_and_fast_the_column(tmp_path):
    write_flt(tmp_path / "a.flt", [one()], PROVENANCE)
    values, found = columns(tmp_path / "a.flt")
    assert tuple(found) == TITLES
    assert (found["sc"][0], found["fc"][0]) == (20.5, 10.25)
    assert (found["s_raw"][0], found["f_raw"][0], found["IMax_s"][0], found["IMax_f"][0]) == (
        20.5,
        10.25,
        20,
        10,
    )
    assert "pixel centres are integers" in values["convention"]
    assert values["source"] == "/data/a b.h5"


def test_widths_follow_the_angle(tmp_path):
    wide = {"fwhm_major": 2.3548200450309493 * 3, "fwhm_minor": 2.3548200450309493, "amplitude": 100.0}
    tables = [one(angle=0.0, **wide), one(angle=np.pi / 2, **wide), one()]
    write_flt(tmp_path / "a.flt", tables, PROVENANCE)
    found = columns(tmp_path / "a.flt")[1]
    assert found["sigf"] == pytest.approx([3, 1, 1], abs=1e-6)
    assert found["sigs"] == pytest.approx([1, 3, 1], abs=1e-6)
    assert found["sum_intensity"] == pytest.approx([2 * np.pi * 100 * 3] * 2 + [880], rel=1e-6)
    assert found["spot3d_id"].tolist() == [0, 1, 2]


def test_what_has_no_position_is_left_out_and_omega_is_the_frames(tmp_path):
    table = PeakTable.concatenate(
        [one(frame=2), one(frame=3, status=Status.REJECTED), one(frame=3, x=np.nan), one(frame=4)]
    )
    omega = np.arange(6) * 0.25
    assert write_peaks(tmp_path / "a.flt", [table], PROVENANCE, axes={"omega_deg": omega}) == 2
    found = columns(tmp_path / "a.flt")[1]
    assert found["omega"].tolist() == [0.5, 1.0]
    assert found["frame"].tolist() == [2, 4]
    assert json.loads((tmp_path / "a.flt.json").read_text())["source"] == "/data/a b.h5"
    assert write_flt(tmp_path / "b.flt", [PeakTable.blank(0)], PROVENANCE) == 0


def test_the_command_line_writes_it(run, series, table, tmp_path):
    assert run("peaks", series.path, "-o", tmp_path / "a.flt", *FLAGS)[0] == 0
    found, whole = columns(tmp_path / "a.flt")[1], read_peaks(table)
    assert found["fc"] == pytest.approx(whole["x"], abs=1e-6)
    assert found["sc"] == pytest.approx(whole["y"], abs=1e-6)
    assert found["frame"].tolist() == whole["frame"].tolist()


def test_positions_of_cxi_are_half_a_pixel_from_corner_conventions(run, series, table, tmp_path):
    """CrystFEL counts from the corner of the first pixel: it adds 0.5 to what it reads."""
    assert run("peaks", series.path, "-o", tmp_path / "a.cxi", *FLAGS)[0] == 0
    whole = read_peaks(table)
    with h5py.File(tmp_path / "a.cxi") as file:
        lists = file["entry_1/result_1"]
        fs, ss = (lists[name][()] + 0.5 for name in ("peakXPosRaw", "peakYPosRaw"))
        counts = lists["nPeaks"][()]
        assert "add 0.5" in lists.attrs["convention"]
    for k, count in enumerate(counts):
        mine = whole.take(whole["frame"] == k)
        np.testing.assert_allclose(fs[k, :count] - 0.5, mine["x"], rtol=0, atol=1e-12)
        # the pixel that holds the point, when pixel n reaches from n to n + 1, is the pixel of the peak
        assert np.all(np.abs(np.floor(fs[k, :count]) - mine["col"]) <= 1)
        assert np.array_equal(np.floor(fs[k, :count]), np.round(mine["x"]))
        assert np.array_equal(np.floor(ss[k, :count]), np.round(mine["y"]))
