"""Linking of simple made-up spots, where it is plain what is right."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.results import PeakTable, Status
from braggscope.models.tracks.link import link
from braggscope.models.tracks.table import TrackSettings

SIGMA = 1.3
FWHM = 2.3548 * SIGMA


def peaks(frame, x, y, amplitude=1000.0, error=0.03, **more) -> PeakTable:
    """Table of fitted peaks."""
    frame, x, y = (np.asarray(v, np.float64) for v in (frame, x, y))
    return PeakTable.blank(
        len(frame), frame=frame.astype(np.int64), x=x, y=y, x_fit=x, y_fit=y, x_err=error, y_err=error,
        col=np.rint(x).astype(np.int64), row=np.rint(y).astype(np.int64), amplitude=amplitude,
        birth=amplitude, fwhm_major=FWHM, fwhm_minor=FWHM, background=50.0, **more,
    )  # fmt: skip


def walkers(n=6, frames=40, seed=0, noise=0.03):
    """(table, owner of every row): spots far apart that drift slowly."""
    rng = np.random.default_rng(seed)
    start = np.column_stack((20.0 + 30 * np.arange(n), rng.uniform(20, 80, n)))
    speed = rng.normal(0, 0.2, (n, 2))
    t = np.arange(frames)
    place = start[None] + speed[None] * t[:, None, None] + rng.normal(0, noise, (frames, n, 2))
    frame, owner = np.repeat(t, n), np.tile(np.arange(n), frames)
    return peaks(frame, place[..., 0].ravel(), place[..., 1].ravel()), owner


def partition(track, owner):
    """Whether tracks and owners are the same sets of rows."""
    return len(set(zip(track.tolist(), owner.tolist(), strict=True))) == len(set(owner)) == len(set(track))


def test_every_spot_has_one_track_with_its_first_and_last_frame():
    table, owner = walkers()
    tracks = link(table)
    assert partition(tracks.track, owner)
    assert tracks.first.tolist() == [0] * 6
    assert tracks.last.tolist() == [39] * 6
    assert tracks.length.tolist() == [40] * 6
    assert tracks.name == ("1", "2", "3", "4", "5", "6")
    assert (tracks.split_from < 0).all()
    assert (tracks.merged_into < 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(0, 5))
def test_the_order_of_the_rows_does_not_matter(shuffle, seed):
    table, _ = walkers(seed=seed)
    order = np.random.default_rng(shuffle).permutation(len(table))
    one, other = link(table), link(table.take(order))
    np.testing.assert_array_equal(one.track[order], other.track)
    np.testing.assert_array_equal(one.x[order], other.x)
    assert one.name == other.name


@given(st.integers(0, 100_000), st.integers(1, 7), st.floats(-500, 500), st.integers(0, 3))
def test_counting_and_place_of_the_frames_do_not_matter(first, every, shift, seed):
    table, _ = walkers(seed=seed)
    moved = table.with_columns(
        frame=first + every * table["frame"],
        **{name: table[name] + shift for name in ("x", "y", "x_fit", "y_fit")},
    )
    one, other = link(table), link(moved)
    np.testing.assert_array_equal(one.track, other.track)
    np.testing.assert_allclose(one.x + shift, other.x, atol=1e-6)
    np.testing.assert_array_equal(first + every * one.last, other.last)


@given(st.integers(0, 12), st.integers(10, 25))
def test_gaps_are_bridged_up_to_the_longest_and_no_further(missing, begin):
    table, owner = walkers(n=3)
    away = (owner == 1) & (table["frame"] >= begin) & (table["frame"] < begin + missing)
    table, owner = table.take(~away), owner[~away]
    tracks = link(table, TrackSettings(gap=8, occupancy=0.0))
    assert len(tracks) == (3 if missing <= 8 else 4)
    if missing > 8:
        again = int(tracks.track[(owner == 1) & (table["frame"] == 39)][0])
        before = int(tracks.track[(owner == 1) & (table["frame"] == 0)][0])
        assert tracks.continues[again] == before
        assert tracks.name[again] == tracks.name[before] + "+"
        assert tracks.ancestor(again) == before


def test_spots_that_cross_keep_their_way():
    t = np.arange(60)
    left = np.column_stack((20 + 0.5 * t, 30 + 0.3 * t))
    right = np.column_stack((50 - 0.5 * t, 30.9 + 0.3 * t))
    both = np.concatenate((left, right)) + np.random.default_rng(1).normal(0, 0.03, (120, 2))
    table = peaks(np.tile(t, 2), both[:, 0], both[:, 1], np.repeat([1000.0, 900.0], 60))
    tracks = link(table)
    assert partition(tracks.track, np.repeat([0, 1], 60))


def test_a_sudden_jump_of_a_lone_bright_spot_is_followed_within_the_gate():
    t = np.arange(40)
    x = 50 + np.where(t >= 20, 1.6, 0.0) + np.random.default_rng(0).normal(0, 0.03, 40)
    table = peaks(t, x, np.full(40, 50.0))
    assert len(link(table)) == 1
    assert len(link(table, TrackSettings(gate_px=1.0))) == 2


def phases(frames=120, begin=40, seen=52, away=8.0, seed=0):
    """A grain whose new phase leaves it smoothly from frame ``begin`` on and is seen from ``seen`` on."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    u = np.clip((t - begin) / 40, 0, 1)
    apart = away * u * u * (3 - 2 * u)
    later = t >= seen
    x = np.concatenate((60 + 0.02 * t, 60 + 0.02 * t[later] + apart[later]))
    y = np.full(len(x), 40.0)
    x, y = x + rng.normal(0, 0.03, len(x)), y + rng.normal(0, 0.03, len(x))
    told_apart = int(np.argmax(apart > 2.5 * SIGMA))
    return peaks(np.concatenate((t, t[later])), x, y, 500.0), told_apart


