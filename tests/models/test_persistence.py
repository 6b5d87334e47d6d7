"""The merge tree equals findpeaks on every kind of frame, and behaves as a merge tree must."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from braggscope.models.peaks.detect import reference_peaks
from braggscope.models.peaks.persistence import Workspace, find_candidates

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)
WORKSPACE = Workspace()  # shared on purpose: a dirty buffer would spoil the next example


@st.composite
def frames(draw):
    """Tied integers, plateaus, noise, in any dtype; a mask or none."""
    shape = draw(SHAPES)
    kind = draw(st.sampled_from(["levels", "plateaus", "noise", "wild"]))
    if kind == "levels":
        image = draw(hnp.arrays(np.uint16, shape, elements=st.integers(0, draw(st.integers(1, 9)))))
    elif kind == "plateaus":
        coarse = draw(hnp.arrays(np.int32, (6, 6), elements=st.integers(0, 40)))
        image = np.kron(coarse, np.ones((4, 4), np.int32))[: shape[0], : shape[1]]
    elif kind == "noise":
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        image = rng.poisson(draw(st.floats(0.1, 50)), shape).astype(np.float32) + np.float32(0.5)
    else:
        image = draw(hnp.arrays(np.float64, shape, elements=st.integers(-100, 4000).map(lambda k: k / 8)))
    dtype = draw(st.sampled_from([image.dtype, np.dtype(np.float32), np.dtype(np.float64)]))
    mask = draw(st.none() | hnp.arrays(np.bool_, image.shape, elements=st.booleans(), fill=st.just(False)))
    return image.astype(dtype), mask


def assert_equal(found, expected):
    np.testing.assert_array_equal(found.index, expected.index)
    np.testing.assert_array_equal(found.birth, expected.birth)
    np.testing.assert_array_equal(found.death, expected.death)
    assert found.shape == expected.shape


@given(frames(), st.sampled_from([0.0, 0.5, 1.0, 3.0, 20.25]))
def test_equals_findpeaks(frame, floor):
    image, mask = frame
    assert_equal(find_candidates(image, mask, floor, WORKSPACE), reference_peaks(image, mask, floor))


@pytest.fixture(scope="module")
def thaumatin_crop():
    folder = os.environ.get("BRAGGSCOPE_TEST_DATA")
    if not folder:
        pytest.skip("BRAGGSCOPE_TEST_DATA is not set")
    import fabio

    frame = fabio.open(str(Path(folder) / "thaumatin_grid" / "thau_3_2_0003.cbf.bz2")).data
    return frame[1100:1356, 1100:1356]


@pytest.mark.parametrize("floor", [0.0, 12.0, 40.0])
def test_equals_findpeaks_on_a_real_frame(thaumatin_crop, floor):
    found = find_candidates(thaumatin_crop, thaumatin_crop < 0, floor)
    assert_equal(found, reference_peaks(thaumatin_crop, thaumatin_crop < 0, floor))
    assert len(found) > 5


@given(frames())
def test_order_and_ranges(frame):
    image, mask = frame
    found = find_candidates(image, mask, 2.0, WORKSPACE)
    score = found.birth - found.death
    assert np.all(found.birth >= 2)
    assert np.all((found.death == 0) | ((found.death >= 2) & (found.death <= found.birth)))
    np.testing.assert_array_equal(np.lexsort((-found.index, -score)), np.arange(len(found)))
    assert len(np.unique(found.index)) == len(found)
    np.testing.assert_array_equal(found.birth, image[found.row, found.col])


@given(frames(), st.sampled_from([np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float64]))
def test_dtype_does_not_matter(frame, dtype):
    image, mask = frame
    counts = np.clip(image, 0, None).astype(np.uint16)
    assert_equal(
        find_candidates(counts.astype(dtype), mask), find_candidates(counts.astype(np.float32), mask)
    )


@given(frames())
def test_rising_maps_keep_the_tree(frame):
    image, mask = frame
    counts = np.clip(image, 0, None).astype(np.float64)
    plain, squared = find_candidates(counts, mask), find_candidates(counts**2, mask)
    a, b = np.argsort(plain.index), np.argsort(squared.index)
    np.testing.assert_array_equal(plain.index[a], squared.index[b])
    np.testing.assert_array_equal(plain.birth[a] ** 2, squared.birth[b])
    np.testing.assert_array_equal(plain.death[a] ** 2, squared.death[b])


@given(st.permutations(range(1, 73)), st.sampled_from(["transpose", "flip", "turn"]))
def test_symmetries_of_a_frame_without_ties(values, symmetry):
    image = np.array(values, np.float32).reshape(8, 9)
    turn = {"transpose": np.transpose, "flip": np.fliplr, "turn": np.rot90}[symmetry]
    plain, turned = find_candidates(image), find_candidates(turn(image))
    np.testing.assert_array_equal(np.sort(plain.birth), np.sort(turned.birth))
    np.testing.assert_array_equal(
        plain.death[np.argsort(plain.birth)], turned.death[np.argsort(turned.birth)]
    )


@given(frames(), st.floats(0, 60))
def test_bad_pixels_count_as_zero(frame, floor):
    image, mask = frame
    mask = np.zeros(image.shape, np.bool_) if mask is None else mask
    zeroed = np.where(mask | (image < floor), 0, image)
    found, expected = find_candidates(image, mask, floor), find_candidates(zeroed)
    assert_equal(found, expected)


def test_not_finite_pixels_take_no_part():
    image = np.zeros((5, 7), np.float32)
    image[2, 1:6] = [3, np.nan, 5, np.inf, 4]
    image[0, 0] = -np.inf
    found = find_candidates(image)
    np.testing.assert_array_equal(found.birth, [5, 4, 3])
    np.testing.assert_array_equal(found.death, 0)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint8, np.int16, np.int64])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 9), (17, 17)])
def test_constant_frames_have_one_peak(dtype, shape):
    found = find_candidates(np.full(shape, 7, dtype))
    assert (len(found), found.index[0], found.birth[0], found.death[0]) == (1, shape[0] * shape[1] - 1, 7, 0)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5)), np.full((4, 5), np.nan), np.zeros((0, 5)), np.zeros((1, 1))]
)
def test_nothing_to_find(image):
    assert len(find_candidates(image)) == 0
    assert len(reference_peaks(image)) == 0


def test_nothing_left_by_mask_or_floor():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert len(find_candidates(image, np.ones((3, 4), np.bool_))) == 0
    assert len(find_candidates(image, None, 1e300)) == 0
    assert len(find_candidates(image.astype(np.uint16), None, 70000)) == 0


def test_floor_between_neighbouring_floats_is_exact():
    edge = np.float32(0.1)
    image = np.array([[edge, 0, np.nextafter(edge, np.float32(1))]], np.float32)
    assert len(find_candidates(image, None, float(edge))) == 2
    assert len(find_candidates(image, None, float(edge) + 1e-12)) == 1


def test_workspace_survives_changes_of_shape_and_dtype():
    rng = np.random.default_rng(3)
    workspace = Workspace()
    for shape, dtype in [
        ((30, 40), np.float32),
        ((30, 40), np.float64),
        ((41, 7), np.uint16),
        ((30, 40), np.int32),
    ]:
        image = rng.poisson(5, shape).astype(dtype)
        assert_equal(find_candidates(image, None, 1, workspace), find_candidates(image, None, 1))


def test_views_that_are_not_contiguous():
    image = np.random.default_rng(4).poisson(4, (40, 50)).astype(np.float32)
    assert_equal(find_candidates(image[::2, 1::3]), find_candidates(image[::2, 1::3].copy()))
    assert_equal(find_candidates(image.astype(">u2")), find_candidates(image))


def test_wrong_input_is_refused_in_words():
    with pytest.raises(ValueError, match="two-dimensional"):
        find_candidates(np.zeros(5))
    with pytest.raises(ValueError, match="real numbers"):
        find_candidates(np.zeros((2, 2), complex))
    with pytest.raises(ValueError, match="mask has shape"):
        find_candidates(np.zeros((2, 2)), np.zeros((2, 3), np.bool_))
    with pytest.raises(ValueError, match="finite"):
        find_candidates(np.zeros((2, 2)), None, np.nan)
