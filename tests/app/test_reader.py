"""The reader process: fast hand-over, and a program that lives on whatever happens to the process."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
import tifffile

from braggscope.app.engine.jobs import Cancelled
from braggscope.app.sources import channel, reader_process
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
from braggscope.app.sources.channel import end_with_parent

def hang(*arguments):
    ctypes.PyDLL(None).sleep(1000)  # in C, with the interpreter locked, like a library on a damaged file

plain = child.open_source
child.open_source = lambda location, *rest: (hang if "stuck" in location else plain)(location, *rest)
end_with_parent()
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
        assert time.monotonic() - start < 1.5
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
        assert time.monotonic() - start < 1.5
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


def test_a_reader_killed_between_requests_is_started_again(reader, series):
    reader.open(series)
    pid = reader.pid
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)
    try:
        frame = reader.read(6)
    except SourceError:  # where the death shows only while asking, that one request says so
        frame = reader.read(6)
    np.testing.assert_array_equal(frame, DATA[6])
    assert reader.pid != pid


def test_too_much_memory_is_stopped(reader, series, monkeypatch):
    reader.open(series)
    monkeypatch.setattr(reader_process, "MEMORY_LIMIT", 1 << 20)
    os.kill(reader.pid, signal.SIGSTOP)
    with pytest.raises(SourceError, match="GiB of memory"):
        reader.read(4)


def test_a_source_that_is_opened_is_not_allowed_what_the_last_one_was(reader, series, monkeypatch):
    reader.open(series)
    allowed, ask = [], reader._process.ask
    monkeypatch.setattr(
        reader._process, "ask", lambda *what: allowed.append(reader._process.frame_bytes) or ask(*what)
    )
    reader.open(series)
    assert allowed[0] == 0
    assert reader._process.frame_bytes == DATA[0].nbytes


def test_a_bomb_ends_in_a_sentence_and_within_memory(reader, tmp_path):
    import gzip

    with gzip.open(tmp_path / "a.tif.gz", "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(bytes(16 << 20))
    with pytest.raises(SourceError, match=r"a\.tif\.gz"):
        reader.open(str(tmp_path / "a.tif.gz"))
    assert psutil.Process(reader.pid).memory_info().rss < 1 << 30


def test_nothing_is_left_after_close(series, stuck):
    own = psutil.Process()
    gc.collect()

    def held() -> tuple[int, int, int]:
        return own.num_fds(), threading.active_count(), len(own.children(recursive=True))

    before = held()
    memory = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    for _ in range(3):
        reader = Reader(timeout_s=2.0)
        reader.open(series)
        reader.read(0)
        with pytest.raises(SourceError):
            reader.open(stuck)
        reader.close()
        reader.close()
        with pytest.raises(Cancelled):
            reader.read(0)
    gc.collect()
    assert all(now <= then for now, then in zip(held(), before, strict=True)), (held(), before)
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
    assert time.monotonic() - start < 1.5
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


STARTING = """
import os, sys, time
from braggscope.app.sources.channel import start_child
os.environ["PYTHONPATH"] = sys.argv[1]
process, *others = start_child()
print(process.pid, flush=True)
time.sleep(60)
"""


def test_a_process_that_still_imports_ends_with_its_parent(tmp_path):
    (tmp_path / "numpy.py").write_text(
        "import pathlib, time\npathlib.Path(__file__ + '.here').touch()\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", STARTING, tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        while not (tmp_path / "numpy.py.here").exists():
            time.sleep(0.01)
        parent.kill()
    assert gone(pid)
