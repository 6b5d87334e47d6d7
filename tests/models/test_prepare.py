import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.mask import MaskReason, raw_mask
from braggscope.models.parameters import Preparation
from braggscope.models.prepare import Preparer
from braggscope.models.regions import Region

SHAPE = (48, 64)


def frame(seed=0, dtype=np.uint16, level=50):
    return np.random.default_rng(seed).poisson(level, SHAPE).astype(dtype)


def prepare(*frames, mask=None, user=None, dark=None, flat=None, **changes):
    preparer = Preparer(
        Preparation(**changes), shape=frames[0].shape, file_mask=mask, user_mask=user, dark=dark, flat=flat
    )
    return preparer.apply(frames)


@pytest.mark.parametrize(
    "dtype", ["u1", "i2", "u2", ">u2", "i4", "u4", "i8", "u8", "f4", "f8", "f2", ">f4", "?"]
)
def test_every_real_type_becomes_float32_with_its_values(dtype):
    raw = frame(level=1 if dtype == "?" else 50).astype(dtype)
    found = prepare(raw)
    assert found.image.dtype == np.float32
    np.testing.assert_array_equal(found.image, raw.astype(np.float32))
    assert not found.mask.any()
    assert found.saturated is None
    assert found.background is None


def test_large_values_stay_exact():
    raw = np.full(SHAPE, 2**24 + 1, np.uint32)
    assert prepare(raw).image.dtype == np.float64
    np.testing.assert_array_equal(prepare(raw).image, raw)
    gap = frame(dtype=np.uint32)
    gap[:, 3] = 2**32 - 1
    assert prepare(gap).image.dtype == np.float32
    half = np.full(SHAPE, 2**23 + 1, np.uint32)
    np.testing.assert_array_equal(prepare(half, half, half, sum_frames=3).image, 3 * half.astype(float))
    assert prepare(half, binning=4).image[0, 0] == 16 * (2**23 + 1)


def test_bad_pixels_are_zero_and_carry_their_reason():
    raw = frame(dtype=np.int32)
    raw[0, 0], raw[1, 1] = -1, 500
    raw[30, 30] = 20_000
    mask, user = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    mask[3, 3] = user[3, 3] = user[4, 4] = True
    found = prepare(
        raw, mask=mask, user=user, threshold_high=30_000, threshold_low=0, hot_pixels=10,
        masked=(Region(kind="rectangle", points=((10, 10), (12, 11))),),
        regions=(Region(kind="rectangle", points=((0, 0), (40, 40))),),
    )  # fmt: skip
    expected = {
        (0, 0): "code for a bad pixel", (1, 1): "hot pixel", (3, 3): "pixel mask of the file",
        (4, 4): "mask file",
        (11, 12): "masked by hand", (30, 30): "hot pixel", (45, 5): "outside the regions", (6, 6): "",
    }  # fmt: skip
    assert {place: found.reason(*place) for place in expected} == expected
    np.testing.assert_array_equal(found.excluded, found.codes != 0)
    np.testing.assert_array_equal(found.excluded & ~found.mask, found.codes == MaskReason.OUTSIDE)
    assert not found.image[found.mask].any()
    assert found.image[45, 5] == raw[45, 5]


def test_sums_drop_what_is_bad_in_any_frame():
    a, b, c = (frame(i, np.float32) for i in range(3))
    b[5, 6] = np.nan
    found = prepare(a, b, c, sum_frames=3)
    assert found.mask.sum() == 1
    assert found.mask[5, 6]
    good = ~found.mask
    np.testing.assert_array_equal(found.image[good], (a + b + c)[good])


def test_dark_and_flat():
    rng = np.random.default_rng(1)
    response = rng.uniform(0.5, 1.5, SHAPE)
    dark = rng.uniform(5, 10, SHAPE)
    raw = 300 * response + dark
    flat, broken = response.copy(), dark.copy()
    flat[2, 3], broken[7, 8] = 0, np.nan
    found = prepare(raw, raw, sum_frames=2, dark=broken, flat=flat)
    assert {tuple(p) for p in np.argwhere(found.mask)} == {(2, 3), (7, 8)}
    assert found.reason(2, 3) == "no dark or flat value"
    np.testing.assert_allclose(found.image[~found.mask], 600 * flat[flat > 0].mean(), rtol=1e-6)


