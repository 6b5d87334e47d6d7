"""Peaks rejected by hand, marked in the tables of frames."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from braggscope.app.presenters.views import with_rejected
from braggscope.app.state.session import PeakKey
from braggscope.models.results import PeakTable, Status

FRAMES, SIDE = 4, 6
places = st.tuples(st.integers(0, FRAMES), st.integers(0, SIDE), st.integers(0, SIDE))
keys = st.builds(PeakKey, frame=places.map(lambda p: p[0]), row=st.integers(-1, 9), col=st.integers(-1, 9))


def peaks(at):
    frame, row, col = np.array(at, np.int64).reshape(-1, 3).T
    return PeakTable.blank(
        len(at), frame=frame, row=row, col=col, status=np.arange(len(at)) % 2 * Status.EDGE
    )


@given(st.lists(places, max_size=30), st.frozensets(keys, max_size=30))
def test_exactly_the_peaks_of_the_keys_are_marked(at, rejected):
    table = peaks(at)
    marked = with_rejected(table, rejected)
    hit = np.array([PeakKey(frame=f, row=r, col=c) in rejected for f, r, c in at], bool)
    np.testing.assert_array_equal(marked["status"], np.where(hit, Status.REJECTED, table["status"]))
    assert marked["status"].dtype == np.uint8
    np.testing.assert_array_equal(marked["row"], table["row"])


def test_keys_that_no_frame_can_hold_mark_nothing():
    table = peaks([(0, 1, 2), (3, 0, 0)])
    far = [PeakKey(frame=f, row=r, col=c) for f in (0, 10**30) for r in (10**30, -1) for c in (-(10**30), 15)]
    assert with_rejected(table, frozenset(far)) is table


def test_a_further_peak_is_rejected_with_the_one_it_was_fitted_with():
    table = PeakTable.blank(2, frame=5, row=7, col=8, component=np.arange(2))
    marked = with_rejected(table, frozenset({PeakKey(frame=5, row=7, col=8)}))
    assert marked["status"].tolist() == [Status.REJECTED] * 2
