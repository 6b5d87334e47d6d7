"""Undetected second peaks are found where they are, and nowhere else."""

import numpy as np
import pytest
from test_fitting_accuracy import Scene, pairs

from braggscope.models import profiles
from braggscope.models.fitting.hidden import Hidden, find_hidden
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.results import Status


def look(frame: np.ndarray, rows: np.ndarray, cols: np.ndarray, hints=None, **options: object) -> Hidden:
    fits = fit_peaks(frame, None, rows, cols, **options)
    return find_hidden(frame, None, rows, cols, fits, hints=hints, **options)


@pytest.mark.parametrize("noise", ["uniform", "poisson"])
def test_the_second_of_two_is_found(noise: str) -> None:
    frame, truth, pixels = pairs(300, 2.5, 4.5, snr=30.0, seed=31)
    first, second = truth[::2], truth[1::2]
    found = look(frame, *pixels[::2, ::-1].T, noise=noise)
    assert len(found.owner) > 0.6 * 300
    fits, owner = found.fits, found.owner
    assert len(fits) == 300 + len(owner)
    assert (fits.status[300:] == Status.OK).all()
    apart = np.hypot(fits.x[300:] - second[owner, 0], fits.y[300:] - second[owner, 1])
    assert np.median(apart) < 0.1
    assert np.mean(apart < 1.0) > 0.95
    assert np.median(np.hypot(fits.x[owner] - first[owner, 0], fits.y[owner] - first[owner, 1])) < 0.08
    assert (fits.n_components[owner] == 2).all()
    alone = np.setdiff1d(np.arange(300), owner)
    before = fit_peaks(frame, None, *pixels[::2, ::-1].T, noise=noise)
    assert np.array_equal(fits.parameters[alone], before.parameters[alone], equal_nan=True)


def test_a_hint_helps() -> None:
    frame, truth, pixels = pairs(300, 2.5, 4.5, snr=10.0, seed=32)
    hints = truth[1::2] + np.random.default_rng(0).normal(0.0, 0.4, (300, 2))
    blind, told = (look(frame, *pixels[::2, ::-1].T, hints=h) for h in (None, hints))
    assert len(told.owner) > 1.3 * len(blind.owner)
    hints[::2] = np.nan
    assert len(look(frame, *pixels[::2, ::-1].T, hints=hints).owner) < len(told.owner)


@pytest.mark.parametrize("snr", [100.0, 8.0])
def test_a_lone_peak_has_no_companion_even_if_one_is_hinted_at(snr: float) -> None:
    scene = Scene(600, ratio=2.0, seed=33)
    frame = scene.noisy(100.0 / snr)
    for hints in (None, np.column_stack((scene.cols + 3.2, scene.rows - 1.4))):
        found = look(frame, scene.rows, scene.cols, hints=hints, window="auto", background="auto")
        assert len(found.owner) <= 1
        assert len(found.fits) == 600 + len(found.owner)


def test_a_profile_of_another_shape_is_no_companion() -> None:
    scene = Scene(300, ratio=1.6, eta=1.0, seed=34)
    frame = np.random.default_rng(0).poisson(10.0 * scene.frame).astype(float)
    assert len(look(frame, scene.rows, scene.cols, noise="poisson", background="auto").owner) <= 3


def test_neighbours_and_those_beyond_the_limit_stay_what_they_are() -> None:
    frame = np.full((60, 60), 20.0) + np.random.default_rng(0).normal(0, 1, (60, 60))
    for x, y, height in ((15.2, 15.1, 200), (18.1, 15.6, 120), (44.0, 40.2, 150), (48.6, 41.0, 90)):
        frame += profiles.peak((60, 60), x, y, height, 3.0)
    rows, cols = np.array([15, 40, 41]), np.array([15, 44, 49])
    some = fit_peaks(frame, None, rows, cols, only=2)
    found = find_hidden(frame, None, rows, cols, some)
    assert found.owner.tolist() == [0]
    assert (found.fits.x[2], found.fits.y[2]) == pytest.approx((18.1, 15.6), abs=0.1)
    assert found.fits.n_components.tolist() == [2, 2, 2]
    none = np.zeros(0, np.int64)
    assert len(find_hidden(frame, None, none, none, fit_peaks(frame, None, none, none)).fits) == 0
