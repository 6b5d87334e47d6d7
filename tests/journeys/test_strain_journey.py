"""Strain in the real window: a scan is opened, looked at, calibrated, measured, compared and exported."""

import h5py
import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog
from stage import LEFT, NONE, SHIFT, drag, settle, until

ALT = Qt.KeyboardModifier.AltModifier
ROWS, COLUMNS, SIDE, RADIUS = 10, 14, 72, 4.0
A, B = (15.0, 2.0), (-3.0, 14.0)
STRAINED = 0.02  # exx of the right half


def pattern(rng, strain, empty=False):
    """A pattern of soft disks on a lattice that is shorter along x where the crystal is stretched."""
    image = np.full((SIDE, SIDE), 0.3)
    y, x = np.mgrid[:SIDE, :SIDE]
    if not empty:
        for h in range(-3, 4):
            for k in range(-3, 4):
                cx = 36.2 + (h * A[0] + k * B[0]) / (1 + strain)
                cy = 35.4 + h * A[1] + k * B[1]
                if -8 < cx < SIDE + 8 and -8 < cy < SIDE + 8:
                    height = 300.0 / (1 + 0.4 * (h * h + k * k))
                    image += height / (1 + np.exp((np.hypot(x - cx, y - cy) - RADIUS) / 0.4))
    return rng.poisson(image).astype(np.uint16)


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory):
    """A scan whose right half is stretched along x, with an empty corner."""
    rng = np.random.default_rng(5)
    cube = np.zeros((ROWS, COLUMNS, SIDE, SIDE), np.uint16)
    for r in range(ROWS):
        for c in range(COLUMNS):
            cube[r, c] = pattern(rng, STRAINED if c >= COLUMNS // 2 else 0.0, empty=r == 0 and c < 2)
    path = tmp_path_factory.mktemp("scan") / "scan.h5"
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = cube
    return path


@pytest.fixture
def stage(launch):
    made = launch()
    made.program.trigger("strain_workspace")
    return made


@pytest.fixture
def scan(stage, scan_file):
    """The workspace with the scan: probe, live disks and virtual images are there."""
    open_scan(stage, scan_file)
    return stage


def open_scan(stage, path):
    room = stage.program.strain.room
    room.change(method="correlation")
    stage.drop([path])
    until(lambda: room.scan is not None, "the scan")
    room.change(method="correlation")
    until(lambda: room.probe is not None, "the probe", 60)
    until(lambda: stage.canvas.overlays.disks is not None and stage.canvas.overlays.disks.disks, "disks", 20)
    stage.idle()


def strain(stage):
    return stage.program.strain


def panels(stage):
    return stage.window.strain


def disks_here(stage):
    """Disks drawn on the pattern, which is the one of the present position."""
    until(
        lambda: (
            strain(stage).live._found_by.get("correlation") == strain(stage).live._wanted
            and stage.desk.picture.key.frame == stage.state.frame
        ),
        "the disks of this pattern",
    )
    return {marks.method: marks for marks in stage.canvas.overlays.disks.disks}


def measure(stage):
    stage.press(panels(stage).maps.run)
    until(lambda: strain(stage).runs.running, "the start of the run")
    until(lambda: not strain(stage).runs.running, "the maps", 90)
    stage.idle()
    until(lambda: panels(stage).maps.maps.isVisible(), "the maps on screen")
    return strain(stage).runs.result()


def on_scan(canvas, row, column):
    return canvas.viewport.transform().map(QPointF(column, row)).toPoint()


def test_a_scan_is_seen_and_one_moves_in_it(scan):
    canvas = panels(scan).scan.canvas
    assert canvas.values.shape == (ROWS, COLUMNS)
    assert np.isfinite(canvas.values).all()
    assert not scan.window.timeline.isVisible()
    assert scan.marks is None, "no peaks are sought in this workspace"
    QTest.mouseClick(canvas, LEFT, NONE, on_scan(canvas, 6, 9))
    assert scan.state.frame == 6 * COLUMNS + 9
    canvas.setFocus()
    down, left, right = Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right
    at = 7 * COLUMNS
    for key, held, frame in ((down, NONE, at + 9), (left, NONE, at + 8), (right, SHIFT, at + COLUMNS - 1)):
        QTest.keyClick(canvas, key, held)
        assert scan.state.frame == frame
    assert "row 7, column 13" in panels(scan).scan.note.text()
    until(lambda: scan.canvas.title == "Row 7, column 13", "the title")
    middle = scan.canvas.viewport.to_image(QPointF(scan.canvas.rect().center())).x()
    QTest.keyClick(canvas, Qt.Key.Key_Right, ALT)
    assert scan.canvas.viewport.to_image(QPointF(scan.canvas.rect().center())).x() > middle
    assert scan.state.frame == 8 * COLUMNS - 1
    scan.key(Qt.Key.Key_Up)
    assert scan.state.frame == 7 * COLUMNS - 1
    scan.key(Qt.Key.Key_Left)
    assert scan.state.frame == 7 * COLUMNS - 2


def test_disks_are_drawn_live_while_a_threshold_moves(scan):
    marks = disks_here(scan)["correlation"]
    assert len(marks.x) == 0, "the corner is empty"
    strain(scan).room.go_to(5, 3)
    marks = disks_here(scan)["correlation"]
    near = np.hypot(marks.x - 36.2, marks.y - 35.4).min()
    assert near < 0.3
    assert marks.radius == pytest.approx(RADIUS, abs=0.5)
    assert f"{len(marks.x)} disks" in panels(scan).disks.counts["correlation"].text()
    slider = panels(scan).disks.sliders["threshold"].slider
    slider.setSliderDown(True)
    counts = [len(marks.x)]
    for step in (200, 300, 400, 470):
        slider.setValue(step)
        counts.append(len(disks_here(scan)["correlation"].x))
    slider.setSliderDown(False)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < counts[0] // 2
    scan.program.trigger("undo")  # one gesture, one step
    assert scan.state.parameters.strain.threshold == 0.05
    assert len(disks_here(scan)["correlation"].x) == counts[0]
    assert strain(scan).live.latency_ms < 1000


def test_virtual_detectors_and_regions(scan):
    panel = panels(scan).scan
    room = strain(scan).room
    panel.image_changed.emit("dark")
    dark = panel.canvas.values.copy()
    detector = scan.canvas.overlays.disks.detector
    x, y = detector.centre
    a, b = (scan.canvas.screen_position(x + r, y).toPoint() for r in (detector.outer, detector.outer + 6))
    drag(scan.canvas, [a, (a + b) / 2, b])
    assert room.view.outer == pytest.approx(detector.outer + 6, abs=0.5)
    scan.idle()
    assert panel.canvas.values[5, 5] > dark[5, 5], "a larger ring counts more"
    for key in ("com_x", "com_y", "sum"):
        panel.image_changed.emit(key)
        assert np.isfinite(panel.canvas.values[3:]).all(), key
    panel.image_changed.emit("detector")
    panel.shapes["ellipse"].click()
    scan.drag_image((30.0, 30.0), (42.0, 42.0))
    until(lambda: room.view.detector is not None, "the drawn detector")
    scan.idle()
    assert np.isfinite(panel.canvas.values).all()
    assert scan.state.parameters.prepare.masked == (), "it is no mask"
    panel.tools["roi"].click()
    drag(panel.canvas, [on_scan(panel.canvas, 2, 2), on_scan(panel.canvas, 5, 6)])
    assert room.view.roi == (2, 6, 2, 7)
    until(lambda: panels(scan).bragg.canvas.isVisible(), "the mean pattern of the region")
    for key in ("mean", "maximum"):
        panels(scan).bragg.view_changed.emit(key)
        assert panels(scan).bragg.canvas.isVisible()


def test_a_run_gives_the_strain_and_the_reference_is_drawn_afterwards(scan, tmp_path, monkeypatch):
    result = measure(scan)
    assert result.complete
    assert not result.strain.valid[0, :2].any()
    left, right = np.s_[1:, : COLUMNS // 2], np.s_[:, COLUMNS // 2 :]
    canvas = panels(scan).maps.maps.cells[0].canvas
    panels(scan).maps.tools["reference"].click()
    drag(canvas, [on_scan(canvas, 2, 0), on_scan(canvas, 8, 4)])
    assert scan.state.parameters.strain.reference == (2, 9, 0, 5)
    until(lambda: strain(scan).runs.result() is not result, "the maps with the reference")
    found = strain(scan).runs.result().strain
    assert np.nanmedian(found.exx[left]) == pytest.approx(0.0, abs=5e-4)
    assert np.nanmedian(found.exx[right]) == pytest.approx(STRAINED, abs=1e-3)
    assert np.nanmedian(np.abs(found.eyy[right])) < 1e-3
    until(lambda: "drawn region" in panels(scan).maps.note.text(), "the note")
    QTest.mouseClick(canvas, LEFT, NONE, on_scan(canvas, 4, 11))
    assert scan.state.frame == 4 * COLUMNS + 11
    assert float(panels(scan).maps.maps.cells[0].value.text().split()[0]) == pytest.approx(2.0, abs=0.3)
    _profile(scan, canvas)
    _export(scan, tmp_path, monkeypatch, found)


def _profile(scan, canvas):
    maps = panels(scan).maps
    maps.tools["line"].click()
    drag(canvas, [on_scan(canvas, 5, 1), on_scan(canvas, 5, 12)])
    until(lambda: maps.plots._lines._items, "the profile")
    line = maps.plots._lines._items[0][0]
    assert maps.plots.profile.isVisible()
    assert line.yData[0] == pytest.approx(0.0, abs=0.2)
    assert line.yData[-1] == pytest.approx(2.0, abs=0.2)
    for shown, cells in (("error", 4), ("validity", 3), ("strain", 4)):
        maps.shown.button(shown).click()
        until(lambda n=cells: sum(cell.isVisible() for cell in maps.maps.cells) == n, shown)
        settle(0.05)


def _export(scan, tmp_path, monkeypatch, found):
    for suffix in ("h5", "csv", "tif", "png"):
        path = tmp_path / f"strain.{suffix}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", staticmethod(lambda *_, p=path: (str(p), "")))
        panels(scan).maps.export_requested.emit(suffix)
        scan.idle()
        assert scan.rows()[f"Export {path.name}"] == "done"
    with h5py.File(tmp_path / "strain.h5") as file:
        np.testing.assert_array_equal(file["entry/strain/exx"][()], found.exx)
    assert (tmp_path / "strain_exx.tif").exists()
    panels(scan).maps.copy_requested.emit("command")
    text = QGuiApplication.clipboard().text()
    assert "braggscope strain" in text
    assert "--reference 2:9,0:5" in text
    panels(scan).maps.copy_requested.emit("python")
    compile(QGuiApplication.clipboard().text(), "copied", "exec")


def test_a_run_is_cancelled_and_resumed(scan, monkeypatch):
    from braggscope.app.engine import disk_tools
    from braggscope.app.engine import strain as engine

    slow = engine.finder

    def finder(tools):
        find = slow(tools)

        def wait(block):
            settle_thread(0.4)
            return find(block)

        return wait

    monkeypatch.setattr(engine, "finder", finder)
    monkeypatch.setitem(disk_tools.SIZES, "correlation", 4)
    maps = panels(scan).maps
    scan.press(maps.run)
    until(lambda: maps.maps.isVisible() and maps.bar.value() > 12, "the first maps", 60)
    assert "left" in maps.progress_text.text()
    partial = strain(scan).runs.result()
    assert not partial.complete
    scan.press(maps.cancel)
    until(lambda: not strain(scan).runs.running, "the end", 5)
    assert scan.rows()["Strain · Correlation"] == "cancelled"
    until(lambda: maps.run.text() == "Resume", "the offer to resume")
    panels(scan).maps.export_requested.emit("h5")
    assert "whole scan first" in scan.notice.text
    monkeypatch.setattr(engine, "finder", slow)
    result = measure(scan)
    assert result.complete
    assert 0 < result.timing.patterns < ROWS * COLUMNS, "what was in the journal was not measured again"
    scan.program.trigger("series_workspace")
    scan.look()
    assert scan.marks is not None
    scan.program.trigger("strain_workspace")
    until(lambda: scan.marks is None or not scan.canvas.overlays.shows("peaks"), "the end of the marks")


def settle_thread(seconds):
    import time

    time.sleep(seconds)


def test_methods_stand_side_by_side(scan):
    one = measure(scan)
    maps = panels(scan).maps
    strain(scan).room.change(method="lattice")
    until(lambda: not maps.maps.isVisible(), "the empty maps")
    two = measure(scan)
    assert two.parameters.strain.method == "lattice"
    maps.view_changed.emit({"beside": "correlation"})
    until(lambda: sum(cell.isVisible() for cell in maps.maps.cells) == 3, "both maps and their difference")
    pictures = [cell.picture for cell in maps.maps.cells[:3]]
    np.testing.assert_allclose(pictures[2].values, pictures[0].values - pictures[1].values, atol=1e-4)
    np.testing.assert_allclose(pictures[1].values, 100 * one.strain.exx, atol=1e-4)
    maps.view_changed.emit({"component": "theta"})
    until(lambda: maps.maps.cells[0].picture.unit == "°", "the rotation")
    panels(scan).disks.overlays["correlation"].click()
    until(lambda: len(scan.canvas.overlays.disks.disks) == 2, "both overlays", 60)


def test_calibration_is_shown_before_it_is_applied(scan):
    panel, room = panels(scan).calibration, strain(scan).room
    before = scan.state.parameters
    scan.window.show_panel("calibration")
    strain(scan).calibration.measure("lattice")
    scan.idle()
    assert scan.state.parameters == before
    lattice = scan.canvas.overlays.disks.lattice
    assert abs(np.linalg.det(lattice.matrix)) == pytest.approx(A[0] * B[1] - A[1] * B[0], rel=0.06)
    assert scan.canvas.overlays.disks.proposed
    (x, y), (ax, ay) = lattice.origin, lattice.a
    tip, end = (scan.canvas.screen_position(x + ax + d, y + ay).toPoint() for d in (0.0, 2.0))
    drag(scan.canvas, [tip, (tip + end) / 2, end])
    assert scan.state.parameters == before
    scan.press(panel.sections["lattice"].apply)
    assert scan.state.parameters.strain.lattice[0] == pytest.approx(ax + 2.0, abs=0.2)
    assert not scan.canvas.overlays.disks.proposed
    for key in ("origin", "ellipse", "rotation"):
        strain(scan).calibration.measure(key)
        scan.idle()
        section = panel.sections[key]
        assert section.outcome.items(), key
        changed = scan.state.parameters
        strain(scan).calibration.discard(key)
        assert scan.state.parameters == changed
    strain(scan).calibration.measure("pixel")
    assert "spacing" in scan.notice.text
    panel.spacing.setText("3.1")
    strain(scan).calibration.measure("pixel")
    scan.idle()
    strain(scan).calibration.apply("pixel")
    assert room.strain.pixel_inv_angstrom == pytest.approx(1 / (3.1 * np.hypot(ax + 2, ay)), rel=0.02)
    panels(scan).bragg.requested.emit()
    scan.idle()
    assert panels(scan).bragg.canvas.isVisible()
    assert panels(scan).bragg.canvas.overlays.disks.lattice is not None


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


def test_a_refused_number_leaves_the_measurement_alone(scan):
    result, room = measure(scan), strain(scan).room
    room.change(threshold=2.0)
    assert "old value stays" in scan.notice.text
    assert strain(scan).runs.result() is result
    assert room.probe is not None


def test_the_same_file_opened_again_is_read_by_the_new_reader(scan, scan_file):
    live = strain(scan).live.live
    scan.drop([scan_file])
    until(lambda: strain(scan).live.live is not live, "the new reader")
    until(lambda: strain(scan).room.probe is not None, "the probe", 60)
    scan.idle()
    strain(scan).calibration.measure("lattice")
    scan.idle()
    assert panels(scan).calibration.sections["lattice"].outcome.items()


def test_results_of_other_settings_are_not_taken_for_these(scan):
    room, calibration, maps = strain(scan).room, strain(scan).calibration, panels(scan).maps
    result = measure(scan)
    calibration._disks = None
    room.change(threshold=0.2)
    calibration.take_disks(result.disks, result.lattice.origin, result.parameters)
    assert calibration._disks is None
    room.change(method="lattice")
    measure(scan)
    maps.view_changed.emit({"beside": "correlation"})
    until(lambda: "Correlation: measured with other settings" in maps.note.text(), "the note")


def test_the_probe_follows_the_preparation(scan):
    room = strain(scan).room
    before, store = room.probe, scan.desk.store
    store.replace(store.state.with_parameters(store.state.parameters.with_prepare(hot_pixels=50.0)))
    until(lambda: room.probe is not before, "the new probe", 30)
    scan.idle()


def test_the_pixel_size_is_that_of_disks_made_round(scan):
    room, calibration = strain(scan).room, strain(scan).calibration
    room.change(ellipse=(1.1, 0.0))
    calibration.measure("lattice")
    scan.idle()
    vectors = np.reshape(calibration._proposals["lattice"].changes["lattice"], (2, 2))
    along = vectors[np.argmax(np.abs(vectors[:, 0]))]
    assert abs(along[0]) == pytest.approx(A[0] / np.sqrt(1.1), rel=0.02)


def test_images_that_were_cancelled_are_asked_for_again(scan):
    presenter = strain(scan).scan
    presenter._restart()
    scan.program.jobs.cancel(presenter._job)
    until(lambda: presenter._wanted is None or presenter._images is not None, "the end of the reading")
    presenter.look()
    scan.idle()
    assert presenter._images.count == ROWS * COLUMNS
