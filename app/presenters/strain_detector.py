"""Virtual detectors as masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from braggscope.widgets.strain_overlay import Detector


def detector_mask(detector: Detector, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(h, w) bool, True inside."""
    from braggscope.models.mask import rasterise

    if detector.region is not None:
        return rasterise(detector.region, shape)
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    radius = np.hypot(columns - detector.centre[0], rows - detector.centre[1])
    inside: NDArray[np.bool_] = (radius <= detector.outer) & (radius >= detector.inner)
    return inside
