"""Bad input: one sentence, the window lives on, what was open is still shown."""

import shutil

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from stage import until


def _make_bad(kind: str, folder, series):
    path = folder / "bad.h5"
    if kind == "text":
        path = folder / "notes.txt"
        path.write_text("these are no frames\n", "utf-8")
    elif kind == "truncated":
        data = series.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    elif kind == "empty folder":
        path = folder / "empty"
        path.mkdir()
    elif kind == "empty file":
        path.write_bytes(b"")
    return path


@pytest.mark.parametrize("kind", ["text", "truncated", "empty folder", "empty file", "missing"])
def test_a_bad_drop_leaves_everything_as_it_was(program, series, tmp_path, kind):
    program.go_to(4)
    before, marks = program.state, len(program.marks)
    bad = _make_bad(kind, tmp_path, series)
    program.drop([bad])
    until(lambda: program.notice is not None, "the notice")
    program.idle()
    text = program.notice.text
    assert program.notice.level == "error"
    assert program.window.notices.isVisible()
    assert text.endswith((".", "!", "?"))
    assert "\n" not in text
    assert "Traceback" not in text
    assert bad.name in text
    assert program.state == before
    assert program.canvas.title == "Frame 4"
    assert len(program.marks) == marks
    program.window.notices.close_button.click()
    program.go_to(5)
    assert program.canvas.title == "Frame 5"


def test_a_bad_file_into_the_empty_window(launch, tmp_path, series):
    program = launch()
    program.drop([_make_bad("text", tmp_path, series)])
    until(lambda: program.notice is not None, "the notice")
    assert program.window.frame_view._stack.currentWidget() is program.window.frame_view.empty
    program.window.notices.close_button.click()
    program.open(series)


def test_a_frame_that_cannot_be_read_is_said_and_playing_goes_on(launch, series, tmp_path):
    path = tmp_path / "hole.h5"
    shutil.copy(series, path)
    _break_frame(path, 6)
    program = launch()
    program.open(path)
    program.program.playback.go_to(6)
    until(lambda: program.notice is not None, "the notice")
    assert "6" in program.notice.text
    assert program.marks is None
    assert not len(program.listed)
    assert program.canvas.title != "Frame 6"
    program.window.notices.close_button.click()
    program.go_to(7)
    assert len(program.marks) == len(program.listed) > 0
    program.program.playback.go_to(3)
    program.program.store.update(fps=120.0)
    program.program.playback.play(True)
    until(lambda: program.state.frame == 23, "the end of the series, past the hole", 10)


def test_a_run_over_a_broken_frame_names_it(launch, series, tmp_path):
    path = tmp_path / "hole.h5"
    shutil.copy(series, path)
    _break_frame(path, 6)
    program = launch()
    program.open(path)
    program.run_series()
    record = program.program.runs.record()
    assert list(record.problems) == [6]
    assert record.done == 23
    assert "1 frames failed" in program.notice.text or "1 frame failed" in program.notice.text


def test_the_file_vanishes_while_open(launch, series, tmp_path):
    path = tmp_path / "gone.h5"
    shutil.copy(series, path)
    program = launch()
    program.open(path)
    path.write_bytes(path.read_bytes()[:30_000])  # somebody writes it anew
    program.program.playback.go_to(20)
    until(lambda: program.notice is not None or program.measured(), "an answer")
    if program.notice is None:
        assert program.canvas.title == "Frame 20"
    program.window.notices.close_button.click()
    program.open(series)


def test_a_run_over_another_measurement_is_refused(launch, series, tmp_path):
    import h5py

    path, other = tmp_path / "again.h5", tmp_path / "other.h5"
    for copy in (path, other):
        shutil.copy(series, copy)
    with h5py.File(other, "r+") as file:
        file["/entry/data/data"][...] = file["/entry/data/data"][()][::-1]
    program = launch()
    program.open(path)
    path.write_bytes(other.read_bytes())  # the next measurement, under the same name
    program.run_series()
    assert "again.h5::/entry/data/data has changed since it was opened; open it again." in program.notice.text
    record = program.program.runs.record()
    assert record is None or record.done == 0
    program.window.notices.close_button.click()
    program.key(Qt.Key.Key_F5)
    until(lambda: program.notice is not None and "was read anew" in program.notice.text, "the new content")
    program.run_series()
    assert program.program.runs.record().done == 24


def _break_frame(path, index: int) -> None:
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        where = file["/entry/data/data"].id.get_chunk_info_by_coord((index, 0, 0))
    with path.open("r+b") as raw:
        raw.seek(where.byte_offset)
        raw.write(np.full(where.size, 0xFF, np.uint8).tobytes())
