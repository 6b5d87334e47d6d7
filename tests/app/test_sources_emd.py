"""4D-STEM in HDF5, and through RosettaSciIO: the cube is found, with its scan and its calibrations."""

import os
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from scans import cube, flat, frames_of

from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.app.sources.registry import open_source

SCAN = (3, 4)
DATA = Path(os.environ.get("BRAGGSCOPE_TEST_DATA", "")) / "stem4d"
needs_data = pytest.mark.skipif(
    "BRAGGSCOPE_TEST_DATA" not in os.environ, reason="BRAGGSCOPE_TEST_DATA names no folder"
)


# -- HDF5 -----------------------------------------------------------------------------------------------


def emd1(path, values, units=("nm", "A^-1"), steps=(1.5, 0.02), calibration=None):
    with h5py.File(path, "w") as file:
        group = file.create_group("datacube_root/datacube")
        group.attrs.update(emd_group_type="array", python_class="DataCube")
        group["data"] = values
        for k in range(4):
            group[f"dim{k}"] = np.array([0, steps[k // 2]])
            group[f"dim{k}"].attrs["units"] = units[k // 2]
        for name, value in (calibration or {}).items():
            file[f"datacube_root/metadatabundle/calibration/{name}"] = value
        file["datacube_root/strain/data"] = np.zeros((40, 40, 40))  # larger, and no datacube
        file["datacube_root/strain"].attrs["emd_group_type"] = "array"
    return path


def test_the_cube_of_an_emd_file_is_chosen_with_its_calibration(tmp_path):
    found, info = frames_of(emd1(tmp_path / "a.emd", cube()))
    assert np.array_equal(found, flat(cube()))
    assert info.stack_shape == SCAN
    assert info.quantities["pixel_inv_angstrom"] == pytest.approx(0.02)
    assert info.quantities["scan_step_nm"] == pytest.approx(1.5)
    assert info.metadata["pattern pixel"] == "0.02 1/Å"


def test_py4dstem_says_it_in_its_calibration(tmp_path):
    calibration = {
        "Q_pixel_size": 0.031, "Q_pixel_units": b"A^-1", "R_pixel_size": 12.0, "R_pixel_units": b"A",
        "accelerating_voltage": 300e3,
    }  # fmt: skip
    path = emd1(tmp_path / "a.h5", cube(), ("pixels", "pixels"), (1, 1), calibration)
    quantities = frames_of(path)[1].quantities
    assert quantities["pixel_inv_angstrom"] == pytest.approx(0.031)
    assert quantities["scan_step_nm"] == pytest.approx(1.2)
    assert quantities["voltage_kV"] == 300


def test_angles_need_the_voltage(tmp_path):
    info = frames_of(emd1(tmp_path / "a.h5", cube(), ("A", "mrad"), (5, 0.5)))[1]
    assert "pixel_inv_angstrom" not in info.quantities
    assert "without the voltage" in info.warnings[0]
    path = emd1(tmp_path / "b.h5", cube(), ("A", "mrad"), (5, 0.5), {"voltage": 200.0})
    quantities = frames_of(path)[1].quantities
    assert quantities["pixel_inv_angstrom"] == pytest.approx(0.5e-3 / 0.0250793, rel=1e-4)


def test_older_emd_files_count_their_axes_from_one(tmp_path):
    with h5py.File(tmp_path / "a.emd", "w") as file:
        group = file.create_group("4DSTEM_experiment/data/datacubes/datacube_0")
        group.attrs["emd_group_type"] = 1
        group["data"] = cube()
        for k in range(1, 5):
            group[f"dim{k}"] = np.arange(cube().shape[k - 1]) * (2.0 if k < 3 else 0.25)
            group[f"dim{k}"].attrs["units"] = "[n_m]" if k < 3 else "[n_m^-1]"
        file.create_group("4DSTEM_experiment/metadata/metadata_0/microscope").attrs[
            "accelerating_voltage"
        ] = 80e3
    quantities = frames_of(tmp_path / "a.emd")[1].quantities
    assert quantities["pixel_inv_angstrom"] == pytest.approx(0.025)
    assert quantities["scan_step_nm"] == pytest.approx(2)
    assert quantities["voltage_kV"] == 80


def test_our_own_names_need_no_unit(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/data/data"] = cube()
        file["entry/data/data"].attrs.update(pixel_inv_angstrom=0.04, scan_step_nm=3.0)
        file["entry/instrument/voltage_kV"] = 200.0
    quantities = frames_of(tmp_path / "a.h5")[1].quantities
    assert quantities == {"pixel_inv_angstrom": 0.04, "scan_step_nm": 3.0, "voltage_kV": 200.0}


def test_a_four_dimensional_npy_file_is_a_scan(tmp_path):
    np.save(tmp_path / "a.npy", cube("float32"))
    found, info = frames_of(tmp_path / "a.npy")
    assert np.array_equal(found, flat(cube("float32")))
    assert info.stack_shape == SCAN


# -- RosettaSciIO ---------------------------------------------------------------------------------------


def dm4(path, values, inverse=True):
    """The smallest DM4 file that holds one image: a tree of tags, big-endian but for the values."""

    def name(text, kind, body):
        return struct.pack(">BH", kind, len(text)) + text + struct.pack(">Q", len(body)) + body

    def group(text, *tags):
        return name(text, 20, struct.pack(">BBQ", 1, 0, len(tags)) + b"".join(tags))

    def simple(text, code, form, value):
        return name(text, 21, b"%%%%" + struct.pack(">QQ", 1, code) + struct.pack(f"<{form}", value))

    def array(text, code, data, count):
        return name(text, 21, b"%%%%" + struct.pack(">QQQQ", 3, 20, code, count) + data)

    def words(text, value):
        return array(text, 4, value.encode("utf-16-le"), len(value))

    def axis(scale, unit):
        return group(
            b"", simple(b"Origin", 6, "f", 0), simple(b"Scale", 6, "f", scale), words(b"Units", unit)
        )

    pattern = axis(0.25, "1/nm"), axis(0.25, "1/nm")
    scan = axis(2.0, "nm"), axis(2.0, "nm")
    image = group(
        b"ImageData",
        group(b"Calibrations",
              group(b"Brightness", simple(b"Scale", 6, "f", 1), words(b"Units", "")),
              group(b"Dimension", *(pattern + scan if inverse else scan + pattern))),
        array(b"Data", 4, values.astype("<u2").tobytes(), values.size),
        simple(b"DataType", 5, "I", 10),
        group(b"Dimensions", *(simple(b"", 5, "I", n) for n in values.shape[::-1])),
        simple(b"PixelDepth", 5, "I", 2),
    )  # fmt: skip
    info = group(b"ImageTags", group(b"Microscope Info", simple(b"Voltage", 7, "d", 200e3)))
    thumb = group(b"", simple(b"Thumb", 5, "I", 0))
    body = group(b"ImageList", thumb, group(b"", image, info, words(b"Name", "scan")))
    body += group(b"Thumbnails", group(b"", simple(b"ImageIndex", 5, "I", 0)))
    head = struct.pack(">BBQ", 1, 0, 2) + body
    path.write_bytes(struct.pack(">IQI", 4, len(head) + 8, 1) + head + bytes(8))
    return str(path)


def test_digital_micrograph_files(tmp_path):
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    found, info = frames_of(dm4(tmp_path / "a.dm4", cube()))
    assert np.array_equal(found, flat(cube()))
    assert info.stack_shape == SCAN
    assert info.quantities == pytest.approx(
        {"voltage_kV": 200, "scan_step_nm": 2, "pixel_inv_angstrom": 0.025}
    )


def test_a_pattern_stored_before_the_scan_is_turned_round(tmp_path):
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    stored = cube().transpose(2, 3, 0, 1)
    found, info = frames_of(dm4(tmp_path / "a.dm4", np.ascontiguousarray(stored), inverse=False))
    assert np.array_equal(found, flat(cube()))
    assert info.stack_shape == SCAN


def test_ripple_files_in_the_reader_process(tmp_path):
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    values = flat(cube())
    (tmp_path / "a.raw").write_bytes(values.tobytes())
    lines = {
        "width": 12, "height": 10, "depth": 12, "offset": 0, "data-length": 2, "data-type": "unsigned",
        "byte-order": "little-endian", "record-by": "image",
    }  # fmt: skip
    text = "key\tvalue\n" + "".join(f"{name}\t{value}\n" for name, value in lines.items())
    (tmp_path / "a.rpl").write_text(text)
    with Reader() as reader:
        assert reader.open(str(tmp_path / "a.rpl")).frames == 12
        assert np.array_equal(reader.read(7), values[7])
        before = reader.open(str(tmp_path / "a.rpl")).identity
    (tmp_path / "a.raw").write_bytes((values + 1).tobytes() + b"  ")
    with Reader() as reader:
        assert reader.open(str(tmp_path / "a.rpl")).identity != before, "the patterns lie in the other file"


def test_without_rosettasciio_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rsciio.digitalmicrograph", None)
    with pytest.raises(SourceError, match=r"pip install rosettasciio\.$"):
        open_source(dm4(tmp_path / "a.dm4", cube()))


def test_a_damaged_dm4_file_is_one_sentence(tmp_path):
    pytest.importorskip("rsciio", reason="RosettaSciIO is not installed")
    path = Path(dm4(tmp_path / "a.dm4", cube()))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"a\.dm4 cannot be read .*\.$"):
        open_source(str(path))
