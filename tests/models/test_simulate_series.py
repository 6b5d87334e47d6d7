import numpy as np
import pytest
from scipy.optimize import curve_fit

from braggscope.models.peaks.simulate import DEAD, GAP, GAP_VALUE, NOISY, Series, SeriesSpec


@pytest.fixture(scope="module")
def series():
    return Series(SeriesSpec())


def test_the_same_seed_gives_the_same_bytes(series):
    again = Series(SeriesSpec())
    np.testing.assert_array_equal(again.frame(137), series.frame(137))
    for name, column in series.truth.table().items():
        np.testing.assert_array_equal(again.truth.table()[name], column)
    assert (Series(SeriesSpec(seed=1)).frame(137) != series.frame(137)).any()


def test_chunks_are_the_frames_in_order():
    small = Series(SeriesSpec(frames=7, shape=(64, 48), grains=3))
    parts = list(small.chunks(3))
    assert [(start, len(chunk)) for start, chunk in parts] == [(0, 3), (3, 3), (6, 1)]
    stack = np.concatenate([chunk for _, chunk in parts])
    assert stack.dtype == np.uint16
    assert stack.shape == (7, 64, 48)
    for i in range(7):
        np.testing.assert_array_equal(stack[i], small.frame(i))
    with pytest.raises(IndexError, match="7 frames"):
        small.frame(7)


def test_noise_is_poisson(series):
    good = series.pixel_mask == 0
    pulls = []
    for i in range(0, 480, 40):
        expected = series.expected(i)
        pulls.append(((series.frame(i) - expected) / np.sqrt(expected))[good])
    pulls = np.concatenate(pulls)
    n = pulls.size
    assert abs(pulls.mean()) < 5 / np.sqrt(n)
    assert abs(pulls.var() - 1) < 5 * np.sqrt(2.1 / n)


def test_frames_look_as_described(series):
    truth = series.truth
    count = truth.visible.sum(axis=1)
    assert 12 <= count.min() <= 18
    assert 18 <= np.median(count) <= 25
    assert count.max() <= 30
    heights = truth.amplitude[truth.visible]
    assert heights.min() < 60
    assert 2500 < heights.max() < 4500
    assert truth.background[truth.visible].min() > 20
    assert truth.background[truth.visible].max() < 120
    x, y = truth.x[truth.visible], truth.y[truth.visible]
    assert np.minimum.reduce([x, y, 255 - x, 255 - y]).min() < 3, "some peaks are at the edge"


def test_peaks_move_smoothly_blink_broaden_and_stretch(series):
    t = series.truth
    assert np.hypot(np.diff(t.x, axis=0), np.diff(t.y, axis=0)).max() < 0.6
    assert np.ptp(t.strain, axis=0).min() > 0.005
    assert (abs(np.diff(t.amplitude, axis=0)) <= 0.1 * t.amplitude.max(axis=0)).all()
    switched = np.count_nonzero(np.diff(t.visible.astype(int), axis=0), axis=0)
    assert np.count_nonzero(switched >= 2) >= 5
    assert np.count_nonzero(t.sigma_minor[-1] > 1.2 * t.sigma_minor[0]) >= 5
    ratio = t.sigma_major / t.sigma_minor
    assert np.count_nonzero(ratio[-1] > 1.5 * ratio[0]) >= 5
    assert (t.sigma_major >= t.sigma_minor).all()
    assert ((t.angle > -np.pi / 2) & (t.angle <= np.pi / 2)).all()


def test_splits_start_together_and_exchange_intensity(series):
    t = series.truth
    splits = t.splits()
    assert len(splits) >= 5
    for parent, child, frame in splits:
        apart = np.hypot(t.x[:, parent] - t.x[:, child], t.y[:, parent] - t.y[:, child])
        assert apart[0] == 0
        assert apart[-1] > 4
        assert (np.diff(apart) > -0.05).all()
        assert t.resolved[frame, [parent, child]].all()
        assert not t.resolved[:frame, [parent, child]].all(axis=1).any()
        share = t.amplitude[:, child] / (t.amplitude[:, child] + t.amplitude[:, parent])
        assert share[0] == 0
        assert share[-1] > 0.45
    assert (t.parent[: series.spec.grains] == -1).all()


