"""The main job from the first look to the files, and finding all of it again after a restart."""

import json
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QFileDialog
from stage import CONTROL, Stage, until

from braggscope.app.export.tables import read_peaks
from braggscope.models.results import PeakTable, Status

FRAMES = 24
SIDE = 256  # px, of the movie
GREEN = 20  # by how much green exceeds red in the mark of a fit, colours being stored coarsely


@pytest.fixture
def chosen(monkeypatch, tmp_path) -> dict[str, Path]:
    """The file dialog answers with ``chosen["path"]``."""
    answer: dict[str, Path] = {"path": tmp_path / "unset"}
    monkeypatch.setattr(
        QFileDialog, "getSaveFileName", staticmethod(lambda *_, **__: (str(answer["path"]), ""))
    )
    return answer


def test_from_a_file_to_answers_and_back(launch, program, chosen, tmp_path):
    window = program.window
    program.drag_threshold("minscore", program.state.parameters.detect.minscore * 1.5)
    program.look()
    program.run_series()
    record = program.program.runs.record()
    assert record.done == FRAMES
    assert not record.problems
    assert record.peaks == sum(int(table.detected.sum()) for _, table in record.key.tables())
    program.press(window.sets_panel.add)
    program.drag_threshold("minscore", program.state.parameters.detect.minscore * 4)
    program.look()
    assert np.isfinite(program.curve(0)).sum() > FRAMES / 2
    program.run_series()
    second = program.program.runs.record()
    assert second.done == FRAMES
    assert second.peaks < record.peaks
    assert [row.entry.state for row in window.sets_panel.rows] == ["done", "done"]
    curves = [program.curve(0).copy(), program.curve(1).copy()]
    assert [len(curve) for curve in curves] == [FRAMES, FRAMES]
    assert not np.array_equal(*curves, equal_nan=True)

    rejected = _reject_one(program)
    _export_all(program, chosen, tmp_path, second, rejected)
    program.key(Qt.Key.Key_1, CONTROL)
    program.go_to(7)
    program.key(Qt.Key.Key_N)
    before = program.state
    program.close()

    again = launch()
    again.idle()
    again.look()
    until(lambda: len(again.curve(1)) == FRAMES, "the curves of the earlier runs")
    assert again.state == before
    assert again.canvas.title == "Frame 7"
    assert again.window.timeline.frame == 7
    assert again.program.peaks.selected_row() == 0
    assert [row.entry.state for row in again.window.sets_panel.rows] == ["done", "done"]
    for k, curve in enumerate(curves):
        assert np.array_equal(again.curve(k), curve, equal_nan=True)
    assert "Whole series · A" not in again.rows()
    detect = again.state.parameters.detect
    assert again.window.threshold_panel.minscore.value == detect.minscore
    again.go_to(rejected.frame)
    hit = (again.listed["row"] == rejected.row) & (again.listed["col"] == rejected.col)
    assert again.listed["status"][hit].tolist() == [Status.REJECTED]


def _reject_one(program: Stage):
    """Reject the strongest fitted peak of frame 3."""
    program.go_to(3)
    program.program.peaks.select_row(int(np.flatnonzero(program.listed["status"] == Status.OK)[0]))
    program.key(Qt.Key.Key_Delete)
    return program.state.selected


def _export_all(program: Stage, chosen, folder: Path, record, rejected) -> None:
    panel = program.window.export_panel
    program.key(Qt.Key.Key_E, CONTROL)
    assert panel.isVisible()
    truth = PeakTable.concatenate(table for _, table in record.key.tables())
    for suffix in (".csv", ".parquet", ".h5", ".cxi"):
        chosen["path"] = folder / f"peaks{suffix}"
        program.press(panel.tables[suffix])
        program.idle()
        _check_table(chosen["path"], truth, rejected)
    for kind in range(panel.figure.count()):
        panel.figure.setCurrentIndex(kind)
        for suffix in (".png", ".svg"):
            chosen["path"] = folder / f"figure{kind}{suffix}"
            program.press(panel.figures[suffix])
            program.idle()
            head = chosen["path"].read_bytes()[:400]
            assert head.startswith(b"\x89PNG") if suffix == ".png" else b"<svg" in head or b"<?xml" in head
    panel.movie.longer_side.setValue(SIDE)
    chosen["path"] = folder / "overlay.mp4"
    program.press(panel.movie.write)
    program.idle()
    _check_movie(chosen["path"], truth, rejected)
    assert "failed" not in program.rows().values()


