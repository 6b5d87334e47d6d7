"""What a window's background is: a constant, a plane, or whichever of the two the data speak for."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.models.fitting.joint import Problem, fit_windows, information
from braggscope.models.fitting.solution import Solution, store

Floats = NDArray[np.float64]
Background = Literal["constant", "plane", "auto"]


def fit_on_background(
    problem: Problem, background: Background, values: Floats, starts: Floats
) -> tuple[Solution, NDArray[np.int64], NDArray[np.bool_]]:
    """:func:`fit_windows` over the given background; also says, (N,) bool, which windows have a plane.

    "auto" fits both, each with its own number of peaks, and takes the plane where it lowers the Bayesian
    information criterion (Schwarz, 1978), or where only that fit converges. Reorders ``starts``.
    """
    flat, sloping = (problem._replace(kind=problem.kind._replace(plane=plane)) for plane in (False, True))
    if background != "auto":
        result, count = fit_windows(flat if background == "constant" else sloping, values, starts)
        return result, count, np.full(len(values), background == "plane")
    reordered = starts.copy()
    result, count = fit_windows(flat, values, starts)
    other, other_count = fit_windows(sloping, values, reordered)
    before = information(flat.kind, result.objective, values, count)
    after = information(sloping.kind, other.objective, values, other_count)
    plane = np.where(other.converged == result.converged, after < before, other.converged)
    plane |= np.isnan(before) & np.isfinite(after)
    at = np.flatnonzero(plane)
    store(result, at, other, at)
    count[at], starts[at] = other_count[at], reordered[at]
    return result, count, plane
