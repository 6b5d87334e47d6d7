import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models import profiles
from braggscope.models.bounds import ideal_errors, peak_counts, position_bound, used_pixels

WINDOW = 11


def peak(amplitude=100.0, x=0.2, y=-0.3, sigma=1.5, ratio=1.6, angle=0.5, eta=None):
    form = profiles.form_from_axes(
        profiles.fwhm_from_sigma(sigma * ratio), profiles.fwhm_from_sigma(sigma), angle
    )
    return np.array([amplitude, x, y, *map(float, form), *([] if eta is None else [eta])])


def numeric_bound(peaks, variance, plane, missing):
    """Inverse of the Fisher information from finite differences of the model's counts."""
    dx, dy, used = used_pixels(peaks[None], WINDOW, missing)
    ground = np.array([30.0, 1.0, -2.0] if plane else [30.0])
    start = np.concatenate((peaks.ravel(), ground))

    def model(values):
        level, *slope = values[peaks.size :]
        counts = peak_counts(values[: peaks.size].reshape(1, *peaks.shape), dx, dy)[0] + level
        return counts + (slope[0] * dx[0] + slope[1] * dy[0] if slope else 0.0)

    steps = 1e-5 * np.maximum(abs(start), 0.1)
    columns = [
        (model(start + step) - model(start - step)) / (2 * h)
        for h, step in zip(steps, np.diag(steps), strict=True)
    ]
    counts = model(start)
    spread = np.full_like(counts, variance) if np.isscalar(variance) else counts
    jacobian = np.array(columns)[:, used[0]]
    fisher = (jacobian / spread[used[0]]) @ jacobian.T
    size = np.sqrt(np.diag(fisher))
    return (np.linalg.inv(fisher / np.outer(size, size)) / np.outer(size, size))[1:3, 1:3]


@pytest.mark.parametrize("plane", [False, True])
@pytest.mark.parametrize("missing", [0, 4])
@pytest.mark.parametrize("eta", [None, 0.4])
@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("counting", [False, True])
def test_the_bound_is_the_inverse_of_the_numeric_fisher_information(plane, missing, eta, pair, counting):
    peaks = np.array([peak(eta=eta), peak(60.0, 3.5, 1.5, 1.2, 1.1, -0.4, eta)][: 1 + pair])
    slope = np.array([1.0, -2.0] if plane else [0.0, 0.0])

    dx, dy, _ = used_pixels(peaks[None], WINDOW, missing)
    ground = 30.0 + slope[0] * dx + slope[1] * dy
    variance = (lambda counts, _: counts + ground) if counting else 4.0
    found = position_bound(peaks[None], WINDOW, variance, plane=plane, missing=missing)[0]
    expected = numeric_bound(peaks, None if counting else 4.0, plane, missing)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_a_round_gaussian_with_room_reaches_the_textbook_value():
    # white noise s, known shape or not: var x = 2 s² sigma^2 / (pi A² sigma²) for a well sampled Gaussian
    bound = position_bound(peak(sigma=1.2, ratio=1.0)[None, None], 21, 4.0)[0]
    assert bound == pytest.approx(np.eye(2) * 2.0 * 4.0 / (np.pi * 100.0**2), rel=2e-3, abs=1e-9)


@given(angle=st.floats(-1.5, 1.5), ratio=st.floats(1.0, 3.0), noise=st.floats(0.1, 50.0))
def test_the_bound_scales_with_the_noise_and_turns_with_the_peak(angle, ratio, noise):
    one = peak(x=0.0, y=0.0, ratio=ratio, angle=angle)[None, None]
    turned = peak(x=0.0, y=0.0, ratio=ratio, angle=angle + np.pi / 2)[None, None]
    base = position_bound(one, WINDOW, 1.0)[0]
    assert position_bound(one, WINDOW, noise**2)[0] == pytest.approx(noise**2 * base, rel=1e-6)
    quarter = np.array([[base[1, 1], -base[0, 1]], [-base[0, 1], base[0, 0]]])
    assert position_bound(turned, WINDOW, 1.0)[0] == pytest.approx(quarter, rel=1e-4, abs=1e-12)


def test_what_the_data_do_not_determine_has_no_bound():
    pair = np.array([[peak(), peak()]])  # two peaks in one place
    assert np.isnan(position_bound(pair, WINDOW, 1.0)).all()


def test_ideal_errors_have_the_stated_covariance():
    covariance = np.array([[[0.04, 0.0], [0.0, 0.04]]])
    errors = ideal_errors(covariance, repeats=20_000)
    assert np.quantile(errors, 0.5) == pytest.approx(0.2 * np.sqrt(2 * np.log(2)), rel=0.02)
