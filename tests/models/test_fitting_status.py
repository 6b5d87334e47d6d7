"""Every peak ends ok or with its reason; symmetries; input that cannot be fitted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models import profiles
from braggscope.models.fitting.peaks import fit_peaks, fit_peaks_torch
from braggscope.models.fitting.windows import find_neighbours
from braggscope.models.results import Status

SHAPE = (40, 48)


def frame_of(*peaks: tuple[float, float, float, float], noise: float = 1.0, seed: int = 0) -> np.ndarray:
    """Frame with peaks (x, y, amplitude, fwhm) over 20 counts."""
    frame = np.full(SHAPE, 20.0)
    for x, y, amplitude, fwhm in peaks:
        frame += profiles.peak(SHAPE, x, y, amplitude, fwhm)
    return frame + np.random.default_rng(seed).normal(0.0, noise, SHAPE)


def at(*pixels: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """rows, cols from (col, row)."""
    return np.array([p[1] for p in pixels], np.int64), np.array([p[0] for p in pixels], np.int64)


def status_of(
    frame: np.ndarray, col: int, row: int, mask: np.ndarray | None = None, **options: object
) -> Status:
    fits = fit_peaks(frame, mask, *at((col, row)), **options)
    status = Status(int(fits.status[0]))
    assert np.isfinite(fits.x[0]) == np.isfinite(fits.x_err[0]) == (status is Status.OK)
    return status


def test_a_good_peak_is_ok() -> None:
    fits = fit_peaks(frame_of((20.3, 15.8, 100, 4)), None, *at((20, 16)))
    assert fits.status[0] == Status.OK
    assert (fits.x[0], fits.y[0]) == pytest.approx((20.3, 15.8), abs=0.05)
    assert fits.fwhm_major[0] == pytest.approx(4.0, rel=0.1)
    assert (fits.n_components[0], fits.window[0]) == (1, 11)
    assert np.isnan(fits.eta[0])
    assert fits.status.dtype == np.uint8


def test_edge_peaks_are_fitted_with_what_is_there() -> None:
    frame = frame_of((1.2, 15.8, 100, 4))
    fits = fit_peaks(frame, None, *at((1, 16)))  # 4 of 11 columns are missing
    assert fits.status[0] == Status.OK
    assert (fits.x[0], fits.y[0]) == pytest.approx((1.2, 15.8), abs=0.06)
    assert status_of(frame_of((0.1, 15.8, 100, 4)), 0, 16) is Status.EDGE
    assert status_of(frame_of((1.0, 1.0, 100, 4)), 1, 1) is Status.EDGE
    assert status_of(frame_of((-1.4, 15.0, 300, 4)), 1, 15) is Status.EDGE
    assert status_of(frame, -3, 500) is Status.EDGE


def test_masked_pixels_take_no_part() -> None:
    frame = frame_of((20.3, 15.8, 100, 4))
    mask = np.zeros(SHAPE, bool)
    mask[:, 22:24] = True
    frame[mask] = 1e6
    fits = fit_peaks(frame, mask, *at((20, 16)))
    assert fits.status[0] == Status.OK
    assert (fits.x[0], fits.y[0]) == pytest.approx((20.3, 15.8), abs=0.06)
    frame[mask] = np.nan
    as_nan = fit_peaks(frame, None, *at((20, 16)))
    assert as_nan.x == pytest.approx(fits.x, abs=1e-12)
    mask[15:18, 21] = True
    assert status_of(frame, 20, 16, mask) is Status.MASKED
    far = np.zeros(SHAPE, bool)
    far[:, :18], far[:, 23:] = True, True
    assert status_of(frame, 20, 16, far) is Status.MASKED


def test_saturation() -> None:
    frame = frame_of((20.0, 16.0, 100, 6))
    assert status_of(frame, 20, 16, saturation=22.0) is Status.SATURATED
    assert status_of(frame, 20, 16, saturation=500.0) is Status.OK
    full = np.ones(SHAPE, np.bool_)
    assert status_of(frame, 20, 16, saturated=full) is Status.SATURATED
    full[:, :19], full[:, 22:] = False, False  # the core, by a mask of its own: the flanks suffice
    fits = fit_peaks(np.where(full, 70.0, frame), None, *at((20, 16)), saturated=full)
    assert fits.status[0] == Status.OK
    assert (fits.x[0], fits.y[0]) == pytest.approx((20.0, 16.0), abs=0.1)
    frame[16, 24] = 500.0  # outside the core: left out
    fits = fit_peaks(frame, None, *at((20, 16)), saturation=500.0)
    assert (fits.x[0], fits.y[0]) == pytest.approx((20.0, 16.0), abs=0.05)


def test_broad_and_failed() -> None:
    assert status_of(frame_of((20, 16, 200, 16)), 20, 16) is Status.BROAD
    assert status_of(frame_of((20, 16, 200, 16)), 20, 16, window=21) is Status.OK
    assert status_of(frame_of((20, 16, -100, 4)), 20, 16) is Status.FAILED
    assert status_of(frame_of((24.2, 16, 100, 4)), 20, 16) is Status.FAILED
    hot = frame_of(noise=0.0)
    hot[16, 20] = 500.0
    assert status_of(hot, 20, 16) is not Status.OK  # a lone pixel has no measurable position


def test_a_crowd_is_an_overlap() -> None:
    places = [(20, 16), (23, 16), (17, 16), (20, 19), (20, 13)]
    frame = frame_of(*((x, y, 100, 3) for x, y in places))
    fits = fit_peaks(frame, None, *at(*places))
    assert fits.status[0] == Status.OVERLAP


def test_neighbours_without_evidence_are_left_out() -> None:
    frame = frame_of((20.3, 15.8, 100, 4), noise=2.0)
    fits = fit_peaks(frame, None, *at((20, 16), (25, 13), (16, 20)))
    alone = fit_peaks(frame, None, *at((20, 16)))
    assert fits.status[0] == Status.OK
    assert (fits.x[0], fits.y[0]) == pytest.approx((alone.x[0], alone.y[0]), abs=0.05)
    assert fits.n_components[0] < 3


def test_the_same_pixel_twice_is_no_neighbour() -> None:
    fits = fit_peaks(frame_of((20.3, 15.8, 100, 4)), None, *at((20, 16), (20, 16)))
    assert (fits.status == Status.OK).all()
    assert (fits.n_components == 1).all()
    assert fits.x[0] == fits.x[1]


def test_the_model_shows_the_window_with_its_neighbours() -> None:
    peaks = ((20.3, 15.8, 100, 3.5), (24.6, 17.9, 70, 3.0))
    frame = frame_of(*peaks, noise=0.5)
    fits = fit_peaks(frame, None, *at((20, 16), (25, 18)))
    assert fits.n_components[0] == 2
    window = frame[11:22, 15:26]
    assert fits.model_patch(0).shape == (11, 11)
    assert np.std(window - fits.model_patch(0)) < 0.6
    lost = fit_peaks(frame, None, *at((0, 0)))
    assert np.isnan(lost.model_patch(0)).all()


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=60), st.sampled_from([11, 15]))
def test_neighbours_are_those_of_all_pairs(pixels: list[tuple[int, int]], window: int) -> None:
    rows, cols = at(*pixels)
    height = np.random.default_rng(0).permutation(len(rows)).astype(float)
    found, inner = find_neighbours(rows, cols, height, window)
    reach = window // 2 + 1
    for k in range(len(rows)):
        far = np.maximum(abs(rows - rows[k]), abs(cols - cols[k]))
        near = np.flatnonzero((far > 0) & (far <= reach))
        best = near[np.argsort(-height[near])][:2].tolist()
        assert found[k].tolist() == best + [-1] * (2 - len(best))
        assert inner[k] == np.sum((far > 0) & (far <= reach // 2))


WORST = {
    "zeros": np.zeros(SHAPE, np.float32),
    "constant": np.full(SHAPE, 7.0),
    "all NaN": np.full(SHAPE, np.nan, np.float32),
    "infinite": np.full(SHAPE, np.inf, np.float32),
    "huge": np.full(SHAPE, 1e30),
    "steps": np.indices(SHAPE)[1].astype(np.float32) // 20,
    "one pixel": np.ones((1, 1), np.float32),
    "small": np.random.default_rng(0).random((4, 7)),
    "noise": np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32),
    "integers": np.random.default_rng(0).integers(0, 9, SHAPE).astype(np.uint16),
}


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("model", ["gaussian", "pseudovoigt"])
@pytest.mark.parametrize("noise", ["uniform", "poisson"])
def test_nothing_raises(name: str, model: str, noise: str) -> None:
    image = WORST[name]
    rows, cols = (grid.ravel()[::3] for grid in np.indices(image.shape))
    for mask in (None, np.ones(image.shape, bool)):
        fits = fit_peaks(image, mask, rows, cols, model=model, noise=noise)
        ok = fits.status == Status.OK
        assert np.isfinite(fits.x[ok]).all()
        assert np.isnan(fits.x[~ok]).all()
        assert not ok.any() or (mask is None and name in ("noise", "integers"))


def test_no_peaks_and_bad_arguments() -> None:
    none = np.zeros(0, np.int64)
    frame = frame_of()
    assert len(fit_peaks(frame, None, none, none)) == 0
    assert len(fit_peaks_torch(frame, None, none, none, "cpu")) == 0
    assert fit_peaks_torch(frame * np.nan, None, *at((20, 16)), "cpu").status[0] == Status.MASKED
    assert fit_peaks_torch(frame * 0, None, *at((20, 16)), "cpu").status[0] == Status.FAILED
    for window in (10, 3):
        with pytest.raises(ValueError, match="odd number"):
            fit_peaks(frame, None, none, none, window=window)
    with pytest.raises(ValueError, match="one shape"):
        fit_peaks(frame, np.zeros((3, 3), bool), none, none)
    with pytest.raises(ValueError, match="one length"):
        fit_peaks(frame, None, none, np.zeros(1, np.int64))


@st.composite
def scenes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A noisy elongated peak in the middle of an odd square frame, with a few masked pixels."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    x, y = 12 + rng.uniform(-0.4, 0.4, 2)
    frame = 30 + profiles.peak(
        (25, 25), x, y, 100, rng.uniform(3.5, 5), rng.uniform(2.5, 3.4), rng.uniform(-1.5, 1.5)
    )
    return frame + rng.normal(0, 2, frame.shape), rng.random(frame.shape) < 0.02


MIDDLE = at((12, 12))


@given(scenes())
def test_transposed_and_mirrored_frames(scene: tuple[np.ndarray, np.ndarray]) -> None:
    frame, mask = scene
    fits = fit_peaks(frame, mask, *MIDDLE)
    if fits.status[0] == Status.MASKED:
        return
    assert fits.status[0] == Status.OK
    swapped = fit_peaks(np.ascontiguousarray(frame.T), np.ascontiguousarray(mask.T), *MIDDLE)
    assert (swapped.y[0], swapped.x[0]) == pytest.approx((fits.x[0], fits.y[0]), abs=1e-5)
    assert swapped.x_err[0] == pytest.approx(fits.y_err[0], rel=1e-4)
    mirrored = fit_peaks(frame[:, ::-1].copy(), mask[:, ::-1].copy(), *MIDDLE)
    assert (24 - mirrored.x[0], mirrored.y[0]) == pytest.approx((fits.x[0], fits.y[0]), abs=1e-5)
    turned = (mirrored.angle[0] + fits.angle[0] + np.pi / 2) % np.pi - np.pi / 2
    assert turned == pytest.approx(0.0, abs=1e-3)
    assert mirrored.cov_xy[0] == pytest.approx(-fits.cov_xy[0], abs=1e-4 * fits.x_err[0] * fits.y_err[0])


@given(scenes(), st.floats(1e-3, 1e6), st.floats(-1e3, 1e3), st.integers(0, 6), st.integers(0, 6))
def test_gain_offset_and_shift(
    scene: tuple[np.ndarray, np.ndarray], gain: float, offset: float, down: int, right: int
) -> None:
    frame, mask = scene
    fits = fit_peaks(frame, mask, *MIDDLE)
    moved, bad = np.zeros((40, 40)), np.zeros((40, 40), bool)
    moved[down : down + 25, right : right + 25] = frame * gain + offset
    bad[down : down + 25, right : right + 25] = mask
    other = fit_peaks(moved, bad, *at((12 + right, 12 + down)))
    assert other.status[0] == fits.status[0]
    expected = (fits.x[0] + right, fits.y[0] + down)
    assert (other.x[0], other.y[0]) == pytest.approx(expected, abs=1e-5, nan_ok=True)
    assert other.x_err[0] == pytest.approx(fits.x_err[0], rel=1e-4, nan_ok=True)
    if fits.status[0] == Status.OK:
        assert other.amplitude[0] == pytest.approx(gain * fits.amplitude[0], rel=1e-4)


def test_single_precision_frames_give_the_same() -> None:
    frame = frame_of((20.3, 15.8, 100, 4))
    double, single = (fit_peaks(frame.astype(t), None, *at((20, 16))) for t in (np.float64, np.float32))
    assert single.x == pytest.approx(double.x, abs=1e-5)


def test_many_peaks_are_fitted_as_one_by_one() -> None:
    frame = frame_of((10.3, 10.8, 100, 4), (30.1, 10.2, 80, 3), (20.0, 30.4, 120, 5))
    pixels = [(10, 11), (30, 10), (20, 30)]
    together = fit_peaks(frame, None, *at(*(pixels * 1000)))  # more than one chunk
    for k, pixel in enumerate(pixels):
        alone = fit_peaks(frame, None, *at(pixel))
        assert (together.x[k::3] == alone.x[0]).all()