def test_strain_follows_from_the_position(series):
    t = series.truth
    np.testing.assert_allclose(series.spec.strain(t.x, t.y), t.strain, atol=1e-14)
    two_theta = 2 * np.arcsin(series.spec.wavelength_angstrom / (2 * series.spec.d0_angstrom))
    radius = series.spec.distance_m * np.tan(two_theta) / series.spec.pixel_size_m
    middle = np.hypot(127.5 - series.spec.centre_px[0], 127.5 - series.spec.centre_px[1])
    assert middle == pytest.approx(radius, rel=1e-12)
    assert series.spec.radius_px(0.001) < radius, "an expanded lattice scatters to smaller angles"


def gaussian(grid, x, y, height, major, minor, angle, level, dx, dy):
    u = (grid[0] - x) * np.cos(angle) + (grid[1] - y) * np.sin(angle)
    v = (grid[1] - y) * np.cos(angle) - (grid[0] - x) * np.sin(angle)
    plane = level + dx * (grid[0] - x) + dy * (grid[1] - y)
    return plane + height * np.exp(-0.5 * ((u / major) ** 2 + (v / minor) ** 2))


def test_the_truth_is_in_the_frames(series):
    """A fit of every bright lone spot of some frames finds its position, height and width."""
    t, pulls = series.truth, []
    for i in (40, 200, 360):
        frame = series.frame(i).astype(float)
        for g in np.flatnonzero(t.resolved[i] & (t.amplitude[i] > 400)):
            x, y = t.x[i, g], t.y[i, g]
            others = np.hypot(t.x[i] - x, t.y[i] - y)[(np.arange(t.x.shape[1]) != g) & (t.amplitude[i] > 1)]
            c, r = round(x), round(y)
            rows, cols = slice(r - 7, r + 8), slice(c - 7, c + 8)
            on_frame = min(r, c) >= 7 and max(r, c) < 249
            if others.min() < 16 or not on_frame or series.pixel_mask[rows, cols].any():
                continue
            grid = np.indices((15, 15))[::-1].reshape(2, -1) + [[c - 7], [r - 7]]
            data = frame[rows, cols].ravel()
            truth = (x, y, t.amplitude[i, g], t.sigma_major[i, g], t.sigma_minor[i, g], t.angle[i, g])
            start = (*truth, t.background[i, g], 0, 0)
            weight = np.sqrt(np.maximum(gaussian(grid, *start), 1))
            fit, cov = curve_fit(gaussian, grid, data, start, weight, absolute_sigma=True)
            pulls.append((fit[:5] - truth[:5]) / np.sqrt(np.diag(cov)[:5]))
    pulls = np.array(pulls)
    assert len(pulls) >= 5
    assert abs(pulls[:, :2]).max() < 5
    assert np.sqrt((pulls[:, :2] ** 2).mean()) < 1.6
    assert np.sqrt((pulls[:, 2:] ** 2).mean()) < 2.5


def test_the_detector_has_its_defects(series):
    mask = series.pixel_mask
    for i in (0, 300):
        frame = series.frame(i)
        assert (frame[mask == DEAD] == 0).all()
        assert (frame[mask == GAP] == GAP_VALUE).all()
        assert (frame[mask == NOISY] > 350).all()
        assert frame[mask != GAP].max() < GAP_VALUE
    assert (mask == GAP).all(axis=0).sum() == 6
    assert np.count_nonzero(mask == DEAD) >= 20
    assert not series.truth.visible[mask[_pixels(series)] != 0].any()


def _pixels(series):
    t = series.truth
    return np.rint(t.y).astype(int).clip(0, 255), np.rint(t.x).astype(int).clip(0, 255)


def test_the_charge_is_realistic(series):
    voltage = series.voltage_V
    assert voltage[0] == pytest.approx(3.0)
    assert voltage[-1] == pytest.approx(4.3)
    assert (np.diff(voltage) > 0).all()
    np.testing.assert_array_equal(np.diff(series.time_s), 30)


def test_other_sizes():
    large = Series(SeriesSpec(frames=3, shape=(512, 300), grains=60, blinking=0, splitting=0, seed=4))
    assert large.frame(2).shape == (512, 300)
    assert large.truth.visible[0].sum() >= 45
    assert len(large.truth.splits()) == 0
    assert Series(SeriesSpec(frames=1, grains=0)).frame(0).shape == (256, 256)


@pytest.mark.parametrize("changes", [{"frames": 0}, {"shape": (8, 8)}, {"energy_keV": 1.0}, {"grains": -1}])
def test_impossible_series_are_refused(changes):
    with pytest.raises(ValueError, match=r"\.$"):
        SeriesSpec(**changes)
