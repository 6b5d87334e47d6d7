"""Calibration in the real window: every step is shown before it is applied."""

import numpy as np
import pytest
from stage import drag
from strain_scan import A, B, panels, strain


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
    strain(scan).calibration.measure("ellipse")
    scan.idle()
    assert "No ring of disks stands by itself" in scan.notice.text
    scan.window.notices.clear()
    panel.known.setCurrentIndex(panel.known.findData("square"))
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


def test_the_pixel_size_is_that_of_disks_made_round(scan):
    room, calibration = strain(scan).room, strain(scan).calibration
    room.change(ellipse=(1.1, 0.0))
    calibration.measure("lattice")
    scan.idle()
    vectors = np.reshape(calibration._proposals["lattice"].changes["lattice"], (2, 2))
    along = vectors[np.argmax(np.abs(vectors[:, 0]))]
    assert abs(along[0]) == pytest.approx(A[0] / np.sqrt(1.1), rel=0.02)
