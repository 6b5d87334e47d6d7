"""Damaged files of every kind through the program's own readers: a sentence, in time, no false zeros."""

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from amounts import amount, state
from corpus import CASES, FRAMES, Case
from mutations import damaged

from braggscope.app.engine.axis import AxisError, read_axis
from braggscope.app.engine.jobs import Cancelled
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.app.sources.reader_process import MEMORY_LIMIT
from braggscope.app.state.session import SessionError, load_session
from braggscope.resources.loader import WeightsError, load_weights

LONGEST_S = 5.0
MOST_ZEROS = 0.55
EXPECTED = (SourceError, AxisError, SessionError, WeightsError)


@dataclass
class Found:
    """What a battery counts, and the faults it lists."""

    counts: Counter = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    longest_s: float = 0.0
    largest: int = 0
    frame_bytes: int = 0


class Battery:
    """Opens damaged copies with one reader, which is replaced only when it dies."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder, self.reader, self.found = folder, reader, Found()
        self._whole: dict[str, Path] = {}

    def whole(self, case: Case) -> Path:
        """Folder with the undamaged files."""
        if case.name not in self._whole:
            self._whole[case.name] = self.folder / f"whole {len(self._whole)}"
            self._whole[case.name].mkdir()
            case.write(self._whole[case.name])
        return self._whole[case.name]

    def one(self, case: Case, seed: int, again: bool = False) -> None:
        """Damage, open, read, judge; what took long on a busy machine gets a second chance."""
        whole, copy = self.whole(case), self.folder / f"copy {seed}"
        shutil.copytree(whole, copy)
        content, how = damaged((whole / case.target).read_bytes(), np.random.default_rng(seed))
        (copy / case.target).write_bytes(content)
        pid, start = self.reader.pid, time.monotonic()
        try:
            said = self.open(case, copy)
        except Exception as error:
            said = [f"{type(error).__name__} is no sentence: {error}"]
        took = time.monotonic() - start
        shutil.rmtree(copy)
        if took > LONGEST_S + 1 and not again:
            self.one(case, seed, again=True)
            return
        self._judge(took, pid)
        if took > LONGEST_S + 3:  # the cancelled process is started anew in this time
            said.append(f"took {took:.1f} s")
        for text in said:
            self.found.faults.append(f"{case.name}, seed {seed} ({how}): {text}")
            print(self.found.faults[-1], flush=True)

    def _judge(self, took: float, pid: int) -> None:
        found = self.found
        found.longest_s = max(found.longest_s, took)
        if self.reader.pid != pid:
            found.counts["readers that died"] += 1
            return
        info = self.reader.info
        size = info.frame_bytes if info else 0
        peak = peak_memory(pid)
        if peak > MEMORY_LIMIT + max(size, found.frame_bytes):
            found.faults.append(f"the reader took {peak / 2**20:.0f} MiB")
        found.frame_bytes = max(size, found.frame_bytes)
        found.largest = max(found.largest, peak)

    def open(self, case: Case, copy: Path) -> list[str]:
        """Faults of one opening."""
        cancelled = threading.Event()
        timer = threading.Timer(LONGEST_S, cancelled.set)
        timer.start()
        try:
            wrong = getattr(self, f"_{case.opens}")(case.place(copy), cancelled)
        except Cancelled:
            self.found.counts["cancelled after 5 s"] += 1
            return []
        except EXPECTED as error:
            self.found.counts["refused"] += 1
            return sentence_faults(str(error), copy)
        finally:
            timer.cancel()
        self.found.counts["read"] += not wrong
        return wrong

    def _frames(self, location: str, cancelled: threading.Event) -> list[str]:
        info = self.reader.open(location, cancelled=cancelled)
        wrong = [text for warning in info.warnings for text in sentence_faults(warning)]
        wrong += [f"{k} is {v}" for k, v in info.quantities.items() if not np.isfinite(v)]
        self.reader.mask(cancelled)
        for index in {0, info.frames // 2, info.frames - 1}:
            try:
                frame = self.reader.read(index, cancelled=cancelled)
            except SourceError as error:
                self.found.counts["frames refused"] += 1
                wrong += sentence_faults(str(error), Path(location).parent)
                continue
            wrong += zero_faults(frame, index, info)
        if location.endswith((".h5", ".nxs", ".emd")):
            self.reader.tree(location, cancelled)
        return wrong

    def _image(self, location: str, cancelled: threading.Event) -> list[str]:
        image = self.reader.load_image(location, cancelled)
        return [] if image.ndim == 2 else [f"an image of shape {image.shape}"]

    def _instrument(self, location: str, cancelled: threading.Event) -> list[str]:
        found = self.reader.load_instrument(location, (2048, 2048), None, cancelled)
        wrong = [text for note in found.notes for text in sentence_faults(note)]
        numbers = [
            found.instrument.distance_m,
            found.instrument.wavelength_angstrom,
            *found.instrument.rot_rad,
        ]
        return wrong + [f"the instrument has {n}" for n in numbers if not np.isfinite(n)]

    def _cell(self, location: str, cancelled: threading.Event) -> list[str]:
        cell = self.reader.load_cell(location, cancelled)
        return [] if cell.a > 0 else [f"a cell of {cell.a}"]

    def _axis(self, location: str, cancelled: threading.Event) -> list[str]:
        return (
            [] if read_axis(Path(location), FRAMES).values.shape == (FRAMES,) else ["an axis of other length"]
        )

    def _session(self, location: str, cancelled: threading.Event) -> list[str]:
        load_session(Path(location))
        return []

    def _weights(self, location: str, cancelled: threading.Event) -> list[str]:
        load_weights(location)
        return []


def sentence_faults(text: str, folder: Path | None = None) -> list[str]:
    """What is wrong with a message: one line, one or two clauses, its file named."""
    wrong = []
    if "\n" in text or "\r" in text or not text.isprintable():
        wrong.append(f"more than one line: {text!r}")
    if not text.endswith((".", "!", "?")) or "Traceback" in text or len(text) > 700:
        wrong.append(f"no sentence: {text!r}")
    if folder is not None and not any(p.stem.split(".")[0] in text for p in folder.iterdir()):
        wrong.append(f"names no file: {text!r}")
    return wrong


def zero_faults(frame: np.ndarray, index: int, info: SourceInfo) -> list[str]:
    """Zeros were never measured: no more of a frame may be zero than damage writes or moves there."""
    share = float((frame == 0).mean())
    if share <= MOST_ZEROS or (info.warnings and share < 1):
        return []
    return [f"{share:.0%} of frame {index} of shape {frame.shape}, {info.dtype} are zeros, {info.warnings}"]


def peak_memory(pid: int) -> int:
    """Largest resident memory that a process had, in bytes; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM")), 0)


@pytest.fixture
def battery(tmp_path: Path) -> Iterator[Battery]:
    load_weights("braggnn")  # torch is imported before any time is taken
    with Reader() as reader:
        yield Battery(tmp_path, reader)


def test_whole_files_are_read(battery):
    """What is damaged below is readable before."""
    for case in CASES:
        assert not battery.open(case, battery.whole(case)), case.name
    assert battery.found.counts == {"read": len(CASES)}


@pytest.mark.timeout(0)
def test_damaged_files(battery):
    files, found = amount(500, 20_000), battery.found
    for number in range(files):
        battery.one(CASES[number % len(CASES)], number)
    counts = found.counts
    state(
        "Fuzzed files",
        f"{files} damaged files of {len(CASES)} kinds",
        f"{counts['read']} read, {counts['refused']} refused, {counts['frames refused']} frames refused, "
        f"{counts['readers that died']} reader processes replaced, {counts['cancelled after 5 s']} cancelled "
        f"after 5 s, longest {found.longest_s:.1f} s, reader at most {found.largest / 2**20:.0f} MiB, "
        f"{len(found.faults)} faults",
        not found.faults,
    )
    assert not found.faults, "\n".join(found.faults[:200])
