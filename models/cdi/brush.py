"""Masking a volume by hand."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.parameters import Stroke


def brushed(shape: tuple[int, ...], strokes: Sequence[Stroke]) -> NDArray[np.bool_]:
    """(Z, Y, X) mask, True = bad, after all strokes in their order; what lies outside is left out."""
    out = np.zeros(shape, np.bool_)
    for stroke in strokes:
        reach = int(stroke.radius)
        offsets = np.stack(np.meshgrid(*3 * [np.arange(-reach, reach + 1)], indexing="ij"), -1).reshape(-1, 3)
        offsets = offsets[(offsets**2).sum(axis=1) <= stroke.radius**2]
        places = (np.asarray(stroke.places, np.int64).reshape(-1, 1, 3) + offsets).reshape(-1, 3)
        kept = np.all((places >= 0) & (places < np.array(shape)), axis=1)
        out[tuple(places[kept].T)] = not stroke.erase
    return out
