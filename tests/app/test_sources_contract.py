"""One contract for every reader: what is written is what is read, described fully, and closed cleanly."""

import bz2
import gzip
import json
import os
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

from braggscope.app.sources.base import Location
from braggscope.app.sources.images import load_image
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import dataset_tree, open_source

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


def nexus(path: Path) -> str:
    """Several entries and datasets, default by attributes, detector, mask and axes."""
    data = stack("uint32")
    with h5py.File(path / "n.nxs", "w") as file:
        file.attrs["default"] = "second"
        file["first/data/huge"] = np.zeros((9, 30, 30))
        entry = file.create_group("second")
        entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", "plot"
        entry["plot/counts"] = data
        entry["plot"].attrs["NX_class"], entry["plot"].attrs["signal"] = "NXdata", "counts"
        entry["plot/voltage"] = np.linspace(3.0, 4.2, FRAMES)
        entry["plot/voltage"].attrs["units"] = "V"
        entry["plot/time_s"] = np.arange(FRAMES)
        entry["title"] = "a charge"
        detector = entry.create_group("instrument/detector")
        mask = np.zeros((ROWS, COLUMNS), np.uint32)
        mask[2, 3], mask[4, 5], mask[6, 7] = 1, 1 << 31, 256
        detector["pixel_mask"] = mask
        values = {"distance": (350.0, "mm"), "x_pixel_size": (75e-6, "m"), "y_pixel_size": (75, "um")}
        values |= {"beam_center_x": (8.5, "pixel"), "beam_center_y": (6.0, ""), "count_time": (100, "ms")}
        for name, (value, unit) in values.items():
            detector[name] = value
            detector[name].attrs["units"] = unit
        entry["instrument/beam/incident_energy"] = 9000.0
        entry["instrument/beam/incident_energy"].attrs["units"] = "eV"
        entry["instrument/source/energy"] = 6.0
        file["truth/n"] = np.arange(FRAMES)
    return str(path / "n.nxs")


def test_nexus_names_the_data_the_experiment_the_axes_and_the_mask(tmp_path):
    source = open_source(nexus(tmp_path))
    info = source.info
    assert info.location.endswith("::/second/plot/counts")
    np.testing.assert_array_equal(source.read(2), stack("uint32")[2])
    expected = {"energy_keV": 9.0, "wavelength_angstrom": 1.3776, "distance_m": 0.35, "pixel_size_x_m": 75e-6}
    expected |= {"pixel_size_y_m": 75e-6, "beam_x_px": 8.5, "beam_y_px": 6.0, "exposure_s": 0.1}
    assert info.quantities == pytest.approx(expected, rel=1e-4)
    assert info.metadata["energy"] == "9.0000 keV"
    assert info.metadata["distance"] == "350.00 mm"
    assert info.metadata["pixel size"] == "75 µm"
    assert info.metadata["title"] == "a charge"
    assert set(info.axes) == {"voltage_V", "time_s"}
    assert info.axes["voltage_V"][-1] == pytest.approx(4.2)
    mask = source.mask()
    assert mask is not None
    assert info.masked_pixels == 2
    assert [tuple(p) for p in np.argwhere(mask)] == [(2, 3), (6, 7)]
    assert "/first/data/huge" in {d.path for d in info.datasets}
    source.close()


