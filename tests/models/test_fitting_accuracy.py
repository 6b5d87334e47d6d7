"""Fits against scipy, simulated truth, the Cramér-Rao bound, and real data."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.optimize import curve_fit

from braggscope.models import profiles
from braggscope.models.fitting.peaks import Fits, fit_peaks, fit_peaks_torch
from braggscope.models.results import Status

STEP, BACKGROUND, AMPLITUDE = 24, 50.0, 100.0


class Scene:
    """N lone peaks on a grid, each in a tile of its own; noise is added by :meth:`noisy`."""

    def __init__(
        self,
        n: int,
        sigma: tuple[float, float] = (1.0, 2.0),
        ratio: float = 1.0,
        eta: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        across = int(np.ceil(np.sqrt(n)))
        index = np.arange(n)
        self.rows, self.cols = index // across * STEP + STEP // 2, index % across * STEP + STEP // 2
        offset = self.rng.uniform(-0.5, 0.5, (2, n))
        self.x, self.y = self.cols + offset[0], self.rows + offset[1]
        self.minor = profiles.FWHM_PER_SIGMA * self.rng.uniform(*sigma, n)
        self.major = self.minor * self.rng.uniform(1.0, ratio, n)
        self.angle = self.rng.uniform(-np.pi / 2, np.pi / 2, n)
        self.eta = self.rng.uniform(0.0, eta, n)
        self.frame = np.full((across * STEP, across * STEP), BACKGROUND)
        for k in range(n):
            row, col = self.rows[k] - STEP // 2, self.cols[k] - STEP // 2
            self.frame[row : row + STEP, col : col + STEP] += profiles.peak(
                (STEP, STEP), self.x[k] - col, self.y[k] - row, AMPLITUDE,
                self.major[k], self.minor[k], self.angle[k], self.eta[k],
            )  # fmt: skip

    def noisy(self, sigma: float) -> np.ndarray:
        return self.frame + self.rng.normal(0.0, sigma, self.frame.shape)

    def error(self, fits: Fits) -> np.ndarray:
        return np.hypot(fits.x - self.x, fits.y - self.y)


def curve_fit_position(patch: np.ndarray, voigt: bool) -> tuple[np.ndarray, np.ndarray]:
    """Parameters and covariance from scipy: amplitude, x, y, a, b, c, (eta,) background."""
    half = patch.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].reshape(2, -1).astype(float)

    def model(
        _: object, amplitude: float, x0: float, y0: float, a: float, b: float, c: float, *rest: float
    ) -> np.ndarray:
        q = profiles.quadratic(x - x0, y - y0, a, b, c)
        return amplitude * profiles.profile(q, rest[0] if voigt else 0.0) + rest[-1]

    start = [AMPLITUDE, 0.0, 0.0, 0.4, 0.0, 0.4, *([0.5] if voigt else []), BACKGROUND]
    best, covariance = curve_fit(
        model, x, patch.ravel(), start, xtol=1e-12, ftol=1e-14, gtol=1e-14, maxfev=5000
    )
    return best, covariance


@pytest.mark.parametrize("voigt", [False, True])
def test_the_fit_is_the_one_of_scipy(voigt: bool) -> None:
    scene = Scene(60, ratio=2.0, eta=0.8 if voigt else 0.0)
    frame = scene.noisy(2.0)
    fits = fit_peaks(frame, None, scene.rows, scene.cols, model="pseudovoigt" if voigt else "gaussian")
    apart, errors = [], []
    for k in range(len(fits)):
        patch = frame[scene.rows[k] - 5 : scene.rows[k] + 6, scene.cols[k] - 5 : scene.cols[k] + 6]
        best, covariance = curve_fit_position(patch, voigt)
        if voigt and not 0.01 < best[6] < 0.99:  # curve_fit knows no bounds here
            continue
        apart.append(np.hypot(fits.x[k] - scene.cols[k] - best[1], fits.y[k] - scene.rows[k] - best[2]))
        errors.append(fits.x_err[k] / np.sqrt(covariance[1, 1]) - 1.0)
    assert len(apart) > 30
    assert np.median(apart) < 3e-7
    assert np.max(apart) < 1e-4
    assert np.max(np.abs(errors)) < 1e-2


def bound(scene: Scene, sigma: float) -> np.ndarray:
    """(N, 2) standard deviations of x and y no unbiased fit of 7 parameters can beat, 11 px window."""
    dy, dx = np.mgrid[-5:6, -5:6].reshape(2, -1).astype(float)
    result = np.empty((len(scene.x), 2))
    for k in range(len(scene.x)):
        form = profiles.form_from_axes(scene.major[k], scene.minor[k], scene.angle[k])
        u, v = dx - scene.x[k] + scene.cols[k], dy - scene.y[k] + scene.rows[k]
        g = profiles.profile(profiles.quadratic(u, v, *form))
        h = AMPLITUDE * g
        a, b, c = form
        jacobian = np.stack(
            (g, h * (a * u + b * v), h * (b * u + c * v), h * u * u, h * u * v, h * v * v, np.ones_like(g))
        )
        result[k] = np.sqrt(np.diag(np.linalg.inv(jacobian @ jacobian.T))[1:3]) * sigma
    return result


@pytest.mark.parametrize(("snr", "ratio"), [(100.0, 1.0), (10.0, 1.0), (5.0, 1.0), (100.0, 2.5)])
def test_the_error_reaches_the_cramer_rao_bound(snr: float, ratio: float) -> None:
    scene = Scene(3000, sigma=(1.0, 1.5) if ratio > 1 else (1.0, 2.0), ratio=ratio)
    fits = fit_peaks(scene.noisy(AMPLITUDE / snr), None, scene.rows, scene.cols)
    ok = fits.status == Status.OK
    assert ok.mean() > (0.99 if snr > 5 else 0.98)
    sigma = bound(scene, AMPLITUDE / snr)
    ideal = np.hypot(*(sigma * scene.rng.normal(size=sigma.shape)).T)
    for quantile in (0.5, 0.95):
        assert np.quantile(scene.error(fits)[ok], quantile) < 1.1 * np.quantile(ideal[ok], quantile)


@pytest.mark.parametrize("noise", ["uniform", "poisson"])
def test_errors_cover_the_truth(noise: str) -> None:
    scene = Scene(3000, ratio=1.5, seed=3)
    frame = scene.rng.poisson(scene.frame).astype(float) if noise == "poisson" else scene.noisy(5.0)
    fits = fit_peaks(frame, None, scene.rows, scene.cols, noise=noise)
    for pull in ((fits.x - scene.x) / fits.x_err, (fits.y - scene.y) / fits.y_err):
        pull = pull[fits.status == Status.OK]
        assert 0.63 < np.mean(np.abs(pull) < 1.0) < 0.73
        assert np.std(pull) == pytest.approx(1.0, abs=0.06)
    if noise == "poisson":
        assert np.median(fits.chi2) == pytest.approx(1.0, abs=0.05)


def test_poisson_weights_beat_none_on_counts() -> None:
    scene = Scene(2000, seed=4)
    scene.frame -= BACKGROUND - 1.0
    frame = scene.rng.poisson(scene.frame).astype(np.float32)
    errors = {
        noise: np.nanmedian(scene.error(fit_peaks(frame, None, scene.rows, scene.cols, noise=noise)))
        for noise in ("uniform", "poisson")
    }
    assert errors["poisson"] < 0.95 * errors["uniform"]


def test_shape_and_height_come_back() -> None:
    scene = Scene(300, sigma=(1.0, 1.6), ratio=2.5, eta=0.9, seed=5)
    fits = fit_peaks(scene.frame, None, scene.rows, scene.cols, model="pseudovoigt")
    assert (fits.status == Status.OK).all()
    assert fits.x == pytest.approx(scene.x, abs=1e-5)
    assert fits.fwhm_major == pytest.approx(scene.major, rel=1e-4)
    assert fits.fwhm_minor == pytest.approx(scene.minor, rel=1e-4)
    assert fits.eta == pytest.approx(scene.eta, abs=1e-3)
    assert fits.amplitude == pytest.approx(np.full(300, AMPLITUDE), rel=1e-3)
    turned = np.abs(fits.angle - scene.angle)[scene.major > 1.2 * scene.minor]
    assert np.minimum(turned, np.pi - turned).max() < 1e-3


def pairs(
    n: int, near: float, far: float, snr: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frame of n pairs; (2n, 2) true x, y; (2n, 2) pixels (col, row)."""
    rng = np.random.default_rng(seed)
    tile, across = 36, int(np.ceil(np.sqrt(n)))
    frame = np.full((across * tile, across * tile), BACKGROUND)
    truth = []
    for k in range(n):
        corner = np.array([k % across, k // across]) * tile
        turn, middle = rng.uniform(0, 2 * np.pi), tile / 2 + rng.uniform(-0.5, 0.5, 2)
        other = middle + rng.uniform(near, far) * np.array([np.cos(turn), np.sin(turn)])
        for place, height in ((middle, AMPLITUDE), (other, AMPLITUDE * rng.uniform(0.3, 1.0))):
            view = frame[corner[1] : corner[1] + tile, corner[0] : corner[0] + tile]
            view += profiles.peak(
                (tile, tile), *place, height, profiles.FWHM_PER_SIGMA * rng.uniform(1.0, 1.3)
            )
            truth.append(corner + place)
    positions = np.array(truth)
    return frame + rng.normal(0, AMPLITUDE / snr, frame.shape), positions, np.rint(positions).astype(np.int64)


def test_two_peaks_are_told_apart() -> None:
    frame, truth, pixels = pairs(300, 3.0, 5.0, snr=100.0)
    joint = fit_peaks(frame, None, pixels[:, 1], pixels[:, 0])
    assert np.mean(joint.status == Status.OK) > 0.98
    assert np.mean(joint.n_components == 2) > 0.98
    error = np.hypot(joint.x - truth[:, 0], joint.y - truth[:, 1])
    assert np.nanmedian(error[::2]) < 0.02
    assert np.nanquantile(error[::2], 0.95) < 0.08
    single = fit_peaks(frame, None, pixels[::2, 1], pixels[::2, 0])
    apart = np.hypot(single.parameters[:, 1] + pixels[::2, 0] - truth[::2, 0],
                     single.parameters[:, 2] + pixels[::2, 1] - truth[::2, 1])  # fmt: skip
    assert np.median(apart) > 10 * np.nanmedian(error[::2])


def test_a_neighbour_on_the_border_of_the_window_does_no_harm() -> None:
    frame, truth, pixels = pairs(300, 5.0, 6.0, snr=20.0, seed=2)
    fits = fit_peaks(frame, None, pixels[:, 1], pixels[:, 0])
    assert np.mean(fits.status == Status.OK) > 0.97
    pull = ((fits.x - truth[:, 0]) / fits.x_err)[fits.status == Status.OK]
    assert 0.62 < np.mean(np.abs(pull) < 1.0) < 0.74


def test_torch_gives_the_same_fits() -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    scene = Scene(150, ratio=2.0, seed=6)
    frame, _, pixels = pairs(60, 3.0, 6.0, snr=50.0)
    for image, rows, cols in (
        (scene.noisy(5.0), scene.rows, scene.cols),
        (frame, pixels[:, 1], pixels[:, 0]),
    ):
        mask = np.random.default_rng(0).random(image.shape) < 0.01
        for model, noise in (("gaussian", "uniform"), ("gaussian", "poisson"), ("pseudovoigt", "uniform")):
            here = fit_peaks(image, mask, rows, cols, model=model, noise=noise)
            there = fit_peaks_torch(image, mask, rows, cols, "cpu", model=model, noise=noise)
            ok = (here.status == Status.OK) & (there.status == Status.OK)
            assert np.mean(here.status == there.status) > 0.97
            apart = np.hypot(here.x - there.x, here.y - there.y)[
                ok & (here.n_components == there.n_components)
            ]
            assert np.quantile(apart, 0.98) < 1e-4
            assert there.x_err[ok] == pytest.approx(here.x_err[ok], rel=0.05)


@pytest.mark.gpu
def test_the_gpu_gives_the_same_fits() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    scene = Scene(500, ratio=2.0, seed=7)
    frame = scene.noisy(5.0)
    here = fit_peaks(frame, None, scene.rows, scene.cols)
    there = fit_peaks(frame, None, scene.rows, scene.cols, device="cuda")
    assert there.x == pytest.approx(here.x, abs=1e-4, nan_ok=True)


def test_real_spots_are_where_the_reference_says() -> None:
    """Spots of zirconium on a GE2 detector; the reference is a fit in three dimensions by others."""
    data = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if not data:
        pytest.skip("BRAGGSCOPE_TEST_DATA is not set")
    folder = Path(data) / "dac_zr"
    with h5py.File(folder / "dac_patches_11x11.h5") as file:
        given = {name: np.asarray(file[name]) for name in file}
    with np.load(folder / "LT1_Ne_zr001_00000-fc_GE2.npz") as cache:
        frames = {}
        for k in {n + d for n in given["peak_fidx"].tolist() for d in (-1, 0, 1)}:
            if f"{k}_row" in cache:
                frames[k] = np.zeros(tuple(cache["shape"]), np.float32)
                frames[k][cache[f"{k}_row"], cache[f"{k}_col"]] = cache[f"{k}_data"]
    apart = []
    for k, (row, col) in enumerate(zip(given["origin_row"], given["origin_col"], strict=True)):
        near = [frames[given["peak_fidx"][k] + d] for d in (-1, 0, 1) if given["peak_fidx"][k] + d in frames]
        patch = given["patches"][k]
        frame = next(f for f in near if np.array_equal(f[row : row + 11, col : col + 11], patch))
        fits = fit_peaks(
            frame, None, np.array([row + 5]), np.array([col + 5]),
            window="auto", noise="poisson", background="auto",
        )  # fmt: skip
        apart.append(np.hypot(fits.x[0] - given["peak_col"][k], fits.y[0] - given["peak_row"][k]))
    assert np.isfinite(apart).all()
    assert np.median(apart) < 0.53
