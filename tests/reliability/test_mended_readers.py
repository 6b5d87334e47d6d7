"""Damage that once passed for data: each was found by the battery of damaged files."""

import struct

import fabio
import h5py
import numpy as np
import pytest
import tifffile
from corpus import COLUMNS, FRAMES, ROWS, pixels

from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.registry import open_source


def test_an_edf_frame_that_is_cut_is_not_filled_up_with_zeros(tmp_path):
    image = fabio.edfimage.EdfImage(data=pixels()[0])
    for frame in pixels()[1:]:
        image.append_frame(data=frame)
    image.write(str(tmp_path / "a.edf"))
    content = (tmp_path / "a.edf").read_bytes()
    (tmp_path / "a.edf").write_bytes(content[: len(content) * 2 // 3])
    source = open_source(str(tmp_path / "a.edf"))
    np.testing.assert_array_equal(source.read(1), pixels()[1])
    with pytest.raises(SourceError, match=r"a\.edf is cut short"):
        source.read(source.info.frames - 1)
    (tmp_path / "a.edf").write_bytes(content[:2000])
    with pytest.raises(SourceError, match=r"a\.edf is cut short"):
        open_source(str(tmp_path / "a.edf"))


@pytest.mark.parametrize("several", [False, True])
def test_a_tiff_strip_that_is_nowhere_is_not_shown_as_zeros(tmp_path, several):
    tifffile.imwrite(tmp_path / "a.tif", pixels()[0], rowsperstrip=12, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        offsets = list(file.pages.first.dataoffsets)
        file.pages.first.tags["StripOffsets"].overwrite([*offsets[:-1], 0])
    with pytest.raises(SourceError, match=r"a\.tif lacks some of its pixels"):
        open_source(str(tmp_path / "*.tif" if several else tmp_path / "a.tif")).read(0)


@pytest.mark.parametrize("parts", [1, 4])
def test_a_chunk_that_the_index_lost_is_not_shown_as_zeros(tmp_path, parts):
    chunk = (1, ROWS // parts, COLUMNS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", data=pixels(), chunks=chunk)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    key = struct.pack("<II4Q", 2 * chunk[1] * chunk[2], 0, 2, 0, 0, 0)
    assert content.count(key) == 1
    place = content.index(key) + 8 + 2 * 8
    content[place : place + 8] = struct.pack("<Q", 100 * COLUMNS)  # its first column is far outside now
    (tmp_path / "a.h5").write_bytes(content)
    source = open_source(str(tmp_path / "a.h5"))
    np.testing.assert_array_equal(source.read(FRAMES - 1), pixels()[-1])
    with pytest.raises(SourceError, match=r"Frame 2 .* was never written"):
        source.read(2)
    source.close()


@pytest.mark.parametrize("fill", [0, 65535])
@pytest.mark.parametrize("parts", [1, 4])
def test_a_chunk_that_hdf5_does_not_find_is_not_filled_up(tmp_path, parts, fill):
    chunk = (1, ROWS // parts, COLUMNS)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", data=pixels(), chunks=chunk, fillvalue=fill)
    content = bytearray((tmp_path / "a.h5").read_bytes())
    size = 2 * chunk[1] * chunk[2]
    key = struct.pack("<II4Q", size, 0, 1, 0, 0, 0)
    assert content.count(key) == 1
    place = content.index(key)
    content[place : place + len(key)] = struct.pack("<II4Q", size, 0, 1, 0, 0, 2)  # out of its order
    (tmp_path / "a.h5").write_bytes(content)
    source = open_source(str(tmp_path / "a.h5"))
    for k in range(FRAMES):
        try:
            np.testing.assert_array_equal(source.read(k), pixels()[k])
        except SourceError as error:
            refused = str(error)
    assert "a.h5" in refused
    source.close()


def test_names_that_cannot_be_printed_make_no_second_line():
    assert str(SourceError("entry\x08\n of \udc95 ü is missing.")) == r"entry\x08\n of \udc95 ü is missing."


def test_a_mask_does_not_stand_in_for_frames_that_cannot_be_opened(tmp_path):
    with h5py.File(tmp_path / "a.nxs", "w") as file:
        file["/entry/data/data"] = pixels()
        file["/entry/detector/pixel_mask"] = np.zeros((ROWS, COLUMNS), np.uint32)
    content = (tmp_path / "a.nxs").read_bytes()
    extent = struct.pack("<3Q", FRAMES, ROWS, COLUMNS)
    place = content.index(extent) + 23
    (tmp_path / "a.nxs").write_bytes(content[:place] + b"\x8a" + content[place + 1 :])
    with pytest.raises(SourceError, match="/entry/data/data cannot be opened"):
        open_source(str(tmp_path / "a.nxs"))
