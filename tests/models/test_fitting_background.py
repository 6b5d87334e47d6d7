"""Fits over a plane, and the choice between a plane and a constant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_fitting_accuracy import AMPLITUDE, STEP, Scene, pairs

from braggscope.models import profiles
from braggscope.models.fitting.peaks import Fits, fit_peaks, fit_peaks_torch
from braggscope.models.results import Status


class Sloping(Scene):
    """Every tile has a plane of its own, of 2-10 counts per px in any direction; the height is 100."""

    def __init__(self, n: int, steepness: tuple[float, float] = (2.0, 10.0), **options: object) -> None:
        super().__init__(n, **options)
        steep, turn = self.rng.uniform(*steepness, n), self.rng.uniform(0, 2 * np.pi, n)
        self.slope_x, self.slope_y = steep * np.cos(turn), steep * np.sin(turn)
        dy, dx = np.mgrid[:STEP, :STEP] - STEP // 2
        for k in range(n):
            row, col = self.rows[k] - STEP // 2, self.cols[k] - STEP // 2
            self.frame[row : row + STEP, col : col + STEP] += self.slope_x[k] * dx + self.slope_y[k] * dy


def bound_on_a_plane(scene: Scene, sigma: float) -> np.ndarray:
    """(N, 2) standard deviations of x and y no unbiased fit of 9 parameters can beat, 11 px window."""
    dy, dx = np.mgrid[-5:6, -5:6].reshape(2, -1).astype(float)
    result = np.empty((len(scene.x), 2))
    for k in range(len(scene.x)):
        a, b, c = profiles.form_from_axes(scene.major[k], scene.minor[k], scene.angle[k])
        u, v = dx - scene.x[k] + scene.cols[k], dy - scene.y[k] + scene.rows[k]
        g = profiles.profile(profiles.quadratic(u, v, a, b, c))
        h = AMPLITUDE * g
        rows = (g, h * (a * u + b * v), h * (b * u + c * v), h * u * u, h * u * v, h * v * v)
        jacobian = np.stack((*rows, np.ones_like(g), dx, dy))
        result[k] = np.sqrt(np.diag(np.linalg.inv(jacobian @ jacobian.T))[1:3]) * sigma
    return result


def coverage(fits: Fits, scene: Scene) -> float:
    ok = fits.status == Status.OK
    pulls = np.concatenate(((fits.x - scene.x) / fits.x_err, (fits.y - scene.y) / fits.y_err))
    return float(np.mean(np.abs(pulls[np.tile(ok, 2)]) < 1.0))


@pytest.mark.parametrize("background", ["plane", "auto"])
def test_slopes_do_no_harm(background: str) -> None:
    scene = Sloping(3000, seed=11)
    fits = fit_peaks(scene.noisy(1.0), None, scene.rows, scene.cols, background=background)
    ok = fits.status == Status.OK
    assert ok.mean() > 0.99
    assert fits.plane[ok].mean() > 0.99
    sigma = bound_on_a_plane(scene, 1.0)
    ideal = np.hypot(*(sigma * scene.rng.normal(size=sigma.shape)).T)
    for quantile, expected in ((0.5, 0.0103), (0.95, 0.0213)):
        found = np.quantile(scene.error(fits)[ok], quantile)
        assert found < 1.10 * np.quantile(ideal[ok], quantile)
        assert found < 1.15 * expected
    assert fits.slope_x[ok] == pytest.approx(scene.slope_x[ok], abs=1.0)
    assert np.median(np.abs(fits.slope_y - scene.slope_y)[ok]) < 0.1
    assert fits.background[ok] == pytest.approx(
        50 + scene.slope_x[ok] * (scene.x - scene.cols)[ok] + scene.slope_y[ok] * (scene.y - scene.rows)[ok],
        abs=5.0,
    )
    constant = fit_peaks(scene.noisy(1.0), None, scene.rows, scene.cols)
    assert np.nanmedian(scene.error(constant)) > 5 * np.nanmedian(scene.error(fits))


@pytest.mark.parametrize("snr", [100.0, 10.0])
@pytest.mark.parametrize("noise", ["uniform", "poisson"])
def test_a_constant_is_kept_where_there_is_no_slope(snr: float, noise: str) -> None:
    scene = Scene(1500, ratio=2.0, seed=12)
    image = scene.noisy(AMPLITUDE / snr)
    if noise == "poisson":
        image = scene.rng.poisson(scene.frame).astype(float)
    auto = fit_peaks(image, None, scene.rows, scene.cols, background="auto", noise=noise)
    constant = fit_peaks(image, None, scene.rows, scene.cols, noise=noise)
    ok = auto.status == Status.OK
    assert np.mean(auto.plane[ok]) < 0.05
    same = ok & ~auto.plane
    assert (auto.x[same] == constant.x[same]).all()
    assert np.isnan(auto.slope_x[same]).all()
    assert np.isfinite(auto.slope_x[auto.plane]).all()
    assert np.nanmedian(scene.error(auto)) < 1.03 * np.nanmedian(scene.error(constant))


@pytest.mark.parametrize("background", ["plane", "auto"])
@pytest.mark.parametrize("steepness", [(0.0, 0.0), (0.0, 1.0), (2.0, 10.0)])
def test_errors_cover_the_truth_on_a_plane(background: str, steepness: tuple[float, float]) -> None:
    scene = Sloping(2500, steepness, ratio=1.5, seed=13)
    fits = fit_peaks(scene.noisy(2.0), None, scene.rows, scene.cols, background=background)
    assert 0.63 < coverage(fits, scene) < 0.73


def test_pairs_on_a_plane() -> None:
    frame, truth, pixels = pairs(300, 3.0, 5.0, snr=100.0, seed=5)
    dy, dx = np.indices(frame.shape)
    sloping = frame + 0.8 * dx - 1.5 * dy
    level = fit_peaks(frame, None, pixels[:, 1], pixels[:, 0], background="auto")
    tilted = fit_peaks(sloping, None, pixels[:, 1], pixels[:, 0], background="auto")
    assert np.mean(level.plane) < 0.1
    assert np.mean(tilted.plane) > 0.97
    for fits in (level, tilted):
        assert np.mean(fits.status == Status.OK) > 0.97
        assert np.mean(fits.n_components == 2) > 0.95
        error = np.hypot(fits.x - truth[:, 0], fits.y - truth[:, 1])
        assert np.nanmedian(error[::2]) < 0.02
        assert np.nanquantile(error[::2], 0.95) < 0.09
    assert np.nanmedian(tilted.slope_x) == pytest.approx(0.8, abs=0.1)
    assert np.nanmedian(tilted.slope_y) == pytest.approx(-1.5, abs=0.1)


@given(st.integers(0, 10_000), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_plane_in_the_image_moves_nothing(seed: int, level: float, right: float, down: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = 12 + rng.uniform(-0.4, 0.4, 2)
    frame = profiles.peak((25, 25), x, y, 100, rng.uniform(3.5, 5), rng.uniform(2.5, 3.4), rng.uniform(-1, 1))
    frame += rng.normal(0, 2, frame.shape)
    rows, cols = np.array([12]), np.array([12])
    dy, dx = np.indices(frame.shape) - 12.0
    here = fit_peaks(frame, None, rows, cols, background="plane")
    there = fit_peaks(frame + level + right * dx + down * dy, None, rows, cols, background="plane")
    assert here.status[0] == there.status[0] == Status.OK
    assert (there.x[0], there.y[0]) == pytest.approx((here.x[0], here.y[0]), abs=1e-6)
    assert there.x_err[0] == pytest.approx(here.x_err[0], rel=1e-4)
    assert there.slope_x[0] == pytest.approx(here.slope_x[0] + right, abs=1e-3)
    assert there.slope_y[0] == pytest.approx(here.slope_y[0] + down, abs=1e-3)


@pytest.mark.parametrize("background", ["plane", "auto"])
def test_torch_fits_planes_alike(background: str) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    scene = Sloping(150, (0.0, 4.0), ratio=2.0, seed=14)
    image = scene.noisy(3.0)
    for model, noise in (("gaussian", "uniform"), ("gaussian", "poisson"), ("pseudovoigt", "uniform")):
        options = {"model": model, "noise": noise, "background": background}
        here = fit_peaks(image, None, scene.rows, scene.cols, **options)
        there = fit_peaks_torch(image, None, scene.rows, scene.cols, "cpu", **options)
        assert np.mean(here.status == there.status) > 0.97
        assert np.mean(here.plane == there.plane) > 0.97
        ok = (here.status == Status.OK) & (there.status == Status.OK) & (here.plane == there.plane)
        assert np.quantile(np.hypot(here.x - there.x, here.y - there.y)[ok], 0.98) < 1e-4
        assert there.slope_x[ok] == pytest.approx(here.slope_x[ok], abs=0.05, nan_ok=True)


def test_the_model_shows_the_plane() -> None:
    scene = Sloping(1, seed=15)
    fits = fit_peaks(scene.frame, None, scene.rows, scene.cols, background="plane")
    row, col = scene.rows[0], scene.cols[0]
    assert fits.model_patch(0) == pytest.approx(scene.frame[row - 5 : row + 6, col - 5 : col + 6], abs=1e-3)


def test_saturated_pixels_take_no_part_on_a_plane() -> None:
    scene = Sloping(50, (1.0, 2.0), seed=16)
    clean = scene.noisy(1.0)
    spoilt = clean.copy()
    spoilt[scene.rows + 1, scene.cols + 3] = 5000.0  # beside the core
    fits = fit_peaks(spoilt, None, scene.rows, scene.cols, background="auto", saturation=5000.0)
    assert (fits.status == Status.OK).all()
    assert np.median(scene.error(fits)) < 0.02
    mask = spoilt >= 5000.0
    assert (fit_peaks(clean, mask, scene.rows, scene.cols, background="auto").x == fits.x).all()
    spoilt[scene.rows, scene.cols + 1] = 5000.0
    core = fit_peaks(spoilt, None, scene.rows, scene.cols, background="auto", saturation=5000.0)
    assert (core.status == Status.OK).all()
    assert np.median(scene.error(core)) < 0.03
    none = fit_peaks(spoilt, spoilt < 5000.0, scene.rows, scene.cols, background="auto", saturation=5000.0)
    assert (none.status == Status.SATURATED).all()
    assert np.isnan(none.x).all()
