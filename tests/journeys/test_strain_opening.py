"""What opens as a scan in the real window, and what is said where nothing does."""

import h5py
import numpy as np
import pytest
from PyQt6.QtWidgets import QDialog
from stage import settle, until
from strain_scan import COLUMNS, ROWS, SIDE, panels, strain

from braggscope.widgets.raw_dialog import RawDialog, ScanShapeDialog


def test_a_series_becomes_a_scan_by_hand(stage, scan_file, tmp_path):
    flat = tmp_path / "flat.npy"
    with h5py.File(scan_file) as file:
        np.save(flat, file["entry/data/data"][()].reshape(-1, SIDE, SIDE))
    stage.drop([flat])
    until(lambda: stage.desk.info is not None, "the series")
    scan, room = panels(stage).scan, strain(stage).room
    assert room.scan is None
    assert "type rows × columns" in scan.canvas.hint
    assert "type rows × columns" in panels(stage).maps.hint.text()
    assert not panels(stage).maps.run.isEnabled()
    assert stage.window.timeline.isVisible()
    assert [name for *_, name in stage.canvas.legend] == ["masked"]
    scan.shape.setText("9 x 9")
    scan.shape.editingFinished.emit()
    assert room.scan is None
    assert "140 patterns" in scan.canvas.hint
    scan.shape.setText(f"{ROWS} × {COLUMNS}")
    scan.shape.editingFinished.emit()
    assert room.scan is not None
    assert room.scan.scan_shape == (ROWS, COLUMNS)
    stage.program.trigger("undo")
    assert room.scan is None


def test_what_is_no_scan_says_so(stage, tmp_path):
    assert "Open a 4D-STEM scan" in panels(stage).maps.hint.text()
    assert panels(stage).maps.demo.isVisible()
    image = tmp_path / "image.npy"
    np.save(image, np.random.default_rng(1).poisson(5, (40, 50)).astype(np.uint16))
    stage.drop([image])
    until(lambda: stage.desk.info is not None, "the image")
    assert "single image" in panels(stage).scan.canvas.hint
    for key in ("measure_scan", "export_strain", "draw_reference"):
        stage.program.trigger(key)
    assert not strain(stage).runs.running
    empty = tmp_path / "empty.npy"
    np.save(empty, np.zeros((3, 4, 32, 32), np.uint16))
    stage.drop([empty])
    until(lambda: strain(stage).room.scan is not None, "the empty scan")
    until(lambda: strain(stage).room.probe_known, "the end of the search", 60)
    assert strain(stage).room.probe is None
    said = stage.notice
    assert said is not None
    assert "empty.npy" in said.text
    strain(stage).room.change(method="correlation")
    stage.press(panels(stage).maps.run)
    until(lambda: "failed" in stage.rows().values(), "the refusal", 60)
    settle(0.1)
    assert stage.desk.lanes.frame._thread.is_alive()


def test_the_demo_scan_is_opened_from_the_empty_state(stage, scan_file, monkeypatch):
    def write(path, seed=0, context=None):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(scan_file.read_bytes())

    monkeypatch.setattr("braggscope.app.demo_strain.write_demo_strain", write)
    stage.press(panels(stage).maps.demo)
    until(lambda: strain(stage).room.scan is not None, "the demo")
    assert stage.state.workspace == "strain"
    assert stage.rows()["Demo scan"] == "done"
    until(lambda: strain(stage).room.probe is not None, "the probe", 60)
    stage.idle()


def test_the_same_file_opened_again_is_read_by_the_new_reader(scan, scan_file):
    live = strain(scan).live.live
    scan.drop([scan_file])
    until(lambda: strain(scan).live.live is not live, "the new reader")
    until(lambda: strain(scan).room.probe is not None, "the probe", 60)
    scan.idle()
    strain(scan).calibration.measure("lattice")
    scan.idle()
    assert panels(scan).calibration.sections["lattice"].outcome.items()


@pytest.fixture(scope="module")
def patterns(scan_file):
    """All patterns of the scan, one after the other."""
    with h5py.File(scan_file) as file:
        return file["entry/data/data"][()].reshape(-1, SIDE, SIDE)


def asked(stage, kind):
    """The dialog that is on screen."""
    until(lambda: [d for d in stage.window.findChildren(kind) if d.isVisible()], "the question")
    return stage.window.findChildren(kind)[0]


def test_a_raw_file_asks_for_what_it_does_not_say(stage, patterns, tmp_path):
    path = tmp_path / "scan.raw"
    path.write_bytes(bytes(100) + patterns.astype(">u2").tobytes())
    stage.drop([path])
    dialog = asked(stage, RawDialog)
    dialog.pattern.setEditText("9000 x 9000")
    assert "smaller than one such pattern" in dialog.verdict.text()
    assert not dialog.ok.isEnabled()
    dialog.pattern.setEditText(f"{SIDE} × {SIDE}")
    dialog.dtype.setCurrentIndex(dialog.dtype.findData(">u2"))
    dialog.offset.setText("100")
    assert dialog.verdict.text() == "140 patterns."
    dialog.scan.setEditText("20 x 20")
    assert "too few for this scan" in dialog.verdict.text()
    dialog.scan.setEditText(f"{ROWS} x {COLUMNS}")
    stage.press(dialog.ok)
    room = strain(stage).room
    until(lambda: room.scan is not None, "the scan")
    assert room.scan.scan_shape == (ROWS, COLUMNS)
    until(lambda: stage.desk.picture is not None, "the first pattern")
    assert (stage.desk.picture.prepared.image == patterns[0]).all()
    assert stage.rows()["Opening scan.raw"] == "done"
    stage.idle()


def test_a_raw_file_need_not_be_opened(stage, tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(4 * 128 * 128 * 2))
    stage.drop([path])
    dialog = asked(stage, RawDialog)
    assert dialog.pattern.currentText() == "128 × 128"
    assert dialog.scan.currentText() == "2 × 2"
    dialog.reject()
    settle(0.1)
    assert stage.desk.info is None
    assert not [d for d in stage.window.findChildren(QDialog) if d.isVisible()]


def test_a_merlin_file_asks_for_its_scan_shape(stage, patterns, tmp_path):
    head = f"MQ1,000001,00384,01,{SIDE:04d},{SIDE:04d},U16,   1x1,01,2021-05-07,0.001,0,0,0,"
    frames = (head.encode().ljust(384, b"\0") + p[::-1].astype(">u2").tobytes() for p in patterns)
    path = tmp_path / "scan.mib"
    path.write_bytes(b"".join(frames))
    stage.drop([path])
    dialog = asked(stage, ScanShapeDialog)
    assert dialog.scan.pair() == (10, 14)
    dialog.scan.setEditText("9 x 9")
    assert "product is 140" in dialog.verdict.text()
    assert not dialog.ok.isEnabled()
    dialog.scan.setEditText("14 x 10")
    stage.press(dialog.ok)
    assert strain(stage).room.scan.scan_shape == (14, 10)
    stage.program.trigger("undo")
    assert strain(stage).room.scan is None
    stage.idle()
