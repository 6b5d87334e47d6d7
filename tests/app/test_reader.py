"""The reader process: fast hand-over, and a program that lives on whatever happens to the process."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
import tifffile

from braggscope.app.engine.jobs import Cancelled
from braggscope.app.sources import channel
from braggscope.app.sources import reader as reader_module
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


HANGING = """
import ctypes
from braggscope.app.sources import child

def hang(*arguments):
    ctypes.PyDLL(None).sleep(1000)  # in C, with the interpreter locked, like a library on a damaged file

plain = child.open_source
child.open_source = lambda location, *rest: (hang if "stuck" in location else plain)(location, *rest)
child.main()
"""


@pytest.fixture
def stuck(tmp_path, monkeypatch) -> str:
    """A location at which the reader process hangs for ever."""
    (tmp_path / "hanging_child.py").write_text(HANGING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(channel, "MODULE", "hanging_child")
    return str(tmp_path / "stuck.h5")


def gone(pid: int, within: float = 2.0) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.01)
    return False


def attempt(reader: Reader, errors: list[Exception]) -> None:
    try:
        reader.read(1)
    except (SourceError, Cancelled) as error:
        errors.append(error)


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


def test_errors_are_sentences_and_the_open_source_stays(reader, series, tmp_path):
    with pytest.raises(SourceError, match="open a file first"):
        reader.read(0)
    reader.open(series)
    with pytest.raises(SourceError, match="no frame 12"):
        reader.read(12)
    with pytest.raises(SourceError, match=r"no\.tif"):
        reader.load_image(str(tmp_path / "no.tif"))
    np.testing.assert_array_equal(reader.read(2), DATA[2])
    with pytest.raises(SourceError, match=r"no\.h5"):
        reader.open(str(tmp_path / "no.h5"))


def test_a_request_without_progress_is_stopped_in_time(stuck, series):
    with Reader(timeout_s=1.0) as reader:
        pid = reader.pid
        start = time.monotonic()
        with pytest.raises(SourceError, match=r"stuck\.h5 made no progress for 1 s"):
            reader.open(stuck)
        assert time.monotonic() - start < 2.0
        assert gone(pid)
        reader.open(series)
        np.testing.assert_array_equal(reader.read(1), DATA[1])


def test_a_frame_that_hangs_is_stopped_and_the_others_are_still_read(reader, tmp_path):
    for k in range(3):
        tifffile.imwrite(tmp_path / f"f{k}.tif", DATA[k])
    reader.open(str(tmp_path))
    (tmp_path / "f1.tif").unlink()
    np.testing.assert_array_equal(reader.read(0), DATA[0])
    os.kill(reader.pid, signal.SIGSTOP)
    with pytest.raises(SourceError, match=r"frame 2 of .* no progress"):
        reader.read(2)
    assert reader.refresh().frames == 2
    np.testing.assert_array_equal(reader.read(1), DATA[2])


def test_cancel_ends_a_request_within_a_fifth_of_a_second(stuck, series):
    with Reader(timeout_s=30.0) as reader:
        reader.open(series)
        pid, cancelled = reader.pid, threading.Event()
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(0.3, cancelled.set).start()
        start = time.monotonic()
        with pytest.raises(Cancelled):
            reader.read(3, cancelled=cancelled)
        assert time.monotonic() - start < 0.5
        assert gone(pid, 0.2)
        np.testing.assert_array_equal(reader.read(3), DATA[3])
        with pytest.raises(Cancelled):
            reader.read(3, cancelled=cancelled)


def test_waiting_for_another_request_can_be_cancelled(series):
    with Reader(timeout_s=3.0) as reader:
        reader.open(series)
        os.kill(reader.pid, signal.SIGSTOP)
        failed: list[Exception] = []
        blocked = threading.Thread(target=attempt, args=(reader, failed))
        blocked.start()
        time.sleep(0.1)
        cancelled = threading.Event()
        threading.Timer(0.1, cancelled.set).start()
        start = time.monotonic()
        with pytest.raises(Cancelled):
            reader.read(2, cancelled=cancelled)
        assert time.monotonic() - start < 0.4
        blocked.join()
        assert [type(error) for error in failed] == [SourceError]


@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGBUS, signal.SIGSEGV])
def test_the_program_outlives_its_reader(reader, series, kind):
    reader.open(series)
    os.kill(reader.pid, signal.SIGSTOP)

    def end(pid: int) -> None:
        os.kill(pid, kind)
        if kind != signal.SIGKILL:
            os.kill(pid, signal.SIGCONT)

    threading.Timer(0.2, end, (reader.pid,)).start()
    with pytest.raises(SourceError, match=rf"frame 4 of .*a\.h5.* ended its process \({kind.name}\)"):
        reader.read(4)
    start = time.monotonic()
    np.testing.assert_array_equal(reader.read(4), DATA[4])
    assert time.monotonic() - start < 2.0


def test_a_reader_killed_between_requests_is_not_noticed(reader, series):
    reader.open(series)
    pid = reader.pid
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    np.testing.assert_array_equal(reader.read(6), DATA[6])
    assert reader.pid != pid


def test_too_much_memory_is_stopped(reader, series, monkeypatch):
    reader.open(series)
    monkeypatch.setattr(reader_module, "MEMORY_LIMIT", 1 << 20)
    os.kill(reader.pid, signal.SIGSTOP)
    with pytest.raises(SourceError, match="GiB of memory"):
        reader.read(4)


def test_a_bomb_ends_in_a_sentence_and_within_memory(reader, tmp_path):
    import gzip

    with gzip.open(tmp_path / "a.tif.gz", "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(bytes(16 << 20))
    with pytest.raises(SourceError, match=r"a\.tif\.gz"):
        reader.open(str(tmp_path / "a.tif.gz"))
    assert psutil.Process(reader.pid).memory_info().rss < 1 << 30


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


def test_nothing_is_left_after_close(series, stuck):
    own = psutil.Process()
    gc.collect()
    before = own.num_fds(), threading.active_count(), len(own.children(recursive=True))
    memory = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    for _ in range(3):
        reader = Reader(timeout_s=1.0)
        reader.open(series)
        reader.read(0)
        with pytest.raises(SourceError):
            reader.open(stuck)
        reader.close()
        reader.close()
        with pytest.raises(Cancelled):
            reader.read(0)
    gc.collect()
    assert (own.num_fds(), threading.active_count(), len(own.children(recursive=True))) == before
    if memory:
        assert set(os.listdir("/dev/shm")) <= memory


def test_close_ends_a_request_under_way(series):
    reader = Reader(timeout_s=30.0)
    reader.open(series)
    os.kill(reader.pid, signal.SIGSTOP)
    ended: list[Exception] = []
    thread = threading.Thread(target=attempt, args=(reader, ended))
    thread.start()
    time.sleep(0.1)
    start = time.monotonic()
    reader.close()
    thread.join()
    assert time.monotonic() - start < 0.5
    assert [type(error) for error in ended] == [Cancelled]


PARENT = """
import sys, time
from braggscope.app.sources import channel
from braggscope.app.sources.reader import Reader
channel.MODULE = sys.argv[3]
reader = Reader()
reader.open(sys.argv[1])
heavy = [m for m in ("h5py", "fabio", "tifffile", "torch", "PyQt6", "numba") if m in sys.modules]
print(reader.pid, *heavy, flush=True)
{then}
"""


@pytest.mark.parametrize("then", ["time.sleep(60)", "reader.open(sys.argv[2])"])
def test_the_process_ends_with_a_killed_parent_which_never_imports_the_formats(series, stuck, then):
    command = [sys.executable, "-c", PARENT.format(then=then), series, stuck, channel.MODULE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, *heavy = parent.stdout.readline().split()
        assert not heavy
        time.sleep(0.3)
        assert psutil.pid_exists(int(pid))
        parent.kill()
    assert gone(int(pid))


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
