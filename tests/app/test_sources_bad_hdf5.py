"""HDF5 files that read as zeros, or not at all, are told apart from good ones."""

from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
from test_sources_bad_files import DATA, refused, sentence, shorten

from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import dataset_tree, open_source


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        yield opened


def closed(file: h5py.File) -> str:
    name = file.filename
    file.close()
    return name


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_hdf5(file, share):
    file["d"] = DATA
    name = closed(file)
    shorten(Path(name), share)
    refused(name, "a.h5", "copy it again")


def test_missing_external_file_is_named(file):
    file["/entry/data/data_000001"] = h5py.ExternalLink("lost_000001.h5", "/entry/data/data")
    refused(closed(file), "lost_000001.h5", "missing")


def test_master_with_missing_files_at_the_end_shows_what_is_there_and_says_so(tmp_path, file):
    with h5py.File(tmp_path / "b_000001.h5", "w") as part:
        part["data"] = DATA
    for k in (1, 2, 3):
        file[f"/entry/data/data_{k:06d}"] = h5py.ExternalLink(f"b_{k:06d}.h5", "data")
    name = closed(file)
    source = open_source(name)
    assert source.info.frames == 4
    sentence(source.info.warnings[0], "2 of 3", "b_000002.h5")
    with h5py.File(tmp_path / "b_000002.h5", "w") as part:
        part["data"] = DATA + 1
    assert source.refresh().frames == 8
    np.testing.assert_array_equal(source.read(7), DATA[3] + 1)
    source.close()
    (tmp_path / "b_000002.h5").rename(tmp_path / "b_000003.h5")
    refused(name, "b_000002.h5", "missing")


def test_external_file_without_the_dataset(tmp_path, file):
    with h5py.File(tmp_path / "b.h5", "w") as other:
        other["something"] = 1
    file["d"] = h5py.ExternalLink("b.h5", "/data")
    refused(f"{closed(file)}::/d", "b.h5::/data", "cannot be opened")


def make_virtual(
    file: h5py.File, folder: Path, have: tuple[int, ...], shape: tuple[int, ...] = (2, 12, 15)
) -> str:
    layout = h5py.VirtualLayout((6, 12, 15), "u2")
    for k in range(3):
        layout[2 * k : 2 * k + 2] = h5py.VirtualSource(f"v{k}.h5", "data", (2, 12, 15))
        if k in have:
            with h5py.File(folder / f"v{k}.h5", "w") as part:
                part["data"] = np.full(shape, k + 1, "u2")
    file.create_virtual_dataset("d", layout, fillvalue=0)
    return closed(file)


def test_missing_virtual_source_is_named_and_never_read_as_zeros(tmp_path, file):
    source = open_source(make_virtual(file, tmp_path, (0, 2)))
    sentence(source.info.warnings[0], "v1.h5", "missing")
    assert [source.read(k).max() for k in (0, 1, 4, 5)] == [1, 1, 3, 3]
    with pytest.raises(SourceError, match=r"v1\.h5"):
        source.read(2)
    (tmp_path / "v2.h5").unlink()
    with pytest.raises(SourceError, match=r"v2\.h5 is gone"):
        source.read(4)
    source.close()


def test_virtual_dataset_without_its_first_source_is_refused(tmp_path, file):
    refused(make_virtual(file, tmp_path, (1, 2)), "v0.h5", "missing")


def test_virtual_source_that_is_too_short(tmp_path, file):
    refused(make_virtual(file, tmp_path, (0, 1, 2), (1, 12, 15)), "v0.h5", "shape (1, 12, 15)")


def test_virtual_dataset_that_leads_to_itself(file):
    layout = h5py.VirtualLayout((2, 4, 4), "u2")
    layout[:] = h5py.VirtualSource(".", "d", (2, 4, 4))
    file.create_virtual_dataset("d", layout)
    refused(closed(file), "lead to themselves")


def test_frames_that_no_source_covers_are_refused(tmp_path, file):
    layout = h5py.VirtualLayout((6, 12, 15), "u2")
    with h5py.File(tmp_path / "v.h5", "w") as part:
        part["data"] = np.ones((2, 12, 15), "u2")
    layout[:2] = h5py.VirtualSource("v.h5", "data", (2, 12, 15))
    file.create_virtual_dataset("d", layout)
    source = open_source(closed(file))
    assert source.read(1).all()
    with pytest.raises(SourceError, match="maps no file there"):
        source.read(2)
    source.close()


