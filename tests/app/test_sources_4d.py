"""4D-STEM files: what is written is what is read, with the scan's shape and its calibrations."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from scans import cube, flat, frames_of

from braggscope.app.files import OverwriteError, check_not_input
from braggscope.app.sources.many import absolute
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.raw import raw_location
from braggscope.app.sources.reader import Reader
from braggscope.app.sources.registry import open_source

SCAN = (3, 4)
DATA = Path(os.environ.get("BRAGGSCOPE_TEST_DATA", "")) / "stem4d"
needs_data = pytest.mark.skipif(
    "BRAGGSCOPE_TEST_DATA" not in os.environ, reason="BRAGGSCOPE_TEST_DATA names no folder"
)


# -- raw ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "uint32", "float32", "float16"])
def test_raw_files_are_read_as_typed_in(tmp_path, dtype):
    values = cube(dtype)
    (tmp_path / "scan.raw").write_bytes(values.tobytes())
    found, info = frames_of(raw_location(str(tmp_path / "scan.raw"), values.shape, dtype))
    assert np.array_equal(found, flat(values))
    assert info.stack_shape == SCAN
    assert info.warnings == ()


def test_raw_files_may_have_a_header_and_gaps(tmp_path):
    values = cube()
    frames = b"".join(frame.tobytes() + b"\xff" * 24 for frame in flat(values))
    (tmp_path / "scan.bin").write_bytes(b"header!" + frames)
    place = raw_location(str(tmp_path / "scan.bin"), values.shape, "uint16", 7, 24)
    found, info = frames_of(place)
    assert np.array_equal(found, flat(values))
    assert info.location == place
    assert info.warnings == ()
    columns_first, info = frames_of(place, 1)
    assert np.array_equal(columns_first, flat(values.swapaxes(0, 1)))
    assert info.stack_shape == SCAN[::-1]


def test_a_raw_file_opens_in_the_reader_process_and_again(tmp_path, monkeypatch):
    values = cube()
    (tmp_path / "scan.raw").write_bytes(values.tobytes())
    monkeypatch.chdir(tmp_path)
    place = absolute(raw_location("scan.raw", values.shape, "uint16"))
    assert place.startswith(str(tmp_path))
    with Reader() as reader:
        first = reader.open(place)
        assert np.array_equal(reader.read(5), flat(values)[5])
        assert reader.refresh() == first


def test_a_raw_input_is_never_the_output(tmp_path):
    (tmp_path / "scan.raw").write_bytes(cube().tobytes())
    with pytest.raises(OverwriteError):
        check_not_input(tmp_path / "scan.raw", [raw_location(str(tmp_path / "scan.raw"), (12, 10, 12), "u2")])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "write .*shape=R,C,H,W"),
        ("?shape=3,4,10,13&dtype=uint16", "too few"),
        ("?shape=3,4,x,12", "makes no sense"),
        ("?shape=3,4,0,12", "makes no sense"),
        ("?shape=3,4,10,12&dtype=counts", "is no data type"),
        ("?shape=3,4,10,12&dtype=O", "Python objects"),
        ("?dtype=uint16", "does not say"),
        ("?shape=3,4,10,12&colour=red", "does not say"),
        ("?shape=10&dtype=uint16", "not an image"),
        ("?shape=99999,99999,99999,99999&dtype=uint16", "too few"),
    ],
)
def test_raw_files_wrongly_described_end_in_a_sentence(tmp_path, words, says):
    (tmp_path / "scan.raw").write_bytes(cube().tobytes())
    with pytest.raises(SourceError, match=says) as caught:
        open_source(f"{tmp_path / 'scan.raw'}{words}")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_bytes_too_many_are_said(tmp_path):
    (tmp_path / "scan.raw").write_bytes(cube().tobytes() + b"12345")
    source = open_source(raw_location(str(tmp_path / "scan.raw"), (3, 4, 10, 12), "uint16"))
    assert "5 bytes" in source.info.warnings[0]


# -- Merlin and Blockfile -------------------------------------------------------------------------------


def merlin(path, values, kind, triggers=None, cut=0):
    rows, columns = values.shape[-2:]
    data = b""
    for number, frame in enumerate(flat(values), 1):
        head = f"MQ1,{number:06d},00384,01,{columns:04d},{rows:04d},{kind},   1x1,01,2021-05-07,0.001,0,0,0,"
        data += head.encode().ljust(384, b"\0") + frame[::-1].astype(frame.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(data[: len(data) - cut])
    if triggers is not None:
        path.with_suffix(".hdr").write_text(
            f"HDR,\t\nCounter Depth (number):\t12\nFrames per Trigger (Number):\t{triggers}\nEnd\t"
        )
    return str(path)


@pytest.mark.parametrize(("dtype", "kind"), [("uint8", "U08"), ("uint16", "U16"), ("uint32", "U32")])
def test_merlin_files(tmp_path, dtype, kind):
    values = cube(dtype)
    found, info = frames_of(merlin(tmp_path / "a.mib", values, kind, triggers=4))
    assert np.array_equal(found, flat(values))
    assert found.dtype == dtype
    assert info.stack_shape == SCAN
    assert info.metadata["Counter Depth"] == "12"
    assert info.quantities == {"exposure_s": 0.001}


def test_a_merlin_file_without_triggers_is_a_series(tmp_path):
    assert frames_of(merlin(tmp_path / "a.mib", cube(), "U16"))[1].stack_shape == (12,)
    assert frames_of(merlin(tmp_path / "b.mib", cube(), "U16", triggers=5))[1].stack_shape == (12,)


def test_damaged_merlin_files(tmp_path):
    found, info = frames_of(merlin(tmp_path / "cut.mib", cube(), "U16", cut=7))
    assert len(found) == 11
    assert "incomplete" in info.warnings[0]
    with pytest.raises(SourceError, match="raw counters"):
        open_source(merlin(tmp_path / "raw.mib", cube(), "R64"))
    (tmp_path / "tiny.mib").write_bytes(b"MQ1,000001,00384,01,0256,0256,U08," + bytes(600))
    (tmp_path / "nonsense.mib").write_bytes(b"MQ1,000001,zebra" + bytes(600))
    for name in ("tiny.mib", "nonsense.mib"):
        with pytest.raises(SourceError, match="copy it again"):
            open_source(str(tmp_path / name))
    (tmp_path / "a.hdr").write_text("HDR,\t\nEnd\t")
    with pytest.raises(SourceError, match=r"open .*a\.mib"):
        open_source(str(tmp_path / "a.hdr"))


def blockfile(path, values, scan=SCAN):
    side = values.shape[-1]
    head = struct.pack(
        "<6sHIIIHHHHHddIHI", b"IMGBLO", 0x102, 512, 1024, 0, side, 0, scan[1], scan[0], 0,
        2.5, 2.5, 200_000, 6226, 2000,
    )  # fmt: skip
    body = b"".join(struct.pack("<HI", 0x55AA, k) + frame.tobytes() for k, frame in enumerate(flat(values)))
    path.write_bytes(head.ljust(1024, b"\0") + body)
    return str(path)


def test_blockfiles(tmp_path):
    values = cube("uint8", (11, 11))
    found, info = frames_of(blockfile(tmp_path / "a.blo", values))
    assert np.array_equal(found, flat(values))
    assert info.stack_shape == SCAN
    assert info.quantities["scan_step_nm"] == 2.5
    assert info.quantities["voltage_kV"] == 200
    # 62.26 px/cm at 200 mm and 2.508 pm: (1/6226 m) / 0.2 m / 0.02508 angstrom
    assert info.quantities["pixel_inv_angstrom"] == pytest.approx(0.03202, rel=1e-3)


def test_a_cut_blockfile_shows_what_is_there(tmp_path):
    found, info = frames_of(blockfile(tmp_path / "a.blo", cube("uint8", (11, 11)), (5, 4)))
    assert len(found) == 12
    assert info.stack_shape == (12,)
    assert "12 of 20" in info.warnings[0]
    (tmp_path / "b.blo").write_bytes((tmp_path / "a.blo").read_bytes()[:1030])
    with pytest.raises(SourceError, match="no complete pattern"):
        open_source(str(tmp_path / "b.blo"))


@needs_data
@pytest.mark.parametrize(
    ("name", "converted", "scan"),
    [
        ("001_4x2_6bit.mib", "converted_merlin_2x4x256x256.h5", (8,)),
        ("test1.blo", "converted_sped_blo_3x2x144x144.h5", (3, 2)),
    ],
)
def test_measured_scans_equal_their_conversion(name, converted, scan):
    found, info = frames_of(DATA / name)
    same, _ = frames_of(DATA / converted)
    assert np.array_equal(found, same)
    assert info.stack_shape == scan


@needs_data
def test_a_region_of_a_merlin_detector():
    found, info = frames_of(DATA / "002_4x2_6bit_roi128.mib")
    assert info.shape == (128, 256)
    assert found.max() == 63
