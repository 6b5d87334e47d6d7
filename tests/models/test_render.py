import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.render import (
    BAD,
    COLORMAPS,
    TINT_DENSE,
    TINT_LIGHT,
    hatched,
    histogram,
    lut,
    percentile_levels,
    render_rgb,
)

GRAY = lut("gray")


@pytest.mark.parametrize("name", COLORMAPS)
def test_colour_maps_are_opaque_and_reversible(name):
    table = lut(name)
    assert table.shape == (256,)
    assert table.dtype == np.uint32
    assert (table >> 24 == 0xFF).all()
    other = name.removesuffix("_r") if name.endswith("_r") else f"{name}_r"
    np.testing.assert_array_equal(table[::-1], lut(other))
    assert BAD not in table


def test_an_unknown_colour_map_is_refused():
    with pytest.raises(ValueError, match="no colour map 'nonsense'"):
        lut("nonsense")


def test_gray_runs_from_black_to_white():
    assert GRAY[0] == 0xFF000000
    assert GRAY[-1] == 0xFFFFFFFF


def test_levels_are_percentiles_of_the_good_pixels():
    image = np.random.default_rng(0).uniform(0, 1000, (512, 512)).astype(np.float32)
    mask = np.zeros(image.shape, bool)
    mask[:, :256] = True
    image[mask] = 1e9
    low, high = percentile_levels(image, mask)
    assert low == pytest.approx(10, abs=4)
    assert high == pytest.approx(999, abs=2)


def test_levels_of_sparse_flat_and_masked_frames():
    sparse = np.zeros((300, 300), np.float32)
    sparse[151, 77] = 500
    assert percentile_levels(sparse) == (0.0, 500.0)
    assert percentile_levels(np.full((8, 8), 3.0)) == (3.0, 4.0)
    assert percentile_levels(sparse, np.ones(sparse.shape, bool)) == (0.0, 1.0)
    assert percentile_levels(np.full((8, 8), np.nan)) == (0.0, 1.0)
    low, high = percentile_levels(np.full((8, 8), 1e12))
    assert low < high


@pytest.mark.parametrize("log", [True, False])
def test_histogram_holds_every_sampled_pixel(log):
    image = np.random.default_rng(0).normal(5, 30, (100, 100))
    mask = image < -50
    counts, edges = histogram(image, mask, 64, log)
    assert counts.shape == (64,)
    assert edges.shape == (65,)
    assert (np.diff(edges) > 0).all()
    assert counts.sum() == (~mask).sum()
    assert edges[0] == pytest.approx(image[~mask].min())
    assert edges[-1] == pytest.approx(image.max())
    empty, edges = histogram(image, np.ones(image.shape, bool), 8, log)
    assert not empty.any()
    assert len(edges) == 9


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "f8", ">f4", "?"])
def test_levels_map_to_the_ends_of_the_table(dtype):
    image = np.array([[0, 1]]).astype(dtype)
    np.testing.assert_array_equal(render_rgb(image, None, (0, 1), GRAY), [[GRAY[0], GRAY[-1]]])


def test_scales_spread_the_weak():
    image = np.array([[0.01, 0.25]])
    linear, sqrt, log = (
        render_rgb(image, None, (0, 1), GRAY, scale=scale)[0] & 0xFF for scale in ("linear", "sqrt", "log")
    )
    np.testing.assert_array_equal(linear, [2, 64])
    np.testing.assert_array_equal(sqrt, [25, 128])
    np.testing.assert_allclose(log, 256 * np.log1p([10, 250]) / np.log1p(1000), atol=1)


@given(st.integers(0, 10_000), st.integers(1, 5), st.sampled_from(["linear", "sqrt", "log"]))
def test_pooled_pictures_show_the_maximum_of_every_block(seed, step, scale):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2)
    image = rng.normal(0, 1, (height, width)).astype(np.float32)
    image[rng.random(image.shape) < 0.2] = np.nan
    mask = rng.random(image.shape) < 0.3
    picture = render_rgb(image, mask, (-1, 1), GRAY, scale=scale, step=step)
    assert picture.shape == (-(-height // step), -(-width // step))
    for row, col in np.ndindex(picture.shape):
        block = np.s_[row * step : (row + 1) * step, col * step : (col + 1) * step]
        good = image[block][~mask[block] & np.isfinite(image[block])]
        expected = np.array([[good.max() if len(good) else np.nan]])
        assert picture[row, col] == render_rgb(expected, None, (-1, 1), GRAY, scale=scale)[0, 0]


def test_extremes_and_degenerate_levels_do_not_overflow():
    image = np.array([[-np.inf, -1e300, 5.0, 1e300, np.inf, np.nan]])
    picture = render_rgb(image, None, (5, 5), GRAY)[0]
    np.testing.assert_array_equal(picture, [GRAY[0], GRAY[0], GRAY[0], GRAY[-1], GRAY[-1], BAD])


def test_a_given_array_is_filled_or_refused():
    out = np.empty((2, 3), np.uint32)
    assert render_rgb(np.zeros((4, 5)), None, (0, 1), GRAY, step=2, out=out) is out
    assert (out == GRAY[0]).all()
    with pytest.raises(ValueError, match=r"shape \(4, 5\)"):
        render_rgb(np.zeros((4, 5)), None, (0, 1), GRAY, out=out)
    with pytest.raises(ValueError, match="at least 1"):
        render_rgb(np.zeros((4, 5)), None, (0, 1), GRAY, step=0)
    with pytest.raises(ValueError, match="no scale"):
        render_rgb(np.zeros((4, 5)), None, (0, 1), GRAY, scale="cube")


@pytest.mark.parametrize("shape", [(48, 64), (51, 37), (1, 20), (20, 1), (7, 3)])
def test_bad_pixels_are_hatched_along_diagonals_and_others_clear(shape):
    mask = np.random.default_rng(3).random(shape) < 0.4
    mask[0, 0] = True
    row, col = np.indices(shape)
    dense = (row + col) % 8 < 3
    np.testing.assert_array_equal(hatched(mask), np.where(mask, np.where(dense, TINT_DENSE, TINT_LIGHT), 0))
    assert hatched(mask).dtype == np.uint32
    assert hatched(np.zeros(shape, bool)) is None
