"""A small series of moving spots with noise, and what the tests of the office share."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from command_line import FLAGS, no_window
from numpy.typing import NDArray

from braggscope.app.cli import main
from braggscope.models.parameters import Parameters

FRAMES, SHAPE = 12, (64, 80)
SPOTS = ((15.3, 12.6, 900.0), (40.2, 30.7, 600.0), (60.8, 48.4, 350.0))  # x, y, amplitude in frame 0
DRIFT = (0.21, 0.13)  # px per frame


@dataclass(frozen=True)
class SmallSeries:
    """A written series and what is in it. ``truth`` (FRAMES, spots, 2): x, y px."""

    path: Path
    frames: NDArray[np.uint16]
    truth: NDArray[np.float64]


def spot_frames(frames: int = FRAMES, shape: tuple[int, int] = SHAPE) -> tuple[NDArray, NDArray]:
    """(frames, H, W) uint16 counts of Gaussian spots on a flat background, and where they are."""
    random = np.random.default_rng(5)
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    truth = np.array([[(x + DRIFT[0] * i, y + DRIFT[1] * i) for x, y, _ in SPOTS] for i in range(frames)])
    images = np.full((frames, *shape), 12.0)
    for i in range(frames):
        for (x, y), (_, _, amplitude) in zip(truth[i], SPOTS, strict=True):
            images[i] += amplitude * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2 * 1.4**2))
    return random.poisson(images).astype(np.uint16), truth


@pytest.fixture(scope="session")
def series(tmp_path_factory: pytest.TempPathFactory) -> SmallSeries:
    """12 frames of 64 x 80 with three spots of known places. Read it only."""
    path = tmp_path_factory.mktemp("series") / "small.h5"
    frames, truth = spot_frames()
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "/entry/data/data", data=frames, chunks=(1, *SHAPE), **hdf5plugin.Bitshuffle(cname="lz4")
        )
    return SmallSeries(path, frames, truth)


@pytest.fixture(scope="session")
def fit_only() -> Parameters:
    """Thresholds that find the three spots, measured without a network."""
    return Parameters().with_detect(minval=60.0, minscore=150.0).with_localize(methods=("fit",))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's own folders, empty and for one test."""
    path = tmp_path / "home"
    monkeypatch.setenv("BRAGGSCOPE_HOME", str(path))
    return path


@pytest.fixture
def broken_series(tmp_path: Path, series: SmallSeries) -> Path:
    """The same series with the compressed bytes of frame 5 damaged."""
    path = tmp_path / "broken.h5"
    path.write_bytes(series.path.read_bytes())
    with h5py.File(path, "r+") as file:
        file["/entry/data/data"].id.write_direct_chunk((5, 0, 0), b"\x07" * 40)
    return path


@pytest.fixture
def run(capsys):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def call(*words, open_window=no_window):
        code = main([str(word) for word in words], open_window)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def fails(run):
    """Run a command that must end with exit code 2 and one sentence, which is returned."""

    def call(*words):
        code, out, err = run(*words)
        sentence = err.splitlines()[-1]
        assert code == 2
        assert out == ""
        assert "Traceback" not in err
        assert sentence.startswith("braggscope: ")
        assert sentence.endswith(".")
        return sentence

    return call


@pytest.fixture(scope="session")
def table(series: SmallSeries, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of the small series, by the command line."""
    path = tmp_path_factory.mktemp("peaks") / "whole.h5"
    assert main(["peaks", str(series.path), "-o", str(path), *FLAGS], no_window) == 0
    return path
