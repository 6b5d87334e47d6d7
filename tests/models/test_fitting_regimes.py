"""Weak peaks, weak overlaps, broad peaks and saturated ones: errors near the bound, intervals that cover."""

import numpy as np
import pytest
from test_fitting_accuracy import AMPLITUDE, BACKGROUND, Scene, bound, pairs

from braggscope.models import profiles
from braggscope.models.fitting.peaks import Fits, fit_peaks, fit_peaks_torch
from braggscope.models.results import Status


def pulls(fits: Fits, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ok = fits.status == Status.OK
    return np.concatenate((((fits.x - x) / fits.x_err)[ok], ((fits.y - y) / fits.y_err)[ok]))


def test_weak_peaks_reach_the_bound_none_left_out() -> None:
    scene = Scene(4000, seed=21)
    noise = AMPLITUDE / 5.0
    fits = fit_peaks(scene.noisy(noise), None, scene.rows, scene.cols)
    ideal = np.hypot(*(bound(scene, noise) * scene.rng.normal(size=(4000, 2))).T)
    error = np.nan_to_num(scene.error(fits), nan=np.inf)
    for quantile in (0.5, 0.95):
        assert np.quantile(error, quantile, method="higher") < 1.06 * np.quantile(ideal, quantile)
    assert 0.65 < np.mean(np.abs(pulls(fits, scene.x, scene.y)) < 1.0) < 0.71


@pytest.mark.parametrize("noise", ["uniform", "poisson"])
def test_weak_pairs_are_told_apart(noise: str) -> None:
    frame, truth, pixels = pairs(1500, 2.5, 5.0, snr=10.0, seed=22)
    if noise == "poisson":
        clean, *_ = pairs(1500, 2.5, 5.0, snr=1e12, seed=22)
        frame = np.random.default_rng(0).poisson(clean).astype(float)
    fits = fit_peaks(frame, None, pixels[:, 1], pixels[:, 0], noise=noise)
    error = np.nan_to_num(np.hypot(fits.x - truth[:, 0], fits.y - truth[:, 1]), nan=np.inf)[::2]
    assert np.quantile(error, 0.5) < 0.14
    assert np.quantile(error, 0.95, method="higher") < 0.55
    assert 0.63 < np.mean(np.abs(pulls(fits, *truth.T)) < 1.0) < 0.71


def test_a_neighbour_of_noise_costs_little() -> None:
    scene = Scene(1500, sigma=(1.0, 1.5), seed=23)
    frame = scene.noisy(AMPLITUDE / 10.0)
    turn = scene.rng.uniform(0, 2 * np.pi, 1500)
    rows = np.concatenate((scene.rows, scene.rows + np.rint(4 * np.sin(turn)).astype(int)))
    cols = np.concatenate((scene.cols, scene.cols + np.rint(4 * np.cos(turn)).astype(int)))
    joint = fit_peaks(frame, None, rows, cols, only=1500)
    alone = fit_peaks(frame, None, scene.rows, scene.cols)
    assert np.mean(joint.status == Status.OK) > 0.99
    assert np.mean(joint.n_components == 1) > 0.95
    assert np.nanquantile(scene.error(joint), 0.95) < 1.05 * np.nanquantile(scene.error(alone), 0.95)


def test_torch_fits_weak_peaks_alike() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    frame, _, pixels = pairs(60, 2.5, 5.0, snr=10.0, seed=24)
    for model, noise in (("gaussian", "uniform"), ("pseudovoigt", "poisson")):
        options = {"model": model, "noise": noise, "background": "auto"}
        here = fit_peaks(frame, None, pixels[:, 1], pixels[:, 0], **options)
        there = fit_peaks_torch(frame, None, pixels[:, 1], pixels[:, 0], "cpu", **options)
        assert np.mean((here.status == there.status) & (here.n_components == there.n_components)) > 0.95
        ok = (here.status == Status.OK) & (there.status == Status.OK)
        assert np.nanquantile(np.hypot(here.x - there.x, here.y - there.y)[ok], 0.95) < 1e-3


def test_the_window_follows_the_size() -> None:
    frame = np.full((40, 220), 20.0)
    widths = (1.2, 2.0, 2.6, 3.8)
    for k, sigma in enumerate(widths):
        frame += profiles.peak(frame.shape, 30.2 + 50 * k, 19.7, 200.0, profiles.FWHM_PER_SIGMA * sigma)
    frame += np.random.default_rng(0).normal(0, 2, frame.shape)
    rows, cols = np.full(4, 20), 30 + 50 * np.arange(4)
    fits = fit_peaks(frame, None, rows, cols, window="auto")
    assert fits.window.tolist() == [11, 11, 15, 21]
    assert [fits.model_patch(k).shape[0] for k in range(4)] == [11, 11, 15, 21]
    assert fits.fwhm_major == pytest.approx(profiles.FWHM_PER_SIGMA * np.array(widths), rel=0.05)
    for k, side in enumerate((11, 11, 15, 21)):
        alone = fit_peaks(frame, None, rows[k : k + 1], cols[k : k + 1], window=side)
        assert (alone.x[0], alone.x_err[0]) == (fits.x[k], fits.x_err[k])
    some = fit_peaks(frame, None, rows, cols, window="auto", only=3)
    assert some.x.tolist() == fits.x[:3].tolist()


def test_a_larger_window_helps_broad_peaks_and_keeps_those_it_cannot_hold() -> None:
    scene = Scene(300, sigma=(3.2, 4.0), seed=25)
    frame = scene.noisy(AMPLITUDE / 20.0)
    narrow, wide = (
        fit_peaks(frame, None, scene.rows, scene.cols, window=w, background="plane") for w in (11, "auto")
    )
    assert np.nanmedian(scene.error(wide)) < 0.8 * np.nanmedian(scene.error(narrow))
    corner = np.full((30, 30), 20.0) + profiles.peak((30, 30), 4.2, 15.1, 200.0, 7.0)
    corner += np.random.default_rng(1).normal(0, 1, corner.shape)
    fits = fit_peaks(corner, None, np.array([15]), np.array([4]), window="auto")
    assert fits.status[0] == Status.OK  # 21 px would reach too far over the edge
    assert fits.window[0] < 21


@pytest.mark.parametrize("excess", [1.2, 2.0, 5.0])
def test_saturated_peaks_are_measured_by_their_flanks(excess: float) -> None:
    scene = Scene(800, seed=26)
    clean = BACKGROUND + (scene.frame - BACKGROUND) * 10.0
    limit = BACKGROUND + 10.0 * AMPLITUDE / excess
    frame = np.minimum(np.random.default_rng(2).poisson(clean), limit)
    fits = fit_peaks(frame, None, scene.rows, scene.cols, noise="poisson", saturation=limit, window="auto")
    assert np.mean(fits.status == Status.OK) > 0.99
    assert 0.64 < np.mean(np.abs(pulls(fits, scene.x, scene.y)) < 1.0) < 0.72
    marked = fit_peaks(
        frame, None, scene.rows, scene.cols, noise="poisson", saturated=frame >= limit, window="auto"
    )
    assert (marked.x == fits.x).all()
