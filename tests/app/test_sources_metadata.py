"""What the readers say about a file, special files, and real ones."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from test_sources_contract import COLUMNS, FRAMES, MAKERS, ROWS, hdf5, stack, tiff_folder

from braggscope.app.sources.base import Location
from braggscope.app.sources.images import load_image
from braggscope.app.sources.registry import dataset_tree, open_source


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