@pytest.mark.parametrize("bins", [2, 4])
def test_binning_keeps_the_level_and_masks_holes(bins):
    raw = np.full((50, 67), 7, np.float32)
    found = prepare(raw, binning=bins)
    assert found.image.shape == (50 // bins, 67 // bins)
    assert (found.image == 7 * bins * bins).all()
    mask = np.zeros(raw.shape, bool)
    mask[0, 0] = mask[8:12, 8:12] = True
    found = prepare(raw, binning=bins, mask=mask)
    assert (found.image[~found.mask] == 7 * bins * bins).all()
    assert found.mask[0, 0] == (bins == 2)
    assert found.reason(8 // bins, 8 // bins) == "pixel mask of the file"
    assert found.reason(0, 0) == ("bad pixels in the bin" if bins == 2 else "")


@given(st.integers(0, 1000), st.sampled_from([1, 2, 4]), st.floats(0, 0.2))
def test_invariants_of_every_prepared_image(seed, bins, share):
    rng = np.random.default_rng(seed)
    raw = rng.normal(50, 10, SHAPE).astype(np.float32)
    raw[rng.random(SHAPE) < share] = np.nan
    found = prepare(raw, binning=bins, background="median", background_window=9)
    assert np.isfinite(found.image).all()
    assert not found.image[found.mask].any()
    np.testing.assert_array_equal(found.mask, found.codes != 0)
    assert not any(a.flags.writeable for a in (found.image, found.mask, found.codes))
    if bins == 1:
        np.testing.assert_array_equal(found.mask, raw_mask(raw, dtype_limits=True))


def test_saturation_is_marked_not_masked():
    raw = frame()
    raw[10:12, 10:12] = 65535
    raw[20, 20] = 900
    found = prepare(raw)
    assert found.saturated.sum() == 4
    assert not found.mask.any()
    assert found.reason(10, 10) == "saturated"
    assert prepare(raw, saturation=900).saturated.sum() == 5
    assert prepare(raw, raw, sum_frames=2, saturation=900, binning=2).saturated.sum() == 2


def test_a_background_is_subtracted_and_kept():
    y, x = np.indices(SHAPE)
    raw = (100 + x).astype(np.float32)
    found = prepare(raw, background="median", background_window=11)
    assert abs(found.image[10:-10, 10:-10]).max() < 0.6
    np.testing.assert_allclose(found.image + found.background, raw, atol=1e-4)
    ring = (200 - np.hypot(x - 5, y - 7)).astype(np.float32)
    assert abs(prepare(ring, background="radial", centre=(5, 7)).image).max() < 2


@pytest.mark.parametrize("name", ["mask", "dark", "flat", "user"])
def test_wrong_shapes_are_named(name):
    with pytest.raises(
        ValueError, match=r"shape \(3, 4\), the frames have \(48, 64\); choose another file\.$"
    ):
        prepare(frame(), **{name: np.ones((3, 4), bool if name in ("mask", "user") else float)})


def test_a_mask_file_may_have_the_shape_of_the_binned_image():
    user = np.zeros((24, 32), bool)
    user[3, 4] = True
    found = prepare(frame(), user=user, binning=2)
    np.testing.assert_array_equal(found.mask, user)
    assert found.reason(3, 4) == "mask file"


def test_frames_of_another_shape_or_none_are_refused():
    preparer = Preparer(Preparation(), shape=SHAPE)
    with pytest.raises(ValueError, match=r"\(2, 2\) where \(48, 64\) was expected"):
        preparer.apply([np.zeros((2, 2))])
    with pytest.raises(ValueError, match="no frame"):
        preparer.apply([])
    with pytest.raises(ValueError, match="no positive value"):
        prepare(frame(), flat=np.full(SHAPE, np.nan))
    with pytest.raises(ValueError, match="too small"):
        Preparer(Preparation(binning=4), shape=(3, 9))
