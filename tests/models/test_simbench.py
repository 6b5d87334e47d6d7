import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reliability.amounts import costly

from braggscope.models.bench_settings import BOUND, BenchSettings, Neighbour
from braggscope.models.bounds import peak_counts, used_pixels
from braggscope.models.simbench import (
    Answers,
    Method,
    bench,
    centre_of_mass,
    draw,
    fitted,
    least_errors,
    measure,
)


def exact(draws):
    """A method that knows the truth and claims an error of 0.1 px."""
    x, y = draws.peaks[:, 0, 1:3].T
    tenth = np.full(len(draws), 0.1)
    return Answers(x, y, tenth, tenth)


CASES = {
    "round": BenchSettings(sigma=1.3, snr=40, noise="gaussian"),
    "noisy": BenchSettings(sigma=1.6, snr=10, noise="gaussian"),
    "elongated": BenchSettings(sigma=1.2, ratio=2.4, angle=0.6, snr=50, noise="gaussian"),
    "slope": BenchSettings(snr=50, slope=6.0, noise="gaussian"),
    "edge": BenchSettings(snr=50, missing=4, noise="gaussian"),
    "pair": BenchSettings(snr=60, second=Neighbour(4.0, 0.7, 0.6), noise="gaussian"),
    "counting": BenchSettings(snr=30, background=40.0),
    "counting on a slope": BenchSettings(snr=40, background=20.0, slope=5.0),
    "counting pair": BenchSettings(snr=50, second=Neighbour(4.5, 2.0, 0.5)),
    "voigt": BenchSettings(snr=80, eta=0.5, background=20.0),
    "wide window": BenchSettings(sigma=3.0, snr=30, window=21),
}


@pytest.mark.parametrize("name", CASES)
def test_the_matching_fit_reaches_the_bound(name):
    case = CASES[name]
    model = "pseudovoigt" if case.eta else "gaussian"
    noise = "uniform" if case.noise == "gaussian" else "poisson"
    background = "plane" if case.slope else "constant"
    draws = draw(case, 2000)
    bound = least_errors(draws)
    found = measure(draws, Method("fit", "fit", lambda d: fitted(d, model, noise, background)))
    assert found.failed <= 10
    for share in (0.5, 0.95):
        assert found.quantile(share) == pytest.approx(bound.quantile(share), rel=0.1)
    assert 0.65 < found.coverage < 0.72
    assert math.hypot(*found.bias) < 4.0 * bound.quantile(0.5) / math.sqrt(2000)


@pytest.mark.parametrize("name", CASES)
def test_the_frame_holds_what_the_truth_says(name):
    case = replace(CASES[name], seed=5)
    draws = draw(case, 400)
    dx, dy, used = used_pixels(draws.peaks, case.window, case.missing)
    expected = peak_counts(draws.peaks, dx, dy) + case.background + case.slope * (dx + case.window // 2)
    patches, valid = draws.patches(case.window)
    inside = used & (np.maximum(abs(dx), abs(dy)) <= case.window // 2)
    assert valid.sum() == inside.sum()
    counts = patches[valid].astype(float)
    expected = np.concatenate([row[good] for row, good in zip(expected, inside, strict=True)])
    spread = np.sqrt(expected) if case.noise == "counting" else 100.0 / case.snr
    pull = (counts - expected) / spread
    assert abs(pull.mean()) < 5.0 / math.sqrt(len(pull))
    assert pull.std() == pytest.approx(1.0, abs=0.02)


def test_the_counts_follow_from_the_signal_to_noise_ratio():
    case = BenchSettings(snr=25.0, background=30.0, slope=2.0)
    assert case.amplitude / math.sqrt(case.amplitude + case.level) == pytest.approx(25.0)
    assert case.level == 30.0 + 2.0 * 5


def test_statistics_of_a_known_method():
    draws = draw(BenchSettings(), 100)

    def shifted(some):
        found = exact(some)
        x = found.x + 0.05
        x[::10] = np.nan
        return found._replace(x=x)

    found = measure(draws, Method("fit", "shifted", shifted))
    assert found.failed == 10
    assert found.bias == pytest.approx((0.05, 0.0))
    assert found.coverage == 1.0
    assert found.quantile(0.5) == pytest.approx(0.05)
    assert found.quantile(0.95) == math.inf
    assert found.us > 0
    never = measure(draws, Method("no", "no", lambda d: Answers(*np.full((4, len(d)), np.nan))))
    assert (never.failed, never.quantile(0.5)) == (100, math.inf)
    assert np.isnan(never.bias).all()
    assert np.isnan(never.coverage)


@costly(40)
@given(
    sigma=st.floats(0.4, 5.0), ratio=st.floats(1.0, 4.0), angle=st.floats(-1.6, 1.6), eta=st.floats(0, 1),
    snr=st.floats(2, 500), background=st.floats(1, 5000), slope=st.floats(0, 50), missing=st.integers(0, 5),
    window=st.sampled_from([11, 15, 21]), noise=st.sampled_from(["gaussian", "counting"]),
    second=st.none() | st.builds(Neighbour, st.floats(1, 6), st.floats(-3, 3), st.floats(0.05, 1.5)),
)  # fmt: skip
def test_every_setting_is_answered(**values):
    case = BenchSettings(**values)
    methods = [
        Method("mass", "mass", centre_of_mass),
        Method("fit", "fit", lambda d: fitted(d, "gaussian", "poisson", "auto")),
    ]
    outcomes = list(bench(case, methods, 8))
    assert [outcome.key for outcome in outcomes] == [BOUND, "mass", "fit"]
    for outcome in outcomes[1:]:
        assert len(outcome.errors) == 8
        assert outcome.failed == np.isinf(outcome.errors).sum()
        assert (np.diff(outcome.errors[np.isfinite(outcome.errors)]) >= 0).all()
    again = list(bench(case, methods, 8))
    for one, other in zip(outcomes, again, strict=True):
        assert np.array_equal(one.errors, other.errors)


def test_pieces_are_the_whole():
    draws = draw(BenchSettings(missing=2), 30)
    part = draws.take(10, 20)
    whole, _ = draws.patches(11)
    some, _ = part.patches(11)
    assert np.array_equal(some, whole[10:20])


def test_a_bench_stops_when_asked():
    class Stop(Exception):
        pass

    def check():
        raise Stop

    with pytest.raises(Stop):
        list(bench(BenchSettings(), [], 1000, check))


@pytest.mark.parametrize(
    "wrong", [{"sigma": 0.0}, {"ratio": 0.5}, {"eta": 1.5}, {"missing": 11}, {"slope": -1.0}, {"snr": 0.0}]
)
def test_settings_that_cannot_be_drawn_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must|lies"):
        BenchSettings(**wrong)
