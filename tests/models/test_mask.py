import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.mask import (
    MaskReason,
    combine,
    hot_pixels,
    rasterise,
    rasterise_all,
    raw_mask,
    raw_reasons,
    saturated_mask,
    uses_gap_code,
)
from braggscope.models.regions import Region


@pytest.mark.parametrize(
    ("dtype", "value", "bad"),
    [
        ("int16", -1, True), ("int32", -2, True), ("int64", -1, True), ("int32", 2**31 - 1, False),
        ("uint32", 2**32 - 1, True), ("uint32", 2**32 - 2, False), ("uint64", 2**64 - 1, True),
        ("uint8", 255, False), ("uint16", 65535, False), (">i4", -1, True), (">u4", 2**32 - 1, True),
        ("float32", np.nan, True), ("float64", np.inf, True), ("float32", -np.inf, True),
        ("float32", -3.0, False),
    ],
)  # fmt: skip
def test_values_that_no_detector_counts_are_bad(dtype, value, bad):
    raw = np.ones((4, 5), dtype)
    raw[1, 2] = value
    mask = raw_mask(raw, dtype_limits=True)
    assert mask[1, 2] == bad
    assert mask.sum() == bad


def test_without_dtype_limits_codes_are_values_but_nan_stays_bad():
    assert not raw_mask(np.full((3, 3), -1, np.int32), dtype_limits=False).any()
    assert raw_mask(np.full((3, 3), np.nan), dtype_limits=False).all()


def test_all_ones_of_16_bit_is_a_gap_only_where_it_forms_a_gap():
    raw = np.full((64, 64), 10, np.uint16)
    raw[20:23, 30:33] = 65535
    assert not uses_gap_code(raw)
    assert not raw_mask(raw, dtype_limits=True).any()
    saturated = saturated_mask(raw, None)
    assert saturated is not None
    assert saturated.sum() == 9
    for gap in (np.s_[:, 40:42], np.s_[7, :], np.s_[5:37, 3]):
        framed = raw.copy()
        framed[gap] = 65535
        assert uses_gap_code(framed)
        np.testing.assert_array_equal(raw_mask(framed, dtype_limits=True), framed == 65535)
        assert saturated_mask(framed, None) is None


@given(st.integers(0, 63), st.integers(0, 120), st.integers(1, 60))
def test_gap_code_needs_a_run_of_32(column, start, length):
    raw = np.zeros((128, 64), np.uint16)
    raw[start : start + length, column] = 65535
    expected = min(length, 128 - start) >= 32
    assert uses_gap_code(raw) == expected
    assert uses_gap_code(np.ascontiguousarray(raw.T)) == expected


def test_saturation_counts_at_and_above():
    raw = np.arange(12, dtype=np.int32).reshape(3, 4)
    np.testing.assert_array_equal(saturated_mask(raw, 9.5), raw >= 10)
    np.testing.assert_array_equal(saturated_mask(raw, 9), raw >= 9)
    assert saturated_mask(raw, 1e12) is None
    assert saturated_mask(raw, None) is None


@given(
    st.sampled_from(["uint8", "int16", "uint16", "int32", "float32"]),
    st.floats(-50, 300),
    st.floats(-50, 300),
)
def test_thresholds_are_those_of_plain_comparison(dtype, low, high):
    raw = np.arange(0, 120).astype(dtype).reshape(10, 12)
    expected = (raw.astype(float) < np.array(low, "f4" if dtype == "float32" else "f8")) | (
        raw.astype(float) > np.array(high, "f4" if dtype == "float32" else "f8")
    )
    np.testing.assert_array_equal(raw_mask(raw, dtype_limits=True, low=low, high=high), expected)


def test_reasons_name_the_strongest_cause():
    raw = np.array([[np.nan, -5.0, 1.0, 500.0]])
    codes = raw_reasons(raw, dtype_limits=True, low=0.0, high=100.0)
    assert [MaskReason(c).name for c in codes[0]] == ["NOT_FINITE", "THRESHOLD", "GOOD", "THRESHOLD"]
    assert all(reason.label or reason is MaskReason.GOOD for reason in MaskReason)


@pytest.mark.parametrize("raw", [np.zeros((2, 2), complex), np.zeros((2, 2), object), np.zeros((2, 2, 2))])
def test_what_is_no_frame_is_refused_in_one_sentence(raw):
    with pytest.raises(ValueError, match=r"choose (another dataset|its frame axis)\.$"):
        raw_mask(raw, dtype_limits=True)


def test_hot_pixels_are_found_and_spots_spared():
    rng = np.random.default_rng(5)
    y, x = np.indices((128, 128))
    image = rng.poisson(30 + 4000 * np.exp(-((x - 60.3) ** 2 + (y - 50.1) ** 2) / 2 / 0.9**2)).astype(
        np.float32
    )
    image += rng.poisson(600 * np.exp(-((x - 20) ** 2 + (y - 90) ** 2) / 2 / 1.5**2))
    hot = [(10, 10), (100, 40), (0, 77), (127, 127), (64, 120)]
    for row, col in hot:
        image[row, col] = 900
    found = hot_pixels(image, None, 8)
    assert set(zip(*np.nonzero(found), strict=True)) == set(hot)
    mask = np.zeros(image.shape, bool)
    mask[10, 10] = True
    assert not hot_pixels(image, mask, 8)[10, 10]


@given(st.floats(-20, 60), st.floats(-20, 60), st.floats(0.1, 50), st.floats(0.1, 50))
def test_regions_hold_the_pixels_whose_centre_lies_inside(x0, y0, width, height):
    shape = (40, 50)
    y, x = np.indices(shape)
    x1, y1 = x0 + width, y0 + height
    box = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    corners = ((x1, y0), (x0, y1))
    np.testing.assert_array_equal(rasterise(Region(kind="rectangle", points=corners), shape), box)
    u, v = (x - (x0 + x1) / 2) / (width / 2), (y - (y0 + y1) / 2) / (height / 2)
    ellipse = rasterise(Region(kind="ellipse", points=corners), shape)
    clear = abs(u**2 + v**2 - 1) > 1e-9
    np.testing.assert_array_equal(ellipse[clear], (u**2 + v**2 < 1)[clear])
    polygon = Region(kind="polygon", points=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
    off_edge = (abs(y - y0) > 1e-9) & (abs(y - y1) > 1e-9) & (abs(x - x0) > 1e-9) & (abs(x - x1) > 1e-9)
    np.testing.assert_array_equal(rasterise(polygon, shape)[off_edge], box[off_edge])


def test_a_concave_polygon_keeps_its_notch():
    region = Region(kind="polygon", points=((0.5, 0.5), (20.5, 0.5), (20.5, 20.5), (10.5, 5.5), (0.5, 20.5)))
    inside = rasterise(region, (24, 24))
    assert inside[4, 10]
    assert not inside[15, 10]
    assert inside[12, 2]


def test_masks_combine_and_refuse_other_shapes():
    a, b = np.eye(3, dtype=bool), np.zeros((3, 3), bool)
    b[0, 2] = True
    np.testing.assert_array_equal(combine(a, None, b), a | b)
    assert combine(None) is None
    assert rasterise_all((), (3, 3)) is None
    with pytest.raises(ValueError, match=r"\(3, 3\) and \(2, 3\)"):
        combine(a, np.zeros((2, 3), bool))
