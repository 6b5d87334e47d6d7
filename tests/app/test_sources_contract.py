"""One contract for every reader: what is written is what is read, described fully, and closed cleanly."""

import bz2
import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import fabio
import h5py
import hdf5plugin
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from braggscope.app.sources.many import join_locations
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import open_source

FRAMES, ROWS, COLUMNS = 5, 13, 17
Maker = Callable[[Path, NDArray], str]


def stack(dtype: str = "uint16") -> NDArray:
    return np.random.default_rng(7).integers(0, 1000, (FRAMES, ROWS, COLUMNS)).astype(dtype)


def hdf5(path: Path, data: NDArray) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("/entry/data/data", data=data)
    return str(path / "a.h5")


def hdf5_filter(**options) -> Maker:
    def make(path: Path, data: NDArray) -> str:
        with h5py.File(path / "a.h5", "w") as file:
            file.create_dataset("d", data=data, chunks=(1, *data.shape[1:]), **options)
        return f"{path / 'a.h5'}::/d"

    return make


def hdf5_many_frames_in_a_chunk(path: Path, data: NDArray) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("d", data=data, chunks=(3, 5, 4), compression="gzip")
    return str(path / "a.h5")


def hdf5_last_axis_first(path: Path, data: NDArray) -> str:
    with h5py.File(path / "a.h5", "w") as file:
        file.create_dataset("d", data=data.astype(">u2"))
    return str(path / "a.h5")


def eiger(path: Path, data: NDArray) -> str:
    with h5py.File(path / "a_master.h5", "w") as master:
        for k, part in enumerate((data[:2], data[2:4], data[4:])):
            name = f"a_data_{k + 1:06d}.h5"
            with h5py.File(path / name, "w") as file:
                file.create_dataset(
                    "/entry/data/data", data=part, chunks=(1, ROWS, COLUMNS), **hdf5plugin.LZ4()
                )
            master[f"/entry/data/data_{k + 1:06d}"] = h5py.ExternalLink(name, "/entry/data/data")
    return str(path / "a_master.h5")


def virtual(path: Path, data: NDArray) -> str:
    layout = h5py.VirtualLayout(data.shape, data.dtype)
    for k, frame in enumerate(data):
        with h5py.File(path / f"raw_{k}.h5", "w") as file:
            file["data"] = frame[None]
        layout[k : k + 1] = h5py.VirtualSource(f"raw_{k}.h5", "data", (1, *frame.shape))
    with h5py.File(path / "a.nxs", "w") as file:
        file.create_virtual_dataset("/entry/data", layout)
    return str(path / "a.nxs")


def tiff(path: Path, data: NDArray) -> str:
    tifffile.imwrite(path / "a.tif", data, photometric="minisblack")
    return str(path / "a.tif")


def tiff_pages(path: Path, data: NDArray) -> str:
    with tifffile.TiffWriter(path / "a.tif", byteorder=">") as file:
        for frame in data:
            file.write(frame, compression="zlib", contiguous=False)
    return str(path / "a.tif")


def tiff_folder(path: Path, data: NDArray) -> str:
    for number, frame in zip((1, 2, 3, 11, 100), data, strict=True):
        tifffile.imwrite(path / f"map_{number}.tif", frame)
    (path / "notes.txt").write_text("not an image")
    return str(path)


def cbf_glob(path: Path, data: NDArray) -> str:
    for number, frame in zip((1, 2, 3, 11, 100), data, strict=True):
        fabio.cbfimage.CbfImage(data=frame.astype(np.int32)).write(str(path / f"f{number}.cbf"))
    return str(path / "*.cbf")


def edf_packed(path: Path, data: NDArray) -> str:
    for number, frame in enumerate(data):
        name = path / f"f{number}.edf"
        fabio.edfimage.EdfImage(data=frame).write(str(name))
        pack = (bz2.compress, gzip.compress)[number % 2]
        name.with_suffix((".edf.bz2", ".edf.gz")[number % 2]).write_bytes(pack(name.read_bytes()))
        name.unlink()
    return str(path)


def edf_multi(path: Path, data: NDArray) -> str:
    image = fabio.edfimage.EdfImage(data=data[0])
    for frame in data[1:]:
        image.append_frame(data=frame)
    image.write(str(path / "a.edf"))
    return str(path / "a.edf")


def npy(path: Path, data: NDArray) -> str:
    np.save(path / "a.npy", data)
    return str(path / "a.npy")


def npy_fortran(path: Path, data: NDArray) -> str:
    np.save(path / "a.npy", np.asfortranarray(data))
    return str(path / "a.npy")


def npz(path: Path, data: NDArray) -> str:
    np.savez_compressed(path / "a.npz", frames=data, angle=np.arange(3))
    return str(path / "a.npz")


def framecache(path: Path, data: NDArray) -> str:
    parts = {}
    for k, frame in enumerate(data):
        rows, columns = np.nonzero(frame)
        parts |= {f"{k}_row": rows, f"{k}_col": columns, f"{k}_data": frame[rows, columns]}
    omega = np.stack([np.arange(FRAMES), np.arange(FRAMES) + 1.0], axis=1)
    np.savez_compressed(
        path / "a.npz", shape=data.shape[1:], nframes=len(data), dtype=str(data.dtype), omega=omega, **parts
    )
    return str(path / "a.npz")


