"""The first thresholds show the evident spots of simulated and real frames, and little else."""

import os
from pathlib import Path

import numpy as np
import pytest

from braggscope.models.peaks.detect import select, suggest_thresholds
from braggscope.models.peaks.persistence import find_candidates


@pytest.fixture(scope="module")
def data():
    folder = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if not folder:
        pytest.skip("BRAGGSCOPE_TEST_DATA is not set")
    return Path(folder)


def selected(image, mask=None):
    minval, minscore = suggest_thresholds(image, mask)
    for value in (minval, minscore):
        assert float(f"{value:.2g}") == value  # friendly
    candidates = find_candidates(image, mask)
    chosen = select(candidates, minval, minscore).candidate
    return np.stack([candidates.row[chosen], candidates.col[chosen]], axis=1)


def ring_frame(seed, n=256, n_peaks=25):
    """Poisson counts on a bright ring band, spots on and beside it: (frame, (N, 2) row, column)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    mean = 60 + 400 * np.exp(-((np.hypot(x - 1.1 * n, y - n / 2) - 0.6 * n) ** 2) / (2 * (0.06 * n) ** 2))
    truth = rng.permutation(np.stack(np.meshgrid(*[np.arange(20, n - 20, 24)] * 2), -1).reshape(-1, 2))[
        :n_peaks
    ]
    for row, col in truth:
        spot = np.exp(-((x - col) ** 2 + (y - row) ** 2) / (2 * rng.uniform(1, 2) ** 2))
        mean = mean + rng.uniform(700, 2500) * spot
    return rng.poisson(mean).astype(np.float32), truth


@pytest.mark.parametrize("seed", range(4))
def test_spots_on_a_bright_ring(seed):
    image, truth = ring_frame(seed)
    found = selected(image)
    distance = np.hypot(*(found[:, None] - truth[None]).transpose(2, 0, 1))
    assert np.mean(distance.min(axis=0) <= 2) >= 0.9
    assert np.mean(distance.min(axis=1) > 4) <= 0.1


def test_masked_spots_do_not_count():
    image, _ = ring_frame(1)
    loud, mask = image.copy(), np.zeros(image.shape, np.bool_)
    loud[100:140, 50:60], mask[100:140, 50:60] = 1e6, True
    quiet = np.where(mask, 0, image)
    assert suggest_thresholds(loud, mask) == suggest_thresholds(quiet, mask)


@pytest.mark.parametrize("mean", [0.05, 3, 200])
def test_noise_alone_leaves_few(mean):
    image = np.random.default_rng(5).poisson(mean, (512, 512)).astype(np.float32)
    assert 1 <= len(selected(image)) <= 400


def test_pilatus_frame(data):
    import fabio

    frames = sorted((data / "thaumatin_grid").glob("*.cbf.bz2"))
    image = fabio.open(str(frames[2])).data
    assert 300 <= len(selected(image, image < 0)) <= 2000


@pytest.mark.parametrize("frame", [23, 60, 73])
def test_thresholded_sparse_frame(data, frame):
    with np.load(next((data / "dac_zr").glob("*.npz"))) as cache:
        image = np.zeros((2048, 2048), np.float32)
        image[cache[f"{frame}_row"], cache[f"{frame}_col"]] = cache[f"{frame}_data"]
    with open(data / "dac_zr" / "reference_spots_px.csv", encoding="utf-8") as file:
        lines = [line.split(",") for line in file if not line.startswith("#")]
    names, rows = lines[0], [line for line in lines[1:] if int(line[lines[0].index("frame")]) == frame]
    truth = np.array([[float(row[names.index(k)]) for k in ("row", "col")] for row in rows])
    found = selected(image)
    distance = np.hypot(*(found[:, None] - truth[None]).transpose(2, 0, 1))
    assert np.sum(distance.min(axis=0) > 3) <= 1
    assert len(found) <= 60


@pytest.mark.parametrize(
    "image", [np.zeros((9, 9)), np.full((9, 9), np.nan), np.zeros((1, 1)), np.zeros((0, 4))]
)
def test_frames_without_counts(image):
    assert suggest_thresholds(image) == (0.0, 0.0)
    assert suggest_thresholds(np.ones((9, 9)), np.ones((9, 9), np.bool_)) == (0.0, 0.0)


@pytest.mark.parametrize(
    "image", [np.full((9, 9), 5), np.eye(20) * 1e-7, np.full((1, 1), 3e8), np.eye(3) * 1e-42]
)
def test_odd_frames_keep_their_peak(image):
    minval, minscore = suggest_thresholds(image.astype(np.float32))
    assert 0 <= minval <= image.max()
    assert np.isfinite(minscore)
    assert len(select(find_candidates(image.astype(np.float32)), minval, minscore).candidate)
