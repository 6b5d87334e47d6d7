"""A new frame on screen, levels and all, beside pyqtgraph's ImageView; processor time, offscreen."""

import os
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pyqtgraph
from PyQt6.QtWidgets import QApplication, QWidget

from braggscope.models.render import lut, percentile_levels, render_rgb
from braggscope.widgets.frame_view import FrameView

FRAMES = 8


def median_ms(draw: Callable[[int], None]) -> float:
    times = []
    for k in range(5 * FRAMES):
        start = time.process_time()
        draw(k % FRAMES)
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times[FRAMES:]))


def paint(widget: QWidget) -> None:
    QApplication.processEvents()
    widget.repaint()


def case(side: int, dtype: str) -> dict:
    rng = np.random.default_rng(0)
    frames = [rng.poisson(20, (side, side)).astype(dtype) for _ in range(FRAMES)]
    good = np.zeros((side, side), bool)
    ours, theirs, colours = FrameView(), pyqtgraph.ImageView(), lut("inferno")
    for widget in (ours, theirs):
        widget.resize(1000, 1000)
        widget.show()
    step = max(1, side // 1024)

    def our_way(k: int) -> None:
        image = frames[k].astype(np.float32)
        levels = percentile_levels(image, good)
        ours.set_frame(render_rgb(image, good, levels, colours, step=step), image.shape)
        paint(ours)

    def their_way(k: int) -> None:
        theirs.setImage(frames[k], autoRange=False)
        paint(theirs.ui.graphicsView)

    mine, peer = median_ms(our_way), median_ms(their_way)
    for widget in (ours, theirs):
        widget.close()
    return {"case": f"{side}² {dtype}, levels of the frame", "ours_ms": mine, "peer_ms": peer,
            "peer": "pyqtgraph ImageView", "ratio": peer / mine}  # fmt: skip


def run() -> list[dict]:
    """Rows for the collecting script."""
    application = QApplication.instance() or QApplication([])
    rows = [case(side, dtype) for side in (1024, 2048) for dtype in ("uint16", "float32")]
    application.processEvents()
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