def test_without_default_the_likeliest_stack_is_shown_and_the_others_named(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["small"], file["large"], file["image"] = (
            np.zeros((2, 9, 9)),
            np.ones((8, 9, 9)),
            np.ones((90, 90)),
        )
        file["text"] = "hello"
    source = open_source(str(tmp_path / "a.h5"))
    assert source.info.location.endswith("::/large")
    assert "/small" in source.info.warnings[0]
    source.close()
    entries = {e.path: e for e in dataset_tree(str(tmp_path / "a.h5"))}
    assert entries["/large"].problem == ""
    assert "not a stack" in entries["/text"].problem


def test_header_of_a_pilatus_image_is_understood(tmp_path):
    header = (
        "# Detector: PILATUS3 6M, S/N 60\n# Pixel_size 172e-6 m x 172e-6 m\n# Wavelength 0.9686 A\n"
        "# Detector_distance 0.35100 m\n# Beam_xy (1261.61, 1306.96) pixels\n# Exposure_time 0.019 s\n"
        "# Count_cutoff 115897 counts\n"
    )
    tifffile.imwrite(tmp_path / "a.tif", stack()[0], description=header, metadata=None)
    source = open_source(str(tmp_path / "a.tif"))
    assert source.info.quantities["distance_m"] == 0.351
    assert source.info.quantities["beam_y_px"] == 1306.96
    assert source.info.metadata["wavelength"] == "0.96860 Å"
    assert source.info.metadata["detector"].startswith("PILATUS3")
    source.close()


@pytest.mark.parametrize("kind", ["hdf5", "npy", "npz", "tiff"])
@pytest.mark.parametrize("dtype", ["bool", "float32"])
def test_masks_and_flats_of_any_format(kind, dtype, tmp_path):
    image = stack()[0] > 500 if dtype == "bool" else stack()[0].astype(dtype)
    if kind == "tiff" and dtype == "bool":
        image = image.astype(np.uint8)
    loaded = load_image(Location.parse(MAKERS[kind](tmp_path, image)))
    assert loaded.dtype == image.dtype
    np.testing.assert_array_equal(loaded, image)


def test_names_with_spaces_umlauts_and_other_scripts(tmp_path):
    folder = tmp_path / "Übung 中文 [1]"
    folder.mkdir()
    assert open_source(tiff_folder(folder, stack())).info.frames == FRAMES
    assert open_source(hdf5(folder, stack())).info.frames == FRAMES
    assert open_source(str(folder / "a.h5") + "::/entry/data/data").info.frames == FRAMES


def test_files_of_many_frames_are_read_frame_by_frame(tmp_path):
    """GE detectors write a header of 8192 bytes and then frame after frame."""
    data = np.random.default_rng(0).integers(0, 99, (3, 2048, 2048)).astype("<u2")
    (tmp_path / "a.ge2").write_bytes(bytes(8192) + data.tobytes())
    source = open_source(str(tmp_path / "a.ge2"))
    assert (source.info.frames, source.info.shape, source.info.dtype) == (3, (2048, 2048), "uint16")
    for k in (2, 0, 1):
        np.testing.assert_array_equal(source.read(k), data[k])
    source.close()


def test_half_and_long_floats_become_usable_ones(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["d"] = np.arange(12, dtype=np.float16).reshape(3, 2, 2)
    source = open_source(str(tmp_path / "a.h5"))
    assert source.info.dtype == "float32"
    np.testing.assert_array_equal(source.read(2), [[8, 9], [10, 11]])
    source.close()


def data_folder() -> Path:
    root = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if not root:
        pytest.skip("BRAGGSCOPE_TEST_DATA is not set: no real files to read")
    return Path(root)


@pytest.mark.parametrize(
    ("name", "frames", "shape", "dtype"),
    [
        ("thaumatin_grid", 19, (2527, 2463), "int32"),
        ("dac_zr/LT1_Ne_zr001_00000-fc_GE2.npz", 100, (2048, 2048), "uint16"),
        ("dac_map", 3, (1043, 981), "int32"),
        ("volume/volumeExample.nxs", 257, (204, 204), "float32"),
        ("stem4d/converted_merlin_2x4x256x256.h5", 8, (256, 256), "uint8"),
        ("stem4d/converted_sped_blo_3x2x144x144.h5", 6, (144, 144), "uint8"),
    ],
)
def test_real_files(name, frames, shape, dtype):
    source = open_source(str(data_folder() / name))
    info = source.info
    assert (info.frames, info.shape, info.dtype) == (frames, shape, dtype)
    assert source.read(frames - 1).any()
    source.close()


def test_real_details():
    root = data_folder()
    source = open_source(str(root / "volume/volumeExample.nxs"))
    assert source.read(123)[94, 112] == pytest.approx(3416.5, abs=0.1)
    source.close()
    source = open_source(str(root / "dac_map"))
    assert source.info.metadata["files"].endswith("map_11_P1_E1_001.tif")
    source.close()
    source = open_source(str(root / "dac_zr/LT1_Ne_zr001_00000-fc_GE2.npz"))
    assert source.info.axes["omega_deg"][0] == -114.5
    source.close()
    source = open_source(str(root / "thaumatin_grid"))
    assert source.info.quantities["distance_m"] == 0.351
    assert source.read(0).min() == -2
    source.close()
