"""The window on a small series, in a home of its own, closed cleanly after every journey."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from coherent_scan import QUICK, SPEC, coherent, prepared
from PyQt6.QtCore import qInstallMessageHandler
from stage import Stage, children, until
from strain_scan import COLUMNS, ROWS, SIDE, STRAINED, open_scan, pattern

from braggscope.app.demo import write_demo_series
from braggscope.models.cdi.diffraction import grow, measure
from braggscope.models.peaks.simulate import SeriesSpec

FRAMES, LONG = 24, 300
HARMLESS = ("propagateSizeHints",)  # the offscreen platform has no window manager


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.no_qt_log)  # the message handler below listens instead


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short series of small frames."""
    path = tmp_path_factory.mktemp("series") / "series.h5"
    write_demo_series(path, spec=SeriesSpec(frames=FRAMES, shape=(128, 128), grains=12, seed=3))
    return path


@pytest.fixture(scope="session")
def long_series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few hundred frames of few peaks."""
    path = tmp_path_factory.mktemp("long") / "long.h5"
    write_demo_series(path, spec=SeriesSpec(frames=LONG, shape=(64, 64), grains=5, seed=4))
    return path


@pytest.fixture(scope="session")
def warm() -> None:
    """Import torch and compile kernels once, on one thread."""
    import torch

    from braggscope.app.engine.localizers import open_localizer

    torch.set_num_threads(1)
    open_localizer("braggnn", "cpu")


@pytest.fixture
def qt_messages(qapp: object) -> Iterator[list[str]]:
    """Whatever Qt complains about during a test; it must be nothing."""
    messages: list[str] = []

    def listen(_kind: object, _context: object, text: str | None) -> None:
        if text and not any(word in text for word in HARMLESS):
            messages.append(text)

    before = qInstallMessageHandler(listen)
    yield messages
    qInstallMessageHandler(before)
    assert not messages, messages


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All files of the program go here."""
    path = tmp_path / "home"
    monkeypatch.setenv("BRAGGSCOPE_HOME", str(path))
    return path


@pytest.fixture
def launch(home: Path, warm: None, qt_messages: list[str]) -> Iterator[Callable[..., Stage]]:
    """Starts programs; those still open at the end are closed, and nothing of them may be left."""
    threads = set(threading.enumerate())
    processes = {child.pid for child in children()}
    stages: list[Stage] = []

    def start(*locations: str | Path) -> Stage:
        stages.append(Stage(*locations))
        return stages[-1]

    yield start
    for stage in stages:
        if not stage.desk.lanes.frame._closed:
            stage.close()
    until(lambda: not [c for c in children() if c.pid not in processes], "the end of the children", 3)
    until(lambda: not set(threading.enumerate()) - threads, "the end of the threads", 3)


@pytest.fixture
def program(launch: Callable[..., Stage], series: Path) -> Stage:
    """A window on the short series, its first frame measured."""
    stage = launch()
    stage.open(series)
    return stage


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan whose right half is stretched along x, with an empty corner."""
    rng = np.random.default_rng(5)
    cube = np.zeros((ROWS, COLUMNS, SIDE, SIDE), np.uint16)
    for r in range(ROWS):
        for c in range(COLUMNS):
            cube[r, c] = pattern(rng, STRAINED if c >= COLUMNS // 2 else 0.0, empty=r == 0 and c < 2)
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = cube
    return path


@pytest.fixture
def stage(launch: Callable[..., Stage]) -> Stage:
    """The empty Strain workspace."""
    made = launch()
    made.program.trigger("strain_workspace")
    return made


@pytest.fixture
def scan(stage: Stage, scan_file: Path) -> Stage:
    """The workspace with the scan: probe, live disks and virtual images are there."""
    open_scan(stage, scan_file)
    return stage


@pytest.fixture(scope="session")
def counts() -> np.ndarray:
    """The pattern of a small crystal."""
    return measure(grow(SPEC), SPEC).counts


@pytest.fixture(scope="session")
def stack(counts: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    path = tmp_path_factory.mktemp("crystal") / "scan7.npy"
    np.save(path, counts)
    return path


@pytest.fixture
def crystal(launch: Callable[..., Stage], stack: Path) -> Stage:
    """The workspace with a small crystal, prepared, and parameters that are quick."""
    stage = launch()
    stage.open(stack)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    coherent(stage).set_phasing(coherent(stage).phasing.model_copy(update=QUICK))
    return stage
