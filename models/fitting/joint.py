"""How many peaks a window is fitted with: all its neighbours, less those for which there is no evidence."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models.fitting.solution import (
    MAX_COMPONENTS,
    STRIDE,
    Kind,
    Solution,
    blank_solution,
    store,
)
from braggscope.models.profiles import HALF_MAXIMUM, quadratic

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

SIGNIFICANT = 3.0  # a neighbour with less than so many sigma of amplitude is put to the test


class Problem(NamedTuple):
    """What is fitted, and by whom: ``solve(values, starts, kind)``."""

    solve: Callable[[Floats, Floats, Kind], Solution]
    kind: Kind


def fit_windows(problem: Problem, values: Floats, starts: Floats) -> tuple[Solution, Indices]:
    """Fit windows, (N, side²) with NaN for pixels that take no part, with 1 to 3 peaks each.

    ``starts`` (N, 3, 3): x, y from the middle, and height, of the peak and its neighbours; NaN where none.
    Where a joint fit does not converge, or a neighbour's amplitude is under 3 sigma, the least significant
    neighbour is left out if this lowers the Bayesian information criterion (Schwarz, 1978).
    Returns the solution and (N,) the number of components, 0 where there is nothing to fit; reorders
    ``starts`` so that these components come first.
    """
    result = blank_solution(len(values))
    count = 1 + np.isfinite(starts[:, 1:, 0]).sum(axis=1)
    for k in range(MAX_COMPONENTS, 0, -1):
        planned = np.flatnonzero(count == k)
        store(result, planned, _solve(problem, values, starts, planned, k))
        if k == 1:
            break
        doubtful = planned[_leave_out_weakest(result, k, starts, planned)]
        fewer = _solve(problem, values, starts, doubtful, k - 1)
        before = information(problem.kind, result.objective[doubtful], values[doubtful], k)
        after = information(problem.kind, fewer.objective, values[doubtful], k - 1)
        better = ~(after > before)
        if k == 2:  # from three peaks, on the way to one, any fit of two will do
            better &= np.isfinite(after) & (fewer.converged | ~result.converged[doubtful])
        store(result, doubtful[better], fewer, better)
        count[doubtful[better]] = k - 1
    count[np.isnan(result.objective)] = 0  # no start was found
    return result, count


def _solve(problem: Problem, values: Floats, starts: Floats, some: Indices, k: int) -> Solution:
    if not len(some):
        return blank_solution(0)
    chosen = values if len(some) == len(values) else values[some]  # a copy costs as much as an iteration
    return problem.solve(chosen, np.ascontiguousarray(starts[some, :k, :2]), problem.kind)


def _leave_out_weakest(result: Solution, k: int, starts: Floats, some: Indices) -> NDArray[np.bool_]:
    """Move the least significant neighbour to the end of ``starts`` where a fit is in doubt; says where."""
    amplitude = result.parameters[some, STRIDE : k * STRIDE : STRIDE]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.nan_to_num(amplitude / result.amplitude_err[some, 1:k], nan=0.0)
    doubtful = (ratio.min(axis=1, initial=np.inf) < SIGNIFICANT) | ~result.converged[some]
    if k == 3:
        swap = some[doubtful & (ratio[:, 0] < ratio[:, 1])]
        starts[swap, 1:3] = starts[swap, 2:0:-1]
    return doubtful


def information(kind: Kind, objective: Floats, values: Floats, count: Indices | int) -> Floats:
    """(N,) Bayesian information criterion of fits with ``count`` peaks, up to a constant of the data."""
    n = np.isfinite(values).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        misfit = 2.0 * objective if kind.poisson else n * np.log(2.0 * objective / n)
        return np.asarray(misfit + (count * kind.stride + kind.ground) * np.log(n))


def swallowed(solution: Solution, starts: Floats, count: Indices) -> NDArray[np.bool_]:
    """(N,) bool: a higher neighbour was left out though it lies above half the height of the fitted peak."""
    dx, dy = (starts[:, 1:, axis] - solution.parameters[:, 1 + axis, None] for axis in (0, 1))
    a, b, c = (solution.parameters[:, i, None] for i in (3, 4, 5))
    left_out = np.arange(1, MAX_COMPONENTS) >= count[:, None]
    higher = starts[:, 1:, 2] > starts[:, :1, 2]
    return np.asarray((left_out & higher & (quadratic(dx, dy, a, b, c) < HALF_MAXIMUM)).any(axis=1))
