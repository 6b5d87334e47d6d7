"""A disk that fails, memory that is short, processes that die: the frame is named, the rest goes on."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from amounts import state
from corpus import CASES, FRAMES, Case

from braggscope.app.engine import peaks
from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.cdi import read_stack
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.movies import MovieJob, make_movie
from braggscope.app.engine.strain import run_strain
from braggscope.app.errors import sentence
from braggscope.app.sources import channel
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.reader import Reader
from braggscope.models.disks.network import infer
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.parameters import Parameters
from braggscope.resources.loader import load_weights

FRAME_CASES = [c for c in CASES if c.opens == "frames" and c.name not in ("CBF", "CBF bzip2", "TIFF folder")]
NOTHING_FOUND = Parameters().with_detect(minval=1e9, minscore=1e9).with_localize(methods=("fit",))
RECOVERED_S = 2.0


@pytest.fixture
def fault(monkeypatch):
    """Choose what the disk does to reader processes that start from now on."""

    def choose(kind: str) -> None:
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        monkeypatch.setenv("BRAGGSCOPE_TEST_FAULT", kind)
        monkeypatch.setattr(channel, "MODULE", "faulty_child")

    return choose


def one_sentence(text: str, *words: str) -> None:
    assert "\n" not in text
    assert text.endswith(".")
    assert "Traceback" not in text
    for word in words:
        assert word in text


def places(tmp_path: Path, cases: list[Case]) -> list[tuple[Case, str]]:
    """Whole files of every kind, each in a folder of its own."""
    found = []
    for number, case in enumerate(cases):
        folder = tmp_path / f"case {number}"
        folder.mkdir()
        case.write(folder)
        found.append((case, case.place(folder)))
    return found


@pytest.mark.parametrize("kind", ["error", "memory", "death"])
def test_a_frame_that_fails_is_named_and_the_others_are_read(kind, fault, tmp_path):
    fault(kind)
    longest = used = 0.0
    with Reader() as reader:
        for case, place in places(tmp_path, FRAME_CASES):
            info = reader.open(place)
            assert info.frames == FRAMES, case.name
            whole = reader.read(0)
            with pytest.raises(SourceError) as caught:
                reader.read(1)
            one_sentence(str(caught.value), "rame 1", Path(place.partition("?")[0]).stem.split("_")[0])
            start = time.monotonic()
            np.testing.assert_array_equal(reader.read(0), whole)
            assert (reader.read(FRAMES - 1) > 0).all(), case.name
            longest = max(longest, time.monotonic() - start)
            if kind == "death":  # a new process, whose time is all of the recovery
                used = max(used, sum(psutil.Process(reader.pid).cpu_times()[:2]))
    words = {"error": "Read errors", "memory": "Memory errors in a reader", "death": "Readers that die"}
    found = f"frame named, the others read, longest {longest:.1f} s until the next frame"
    found += f", {used:.1f} s of processor time" if used else ""
    reached = (used or longest) < RECOVERED_S
    state(f"{words[kind]}, every reader", f"{len(FRAME_CASES)} kinds of files", found, reached)


def test_a_slow_disk_only_takes_longer(fault, tmp_path):
    fault("slow")
    with Reader(timeout_s=5.0) as reader:
        for case, place in places(tmp_path, FRAME_CASES[:2]):
            reader.open(place)
            assert (reader.read(2) > 0).all(), case.name


def test_files_that_vanish_and_come_back(tmp_path):
    with Reader() as reader:
        for case, place in places(tmp_path, FRAME_CASES):
            reader.open(place)
            whole = reader.read(2)
            target = Path(place).parent / case.target
            if case.target.endswith(".hdr") or "links" in case.name or "virtual" in case.name:
                continue
            target.rename(target.with_suffix(".gone"))
            with pytest.raises(SourceError) as caught:
                reader.read(3)
            one_sentence(str(caught.value), target.stem)
            target.with_suffix(".gone").rename(target)
            reader.refresh()
            np.testing.assert_array_equal(reader.read(2), whole)


@pytest.mark.parametrize(
    ("name", "lost"), [("HDF5 virtual", "part_1.h5"), ("HDF5 links", "a_data_000002.h5")]
)
def test_a_part_that_is_lost_takes_only_its_frames(tmp_path, name, lost):
    ((_, place),) = places(tmp_path, [c for c in CASES if c.name == name])
    bad = {1} if "part" in lost else {2, 3}
    with Reader() as reader:
        reader.open(place)
        reader.read(0)
        (Path(place).parent / lost).rename(tmp_path / "elsewhere")
        for index in range(FRAMES):
            if index not in bad:
                assert (reader.read(index) > 0).all()
                continue
            with pytest.raises(SourceError) as caught:
                reader.read(index)
            one_sentence(str(caught.value), lost)


def series(tmp_path: Path) -> str:
    ((_, place),) = places(tmp_path, [FRAME_CASES[0]])
    return place


@pytest.mark.parametrize("kind", ["error", "memory", "death"])
def test_a_batch_lists_the_frame_and_goes_on(kind, fault, tmp_path):
    fault(kind)
    job = SeriesJob(series(tmp_path), range(FRAMES), NOTHING_FOUND, workers=2)
    seen = []
    problems = run_series(job, None, silent_context(), on_outcomes=seen.extend)
    assert set(problems) == {1}
    one_sentence(problems[1], "rame 1", "a.h5")
    assert sorted(o.frame for o in seen if not o.problem) == [0, 2, 3]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail]\nDefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried 2 GiB"), "device has not enough memory"),
    ],
)  # fmt: skip
def test_memory_that_is_short_fails_one_frame(error, words, monkeypatch, tmp_path):
    plain = peaks.analyse

    def short(prepared, index, *rest, **more):
        if index == 2:
            raise error
        return plain(prepared, index, *rest, **more)

    monkeypatch.setattr(peaks, "analyse", short)
    job = SeriesJob(series(tmp_path), range(FRAMES), NOTHING_FOUND, workers=2)
    problems = run_series(job, None, silent_context())
    assert set(problems) == {2}
    one_sentence(problems[2], "Frame 2", words)
    one_sentence(sentence(error), words)


def disks_scan(tmp_path: Path) -> str:
    """Four positions of nine bright disks."""
    rows, columns = np.mgrid[:64, :64]
    one = np.full((64, 64), 0.5)
    for x in (16, 32, 48):
        for y in (16, 32, 48):
            one += (400 if x == y == 32 else 120) / (1 + np.exp((np.hypot(columns - x, rows - y) - 4) / 0.2))
    np.save(tmp_path / "scan.npy", np.random.default_rng(0).poisson([[one] * 3] * 2).astype(np.uint16))
    return str(tmp_path / "scan.npy")


@pytest.mark.parametrize("kind", ["error", "death"])
def test_a_scan_loses_one_position(kind, fault, tmp_path):
    fault(kind)
    parameters = Parameters().with_strain(method="correlation", reference=(0, 2, 0, 3))
    result = run_strain(disks_scan(tmp_path), parameters, None, silent_context())
    assert set(result.problems) == {1}
    one_sentence(result.problems[1], "scan.npy")
    assert np.argwhere(~result.strain.valid).tolist() == [[0, 1]]


@pytest.mark.parametrize("kind", ["error", "memory", "death"])
def test_what_needs_every_frame_ends_in_one_sentence_and_leaves_nothing(kind, fault, tmp_path):
    fault(kind)
    place = series(tmp_path)
    np.save(tmp_path / "stack.npy", np.ones((8, 16, 16), np.uint16))
    with Reader() as reader:
        reader.open(str(tmp_path / "stack.npy"))
        with pytest.raises(SourceError) as caught:
            read_stack(reader, silent_context())
    one_sentence(str(caught.value), "rame 1", "stack.npy")
    for name in ("a.mp4", "a"):
        job = MovieJob(place, range(FRAMES), NOTHING_FOUND, tmp_path / "out" / name)
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(SourceError):
            make_movie(job, None, silent_context())
        assert list((tmp_path / "out").iterdir()) == []


def test_a_reader_killed_during_a_batch_costs_at_most_one_frame(tmp_path, monkeypatch):
    plain, killed = Reader.read, []

    def read(self, index, *rest, **more):
        if index == 1 and not killed:
            killed.append(self.pid)
            os.kill(self.pid, signal.SIGKILL)
        return plain(self, index, *rest, **more)

    monkeypatch.setattr(Reader, "read", read)
    job = SeriesJob(series(tmp_path), range(FRAMES), NOTHING_FOUND, workers=1)
    problems = run_series(job, None, silent_context())
    assert killed
    assert set(problems) <= {1}


def test_a_device_without_memory_leaves_the_disks_to_the_cpu(monkeypatch):
    network = infer.DiskNetwork.from_state(load_weights("disks")[0])
    probe = synthetic_probe(4.0, 1.0, 48)
    patterns = np.random.default_rng(1).poisson(3, (5, 48, 48)).astype(np.float32)
    patterns[:, 20:28, 20:28] += 60
    expected = network.find(patterns, None, probe)
    assert len(expected.x) >= 5
    plain, sizes = infer.DiskNetwork._disks, []

    def full(self, counts, *rest):
        if self is network:
            sizes.append(len(counts))
            if len(counts) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, counts, *rest)

    monkeypatch.setattr(infer.DiskNetwork, "_disks", full)
    network.device = "cpu:0"  # for torch the same, for the class another device
    for room in (2, 0):
        sizes.clear()
        found = network.find(patterns, None, probe)
        assert sizes == ([5, 2, 2, 1] if room else [5, 2, 1])
        np.testing.assert_array_equal(found.pattern, expected.pattern)
        np.testing.assert_allclose(found.x, expected.x, atol=0.02)
