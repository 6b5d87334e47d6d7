from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tracks import walkers

from braggscope.models.tracks.edits import edited
from braggscope.models.tracks.link import link, relink
from braggscope.models.tracks.table import Edit, PeakIndex


@pytest.fixture(scope="module")
def linked():
    table, _ = walkers(n=4)
    return table, link(table)


def peak(table, tracks, track, frame):
    row = tracks.rows(track)[np.flatnonzero(table["frame"][tracks.rows(track)] == frame)[0]]
    return tuple(int(table[name][row]) for name in ("frame", "row", "col"))


def test_relinking_the_same_tracks_changes_nothing(linked):
    table, tracks = linked
    again = relink(table, 7 - tracks.track)
    np.testing.assert_array_equal(again.track, tracks.track)
    np.testing.assert_array_equal(again.x, tracks.x)
    assert again.name == tracks.name


def test_a_split_by_hand(linked):
    table, tracks = linked
    new, lost = edited(table, tracks, [Edit("split", peak(table, tracks, 1, 20))])
    assert lost == 0
    assert len(new) == 5
    assert sorted(new.name) == ["1", "2", "2b", "3", "4"]
    k = new.name.index("2b")
    assert (new.first[k], new.last[k]) == (20, 39)
    assert (new.last[new.name.index("2")]) == 19
    assert new.length.sum() == len(table)


def test_joining_undoes_a_split(linked):
    table, tracks = linked
    cut = Edit("split", peak(table, tracks, 1, 20))
    mend = Edit("join", peak(table, tracks, 1, 3), peak(table, tracks, 1, 30))
    new, lost = edited(table, tracks, [cut, mend])
    assert lost == 0
    np.testing.assert_array_equal(new.track, tracks.track)
    assert new.name == tracks.name


def test_joining_tracks_that_overlap_keeps_one_peak_a_frame(linked):
    table, tracks = linked
    new, _ = edited(table, tracks, [Edit("join", peak(table, tracks, 0, 5), peak(table, tracks, 2, 5))])
    assert len(new) == 3
    np.testing.assert_array_equal(np.flatnonzero(new.track == 0), tracks.rows(0))
    assert (new.track[tracks.rows(2)] == -1).all()


def test_delete_and_rename(linked):
    table, tracks = linked
    edits = [
        Edit("delete", peak(table, tracks, 0, 5)),
        Edit("rename", peak(table, tracks, 3, 5), name="grain at the rim"),
    ]
    new, lost = edited(table, tracks, edits)
    assert lost == 0
    assert new.name == ("2", "3", "grain at the rim")
    assert (new.track[tracks.rows(0)] == -1).all()


def test_edits_that_no_longer_apply_are_counted_and_harmless(linked):
    table, tracks = linked
    edits = [
        Edit("delete", (0, 9999, 9999)),
        Edit("split", peak(table, tracks, 1, 0)),
        Edit("join", peak(table, tracks, 1, 0), peak(table, tracks, 1, 3)),
    ]
    new, lost = edited(table, tracks, edits)
    assert lost == 3
    assert new is tracks
    assert PeakIndex(table).row_of((0, 9999, 9999)) is None


def keys(table):
    return list(zip(*(table[name].tolist() for name in ("frame", "row", "col")), strict=True))


def plainly(table, label, edits):
    """Labels after edits, by passing over the whole table at each."""
    label, frame = label.copy(), table["frame"]
    at = {key: k for k, key in enumerate(keys(table))}
    for edit in edits:
        track = label[at[edit.peak]]
        if track < 0:
            continue
        if edit.kind == "delete":
            label[label == track] = -1
        elif edit.kind == "split":
            later = (label == track) & (frame >= edit.peak[0])
            if later.sum() < (label == track).sum():
                label[later] = label.max() + 1000
        elif label[at[edit.other]] not in (-1, track):
            other = label == label[at[edit.other]]
            label[other] = np.where(np.isin(frame[other], frame[label == track]), -1, track)
    return label


@given(st.data())
def test_many_edits_are_what_passing_over_the_table_gives(linked, data):
    table, tracks = linked
    some = st.sampled_from(keys(table))
    edit = st.builds(Edit, st.sampled_from(("split", "join", "delete")), some, some)
    edits = data.draw(st.lists(edit, min_size=1, max_size=8))
    new, _ = edited(table, tracks, edits)
    want = plainly(table, tracks.track, edits)
    np.testing.assert_array_equal(new.track >= 0, want >= 0)
    pairs = set(zip(new.track.tolist(), want.tolist(), strict=True))
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


@given(st.integers(0, 2**32 - 1))
def test_rows_are_found_as_by_passing_over_the_table(linked, seed):
    table, tracks = linked
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    mixed = replace(tracks, track=rng.integers(-1, 4, len(table)))
    for k in range(-1, 4):
        np.testing.assert_array_equal(mixed.rows(k), np.flatnonzero(mixed.track == k))
    assert mixed.rows(2).base is mixed.rows(1).base is not None, "parts of what was sorted before"
    mixed_up = table.take(order)
    index = PeakIndex(mixed_up)
    for row in rng.integers(0, len(table), 5).tolist():
        key = tuple(int(mixed_up[name][row]) for name in ("frame", "row", "col", "component"))
        assert index.row_of(key) == index.row_of(key[:3]) == row
        assert index.row_of((*key[:3], 1)) is None
    assert index.row_of((10**30, 0, 0)) is None
