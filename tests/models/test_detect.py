"""Both thresholds are exact column arithmetic; the proposal and the histogram are sensible."""

import logging
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from braggscope.models.peaks.detect import log_histogram, reference_peaks, select
from braggscope.models.peaks.persistence import find_candidates
from braggscope.models.results import Candidates

IMAGES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
    elements=st.integers(0, 24).map(lambda k: k / 2),
)


@given(IMAGES, st.floats(0, 4), st.floats(0, 10), st.floats(0, 8))
def test_select_equals_a_search_of_the_thresholded_frame(image, floor, more, minscore):
    candidates = find_candidates(image, None, floor)
    chosen = select(candidates, floor + more, minscore)
    expected = find_candidates(image, None, floor + more)
    keep = expected.birth - expected.death >= minscore
    np.testing.assert_array_equal(candidates.index[chosen.candidate], expected.index[keep])
    np.testing.assert_array_equal(candidates.birth[chosen.candidate], expected.birth[keep])
    np.testing.assert_array_equal(chosen.death, expected.death[keep])
    np.testing.assert_array_equal(chosen.score, (expected.birth - expected.death)[keep])


@given(IMAGES, st.integers(0, 20).map(lambda k: k / 2), st.integers(0, 16).map(lambda k: k / 2))
def test_select_equals_findpeaks(image, minval, minscore):
    candidates = find_candidates(image)
    chosen = select(candidates, minval, minscore)
    expected = reference_peaks(image, None, minval, minscore)
    np.testing.assert_array_equal(candidates.index[chosen.candidate], expected.index)
    np.testing.assert_array_equal(chosen.score, expected.birth - expected.death)


def test_no_thresholds_keep_everything_in_order():
    candidates = find_candidates(np.random.default_rng(1).poisson(20, (60, 70)))
    chosen = select(candidates, 0, 0)
    np.testing.assert_array_equal(chosen.candidate, np.arange(len(candidates)))
    np.testing.assert_array_equal(chosen.death, candidates.death)


def test_thresholds_are_inclusive():
    candidates = find_candidates(np.array([[0, 5, 0, 3, 2, 4, 0]]))
    np.testing.assert_array_equal(select(candidates, 2, 2).score, [5, 4, 1][:2])
    np.testing.assert_array_equal(select(candidates, 2, 1).score, [5, 4, 1])
    np.testing.assert_array_equal(select(candidates, 2.5, 3).score, [5, 4, 3])
    np.testing.assert_array_equal(select(candidates, 5, 0).score, [5])
    assert len(select(candidates, 5.01, 0).score) == 0


@pytest.mark.parametrize("minval", [2.9, -1.0, float("nan")])
def test_below_the_floor_is_refused(minval):
    with pytest.raises(ValueError, match="below the floor 3"):
        select(find_candidates(np.ones((3, 3)), None, 3.0), minval, 0)


def test_no_candidates():
    nothing = Candidates((3, 3), 0.0, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert [len(column) for column in select(nothing, 0, 0)] == [0, 0, 0]


def test_reference_leaves_logging_alone(capfd):
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    found = reference_peaks(np.array([[1, 0, 2, 0]]))
    assert (root.level, root.handlers[:]) == before
    assert capfd.readouterr() == ("", "")
    np.testing.assert_array_equal(found.index, [2, 0])


def test_log_histogram_counts_every_positive_value():
    values = np.array([0, -3, np.nan, np.inf, 1, 10, 100, 1000, 1000])
    counts, edges = log_histogram(values, 3)
    np.testing.assert_allclose(edges, [1, 10, 100, 1000])
    np.testing.assert_array_equal(counts, [1, 1, 3])


@pytest.mark.parametrize("values", [[], [0, 0], [7, 7, 7], [np.nan]])
def test_log_histogram_of_little(values):
    counts, edges = log_histogram(values, 8)
    assert counts.sum() == np.sum(np.array(values) > 0)
    assert (len(counts), len(edges)) == (8, 9)
    assert np.all(np.diff(edges) > 0)


def test_the_reference_takes_no_output_from_other_threads(monkeypatch, capsys):
    import findpeaks

    begin, seen = findpeaks.findpeaks.__init__, []

    def watched(self, *values, **named):
        seen.append(sys.stdout)
        begin(self, *values, **named)

    monkeypatch.setattr(findpeaks.findpeaks, "__init__", watched)
    frame = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    assert len(reference_peaks(frame, minval=0.5)) > 0
    assert len(seen) == 1
    assert seen[0] is sys.stdout
    assert capsys.readouterr().out == ""
