"""Files that change while the reader process has them open, and what is left behind."""

import gzip
import os
import threading
import tracemalloc
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
import tifffile

from braggscope.app.sources import images
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader

DATA = np.random.default_rng(1).poisson(5, (12, 64, 80)).astype(np.uint16)


@pytest.fixture
def reader():
    with Reader(timeout_s=2.0) as opened:
        yield opened


@pytest.fixture
def series(tmp_path) -> str:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("/entry/d", data=DATA, chunks=(1, 64, 80), **hdf5plugin.Bitshuffle())
        file["/entry/voltage_V"] = np.linspace(3, 4, 12)
        mask = np.zeros((64, 80), np.uint32)
        mask[3, 4] = 1
        file["/entry/detector/pixel_mask"] = mask
    return str(tmp_path / "a.h5")


def test_frames_mask_axes_and_tree(reader, series):
    info = reader.open(series)
    assert (info.frames, info.shape, info.dtype) == (12, (64, 80), "uint16")
    np.testing.assert_allclose(info.axes["voltage_V"], np.linspace(3, 4, 12))
    for k in (0, 1, 2, 3, 11, 5, 4, 3, 2, 0, 11):
        np.testing.assert_array_equal(reader.read(k), DATA[k])
    mask = reader.mask()
    assert mask is not None
    assert mask.dtype == bool
    assert [tuple(p) for p in np.argwhere(mask)] == [(3, 4)]
    assert "/entry/d" in {e.path for e in reader.tree(series)}
    np.testing.assert_array_equal(reader.read(7), DATA[7])


def test_a_frame_belongs_to_the_caller(reader, series):
    reader.open(series)
    first = reader.read(0)
    for k in range(12):
        reader.read(k)
    np.testing.assert_array_equal(first, DATA[0])
    out = np.empty((64, 80), np.float32)
    assert reader.read(3, out) is out
    np.testing.assert_array_equal(out, DATA[3])
    with pytest.raises(ValueError):
        reader.read(3, np.empty((3, 3)))
    np.testing.assert_array_equal(reader.read(4), DATA[4])


def test_the_next_source_may_have_larger_frames(reader, series, tmp_path):
    reader.open(series)
    reader.read(0)
    large = np.arange(600 * 700, dtype=np.float32).reshape(600, 700)
    np.save(tmp_path / "b.npy", large)
    reader.open(str(tmp_path / "b.npy"))
    np.testing.assert_array_equal(reader.read(0), large)
    reader.open(series)
    np.testing.assert_array_equal(reader.read(9), DATA[9])


def test_prefetch_changes_nothing_but_the_time(reader, series):
    reader.open(series)
    reader.prefetch([5, 4, 99, -1])
    for k in (5, 4, 3, 5):
        reader.prefetch([k - 1, k - 2])
        np.testing.assert_array_equal(reader.read(k), DATA[k])


def test_images_for_mask_dark_and_flat(reader, series, tmp_path):
    reader.open(series)
    np.save(tmp_path / "mask.npy", DATA[0] > 5)
    assert reader.load_image(str(tmp_path / "mask.npy")).dtype == bool
    tifffile.imwrite(tmp_path / "flat.tif", DATA[1].astype(np.float32))
    np.testing.assert_array_equal(reader.load_image(str(tmp_path / "flat.tif")), DATA[1])
    np.testing.assert_array_equal(
        reader.load_image(f"{series}::/entry/detector/pixel_mask").nonzero(), [[3], [4]]
    )


def test_vanished_replaced_and_shortened_files(reader, series):
    reader.open(series)
    reader.read(0)
    moved = Path(series).rename(series + ".old")
    with pytest.raises(SourceError, match="is gone"):
        reader.read(5)
    with h5py.File(series, "w") as file:
        file["d"] = DATA[:3] + 1
    with pytest.raises(SourceError, match="replaced"):
        reader.read(1)
    assert reader.refresh().frames == 3
    np.testing.assert_array_equal(reader.read(1), DATA[1] + 1)
    os.truncate(series, 1000)
    with pytest.raises(SourceError, match="shortened"):
        reader.read(2)
    with pytest.raises(SourceError):
        reader.refresh()
    moved.rename(series)
    assert reader.refresh().frames == 12


def test_growing_hdf5_is_followed_while_it_is_written(reader, tmp_path):
    path = str(tmp_path / "grow.h5")
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset("d", (2, 64, 80), "u2", maxshape=(None, 64, 80), chunks=(1, 64, 80))
        data[:] = DATA[:2]
        file.swmr_mode = True
        info = reader.open(path)
        assert (info.frames, info.can_grow) == (2, True)
        for count in (3, 5):
            data.resize(count, axis=0)
            data[:] = DATA[:count]
            data.flush()
            later = reader.refresh()
            assert later.frames == count
            np.testing.assert_array_equal(reader.read(count - 1), DATA[count - 1])
        assert later.identity != info.identity


def test_growing_hdf5_without_swmr_is_opened_again(reader, tmp_path):
    path = str(tmp_path / "grow.h5")
    for count in (2, 4):
        with h5py.File(path, "a") as file:
            if "d" not in file:
                file.create_dataset("d", (0, 64, 80), "u2", maxshape=(None, 64, 80), chunks=(1, 64, 80))
            file["d"].resize(count, axis=0)
            file["d"][:] = DATA[:count]
        info = reader.open(path) if count == 2 else reader.refresh()
        assert info.frames == count
        np.testing.assert_array_equal(reader.read(count - 1), DATA[count - 1])


def test_growing_folder_is_followed(reader, tmp_path):
    for k in range(5):
        tifffile.imwrite(tmp_path / f"f{k}.tif", DATA[k])
        info = reader.open(str(tmp_path)) if k == 0 else reader.refresh()
        assert (info.frames, info.can_grow) == (k + 1, True)
        np.testing.assert_array_equal(reader.read(k), DATA[k])


def test_many_threads_share_one_reader(reader, series):
    reader.open(series)
    wrong: list[object] = []

    def scan(seed: int) -> None:
        for k in np.random.default_rng(seed).integers(0, 12, 60):
            if not np.array_equal(reader.read(int(k)), DATA[k]):
                wrong.append((seed, k))

    threads = [threading.Thread(target=scan, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_real_series_through_the_process():
    root = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if not root:
        pytest.skip("BRAGGSCOPE_TEST_DATA is not set: no real files to read")
    with Reader() as reader:
        assert reader.open(str(Path(root) / "thaumatin_grid")).frames == 19
        assert reader.read(18).shape == (2527, 2463)
        reader.open(str(Path(root) / "dac_zr/LT1_Ne_zr001_00000-fc_GE2.npz"))
        assert reader.read(99).max() > 0
        assert psutil.Process(reader.pid).memory_info().rss < (1 << 30) + 25_000_000


def test_images_ask_for_no_more_memory_than_they_need(tmp_path):
    """Reading 'at most 512 MiB' in one go asks for all of it, which a reader with compiled code has not."""
    plain, packed = tmp_path / "a.bin", tmp_path / "a.bin.gz"
    plain.write_bytes(bytes(5000))
    packed.write_bytes(gzip.compress(bytes(3 << 20)))
    tracemalloc.start()
    try:
        assert len(images.content(str(plain))) == 5000
        assert len(images.content(str(packed))) == 3 << 20
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
