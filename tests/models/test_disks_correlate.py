"""Disks found by correlation: all of them, none that is not there, at their places, with honest errors."""

import numpy as np
import pytest
from disks_scene import EDGE, RADIUS, deformation, draw, paired
from scipy import fft

from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.kernel import make_template
from braggscope.models.disks.maxima import apart, local_maxima
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import synthetic_probe

PROBE = synthetic_probe(RADIUS, EDGE, 31)


@pytest.fixture(scope="module")
def scene():
    return draw()


def finder(shape, mask=None, probe=PROBE, **settings):
    return Correlator(probe, shape, Strain(**settings), mask)


@pytest.mark.parametrize("subpixel", ["parabola", "upsampled"])
@pytest.mark.parametrize("kernel", ["sigmoid", "gaussian", "flat"])
@pytest.mark.parametrize("intensity", ["log", "sqrt"])
def test_all_disks_and_no_others(scene, subpixel, kernel, intensity):
    disks = finder((192, 192), subpixel=subpixel, kernel=kernel, intensity=intensity).find(scene.patterns[:6])
    offsets, rows, missed = paired(disks, scene._replace(places=scene.places[:6]))
    there = 6 * scene.places.shape[1]
    assert missed <= 0.01 * there
    assert len(disks) - len(rows) <= 0.01 * there
    assert np.sqrt(np.mean(offsets**2)) < 0.12


def test_errors_are_what_poisson_noise_brings(scene):
    for subpixel in ("parabola", "upsampled"):
        disks = finder((192, 192), subpixel=subpixel).find(scene.patterns)
        offsets, rows, _ = paired(disks, scene)
        pull = np.concatenate((offsets[:, 0] / disks.x_err[rows], offsets[:, 1] / disks.y_err[rows]))
        assert 0.6 < np.mean(np.abs(pull) < 1) < 0.76
        assert abs(np.mean(offsets)) < 0.01


def test_modulation_moves_the_stressed_edge_less_than_a_flat_template(scene):
    wavy = draw(12, modulation=0.8, seed=1)
    rms = {}
    for kernel in ("sigmoid", "flat"):
        offsets, _, _ = paired(finder((192, 192), kernel=kernel).find(wavy.patterns), wavy)
        rms[kernel] = np.sqrt(np.mean(offsets**2))
    assert rms["sigmoid"] < 0.75 * rms["flat"]


def test_low_doses_show_no_false_disks():
    faint = draw(10, dose=2e4, seed=2)
    disks = finder((192, 192)).find(faint.patterns)
    _, rows, missed = paired(disks, faint)
    assert len(disks) - len(rows) <= 0.01 * len(disks)
    assert missed <= 0.02 * faint.places[..., 0].size
    empty = np.random.default_rng(0).poisson(0.3, (20, 192, 192))
    assert len(finder((192, 192)).find(empty)) <= 3
    assert len(finder((192, 192)).find(np.zeros((2, 192, 192)))) == 0


def test_the_search_ends_where_a_fine_fourier_upsampling_has_its_maximum(scene):
    """A soft template, which pixels sample well: the correlation upsampled 32 times by its spectrum."""
    soft = synthetic_probe(RADIUS, 3.5, 31)
    found = finder((192, 192), probe=soft, kernel="gaussian").find(scene.patterns[:1])
    template = make_template(soft, "gaussian")
    image = np.log1p(scene.patterns[0].astype(np.float64))
    plane = np.zeros((192, 192))
    size = 2 * template.half + 1
    plane[:size, :size] = template.image
    plane = np.roll(plane, (-template.half, -template.half), (0, 1))
    spectrum = fft.fft2(image) * np.conj(fft.fft2(plane))
    waves = 2j * np.pi * fft.fftfreq(192)
    fine = np.arange(-32, 33) / 32
    for k in range(9):
        x0, y0 = np.round(found.x[k]), np.round(found.y[k])
        rows, cols = np.exp(np.outer(y0 + fine, waves)), np.exp(np.outer(waves, x0 + fine))
        value = (rows @ spectrum @ cols).real
        i, j = np.unravel_index(np.argmax(value), value.shape)
        assert abs(x0 + fine[j] - found.x[k]) < 0.05
        assert abs(y0 + fine[i] - found.y[k]) < 0.05


def test_masked_pixels_weigh_nothing(scene):
    mask = np.zeros((192, 192), np.bool_)
    mask[:, 90:99] = True
    clean = scene.patterns[:4].astype(np.float32)
    spoiled = np.where(mask, np.float32(1e6), clean)
    silent = np.where(mask, np.float32(0), clean)
    one, other = (finder((192, 192), mask).find(p) for p in (spoiled, silent))
    np.testing.assert_allclose(one.x, other.x)
    offsets, rows, _ = paired(one, scene._replace(places=scene.places[:4]))
    assert len(one) == len(rows)
    cut = np.abs(one.x[rows] - 94) < RADIUS + 5
    assert cut.sum() > 10
    pull = offsets[cut] / np.column_stack((one.x_err, one.y_err))[rows[cut]]
    assert np.abs(pull).max() < 5
    assert 0.5 < np.sqrt(np.mean(pull**2)) < 1.4


