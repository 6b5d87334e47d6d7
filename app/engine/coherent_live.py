"""What a running reconstruction shows of itself: a few times a second, small, and never at its own cost."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from braggscope.app.engine.jobs import Context
from braggscope.app.engine.within import Within
from braggscope.models.cdi.fourier import to_centre
from braggscope.models.cdi.layers import Layer, object_layer
from braggscope.models.cdi.outcome import Live

PERIOD_S = 0.1  # between two glimpses at least
SHARE = 0.02  # of the time may go into making them
SIDE = 40  # voxels that a glimpse has along an axis at most


@dataclass(frozen=True, slots=True)
class Point:
    """One iteration: its number over all stages, its residuals (R is NaN where unknown), its stage."""

    iteration: int
    chi: float
    R: float
    stage: str


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The iterations since the last glimpse, and the object as it is, thinned; None where there is none."""

    points: tuple[Point, ...]
    modulus: Layer | None = None
    phase: Layer | None = None


class LiveContext(Within):
    """Passes progress on with a :class:`Glimpse` for payload, at most every ``PERIOD_S`` and so seldom that
    making glimpses takes at most ``SHARE`` of the time. Cancels in every call.
    """

    def __init__(self, outer: Context) -> None:
        super().__init__(outer)
        self._next = 0.0
        self._points: list[Point] = []

    def progress(self, done: int, total: int, note: str = "", payload: Any = None) -> None:
        """Report, or only take down the iteration; see the class."""
        self._outer.check()
        if isinstance(payload, Live):
            stage = payload.note.rpartition(",")[0] or payload.note
            self._points.append(Point(payload.done, payload.residual, payload.residual_l1, stage))
        now = time.perf_counter()
        if now < self._next and done < total:
            return
        glimpse = self._glimpse(payload) if isinstance(payload, Live) else Glimpse(tuple(self._points))
        self._points.clear()
        self._outer.progress(done, total, note, glimpse)
        end = time.perf_counter()
        self._next = end + max(PERIOD_S, (end - now) / SHARE)

    def _glimpse(self, live: Live) -> Glimpse:
        step = tuple(slice(None, None, max(1, math.ceil(n / SIDE))) for n in live.obj.shape)
        obj, inside = to_centre(live.obj[step]), to_centre(live.support[step])
        modulus = object_layer("modulus", np.abs(obj) * inside)
        return Glimpse(tuple(self._points), modulus, object_layer("phase", np.angle(obj), inside))
