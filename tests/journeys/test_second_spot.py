"""A second spot that only the fit shows: listed, drawn, selected as its peak, linked, exported."""

import h5py
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import LEFT, NONE, until

from braggscope.app.export.tables import read_peaks
from braggscope.models import profiles
from braggscope.models.parameters import Parameters
from braggscope.models.results import Status

SHAPE, FRAMES = (64, 80), 12
SPOTS = ((52.3, 16.4, 900.0), (20.2, 20.3, 500.0), (35.7, 47.1, 400.0))  # x, y, height: by falling score
SECOND = (22.9, 21.6, 230.0)  # in the flank of the one in the middle
Key = Qt.Key


@pytest.fixture
def stage(program, tmp_path):
    """A window on a series of such frames."""
    path = tmp_path / "paired.h5"
    frames = []
    for k in range(FRAMES):
        image = np.full(SHAPE, 20.0)
        for x, y, height in (*SPOTS, SECOND):
            image += profiles.peak(SHAPE, x + 0.03 * k, y, height, 3.0)
        frames.append(np.random.default_rng(3 if k == 0 else k).poisson(image))
    with h5py.File(path, "w") as file:
        file["/entry/data/data"] = np.array(frames, np.uint16)
    program.open(path)
    parameters = Parameters().with_detect(minval=100, minscore=100).with_localize(methods=("fit",))
    program.program.store.replace(program.state.with_parameters(parameters))
    program.look()
    return program


def click_line(stage, line):
    lines, model = stage.window.peak_table.lines, stage.window.peak_table.model
    QTest.mouseClick(lines.viewport(), LEFT, NONE, lines.visualRect(model.index(line, 0)).center())


def test_it_is_listed_drawn_and_selected_as_its_peak(stage):
    model, key = stage.window.peak_table.model, stage.program.peaks
    assert [model.text(row, "peak") for row in range(4)] == ["0", "1", "1.1", "2"]
    assert "<b>3</b>" in stage.window.threshold_panel.count.text()
    assert len(stage.marks) == 4
    assert np.hypot(stage.marks.x[2] - SECOND[0], stage.marks.y[2] - SECOND[1]) < 0.5
    click_line(stage, 2)
    assert key.selected_row() == stage.marks.selected == 1
    assert stage.window.peak_table.selected_rows().tolist() == [2]
    until(lambda: stage.patch is not None and stage.patch.peak == 1, "the patch")
    assert [row.label for row in stage.patch.rows] == ["Gaussian", "Gaussian 2"]
    stage.key(Key.Key_N)
    assert key.selected_row() == 3
    stage.key(Key.Key_N)
    stage.key(Key.Key_N)
    assert key.selected_row() == 1, "steps go from peak to peak"
    stage.key(Key.Key_N)
    stage.click_image(float(stage.marks.x[2]), float(stage.marks.y[2]))
    assert key.selected_row() == 1
    stage.key(Key.Key_Delete)
    assert (stage.listed["status"] == Status.REJECTED).tolist() == [False, True, True, False]


def test_a_series_counts_links_and_writes_it(stage, tmp_path, monkeypatch):
    stage.run_series()
    record = stage.program.runs.record()
    assert record.peaks == 3 * FRAMES
    assert (record.curves.values["count"] == 3).all()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(tmp_path / "a.h5"), ""))
    stage.program.exports.ask_table(".h5")
    until(lambda: (tmp_path / "a.h5").exists(), "the table")
    stage.idle()
    table = read_peaks(tmp_path / "a.h5")
    assert table.detected.sum() == 3 * FRAMES < len(table)
    stage.program.trigger("tracks_workspace")
    until(lambda: stage.program.tracks.linked is not None, "the tracks", 90)
    linked = stage.program.tracks.linked
    row = int(np.flatnonzero(~linked.table.detected)[0])
    track = int(linked.tracks.track[row])
    assert track >= 0
    stage.program.tracks.select(track, int(linked.table["frame"][row]))
    assert stage.program.tracks.chosen == [track], "not that of the peak it was found beside"
    assert stage.program.peaks.selected_row() is not None or stage.desk.table is None
