"""What is drawn and dragged on the pattern."""

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtTest import QTest
from strain_hands import heard, shown

from braggscope.models.disks.results import Lattice
from braggscope.widgets.frame_view import FrameView
from braggscope.widgets.strain_handles import FrameHandles
from braggscope.widgets.strain_overlay import (
    Detector,
    DiskMarks,
    StrainOverlay,
    dragged,
    ellipse_curve,
    lattice_handles,
)

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
LATTICE = Lattice((32.0, 30.0), (12.0, 1.0), (-2.0, 11.0))


@pytest.fixture
def view(qtbot):
    widget = shown(qtbot, FrameView(), 400, 360)
    widget.set_frame(np.full((64, 64), 0xFF000000, np.uint32), (64, 64))
    widget.zoom_to_fit()
    return widget


def test_disks_are_circles_of_the_probe_with_a_dot(view):
    marks = DiskMarks("network", np.array([20.0]), np.array([30.0]), 8.0)
    view.set_disks(StrainOverlay((marks,), Detector((40.0, 40.0), 4.0, 12.0), LATTICE, handles=((5.0, 5.0),)))
    picture = view.canvas.grab().toImage()

    def ink(x, y):
        return QColor(picture.pixel(view.canvas.screen_position(x, y).toPoint()))

    assert ink(20, 30).blue() > 150
    assert ink(20, 26).lightness() < 60
    ring = [ink(20 + 8 * np.cos(t), 30 + 8 * np.sin(t)) for t in np.linspace(0, 6.28, 60)]
    assert max(colour.blue() for colour in ring) > 150
    assert ink(40, 48).lightness() > ink(40, 40).lightness()  # the annulus is tinted, its hole is not
    view.set_layer_visible("disks", False)
    hidden = QColor(view.canvas.grab().toImage().pixel(view.canvas.screen_position(20, 30).toPoint()))
    assert hidden.lightness() < 10


def test_handles_are_dragged_and_other_presses_are_left_alone(view):
    handles = FrameHandles(view.canvas)
    handles.set_handles({"a": (44.0, 31.0), "origin": (32.0, 30.0)})
    moved, released, clicked = heard(handles.moved), heard(handles.released), heard(view.clicked)
    start, end = (view.canvas.screen_position(*at).toPoint() for at in ((44.5, 31.0), (50.0, 20.0)))
    QTest.mousePress(view.canvas, LEFT, NONE, start)
    QTest.mouseMove(view.canvas, end)
    QTest.mouseRelease(view.canvas, LEFT, NONE, end)
    assert released == ["a"]
    assert moved[-1][0] == "a"
    np.testing.assert_allclose(moved[-1][1:], (50, 20), atol=0.2)
    assert clicked == []
    QTest.mouseClick(view.canvas, LEFT, NONE, view.canvas.screen_position(10, 10).toPoint())
    assert len(clicked) == 1
    steps = heard(handles.stepped)
    QTest.keyClick(view.canvas, Qt.Key.Key_Down)
    handles.steps = True
    QTest.keyClick(view.canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert steps == [(10, 0)]


def test_a_dragged_tip_changes_its_vector_alone():
    tips = lattice_handles(LATTICE)
    assert tips == {"a": (44.0, 31.0), "b": (30.0, 41.0), "origin": (32.0, 30.0)}
    moved = dragged(LATTICE, "b", 40.0, 50.0)
    assert (moved.origin, moved.a, moved.b) == (LATTICE.origin, LATTICE.a, (8.0, 20.0))
    moved = dragged(LATTICE, "origin", 1.0, 2.0)
    assert (moved.a, moved.b, moved.origin) == (LATTICE.a, LATTICE.b, (1.0, 2.0))


def test_the_outline_of_an_ellipse_has_its_ratio_and_direction():
    curve = ellipse_curve((5.0, 6.0), 10.0, 1.21, 0.4) - (5.0, 6.0)
    radius = np.hypot(*curve.T)
    assert radius.max() / radius.min() == pytest.approx(1.21, rel=1e-3)
    assert radius.max() * radius.min() == pytest.approx(100, rel=1e-3)
    x, y = curve[radius.argmax()]
    assert np.arctan2(y, x) % np.pi == pytest.approx(0.4, abs=0.02)