@pytest.mark.parametrize("seed", range(4))
def test_a_split_is_found_and_dated_before_the_new_phase_is_first_seen(seed):
    table, told_apart = phases(seed=seed, seen=62)
    tracks = link(table)
    assert tracks.split_from.tolist() == [-1, 0]
    assert tracks.name == ("1", "1.1")
    assert tracks.first[1] == 62
    assert abs(tracks.split_frame[1] - told_apart) <= 3


def test_a_merge_is_a_split_seen_backwards():
    table, told_apart = phases()
    last = table["frame"].max()
    tracks = link(table.with_columns(frame=last - table["frame"]))
    goes = int(np.argmax(tracks.merged_into >= 0))
    assert tracks.merged_into[goes] == 1 - goes
    assert abs(tracks.merge_frame[goes] - (last - told_apart)) <= 3
    assert (tracks.split_from < 0).all()


def test_an_abrupt_split_shares_the_intensity():
    t = np.arange(60)
    late = t >= 30
    x = np.concatenate((np.full(60, 50.0), np.full(30, 55.0)))
    x = x + np.random.default_rng(0).normal(0, 0.03, 90)
    height = np.concatenate((np.where(late, 600.0, 1000.0), np.full(30, 400.0)))
    tracks = link(peaks(np.concatenate((t, t[late])), x, np.full(90, 50.0), height))
    assert tracks.split_from.tolist() == [-1, 0]
    assert tracks.split_frame[1] == 30


def test_a_neighbour_that_lights_up_is_no_split():
    t = np.arange(60)
    late = t >= 30
    x = np.concatenate((np.full(60, 50.0), np.full(30, 55.0)))
    x = x + np.random.default_rng(0).normal(0, 0.03, 90)
    tracks = link(peaks(np.concatenate((t, t[late])), x, np.full(90, 50.0)))
    assert tracks.split_from.tolist() == [-1, -1]


def rocking(shared: bool, away=10.0):
    """A grain that turns through the Bragg condition; beside it its new phase, or another grain."""
    rng = np.random.default_rng(0)
    t = np.arange(200)
    u = np.clip((t - 30) / 60, 0, 1)
    share = 0.6 * u * u * (3 - 2 * u)
    swing = np.exp(-0.5 * (1.2 * np.sin(2 * np.pi * t / 90)) ** 2)
    other = swing if shared else np.exp(-0.5 * (1.2 * np.sin(2 * np.pi * t / 130 + 1)) ** 2)
    height = np.concatenate((1000 * swing * (1 - share), (1000 * other * share)[60:]))
    x = np.concatenate((np.full(200, 60.0), np.full(140, 60.0 + away)))
    height = height * rng.normal(1, 0.02, len(x))
    return peaks(np.concatenate((t, t[60:])), x + rng.normal(0, 0.03, len(x)), np.full(len(x), 40.0), height)


def test_phases_that_parted_in_the_dark_are_known_by_their_common_brightness():
    tracks = link(rocking(shared=True))
    assert tracks.split_from.tolist() == [-1, 0]
    visible = 30 + 60 * np.sqrt(5 * np.sqrt(50.0) / (0.6 * 3 * 1000 * 0.75))  # where the share is small still
    assert abs(tracks.split_frame[1] - visible) <= 4
    assert (tracks.merged_into < 0).all()


def test_neighbours_that_blink_by_themselves_are_not_related():
    assert (link(rocking(shared=False)).split_from < 0).all()
    assert (link(rocking(shared=True, away=20.0)).split_from < 0).all()


