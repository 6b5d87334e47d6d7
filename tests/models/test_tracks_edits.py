import numpy as np
import pytest
from test_tracks import walkers

from braggscope.models.tracks.edits import edited
from braggscope.models.tracks.link import link, relink
from braggscope.models.tracks.table import Edit, row_of


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
    assert row_of(table, (0, 9999, 9999)) is None
