"""What is under the cursor: position, value, scattering angle, and why a pixel is bad."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from braggscope.app.presenters.desk import Desk

if TYPE_CHECKING:
    from braggscope.app.main_window import MainWindow


class ReadoutPresenter:
    """Follows the cursor; 2θ, q and d appear where the instrument is known."""

    def __init__(self, desk: Desk, window: MainWindow) -> None:
        self._desk = desk
        self._window = window
        window.frame_view.hovered.connect(self._hover)
        desk.opened.connect(lambda: self._hover(None))

    def _hover(self, position: tuple[float, float] | None) -> None:
        self._window.set_readout("" if position is None else self.text(*position))

    def text(self, x: float, y: float) -> str:
        """Readout of a position in px of the prepared frame; empty outside of it."""
        picture = self._desk.picture
        if picture is None:
            return ""
        prepared = picture.prepared
        col, row = round(x), round(y)
        height, width = prepared.image.shape
        if not (0 <= col < width and 0 <= row < height):
            return ""
        parts = [f"x {x:.2f}", f"y {y:.2f}", f"I {prepared.image[row, col]:,.6g}"]
        instrument = self._desk.instrument
        if instrument is not None:
            binning = self._desk.store.state.parameters.prepare.binning
            place = (x + 0.5) * binning - 0.5, (y + 0.5) * binning - 0.5
            q = float(instrument.q_inv_angstrom(*place))
            parts += [
                f"2θ {math.degrees(float(instrument.two_theta(*place))):.3f}°",
                f"q {q:.4f} Å⁻¹",
                f"d {2 * math.pi / q if q > 0 else math.inf:.4f} Å",
                f"azimuth {math.degrees(float(instrument.azimuth(*place))):.1f}°",
            ]
        reason = prepared.reason(row, col)
        return "   ".join([*parts, reason] if reason else parts)
