"""What the window asks of a frame, and what it is given: values that need no numerics to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.state.session import Display
from braggscope.models.parameters import Parameters
from braggscope.models.results import PeakTable

if TYPE_CHECKING:
    from braggscope.app.engine.peaks import Timing
    from braggscope.models.prepare import Prepared

LIVE_LIMIT = 2_000  # peaks measured while somebody looks; a whole-series run measures all


@dataclass(frozen=True, slots=True)
class ViewKey:
    """What a result belongs to: compared before anything is shown."""

    identity: str
    frame: int
    prepared: str  # fingerprint of what the image depends on
    fingerprint: str

    @classmethod
    def of(cls, info: SourceInfo, frame: int, parameters: Parameters) -> ViewKey:
        """Key of a frame of a source under given parameters."""
        return cls(info.identity, frame, parameters.fingerprint("prepare"), parameters.fingerprint("all"))

    def same_image(self, other: ViewKey) -> bool:
        """Whether both show the same pixels, whatever the thresholds."""
        mine, theirs = (
            (self.identity, self.frame, self.prepared),
            (other.identity, other.frame, other.prepared),
        )
        return mine == theirs


@dataclass(frozen=True, slots=True)
class Ask:
    """One view wanted by the window. ``step``: image pixels per screen pixel."""

    key: ViewKey
    frame: int
    parameters: Parameters
    display: Display
    step: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame drawn as ``display`` asks. ``rgb`` (h, w) uint32 0xFFRRGGBB, max-pooled by ``step``.

    ``overlay`` (H, W) uint32 premultiplied 0xAARRGGBB: tint over bad pixels; None if none is bad, or shown.
    """

    key: ViewKey
    display: Display
    prepared: Prepared
    rgb: NDArray[np.uint32]
    levels: tuple[float, float]
    counts: NDArray[np.float64]
    edges: NDArray[np.float64]
    overlay: NDArray[np.uint32] | None


@dataclass(frozen=True, slots=True)
class Found:
    """Selected peaks, not measured yet."""

    key: ViewKey
    table: PeakTable
    candidates: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Selected peaks with fits and network outputs."""

    key: ViewKey
    table: PeakTable
    candidates: int
    timing: Timing


@dataclass(frozen=True, slots=True)
class Landscape:
    """All candidates of a frame as log histograms of birth and score, for the sliders."""

    key: ViewKey
    births: tuple[NDArray[np.int64], NDArray[np.float64]]
    scores: tuple[NDArray[np.int64], NDArray[np.float64]]
    total: int
