"""Positions to be marked on a frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Marks:
    """Peaks of one frame, ready to draw; all arrays (N,), positions in raw pixel coordinates.

    ``x, y`` float64: the fitted position, or the pixel of the maximum where there is no fit. ``score``
    float64 counts. ``status`` uint8: codes of :class:`braggscope.models.results.Status`. ``x_braggnn,
    y_braggnn`` float64, NaN where unknown. ``selected``: row of the selected peak. ``labels``: the reasons
    shown beside peaks without a fit; None takes the names of their status. ``net``: (N, 2) x, y of the
    network, NaN where unknown; None for no answers at all.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    status: NDArray[np.uint8]
    x_braggnn: NDArray[np.float64]
    y_braggnn: NDArray[np.float64]
    selected: int | None = None
    labels: tuple[str, ...] | None = None
    net: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.x)
