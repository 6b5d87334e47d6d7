"""What opens as a scan in the real window, and what is said where nothing does."""

import h5py
import numpy as np
from stage import settle, until
from strain_scan import COLUMNS, ROWS, SIDE, panels, strain


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
