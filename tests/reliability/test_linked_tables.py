"""Lists of peaks in files that lead to others: they are gone through once; what is not read is no matter."""

import h5py
import numpy as np
import pytest

from braggscope.app.export.peaklists import read_positions
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks, write_peaks
from braggscope.app.sources import hdf5_checks
from braggscope.app.sources.hdf5_links import walk
from braggscope.app.sources.protocol import SourceError
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable


@pytest.fixture
def table(tmp_path):
    """A peak table with one peak."""
    path = tmp_path / "peaks.h5"
    write_peaks(path, [PeakTable.blank(1)], Provenance("a.h5", "id", Parameters()))
    return path


@pytest.fixture
def cxi(tmp_path):
    """A list with two peaks."""
    path = tmp_path / "peaks.cxi"
    with h5py.File(path, "w") as file:
        group = file.create_group("entry_1/result_1")
        group["nPeaks"] = [2]
        group["peakXPosRaw"], group["peakYPosRaw"] = [[3.0, 4.0]], [[5.0, 6.0]]
    return path


def add_virtual(path, name, missing="raw_of_another_beamtime.h5"):
    with h5py.File(path, "a") as file:
        shape = file[name].shape if name in file else (4, 8, 8)
        if name in file:
            del file[name]
        layout = h5py.VirtualLayout(shape, "f8")
        layout[:] = h5py.VirtualSource(missing, "data", shape)
        file.create_virtual_dataset(name, layout)


def test_files_that_link_to_each_other_are_looked_through_once(table, tmp_path):
    for name, other in (("b", "c"), ("c", "b")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["next"] = h5py.ExternalLink(f"{other}.h5", "/")
    with h5py.File(table, "a") as file:
        file["away"] = h5py.ExternalLink("b.h5", "/")
    with h5py.File(table) as file:
        reached = {dataset.name for _, dataset, _ in walk(file, most=5000, deepest=1000, whole=True)}
    assert "/entry/peaks/frame" in reached
    assert len(read_peaks(table)) == 1


@pytest.mark.parametrize(
    ("limit", "words"),
    [("MOST_CHECKED", "more than 2 entries"), ("DEEPEST_CHECKED", "nested more than 2 deep")],
)
def test_what_is_too_much_to_look_through_is_refused(table, monkeypatch, limit, words):
    with h5py.File(table, "a") as file:
        file.create_group("a/b/c/d")
    monkeypatch.setattr(hdf5_checks, limit, 2)
    with pytest.raises(SourceError, match=words):
        read_peaks(table)


def test_a_broken_virtual_dataset_beside_a_list_is_no_matter(table, cxi):
    for path in (table, cxi):
        add_virtual(path, "entry/data/data")
    assert len(read_peaks(table)) == 1
    np.testing.assert_array_equal(read_positions(cxi).x, [3, 4])


def test_a_broken_virtual_column_is_not_read_as_zeros(table, cxi):
    add_virtual(table, "entry/peaks/x_fit")
    with pytest.raises(SourceError, match="which is missing"):
        read_peaks(table)
    add_virtual(cxi, "entry_1/result_1/peakXPosRaw")
    with pytest.raises(SourceError, match="which is missing"):
        read_positions(cxi)


def test_raw_storage_behind_several_virtual_datasets_is_refused(table, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(b"\x01" * 4 * 8 * 8 * 8)
    with h5py.File(folder / "raw.h5", "w") as file:
        file.create_dataset(
            "data", (4, 8, 8), "f8", external=[(str(tmp_path / "secret.bin"), 0, 4 * 8 * 8 * 8)]
        )
    add_virtual(tmp_path / "between.h5", "data", "elsewhere/raw.h5")
    add_virtual(table, "more", "between.h5")
    with pytest.raises(SourceError, match=r"secret\.bin, outside the folder of the file, which is refused"):
        read_peaks(table)
