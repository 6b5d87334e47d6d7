"""What no fit may depend on: where a peak lies, how the frame is turned, units of counts, bad pixels."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models import profiles
from braggscope.models.fitting.peaks import Fits, fit_peaks, fit_peaks_torch
from braggscope.models.results import Status

TILE, ACROSS, DOWN = 26, 3, 2


class Scene(NamedTuple):
    """A frame of six peaks far from each other, the last with a neighbour; strong, weak, narrow, broad."""

    frame: np.ndarray
    mask: np.ndarray
    rows: np.ndarray
    cols: np.ndarray

    def fit(self, **options: Any) -> Fits:
        return fit_peaks(*self, **options)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = draw(st.sampled_from([0.5, 2.0, 8.0]))
    shape = (DOWN * TILE, ACROSS * TILE)
    frame, places = np.full(shape, 50.0), []
    for k in range(DOWN * ACROSS + 1):
        tile = min(k, DOWN * ACROSS - 1)
        middle = np.array([tile % ACROSS, tile // ACROSS]) * TILE + TILE // 2 + rng.uniform(-0.4, 0.4, 2)
        x, y = middle + [4.3, 1.2] if k > tile else middle
        minor = profiles.FWHM_PER_SIGMA * rng.uniform(0.8, 1.6)
        height = rng.uniform(60, 100)
        frame += profiles.peak(shape, x, y, height, minor * rng.uniform(1, 2), minor, rng.uniform(-1.5, 1.5))
        places.append((x, y))
    cols, rows = np.rint(places).astype(np.int64).T
    return Scene(frame + rng.normal(0, noise, shape), rng.random(shape) < 0.01, rows, cols)


@st.composite
def choices(draw: st.DrawFn, noises: tuple[str, ...] = ("uniform", "poisson")) -> dict[str, Any]:
    return {
        "model": draw(st.sampled_from(["gaussian", "gaussian", "pseudovoigt"])),
        "noise": draw(st.sampled_from(noises)),
        "background": draw(st.sampled_from(["constant", "plane", "auto"])),
        "window": draw(st.sampled_from([11, 15, "auto"])),
    }


def assert_same(one: Fits, other: Fits, x: np.ndarray, y: np.ndarray, gain: float = 1.0) -> None:
    """``other`` lies at (x, y), where ``one`` says it should, with the errors of ``one``."""
    sure = (one.x_err < 0.05) & (one.y_err < 0.05) & (one.n_components == 1)
    assert np.array_equal(one.status[sure], other.status[sure])
    alike = (one.status == Status.OK) & (other.status == Status.OK)
    alike &= (one.n_components == other.n_components) & (one.window == other.window)
    alike &= one.plane == other.plane
    assert alike[sure].sum() > 0.6 * sure.sum() - 1
    loose = 1e-4 + 0.01 * np.hypot(one.x_err, one.y_err)
    assert (np.hypot(other.x - x, other.y - y)[alike] < loose[alike]).all()
    area = one.x_err**2 * one.y_err**2 - one.cov_xy**2
    assert (other.x_err**2 * other.y_err**2 - other.cov_xy**2)[alike] == pytest.approx(area[alike], rel=0.05)
    assert other.amplitude[alike] == pytest.approx(gain * one.amplitude[alike], rel=0.01)


@given(scenes(), choices(), st.integers(0, 9), st.integers(0, 9))
def test_whole_pixels_of_shift(scene: Scene, options: dict, down: int, right: int) -> None:
    def padded(up: int, left: int) -> Fits:
        room = ((up, 9 - up), (left, 9 - left))
        mask = np.pad(scene.mask, room, constant_values=True)
        return Scene(np.pad(scene.frame, room), mask, scene.rows + up, scene.cols + left).fit(**options)

    one, other = padded(4, 4), padded(down, right)
    assert np.array_equal(one.status, other.status)
    assert other.x == pytest.approx(one.x + right - 4, abs=1e-9, nan_ok=True)
    assert other.y == pytest.approx(one.y + down - 4, abs=1e-9, nan_ok=True)


@given(scenes(), choices())
def test_mirrored(scene: Scene, options: dict) -> None:
    width = scene.frame.shape[1]
    there = Scene(scene.frame[:, ::-1].copy(), scene.mask[:, ::-1].copy(), scene.rows, width - 1 - scene.cols)
    one, other = scene.fit(**options), there.fit(**options)
    assert_same(one, other, width - 1 - one.x, one.y)


@given(scenes(), choices())
def test_transposed(scene: Scene, options: dict) -> None:
    there = Scene(scene.frame.T.copy(), scene.mask.T.copy(), scene.cols, scene.rows)
    one, other = scene.fit(**options), there.fit(**options)
    assert_same(one, other, one.y, one.x)


@given(scenes(), choices(("uniform",)), st.floats(1e-4, 1e6), st.floats(-1e4, 1e4))
def test_gain_and_offset(scene: Scene, options: dict, gain: float, offset: float) -> None:
    one = scene.fit(**options)
    other = scene._replace(frame=gain * (scene.frame + offset)).fit(**options)
    assert_same(one, other, one.x, one.y, gain)


@given(scenes(), choices(), st.sampled_from([0.0, -1e9, 1e30, np.nan, np.inf, -np.inf]))
def test_masked_values_and_nan_are_nothing(scene: Scene, options: dict, value: float) -> None:
    one = scene.fit(**options)
    spoilt = np.where(scene.mask, value, scene.frame)
    for frame, mask in ((spoilt, scene.mask), (np.where(scene.mask, np.nan, scene.frame), None)):
        other = fit_peaks(frame, mask, scene.rows, scene.cols, **options)
        assert np.array_equal(one.status, other.status)
        assert np.array_equal(one.parameters, other.parameters, equal_nan=True)


@given(scenes(), choices(), st.sampled_from([0.0, 1e6, np.nan]))
def test_pixels_out_of_reach_are_nothing(scene: Scene, options: dict, value: float) -> None:
    one = scene.fit(**options)
    y, x = np.indices(scene.frame.shape)
    reach = np.zeros(scene.frame.shape, bool)
    for row, col in zip(scene.rows, scene.cols, strict=True):
        reach |= (abs(y - row) <= 10) & (abs(x - col) <= 10)
    frame, mask = np.where(reach, scene.frame, value), scene.mask | ~reach
    for other in (Scene(frame, scene.mask, *scene[2:]), Scene(scene.frame, mask, *scene[2:])):
        assert np.array_equal(one.parameters, other.fit(**options).parameters, equal_nan=True)


@given(scenes(), choices(), st.floats(90.0, 160.0))
def test_saturated_is_masked_for_the_fit(scene: Scene, options: dict, limit: float) -> None:
    full = scene.frame >= limit
    by_counts = scene.fit(saturation=limit, **options)
    brighter = np.where(full, 1e6 * scene.frame, scene.frame)  # which of two is the higher stays as it was
    by_mask = scene._replace(frame=brighter).fit(saturated=full, **options)
    assert np.array_equal(by_counts.parameters, by_mask.parameters, equal_nan=True)
    assert np.array_equal(by_counts.status, by_mask.status)
    masked = scene._replace(mask=scene.mask | full).fit(**options)
    both = (by_counts.status == Status.OK) & (masked.status == Status.OK)
    both &= by_counts.window == masked.window
    both[5:] = False  # a peak whose pixel is masked is no neighbour, a saturated one is
    assert by_counts.x[both] == pytest.approx(masked.x[both], abs=1e-9)
    clean = ~np.array([full[r - 1 : r + 2, c - 1 : c + 2].any()
                       for r, c in zip(scene.rows, scene.cols, strict=True)])  # fmt: skip
    assert (by_counts.status[clean] != Status.SATURATED).all()


@given(scenes(), choices(), st.lists(st.integers(0, 6), max_size=5))
def test_duplicates_and_order(scene: Scene, options: dict, again: list[int]) -> None:
    one = scene.fit(**options)
    order = np.concatenate((np.arange(7)[::-1], np.array(again, np.int64)))
    other = scene._replace(rows=scene.rows[order], cols=scene.cols[order]).fit(**options)
    assert np.array_equal(one.status[order], other.status)
    assert other.x == pytest.approx(one.x[order], abs=1e-9, nan_ok=True)
    few = scene.fit(only=3, **options)
    assert np.array_equal(few.x, one.x[:3], equal_nan=True)


@given(
    choices(),
    st.integers(1, 3),
    st.integers(1, 3),
    st.floats(allow_nan=True, allow_infinity=True, width=32),
    st.integers(-2, 3),
)
def test_frames_of_hardly_a_pixel_and_no_peaks(
    options: dict, high: int, wide: int, value: float, at: int
) -> None:
    frame = np.full((high, wide), value, np.float32)
    none = np.zeros(0, np.int64)
    assert len(fit_peaks(frame, None, none, none, **options)) == 0
    fits = fit_peaks(frame, None, np.array([at, 0]), np.array([0, at]), **options)
    assert (fits.status == Status.EDGE).all()
    assert np.isnan(fits.x).all()
    assert np.isnan(fits.model_patch(0)).all()


@given(scenes(), choices())
def test_torch_and_numba_agree(scene: Scene, options: dict) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    few, options = scene._replace(rows=scene.rows[:2], cols=scene.cols[:2]), {**options, "window": 11}
    options["background"] = options["background"].replace("auto", "plane")
    one, other = few.fit(**options), fit_peaks_torch(*few, "cpu", **options)
    assert_same(one, other, one.x, one.y)
