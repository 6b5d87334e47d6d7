import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from braggscope.models.tracks.assignment import match

FORBIDDEN = 1e6


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.floats(0, 1), st.floats(-2, 4))
def test_no_other_assignment_is_cheaper(seed, n, m, density, alone):
    rng = np.random.default_rng(seed)
    cost, possible = rng.normal(0, 3, (n, m)), rng.random((n, m)) < density
    left, right = np.nonzero(possible)
    partner = match(left.astype(np.int64), right.astype(np.int64), cost[left, right], n, m, alone)
    taken = partner[partner >= 0]
    assert len(set(taken)) == len(taken)
    assert possible[np.flatnonzero(partner >= 0), taken].all()
    whole = np.full((n, m + n), FORBIDDEN)
    whole[:, :m][possible] = cost[possible]
    whole[np.arange(n), m + np.arange(n)] = alone
    best = whole[linear_sum_assignment(whole)].sum()
    ours = sum(cost[i, j] if j >= 0 else alone for i, j in enumerate(partner))
    assert abs(ours - best) < 1e-9


def test_nothing_to_match():
    none = np.zeros(0, np.int64)
    assert match(none, none, np.zeros(0), 3, 2, 1.0).tolist() == [-1, -1, -1]
