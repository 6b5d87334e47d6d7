"""What a whole series says frame by frame, for curves, sparklines and figures."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.compare import GATE_PX
from braggscope.models.results import PeakTable, Status

QUANTITIES = ("count", "fitted", "median", "mean", "p95", "lost")


@dataclass(frozen=True, slots=True)
class FrameSummary:
    """Counts, and statistics of the distance between fit and BraggNN in px (NaN where there is none).

    Only distances up to ``GATE_PX`` count: further apart the two are not of the same peak. ``lost``: peaks
    that only one of the two has answered, or whose answers are further apart.
    """

    frame: int
    count: int
    fitted: int
    median: float
    mean: float
    p95: float
    lost: float


def summarise(frame: int, table: PeakTable) -> FrameSummary:
    """Summary of the detected peaks of one frame. Those marked as rejected do not count.

    Tables fresh from the analysis, and those in a journal, hold none: peaks are rejected by hand, later.
    """
    kept = table.detected & (table["status"] != Status.REJECTED)
    distance = table["distance"][kept]
    fit, network = (np.isfinite(table[name][kept]) for name in ("x_fit", "x_braggnn"))
    count, fitted = int(kept.sum()), int(np.count_nonzero(fit))
    lost = float(np.count_nonzero((fit ^ network) | (distance > GATE_PX)))
    lost = lost if network.any() else np.nan  # it may not be in use
    distance = distance[distance <= GATE_PX]
    if not len(distance):
        return FrameSummary(frame, count, fitted, np.nan, np.nan, np.nan, lost)
    median, p95 = np.percentile(distance, [50, 95])
    return FrameSummary(frame, count, fitted, float(median), float(distance.mean()), float(p95), lost)


class Curves:
    """Per-frame quantities of one run, filled in as frames arrive, in any order."""

    def __init__(self, frames: int) -> None:
        self.values: dict[str, NDArray[np.float64]] = {name: np.full(frames, np.nan) for name in QUANTITIES}
        self.done: NDArray[np.bool_] = np.zeros(frames, bool)

    def add(self, summary: FrameSummary) -> None:
        """Take in one frame; frames beyond the known length extend the curves."""
        if summary.frame >= len(self.done):
            self._grow(summary.frame + 1)
        for name in QUANTITIES:
            self.values[name][summary.frame] = getattr(summary, name)
        self.done[summary.frame] = True

    def _grow(self, frames: int) -> None:
        extra = frames - len(self.done)
        self.done = np.concatenate([self.done, np.zeros(extra, bool)])
        self.values = {k: np.concatenate([v, np.full(extra, np.nan)]) for k, v in self.values.items()}
