"""Moving through the series: keys, play, and files that grow."""

import shutil

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from stage import SHIFT, Stage, settle, until

Key = Qt.Key
FRAMES = 24


def _record(program: Stage) -> list[int]:
    """Frames whose picture was shown, in order."""
    shown: list[int] = []
    program.desk.picture_shown.connect(lambda: shown.append(program.desk.picture.key.frame))
    return shown


def test_keys_move_and_stop_at_the_ends(program):
    for key, modifier, frame in (
        (Key.Key_Right, None, 1), (Key.Key_Right, SHIFT, 11), (Key.Key_Left, None, 10),
        (Key.Key_Left, SHIFT, 0), (Key.Key_Left, None, 0), (Key.Key_End, None, FRAMES - 1),
        (Key.Key_Right, None, FRAMES - 1), (Key.Key_Left, SHIFT, FRAMES - 11), (Key.Key_Home, None, 0),
    ):  # fmt: skip
        program.key(key, *([modifier] if modifier else []))
        assert program.state.frame == frame
        assert program.window.timeline.frame == frame
        program.look()
        assert program.canvas.title == f"Frame {frame}"
        assert program.window.error_plot._frame == frame
        assert (program.listed["frame"] == frame).all()


def test_space_plays_every_frame_in_order(program):
    shown = _record(program)
    program.program.store.update(fps=100.0)
    program.key(Key.Key_Space)
    assert program.window.timeline._playing
    until(lambda: program.state.frame == FRAMES - 1 and program.measured(), "the end of the series")
    until(lambda: not program.window.timeline._playing, "the end of playing")
    order = [frame for k, frame in enumerate(shown) if k == 0 or shown[k - 1] != frame]
    assert order[-FRAMES + 1 :] == list(range(1, FRAMES))
    assert set(order) <= set(range(FRAMES))
    program.key(Key.Key_Space)  # from the end it begins again
    until(lambda: 2 <= program.state.frame < FRAMES - 1, "the second round")
    program.key(Key.Key_Space)
    stopped = program.state.frame
    settle(0.1)
    assert program.state.frame == stopped


def test_real_time_keeps_the_pace(program):
    program.program.store.update(play_mode="realtime", fps=60.0)
    program.key(Key.Key_Space)
    until(lambda: not program.window.timeline._playing, "the end of playing", 5)
    program.look()
    assert program.state.frame == FRAMES - 1


def test_a_click_on_the_timeline_goes_there(program):
    track = program.window.timeline.track
    program.window.timeline.track.scrubbed.emit(9)
    program.look()
    assert program.canvas.title == "Frame 9"
    assert track.isVisible()


@pytest.fixture
def growing(tmp_path, series):
    """A file of 6 frames and a function that appends more of the series."""
    import h5py
    import hdf5plugin

    with h5py.File(series, locking=False) as file:
        frames = file["/entry/data/data"][()]
    path = tmp_path / "growing.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "entry/data/data", data=frames[:6], maxshape=(None, *frames.shape[1:]),
            chunks=(1, *frames.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip

    def grow(count: int) -> None:
        with h5py.File(path, "r+", locking=False) as file:
            data = file["entry/data/data"]
            old = len(data)
            data.resize(old + count, axis=0)
            data[old:] = frames[old : old + count]

    return path, grow


def test_f5_finds_new_frames(launch, growing):
    path, grow = growing
    program = launch()
    program.open(path)
    assert program.program.playback.count == 6
    program.run_series()
    assert program.program.runs.record().done == 6
    program.go_to(2)
    grow(4)
    program.key(Key.Key_F5)
    until(lambda: program.program.playback.count == 10, "the new frames")
    program.look()
    assert program.state.frame == 2
    assert program.window.timeline.count == 10
    assert len(program.marks) == len(program.listed) > 0
    program.key(Key.Key_End)
    program.look()
    assert program.canvas.title == "Frame 9"
    assert len(program.marks) > 0
    program.run_series()
    assert program.program.runs.record().done == 10
    assert len(program.curve(0)) == 10


def test_following_stays_at_the_end(launch, growing):
    path, grow = growing
    program = launch()
    program.open(path)
    program.key(Key.Key_End)
    program.key(Key.Key_F5, SHIFT)
    assert program.state.follow
    for frames in (8, 11):
        grow(frames - program.program.playback.count)
        until(lambda n=frames: program.state.frame == n - 1, "the newest frame", 10)
        program.look()
        assert program.canvas.title == f"Frame {frames - 1}"
    grow(2)  # a run begins before they are seen
    program.run_series()
    assert program.program.runs.record().done >= 11
    program.key(Key.Key_F5, SHIFT)
    assert not program.state.follow


def test_following_does_not_cancel_an_opening(launch, growing, series, monkeypatch):
    from braggscope.app.sources.reader import Reader

    path, _ = growing
    program = launch()
    program.open(path)
    original = Reader.open

    def slow(self, *arguments, **options):
        event = options["cancelled"]
        assert not event.wait(0.5), "somebody cancelled the opening"
        return original(self, *arguments, **options)

    monkeypatch.setattr(Reader, "open", slow)
    program.drop([series])
    for _ in range(4):
        program.key(Key.Key_F5)
        settle(0.05)
    program.idle()
    program.look()
    assert "series.h5" in program.window.windowTitle()


def test_a_file_replaced_by_a_shorter_one(launch, growing, series, tmp_path):
    import h5py

    path, _ = growing
    program = launch()
    program.open(path)
    program.key(Key.Key_End)
    program.look()
    shorter = tmp_path / "shorter.h5"
    with h5py.File(shorter, "w") as file:
        file["entry/data/data"] = np.full((2, 128, 128), 7, np.uint16)
    shutil.move(shorter, path)
    program.key(Key.Key_F5)
    until(lambda: program.program.playback.count == 2, "the new frames")
    program.look()
    assert program.state.frame == 1
    assert program.canvas.title == "Frame 1"
    assert np.all(program.desk.picture.prepared.image == 7)
    assert "growing.h5 has changed" in program.notice.text