def _check_table(path: Path, truth: PeakTable, rejected) -> None:
    if path.suffix == ".cxi":
        import h5py

        with h5py.File(path, locking=False) as file:
            group = file["entry_1/result_1"]
            counts = np.zeros(FRAMES, int)
            counts[group["frame"][()]] = group["nPeaks"][()]
        kept = _kept(truth, rejected) & np.isfinite(truth["x"])  # rejected and cut off ones are left out
        expected = np.bincount(truth["frame"][kept], minlength=FRAMES)
        assert np.array_equal(counts, expected)
        return
    table = read_peaks(path)
    assert len(table) == len(truth)
    for name in ("frame", "peak", "row", "col", "score", "x_fit", "x_braggnn", "distance"):
        assert np.allclose(table[name], truth[name], rtol=1e-6, atol=1e-6, equal_nan=True), name
    kept = _kept(truth, rejected)
    assert np.array_equal(table["status"], np.where(kept, truth["status"], Status.REJECTED))


def _kept(truth: PeakTable, rejected) -> np.ndarray:
    here = (truth["row"] == rejected.row) & (truth["col"] == rejected.col)
    return ~(here & (truth["frame"] == rejected.frame))


def _check_movie(path: Path, truth: PeakTable, rejected) -> None:
    """Every frame once, and fits marked where they are; the rejected peak is not marked."""
    pictures = _decoded(path)
    assert len(pictures) == FRAMES
    assert path.stat().st_size > 10_000
    parameters = json.loads(path.with_name(path.name + ".json").read_text("utf-8"))
    assert "parameters" in parameters
    rows = truth.take(np.flatnonzero((truth["frame"] == 7) & (truth["status"] == Status.OK)))
    assert len(rows)
    marked = [_greenness(pictures[7], x, y) for x, y in zip(rows["x_fit"], rows["y_fit"], strict=True)]
    assert min(marked) > GREEN
    others = truth.take((truth["frame"] == rejected.frame) & (truth["status"] == Status.OK))
    away = np.hypot(others["col"] - rejected.col, others["row"] - rejected.row)
    assert (away[away > 0] > 12).all()  # px: no other mark is near
    assert _greenness(pictures[rejected.frame], rejected.col, rejected.row) < GREEN


def _decoded(path: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 pictures of a movie."""
    how = ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), *how]
    raw, pictures = subprocess.run(command, check=True, capture_output=True).stdout, []
    while raw:
        _, size, _, rest = raw.split(b"\n", 3)
        width, height = map(int, size.split())
        length = 3 * width * height
        pictures.append(np.frombuffer(rest[:length], np.uint8).reshape(height, width, 3))
        raw = rest[length:]
    return pictures


def _greenness(picture: np.ndarray, x: float, y: float) -> float:
    """How much the mark of a fit stands out around a position of the frame, shown twice as large."""
    col, row = round((x + 0.5) * 2 - 0.5), round((y + 0.5) * 2 - 0.5)
    spot = picture[max(row - 9, 0) : row + 10, max(col - 9, 0) : col + 10].astype(float)
    return float((spot[..., 1] - spot[..., 0]).max())


def test_a_session_saved_under_a_name_is_opened_again(program, monkeypatch, tmp_path, series):
    path = tmp_path / "mine.braggscope.json"
    answer = staticmethod(lambda *_, **__: (str(path), ""))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", answer)
    program.go_to(11)
    program.key(Qt.Key.Key_S, CONTROL)
    until(path.exists, "the session")
    saved = program.state
    program.go_to(2)
    program.drag_threshold("minval", 400)
    program.look()
    program.program.trigger("open_session")
    until(lambda: program.state == saved, "the session")
    program.look()
    assert program.canvas.title == "Frame 11"


def test_a_damaged_session_is_one_sentence(home, launch, series):
    (home / "state").mkdir(parents=True)
    (home / "state" / "session.json").write_text('{"version": 1, "fps": "fast"}', "utf-8")
    program = launch()
    until(lambda: program.notice is not None, "the notice")
    assert "session" in program.notice.text
    program.window.notices.close_button.click()
    program.open(series)
    assert program.canvas.title == "Frame 0"