def some_files(path: Path, data: NDArray) -> None:
    for number, part in zip((1, 2, 11), (data[:2], data[2:3], data[3:]), strict=True):
        with h5py.File(path / f"run_{number}.h5", "w") as file:
            file["/entry/data/data"] = part


def hdf5_glob(path: Path, data: NDArray) -> str:
    some_files(path, data)
    return f"{path / 'run_*.h5'}::/entry/data/data"


def hdf5_list(path: Path, data: NDArray) -> str:
    some_files(path, data)
    (path / "list.txt").write_text(
        "# a series\nrun_1.h5\n\nrun_2.h5  # one frame\nrun_11.h5::/entry/data/data\n"
    )
    return f"@{path / 'list.txt'}"


def files_together(path: Path, data: NDArray) -> str:
    some_files(path, data)
    return join_locations([str(path / f"run_{number}.h5") for number in (11, 1, 2)])


def images_together(path: Path, data: NDArray) -> str:
    tiff_folder(path, data)
    return join_locations([str(name) for name in path.glob("*.tif")])


MAKERS = {
    "hdf5": hdf5,
    "bitshuffle": hdf5_filter(**hdf5plugin.Bitshuffle()),
    "lz4": hdf5_filter(**hdf5plugin.LZ4()),
    "blosc": hdf5_filter(**hdf5plugin.Blosc()),
    "zstd": hdf5_filter(**hdf5plugin.Zstd()),
    "gzip": hdf5_filter(compression="gzip", shuffle=True),
    "big chunks": hdf5_many_frames_in_a_chunk,
    "big endian": hdf5_last_axis_first,
    "eiger": eiger,
    "virtual": virtual,
    "tiff": tiff,
    "tiff pages": tiff_pages,
    "tiff folder": tiff_folder,
    "cbf glob": cbf_glob,
    "edf packed": edf_packed,
    "edf multi": edf_multi,
    "npy": npy,
    "npy fortran": npy_fortran,
    "npz": npz,
    "framecache": framecache,
    "hdf5 glob": hdf5_glob,
    "list file": hdf5_list,
    "files together": files_together,
    "images together": images_together,
}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_reader_gives_what_was_written(kind, tmp_path):
    data = stack()
    location = MAKERS[kind](tmp_path, data)
    source = open_source(location)
    info = source.info
    assert (info.frames, info.shape) == (FRAMES, (ROWS, COLUMNS))
    assert np.dtype(info.dtype).isnative
    for k in (3, 0, 4, 1, 2, 4):
        frame = source.read(k)
        assert frame.dtype == np.dtype(info.dtype)
        np.testing.assert_array_equal(frame, data[k])
    for wrong in (-1, FRAMES):
        with pytest.raises(SourceError, match=f"no frame {wrong}"):
            source.read(wrong)
    assert not info.warnings
    assert json.loads(json.dumps(info.as_dict()))["frames"] == FRAMES
    assert source.refresh().identity == info.identity
    np.testing.assert_array_equal(source.read(1), data[1])
    source.close()
    source.close()
    again = open_source(info.location)
    assert again.info.identity == info.identity
    again.close()


@pytest.mark.parametrize("kind", ["hdf5", "tiff", "tiff folder", "npy", "npz"])
def test_identity_changes_with_the_content(kind, tmp_path):
    location = MAKERS[kind](tmp_path, stack())
    source = open_source(location)
    source.close()
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    MAKERS[kind](tmp_path, stack() + 1)
    later = open_source(location)
    later.close()
    assert later.info.identity != source.info.identity


@pytest.mark.parametrize("kind", ["hdf5", "tiff", "npy", "npy fortran", "npz"])
def test_more_dimensions_are_flattened_and_the_frame_axis_is_chosen(kind, tmp_path):
    data = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    location = MAKERS[kind](tmp_path, data)
    source = open_source(location)
    assert source.info.stack_shape == (2, 3)
    np.testing.assert_array_equal([source.read(k) for k in range(6)], data.reshape(6, 4, 5))
    source.close()
    source = open_source(location, frame_axis=1)
    assert (source.info.frames, source.info.stack_shape, source.info.frame_axis) == (6, (3, 2), 1)
    np.testing.assert_array_equal(
        [source.read(k) for k in range(6)], data.transpose(1, 0, 2, 3).reshape(6, 4, 5)
    )
    source.close()
    source = open_source(location, frame_axis=-1)
    assert (source.info.frames, source.info.shape) == (10, (3, 4))
    np.testing.assert_array_equal(source.read(2), data[0, :, :, 1])
    source.close()
    with pytest.raises(SourceError, match="no axis 4"):
        open_source(location, frame_axis=4)


@pytest.mark.parametrize("kind", ["hdf5", "tiff", "npy", "npz"])
def test_a_single_image_is_one_frame(kind, tmp_path):
    image = stack()[0]
    source = open_source(MAKERS[kind](tmp_path, image))
    assert (source.info.frames, source.info.shape) == (1, image.shape)
    np.testing.assert_array_equal(source.read(0), image)
    source.close()
