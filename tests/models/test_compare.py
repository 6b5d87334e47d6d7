import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.compare import Positions, agreement, match, places, quantities, robust_mean, trend
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.profiles import peak
from braggscope.models.results import PeakTable

GATE = 2.0
coordinate = st.one_of(st.floats(0, 6), st.integers(0, 6).map(float), st.just(float("nan")))
peaks = st.lists(st.tuples(st.integers(0, 2), coordinate, coordinate), max_size=6)


def positions(rows):
    frame, x, y = np.array(rows, float).reshape(-1, 3).T
    return Positions(frame.astype(np.int64), x, y)


def cost(first, second, pairs):
    """The sum that the assignment makes least, or infinity where a pair is not allowed."""
    total = 0.0
    for i, j in pairs:
        d = np.hypot(first.x[i] - second.x[j], first.y[i] - second.y[j])
        if not d <= GATE or first.frame[i] != second.frame[j]:
            return np.inf
        total += d**2
    return total + GATE**2 / 2 * (len(first.x) + len(second.x) - 2 * len(pairs))


def best_cost(first, second):
    """Least cost of all pairings, by trying each."""
    m, n = len(first.x), len(second.x)
    return min(
        cost(first, second, list(zip(some, others, strict=True)))
        for k in range(min(m, n) + 1)
        for some in itertools.combinations(range(m), k)
        for others in itertools.permutations(range(n), k)
    )


@given(peaks, peaks)
def test_pairs_are_one_to_one_within_frame_and_gate(first, second):
    first, second = positions(first), positions(second)
    found = match(first, second, GATE)
    for pairs, alone, whole in (
        (found.first, found.only_first, len(first.x)), (found.second, found.only_second, len(second.x)),
    ):  # fmt: skip
        assert sorted([*pairs, *alone]) == list(range(whole))
    assert (first.frame[found.first] == second.frame[found.second]).all()
    apart = np.hypot(
        first.x[found.first] - second.x[found.second], first.y[found.first] - second.y[found.second]
    )
    assert np.array_equal(found.distance, apart)
    assert (apart <= GATE).all()


@given(peaks, peaks)
def test_the_two_lists_may_be_exchanged(first, second):
    first, second = positions(first), positions(second)
    one, other = match(first, second, GATE), match(second, first, GATE)
    assert cost(first, second, list(zip(one.first, one.second, strict=True))) == pytest.approx(
        cost(second, first, list(zip(other.first, other.second, strict=True)))
    )


@given(peaks.filter(lambda p: len(p) < 5), peaks.filter(lambda p: len(p) < 5))
def test_the_assignment_is_the_best_of_all(first, second):
    first, second = positions(first), positions(second)
    found = match(first, second, GATE)
    reached = cost(first, second, list(zip(found.first, found.second, strict=True)))
    assert reached == pytest.approx(best_cost(first, second), abs=1e-9)


def test_nearest_first_would_lose_a_peak_here():
    first, second = positions([(0, 0.0, 0.0), (0, 2.0, 0.0)]), positions([(0, 0.9, 0.0), (0, -1.0, 0.0)])
    found = match(first, second, GATE)
    assert found.second.tolist() == [1, 0]
    assert found.distance == pytest.approx([1.0, 1.1])


def test_a_hundred_thousand_peaks_find_themselves_again():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 1000, 100_000)
    x, y = rng.uniform(0, 1000, (2, 100_000))
    order = rng.permutation(100_000)[:90_000]
    other = Positions(frame[order], x[order] + rng.normal(0, 0.05, 90_000), y[order])
    found = match(Positions(frame, x, y), other)
    assert len(found.first) == 90_000
    assert np.mean(found.first == order[found.second]) > 0.999
    assert len(found.only_first) == 10_000


@pytest.mark.parametrize("gate", [0.0, -1.0, float("nan")])
def test_a_gate_that_is_no_distance_is_refused(gate):
    with pytest.raises(ValueError, match="gate"):
        match(positions([]), positions([]), gate)


def test_statistics_forget_outliers_and_state_their_error():
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(200):
        dx = rng.normal(0.1, 0.02, 400)
        dx[:20] = 2.5
        mean, error = robust_mean(dx)
        pulls.append((mean - 0.1) / error)
    assert abs(np.mean(pulls)) < 0.3
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)
    found = agreement(rng.normal(0, 0.02, 50_000), rng.normal(0, 0.02, 50_000))
    assert found.median == pytest.approx(0.02 * np.sqrt(2 * np.log(2)), rel=0.02)
    assert found.p95 == pytest.approx(0.02 * np.sqrt(2 * np.log(20)), rel=0.02)
    assert agreement([], [])[0] == 0
    assert robust_mean([3.0])[0] == 3.0
    assert np.isnan(robust_mean([])[0])


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-1, 1)), max_size=120),
    st.integers(1, 9),
    st.integers(1, 30),
)
def test_running_quantiles_hold_their_share(rows, groups, least):
    against, values = np.array(rows, float).reshape(-1, 2).T
    found = trend(np.append(against, np.nan), np.append(values, 0.5), groups, least)
    assert len(found.at) == (max(1, min(groups, len(values) // least)) if len(values) else 0)
    assert (np.diff(found.at) >= 0).all()
    assert (found.low <= found.median).all()
    assert (found.median <= found.high).all()


def test_the_quantities_of_simulated_peaks_come_out_as_simulated():
    rng = np.random.default_rng(2)
    columns = []
    for _ in range(40):
        image = 50.0 + peak((25, 25), 12.1, 11.9, 100.0, 2.3548 * 3.0, 2.3548 * 1.5, 0.6)
        columns.append(fit_peaks(image + rng.normal(0, 5.0, image.shape), None, [12], [12], window=21))
    names = ("amplitude", "background", "fwhm_major", "fwhm_minor", "cov_xy")
    table = PeakTable.blank(
        40,
        x_fit_err=np.array([f.x_err[0] for f in columns]),
        y_fit_err=np.array([f.y_err[0] for f in columns]),
        **{name: np.array([getattr(f, name)[0] for f in columns]) for name in names},
    )
    found = quantities(table)
    assert np.median(found["snr"]) == pytest.approx(20.0, rel=0.05)
    assert np.median(found["sigma"]) == pytest.approx(np.sqrt(4.5), rel=0.03)
    assert np.median(found["elongation"]) == pytest.approx(2.0, rel=0.05)
    table = table.with_columns(x_fit_err=np.full(40, np.nan))
    assert np.median(quantities(table)["snr"]) == pytest.approx(100 / np.sqrt(50), rel=0.05)


def test_a_peak_without_an_answer_is_at_its_pixel():
    table = PeakTable.blank(2, x=np.array([3.2, np.nan]), y=np.array([4.1, np.nan]), col=7, row=8)
    assert places(table).x.tolist() == [3.2, 7.0]
    assert places(table).y.tolist() == [4.1, 8.0]
