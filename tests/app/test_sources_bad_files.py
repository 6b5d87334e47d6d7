"""Bad files never pass for good ones: each gives one sentence that names what is wrong."""

import os
import pickle
import zipfile
from pathlib import Path

import fabio
import h5py
import hdf5plugin  # noqa: F401
import numpy as np
import pytest
import tifffile

from braggscope.app.sources.base import Location
from braggscope.app.sources.images import load_image
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import open_source

DATA = np.random.default_rng(3).integers(1, 200, (4, 12, 15)).astype(np.uint16)


def refused(location: object, *words: str) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(str(location))
    return sentence(str(caught.value), *words)


def sentence(text: str, *words: str) -> str:
    assert "\n" not in text
    assert text.endswith(".")
    for word in words:
        assert word in text
    return text


def shorten(path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def test_nothing_there(tmp_path):
    refused(tmp_path / "no.h5", "no.h5", "check its name")
    refused(tmp_path / "*.tif", "No file matches")
    refused(tmp_path, "holds no image files")
    refused("", "No file was named")
    (tmp_path / "empty.cbf").touch()
    refused(tmp_path / "empty.cbf", "is empty")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "metadata": None}])
def test_truncated_tiff(tmp_path, share, options):
    tifffile.imwrite(tmp_path / "a.tif", DATA, photometric="minisblack", **options)
    shorten(tmp_path / "a.tif", share)
    refused(tmp_path / "a.tif", "a.tif")
    refused(tmp_path, "a.tif")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_truncated_cbf(tmp_path, share):
    fabio.cbfimage.CbfImage(data=DATA[0].astype(np.int32)).write(str(tmp_path / "a.cbf"))
    content = (tmp_path / "a.cbf").read_bytes()
    start = content.index(b"\x0c\x1a\x04\xd5")
    (tmp_path / "a.cbf").write_bytes(content[: int(start + share * DATA[0].size)])
    refused(tmp_path / "a.cbf", "a.cbf", "cut short")


@pytest.mark.parametrize("mark", [b"--CIF-BINARY", b"\x0c\x1a\x04\xd5"])
def test_cbf_without_its_marks_does_not_hang(tmp_path, mark):
    fabio.cbfimage.CbfImage(data=DATA[0].astype(np.int32)).write(str(tmp_path / "a.cbf"))
    content = (tmp_path / "a.cbf").read_bytes()
    (tmp_path / "a.cbf").write_bytes(content.replace(mark, b"?" * len(mark)))
    refused(tmp_path / "a.cbf", "without a readable binary section")


def test_truncated_archives_and_arrays(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    shorten(tmp_path / "a.npy", 0.6)
    refused(tmp_path / "a.npy", "cut short")
    np.savez_compressed(tmp_path / "a.npz", x=DATA)
    shorten(tmp_path / "a.npz", 0.6)
    refused(tmp_path / "a.npz", "a.npz")
    fabio.edfimage.EdfImage(data=DATA[0]).write(str(tmp_path / "a.edf"))
    import bz2

    packed = tmp_path / "a.edf.bz2"
    packed.write_bytes(bz2.compress((tmp_path / "a.edf").read_bytes())[:-40])
    refused(packed, "a.edf.bz2", "complete")


def test_nothing_from_a_file_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    np.save(tmp_path / "a.npy", np.array([[Bomb(), Bomb()]], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([[Bomb()]], object))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Bomb()))
    for name in ("a.npy", "a.npz", "a.pkl", "b.npy"):
        refused(tmp_path / name, name)
        with pytest.raises(SourceError):
            load_image(Location(str(tmp_path / name)))
    assert not (tmp_path / "executed").exists()


def test_frame_cache_that_lies(tmp_path):
    def write(**changes):
        parts = {"shape": (4, 4), "nframes": 1, "dtype": "uint16", "0_row": [1], "0_col": [2], "0_data": [7]}
        np.savez(tmp_path / "a.npz", **(parts | changes))
        return tmp_path / "a.npz"

    assert open_source(str(write())).read(0)[1, 2] == 7
    refused(write(nframes=2), "frame 1 is missing")
    refused(write(shape=(10**6, 10**6)), "GiB")
    refused(write(dtype="object"), "a.npz")
    for changes in ({"0_row": [4]}, {"0_col": [-1]}, {"0_row": [1, 2]}, {"0_col": [1.5]}):
        source = open_source(str(write(**changes)))
        with pytest.raises(SourceError, match="Frame 0"):
            source.read(0)
        source.close()


def test_other_formats_are_told_by_name(tmp_path):
    (tmp_path / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(100))
    refused(tmp_path / "a.hdf", "HDF4", "h4toh5")
    (tmp_path / "b.h5").write_bytes(b"garbage" * 100)
    refused(tmp_path / "b.h5", "not an HDF5 file")
    (tmp_path / "c.txt").write_text("just words\n" * 50)
    refused(tmp_path / "c.txt", "no format that can be read")
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((20, 20, 3), np.uint8), photometric="rgb")
    refused(tmp_path / "rgb.tif", "colour picture")
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "d.npz", "no images")


def test_series_with_an_odd_file(tmp_path):
    for k in range(3):
        tifffile.imwrite(tmp_path / f"f{k}.tif", DATA[k] if k != 1 else DATA[k][:5])
    source = open_source(str(tmp_path))
    source.read(2)
    with pytest.raises(SourceError, match=r"f1.tif"):
        source.read(1)
    source.close()


@pytest.mark.parametrize("kind", ["h5", "npy", "tif"])
def test_file_that_changes_while_open(tmp_path, kind):
    path = tmp_path / f"a.{kind}"

    def write(data):
        if kind == "h5":
            with h5py.File(path, "w") as file:
                file["d"] = data
        elif kind == "npy":
            np.save(path, data)
        else:
            tifffile.imwrite(path, data, photometric="minisblack")

    write(DATA)
    source = open_source(str(path))
    source.read(0)
    path.rename(tmp_path / "old")
    with pytest.raises(SourceError, match="is gone"):
        source.read(1)
    write(DATA + 1)
    with pytest.raises(SourceError, match="replaced"):
        source.read(1)
    source.refresh()
    np.testing.assert_array_equal(source.read(1), DATA[1] + 1)
    shorten(path, 0.6)
    with pytest.raises(SourceError, match="shortened"):
        source.read(1)
    with pytest.raises(SourceError):
        source.refresh()
    source.close()


def test_single_image_is_wanted_for_a_mask(tmp_path):
    np.save(tmp_path / "a.npy", DATA)
    with pytest.raises(SourceError, match="holds 4 frames"):
        load_image(Location(str(tmp_path / "a.npy")))
