"""Tracks for the window: linked from a run's tables, edited, and one spot cut out of all frames."""

import numpy as np
import pytest

import braggscope.app.engine.tracks as engine_tracks
from braggscope.app.api import analyse_series
from braggscope.app.engine.axis import read_axis
from braggscope.app.engine.frames import FrameEngine
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.tracks import TracksError, finished, link_series, strip
from braggscope.app.sources.reader import Reader
from braggscope.models.geometry import Beam, Instrument
from braggscope.models.tracks.table import Edit

FRAMES = np.arange(12)


@pytest.fixture(scope="module")
def tables(series, fit_only):
    table = analyse_series(str(series.path), fit_only)
    return [(int(frame), table.take(table["frame"] == frame)) for frame in FRAMES]


@pytest.fixture
def engine(series):
    with Reader() as reader:
        yield FrameEngine(reader, reader.open(str(series.path)), lambda _: Networks(), memory=2_000_000)


def test_three_spots_with_and_without_an_instrument(tables, series):
    base = link_series(tables, 1, silent_context())
    linked = finished(base, [], None)
    assert linked.tracks.length.tolist() == [12, 12, 12]
    assert linked.spacings is None
    assert np.isnan(linked.summary["strain_change"]).all()
    for k in range(3):
        rows = linked.tracks.rows(k)
        at = np.column_stack((linked.tracks.x[rows], linked.tracks.y[rows]))
        assert np.abs(series.truth[:, :, None] - at[:, None, None]).max(axis=(0, 3)).min() < 0.1
    placed = finished(base, [], Instrument.from_beam(1.0, (1e-4, 1e-4), Beam((-300.0, 30.0), 0.2)))
    assert np.isfinite(placed.summary["strain_change"]).all()
    assert np.isfinite(placed.table["d"]).all()


def test_edits_are_applied_to_what_was_linked(tables):
    base = link_series(tables, 1, silent_context())
    row = base.tracks.rows(1)[0]
    peak = tuple(int(base.table[name][row]) for name in ("frame", "row", "col"))
    linked = finished(base, [Edit("delete", peak), Edit("delete", (0, 999, 999))], None)
    assert len(linked.tracks) == 2
    assert linked.lost == 1
    assert len(base.tracks) == 3


def test_too_many_peaks_are_said_and_linking_can_be_cancelled(tables, monkeypatch):
    ticket = Ticket(0)
    ticket.cancel()
    with pytest.raises(Cancelled):
        link_series(tables, 1, Context(ticket, lambda _: None))
    monkeypatch.setattr(engine_tracks, "MOST", 20)
    with pytest.raises(TracksError, match="over 20 peaks"):
        link_series(tables, 1, silent_context())


def test_a_strip_holds_the_spot_where_it_is(engine, series, fit_only):
    x, y = series.truth[:, 0].T
    found = strip(engine, fit_only, FRAMES, x, y, silent_context())
    assert found.frames.tolist() == FRAMES.tolist()
    size = found.patches.shape[1]
    left, top = (int(v) for v in found.corner)
    np.testing.assert_array_equal(
        found.patches[3, 2 : size - 2, 2 : size - 2],
        series.frames[3, top + 2 : top + size - 2, left + 2 : left + size - 2],
    )
    for k in FRAMES:
        row, col = np.unravel_index(np.nanargmax(found.patches[k]), (size, size))
        assert abs(col + left - x[k]) < 1.5
        assert abs(row + top - y[k]) < 1.5


def test_a_strip_of_binned_frames_stays_in_pixels_of_the_whole_frame(engine, series, fit_only):
    x, y = series.truth[:, 1].T
    found = strip(engine, fit_only.with_prepare(binning=2), FRAMES, x, y, silent_context())
    assert found.pixel == 2
    for k in FRAMES:
        row, col = np.unravel_index(np.nanargmax(found.patches[k]), found.patches[k].shape)
        assert abs(found.corner[0] + 2 * col - x[k]) < 2.5
        assert abs(found.corner[1] + 2 * row - y[k]) < 2.5


def test_damaged_frames_are_left_out_of_a_strip(broken_series, series, fit_only):
    x, y = series.truth[:, 0].T
    with Reader() as reader:
        engine = FrameEngine(reader, reader.open(str(broken_series)), lambda _: Networks(), memory=2_000_000)
        found = strip(engine, fit_only, FRAMES, x, y, silent_context())
    assert found.frames.tolist() == [k for k in range(12) if k != 5]


@pytest.mark.parametrize("separator", [",", ";", "\t", "  "])
def test_an_axis_file_may_separate_as_it_likes(tmp_path, separator):
    path = tmp_path / "axis.txt"
    path.write_text(
        "\n".join(["# a comment", f"frame{separator}T_K", f"0{separator}1.5", "", f"2{separator}3e1"])
    )
    axis = read_axis(path, 3)
    assert axis.name == "T_K"
    np.testing.assert_array_equal(axis.values, [1.5, np.nan, 30.0])