def test_circular_links(tmp_path, file):
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    file["group/again"] = h5py.SoftLink("/group")
    file.create_group("hard")["up"] = file["/"]
    with h5py.File(tmp_path / "c.h5", "w") as other:
        other["x"] = h5py.ExternalLink("a.h5", "/y")
    file["y"] = h5py.ExternalLink("c.h5", "/x")
    name = closed(file)
    refused(f"{name}::/a", "/a")
    refused(f"{name}::/y", "/y")
    refused(name, "a.h5")
    assert all(e.problem for e in dataset_tree(name))


def test_missing_filter_is_named(file):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1, 12, 15))
    plist.set_filter(32008, h5py.h5z.FLAG_OPTIONAL)
    space, kind = h5py.h5s.create_simple(DATA.shape), h5py.h5t.py_create(DATA.dtype)
    h5py.Dataset(h5py.h5d.create(file.id, b"d", kind, space, plist))[...] = DATA
    name = closed(file)
    content = Path(name).read_bytes()
    place = content.index((32008).to_bytes(2, "little"))
    Path(name).write_bytes(content[:place] + (32767).to_bytes(2, "little") + content[place + 2 :])
    refused(name, "32767", "not installed")


def test_absurd_shapes_are_refused_before_reading(file, tmp_path):
    file.create_dataset("d", (3, 200_000, 200_000), "f8", chunks=(1, 100, 100))
    refused(closed(file), "GiB")
    with open(tmp_path / "a.npy", "wb") as out:
        np.lib.format.write_array_header_1_0(
            out, {"descr": "<f8", "fortran_order": False, "shape": (2, 10**6, 10**6)}
        )
    refused(tmp_path / "a.npy", "GiB")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.ones((3, 4, 4), complex), "complex"),
        (np.ones((3, 4, 4), bool), "true/false"),
        (np.zeros((3, 4, 4), [("a", "i4"), ("b", "f4")]), "records"),
        (np.arange(5), "not a"),
        (np.zeros((0, 4, 4)), "empty"),
    ],
)
def test_what_is_no_image(file, tmp_path, value, word):
    file["d"] = value
    refused(f"{closed(file)}::/d", "/d", word if value.ndim > 1 else "1 dimension")
    np.save(tmp_path / "a.npy", value)
    refused(tmp_path / "a.npy", "a.npy")
    np.savez(tmp_path / "a.npz", x=value)
    refused(tmp_path / "a.npz", "a.npz")


def test_text_and_null_datasets(file):
    file["text"], file["null"] = "hello", h5py.Empty("f4")
    name = closed(file)
    refused(name, "no images")
    refused(f"{name}::/null", "/null")
    refused(f"{name}::/other", "does not exist")


def test_dataset_that_was_never_written(file):
    file.create_dataset("contiguous", (3, 4, 4), "f4")
    chunked = file.create_dataset("chunked", (3, 4, 4), "f4", chunks=(1, 2, 2))
    chunked[1, 0, 0] = 7
    name = closed(file)
    refused(f"{name}::/contiguous", "never written")
    source = open_source(f"{name}::/chunked")
    sentence(source.info.warnings[0], "in part")
    assert source.read(1).max() == 7
    with pytest.raises(SourceError, match=r"Frame 2 .* was never written"):
        source.read(2)
    source.close()


def test_raw_storage_outside_the_folder_is_refused(file, tmp_path):
    inside = tmp_path / "raw.bin"
    inside.write_bytes(DATA.tobytes())
    name = closed(file)
    for place in ("raw.bin", "../raw.bin", "/etc/passwd"):
        with h5py.File(name, "w") as again:
            again.create_dataset("d", DATA.shape, DATA.dtype, external=[(place, 0, DATA.nbytes)])
        if place == "raw.bin":
            source = open_source(name)
            np.testing.assert_array_equal(source.read(3), DATA[3])
            source.close()
        else:
            refused(name, place, "refused")
    with h5py.File(name, "w") as again:
        again.create_dataset("d", DATA.shape, DATA.dtype, external=[("raw.bin", 0, DATA.nbytes)])
    shorten(inside, 0.5)
    refused(name, "raw.bin", "cut short")
    inside.unlink()
    refused(name, "raw.bin", "missing")


def test_all_nan_is_allowed_and_said(file):
    file["d"] = np.full((2, 4, 4), np.nan)
    source = open_source(closed(file))
    assert np.isnan(source.read(0)).all()
    sentence(source.info.warnings[0], "no finite value")
    source.close()
