"""A scan in the real window: one moves in it, disks are drawn live, detectors and regions are drawn."""

import numpy as np
import pytest
from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtTest import QTest
from stage import LEFT, NONE, SHIFT, drag, until
from strain_scan import COLUMNS, RADIUS, ROWS, disks_here, on_scan, panels, strain

ALT = Qt.KeyboardModifier.AltModifier


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
    for key in ("com_x", "com_y", "sum", "max"):
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


def test_the_probe_follows_the_preparation(scan):
    room = strain(scan).room
    before, store = room.probe, scan.desk.store
    store.replace(store.state.with_parameters(store.state.parameters.with_prepare(hot_pixels=50.0)))
    until(lambda: room.probe is not before, "the new probe", 30)
    scan.idle()


def test_images_that_were_cancelled_are_asked_for_again(scan):
    presenter = strain(scan).scan
    presenter._restart()
    scan.program.jobs.cancel(presenter._job)
    until(lambda: presenter._wanted is None or presenter._images is not None, "the end of the reading")
    presenter.look()
    scan.idle()
    assert presenter._images.count == ROWS * COLUMNS