def exchanging(handed: float):
    """Of two spots that rest 8 px apart, one takes over from the other, or gains ``handed`` of that only."""
    rng = np.random.default_rng(1)
    t = np.arange(160)
    u = np.clip((t - 40) / 90, 0, 1)
    share = 0.7 * u * u * (3 - 2 * u)
    late = t >= 75
    height = np.concatenate((1000 * (1 - share), (1000 * handed * share)[late]))
    x = np.concatenate((np.full(160, 60.0), np.full(late.sum(), 68.0)))
    height = height * rng.normal(1, 0.02, len(x))
    x = x + rng.normal(0, 0.03, len(x))
    return peaks(np.concatenate((t, t[late])), x, np.full(len(x), 40.0), height)


def test_a_phase_that_takes_over_what_its_grain_loses_is_known_far_away():
    tracks = link(exchanging(handed=1.0))
    assert tracks.split_from.tolist() == [-1, 0]
    root = np.sqrt(5 * np.sqrt(50.0) / (0.7 * 3 * 1000))  # of u, where the share is small still
    assert abs(tracks.split_frame[1] - (40 + 90 * root)) <= 4


@pytest.mark.parametrize("handed", [0.4, 1.8])
def test_a_neighbour_that_gains_another_amount_is_no_phase(handed):
    assert (link(exchanging(handed)).split_from < 0).all()


def test_a_split_is_not_dated_before_the_new_phase_is_strong_enough_to_be_seen():
    table, told_apart = phases(begin=20, seen=50)
    late = (table["x"] > 62) & (table["frame"] >= 50)
    height = np.where(late, 50 * (1 + (table["frame"] - 50) / 15) ** 2, table["amplitude"])
    tracks = link(table.with_columns(amplitude=height))
    assert told_apart < 45
    assert tracks.split_from.tolist() == [-1, 0]
    assert abs(tracks.split_frame[1] - (50 - 15 * (1 - np.sqrt(5 * np.sqrt(50) / 50)))) <= 1


def test_what_takes_the_place_of_another_is_no_new_phase():
    table, _ = phases(seen=52)
    parent = table["x"] < 60 + 0.02 * table["frame"] + 0.5
    assert (link(table.take(~(parent & (table["frame"] >= 55)))).split_from < 0).all()


def test_scattered_noise_makes_no_track():
    rng = np.random.default_rng(0)
    n = 2000
    frame = np.sort(rng.integers(0, 400, n))
    table = peaks(frame, rng.uniform(0, 255, n), rng.uniform(0, 255, n), rng.uniform(30, 60, n), 0.2)
    lengths = link(table).length
    assert (lengths <= 5).all()
    assert lengths.sum() < 0.05 * n


def test_smoothed_positions_are_calibrated_and_better():
    rng = np.random.default_rng(2)
    t = np.arange(300)
    pulls, gains = [], []
    for _ in range(30):
        speed = np.cumsum(rng.normal(0, 3e-3, 300))
        true = 100 + np.cumsum(speed)
        x = true + rng.normal(0, 0.1, 300)
        tracks = link(peaks(t, x, np.full(300, 50.0) + rng.normal(0, 0.1, 300), error=0.1))
        assert tracks.length.tolist() == [300]
        pulls.append((tracks.x - true) / tracks.x_err)
        gains.append(np.std(x - true) / np.std(tracks.x - true))
    inside = np.mean(np.abs(pulls) < 1)
    assert 0.62 < inside < 0.74
    assert np.median(gains) > 1.8


def test_rejected_peaks_and_empty_tables():
    table, owner = walkers(n=3)
    status = np.where(owner == 1, Status.REJECTED, Status.OK).astype(np.uint8)
    tracks = link(table.with_columns(status=status))
    assert len(tracks) == 2
    assert (tracks.track[owner == 1] == -1).all()
    assert np.isnan(tracks.x[owner == 1]).all()
    empty = link(PeakTable.blank(0))
    assert len(empty) == 0
    assert empty.name == ()


def test_peaks_without_a_position_are_linked_by_their_pixels():
    table, owner = walkers(n=3)
    hidden = owner == 2
    gone = np.where(hidden, np.nan, table["x"])
    tracks = link(table.with_columns(x=gone, fwhm_major=np.where(hidden, np.nan, table["fwhm_major"])))
    assert partition(tracks.track, owner)
    assert (tracks.x_err[hidden] > tracks.x_err[owner == 0].max()).all()


@pytest.mark.parametrize(
    "settings",
    [{"gate_px": 0.0}, {"gate_px": float("nan")}, {"gap": -1}, {"shortest": 0}, {"occupancy": 1.5}],
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(ValueError):
        TrackSettings(**settings)
