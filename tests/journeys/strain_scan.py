"""A small scan for the journeys of the Strain workspace, and what they look at."""

import numpy as np
from PyQt6.QtCore import QPointF
from stage import until

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