def test_values_that_are_no_numbers_are_bad_pixels(scene):
    pattern = scene.patterns[:1].astype(np.float32)
    pattern[0, 100, 60:90] = np.nan
    disks = finder((192, 192)).find(pattern)
    offsets, _, _ = paired(disks, scene._replace(places=scene.places[:1]))
    assert np.abs(offsets).max() < 0.6


def test_a_saturated_disk_stays_in_place(scene):
    cut = np.minimum(scene.patterns, 60)
    disks = finder((192, 192)).find(cut)
    offsets, _, missed = paired(disks, scene)
    assert missed <= 2
    assert np.sqrt(np.mean(offsets**2)) < 0.12


def test_limits_are_kept(scene):
    patterns = scene.patterns[:2]
    every = finder((192, 192)).find(patterns)
    few = finder((192, 192), most=7).find(patterns)
    assert [len(few.of(n)) for n in (0, 1)] == [7, 7]
    np.testing.assert_array_equal(few.of(0).score, every.of(0).score[:7])
    inner = finder((192, 192), edge=40).find(patterns)
    assert min(inner.x.min(), inner.y.min(), (191 - inner.x).min(), (191 - inner.y).min()) > 39
    second = every.of(0).score[1]
    high = finder((192, 192), threshold=0.5).find(patterns)
    assert high.of(0).score.min() >= 0.5 * second
    assert finder((192, 192), absolute=second * 0.9).find(patterns[:1]).score.min() >= 0.9 * second
    wide = finder((192, 192), spacing=40.0).find(patterns[:1])
    gap = np.hypot(wide.x[:, None] - wide.x, wide.y[:, None] - wide.y) + 1e3 * np.eye(len(wide))
    assert gap.min() > 38


def test_rows_are_ordered_and_types_do_not_matter(scene):
    whole = finder((192, 192)).find(scene.patterns[:3])
    assert (np.diff(whole.pattern) >= 0).all()
    for n in range(3):
        assert (np.diff(whole.of(n).score) <= 0).all()
    for dtype in (np.float32, np.float64, np.int32):
        same = finder((192, 192)).find(scene.patterns[:3].astype(dtype))
        np.testing.assert_allclose(same.x, whole.x)


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_phase_and_hybrid_correlation_find_the_strong_disks(scene, power):
    disks = finder((192, 192), power=power, threshold=0.2, smoothing=1.0).find(scene.patterns[:2])
    offsets, rows, _ = paired(disks, scene._replace(places=scene.places[:2]))
    assert len(rows) > 0.5 * scene.places[:2, :, 0].size
    assert np.median(np.abs(offsets)) < 0.2
    assert np.isnan(disks.x_err).all()


def test_the_intensity_is_the_disks_own(scene):
    disks = finder((192, 192)).find(scene.patterns[:1])
    _, rows, _ = paired(disks, scene._replace(places=scene.places[:1]))
    assert disks.intensity[rows].sum() == pytest.approx(0.97 * scene.patterns[0].sum(), rel=0.05)


def test_a_map_has_its_heights_at_the_disks(scene):
    pattern = scene.patterns[0]
    heights = finder((192, 192)).correlation(pattern)
    assert heights.shape == pattern.shape
    disks = finder((192, 192)).find(pattern[None])
    at = heights[np.round(disks.y).astype(int), np.round(disks.x).astype(int)]
    assert np.all(at > 0.8 * disks.score)


def test_maxima_on_plateaus_count_once():
    image = np.zeros((12, 12), np.float32)
    image[3:5, 4:7] = 2
    image[9, 9] = 1
    rows, cols = local_maxima(image, 0.5, 0)
    assert list(zip(rows, cols, strict=True)) == [(3, 4), (9, 9)]
    assert list(apart(image, rows, cols, 20.0, 0.0, 5)) == [0]
    assert len(local_maxima(image, 0.5, 4)[0]) == 0


def test_disks_of_few_pixels_are_found_too():
    small = draw(6, radius=1.6, dose=1e5, seed=4)
    disks = finder((192, 192), probe=synthetic_probe(1.6, EDGE, 21)).find(small.patterns)
    offsets, rows, missed = paired(disks, small)
    assert len(disks) - len(rows) <= 0.01 * len(disks)
    assert missed <= 0.02 * small.places[..., 0].size
    assert np.sqrt(np.mean(offsets**2)) < 0.12


def test_wrong_shapes_are_said():
    with pytest.raises(ValueError, match="too large for 12 x 40"):
        finder((12, 40))
    with pytest.raises(ValueError, match="mask is"):
        finder((64, 64), np.zeros((8, 8), np.bool_))
    with pytest.raises(ValueError, match="the patterns are"):
        finder((64, 64)).find(np.zeros((2, 32, 64)))


def test_the_scene_is_strained_as_it_says():
    np.testing.assert_allclose(deformation(0.01, -0.02, 0.0, 0.0), np.diag([1.01, 0.98]))
