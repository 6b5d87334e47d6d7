"""Fits on a device whose memory does not suffice."""

import numpy as np
import pytest
import torch

from braggscope.models import profiles
from braggscope.models.fitting import batched
from braggscope.models.fitting.peaks import fit_peaks_torch

ROWS, COLS = (grid.ravel() for grid in np.mgrid[8:200:16, 8:400:16])


@pytest.fixture
def frame() -> np.ndarray:
    image = np.full((208, 408), 10.0)
    for row, col in zip(ROWS, COLS, strict=True):
        image += profiles.peak(image.shape, col + 0.3, row - 0.2, 200.0, 3.0)
    return image


@pytest.mark.parametrize(("room", "tried", "warnings"), [(100, [300, 150, 75, 75, 75, 75], 0), (10, None, 1)])
def test_the_batch_is_halved_then_the_processor_takes_over(frame, monkeypatch, room, tried, warnings):
    torch.set_num_threads(1)
    solve_chunk, sizes = batched._solve_chunk, []
    expected = fit_peaks_torch(frame, None, ROWS, COLS, "cpu")

    def small_device(values, *rest):
        sizes.append(len(values))
        if len(values) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        solve_chunk(values, *rest)

    monkeypatch.setattr(batched, "_solve_chunk", small_device)
    said = []
    monkeypatch.setattr(batched.log, "warning", lambda *words: said.append(words))
    batched._warn_once.cache_clear()
    fits = fit_peaks_torch(frame, None, ROWS, COLS, "cpu")
    fit_peaks_torch(frame, None, ROWS, COLS, "cpu")
    assert tried is None or sizes[: len(tried)] == tried
    assert len(said) == warnings
    assert (fits.status == expected.status).all()
    assert fits.x == pytest.approx(COLS + 0.3, abs=1e-6)
    assert fits.x == pytest.approx(expected.x, abs=1e-6)
