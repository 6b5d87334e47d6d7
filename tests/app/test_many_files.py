"""One series in many files: how it is named, in what order its frames come, and what is refused."""

import json

import h5py
import numpy as np
import pytest
from command_line import FLAGS, same

from braggscope.app.sources.many import absolute, join_locations, several
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import open_source

CUTS = ((1, 0, 5), (2, 5, 6), (10, 6, 12))  # number in the name, frames A:B


@pytest.fixture
def parts(series, tmp_path):
    """The small series in three files whose names do not sort like their numbers."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number, start, stop in CUTS:
        with h5py.File(folder / f"run_{number}.h5", "w") as file:
            file["/entry/data/data"] = series.frames[start:stop]
    return folder


@pytest.fixture(params=["files", "glob", "dataset in a glob", "list"])
def words(request, parts):
    """Every way to name them."""
    (parts / "all.txt").write_text("".join(f"run_{number}.h5\n" for number, *_ in CUTS))
    return {
        "files": [str(parts / f"run_{number}.h5") for number in (10, 1, 2)],
        "glob": [str(parts / "run_*.h5")],
        "dataset in a glob": [f"{parts / 'run_*.h5'}::/entry/data/data"],
        "list": [f"@{parts / 'all.txt'}"],
    }[request.param]


def test_the_table_is_that_of_one_file(run, words, parts, table, tmp_path):
    out = tmp_path / "a.h5"
    assert run("peaks", *words, "-o", out, *FLAGS)[0] == 0
    same(out, table)
    with h5py.File(out) as file:
        said = json.loads(file["entry/process/provenance"][()])["files"]
    assert [entry["first_frame"] for entry in said] == [start for _, start, _ in CUTS]
    names = [str(parts / f"run_{number}.h5") for number, *_ in CUTS]
    assert [entry["file"].partition("::")[0] for entry in said] == names
    assert "nothing to do" in run("peaks", *words, "-o", out, *FLAGS, "--resume")[2]


def test_a_series_that_lost_a_file_is_another(run, fails, parts, tmp_path):
    words = ["peaks", parts / "run_*.h5", "-o", tmp_path / "a.csv", *FLAGS]
    assert run(*words)[0] == 0
    (parts / "run_2.h5").unlink()
    assert "another source" in fails(*words, "--resume")


def test_frames_are_read_in_any_order_and_few_files_are_open(tmp_path):
    data = np.random.default_rng(1).integers(0, 99, (20, 6, 7)).astype(np.uint16)
    for k, frame in enumerate(data):
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            file["data"] = frame[None]
    source = open_source(str(tmp_path / "*.h5"))
    for k in np.random.default_rng(2).permutation(20):
        np.testing.assert_array_equal(source.read(int(k)), data[k])
        assert len(source._held) <= 4
    source.close()


def test_masks_are_combined_and_axes_joined(tmp_path):
    for k in range(2):
        mask = np.zeros((4, 5), np.uint32)
        mask[k, 0] = 1
        with h5py.File(tmp_path / f"{k}.h5", "w") as file:
            file.attrs["default"] = "entry"
            entry = file.create_group("entry")
            entry.attrs.update(NX_class="NXentry", default="data")
            group = entry.create_group("data")
            group.attrs.update(NX_class="NXdata", signal="data", axes=["voltage", ".", "."])
            group["data"] = np.ones((3, 4, 5), np.uint16)
            group["voltage"] = [3.0 + k, 3.1 + k, 3.2 + k]
            group["voltage"].attrs["units"] = "V"
            entry["instrument/detector/detectorSpecific/pixel_mask"] = mask
            entry["instrument/detector"].attrs["NX_class"] = "NXdetector"
            entry["instrument"].attrs["NX_class"] = "NXinstrument"
            entry["instrument/detector/pixel_mask"] = mask
    source = open_source(str(tmp_path / "*.h5"))
    np.testing.assert_allclose(source.info.axes["voltage_V"], [3, 3.1, 3.2, 4, 4.1, 4.2])
    assert source.info.masked_pixels == 2
    assert source.mask()[[0, 1], 0].all()
    source.close()


def refused(location):
    with pytest.raises(SourceError) as error:
        open_source(location)
    return str(error.value)


def test_what_is_refused(parts, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"{parts / 'run_1.h5'}\n# remark\n{parts / 'none.h5'}\n")
    assert "Line 3" in refused(f"@{listed}")
    assert "none.h5" in refused(f"@{listed}")
    listed.write_text("# nothing\n")
    assert "names no file" in refused(f"@{listed}")
    assert "cannot be read" in refused(f"@{tmp_path / 'none.txt'}")
    one = str(parts / "run_1.h5")
    assert "named twice" in refused(join_locations([one, str(parts / "run_2.h5"), one]))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones((2, 8, 8), np.uint16)
    said = refused(join_locations([one, str(tmp_path / "other.h5")]))
    assert "other.h5" in said or "run_1.h5" in said
    assert "analyse it by itself" in said


def test_a_missing_file_is_one_sentence_and_writes_nothing(fails, parts, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("gone.h5\n")
    assert "gone.h5" in fails("peaks", f"@{listed}", "-o", tmp_path / "a.csv", *FLAGS)
    assert "none.h5" in fails(
        "peaks", parts / "run_1.h5", tmp_path / "none.h5", "-o", tmp_path / "a.csv", *FLAGS
    )
    assert {p.name for p in tmp_path.iterdir()} == {"parts", "list.txt"}


def test_inputs_are_not_replaced(fails, parts, tmp_path):
    listed = tmp_path / "list.csv"
    listed.write_text(f"{parts / 'run_1.h5'}\n{parts / 'run_2.h5'}\n")
    for out in (listed, parts / "run_2.h5"):
        assert "read here" in fails("peaks", f"@{listed}", "-o", out, *FLAGS)
    assert "read here" in fails("peaks", parts / "run_*.h5", "-o", parts / "run_2.h5", *FLAGS)


def test_a_part_that_changed_is_noticed(parts, series):
    source = open_source(str(parts / "run_*.h5"))
    source.close()
    with h5py.File(parts / "run_2.h5", "w") as file:
        file["/entry/data/data"] = series.frames[7:9]
    with pytest.raises(SourceError, match="changed after it was opened"):
        source.read(5)
    source.close()


def test_a_location_for_another_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "@odd.h5").write_bytes(b"")
    here = str(tmp_path)
    assert absolute("a.h5::/x") == f"{here}/a.h5::/x"
    assert absolute("@l.txt") == f"@{here}/l.txt"
    assert absolute("@odd.h5") == f"{here}/@odd.h5"
    assert absolute("a.h5\nb*.h5") == f"{here}/a.h5\n{here}/b*.h5"
    assert several("@odd.h5") is None
