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
UNSURE = 0.1  # px; a centre with a larger error is fitted again with what is known of peaks
EVIDENCE = 10.0  # of chi-square, priors included, that a neighbour must bring where it is put to the test


class Problem(NamedTuple):
    """What is fitted, and by whom: ``solve(values, starts, kind, strength)``."""

    solve: Callable[[Floats, Floats, Kind, Floats | None], Solution]
    kind: Kind


def fit_windows(problem: Problem, values: Floats, starts: Floats) -> tuple[Solution, Indices]:
    """Fit windows, (N, side²) with NaN for pixels that take no part, with 1 to 3 peaks each.

    ``starts`` (N, 3, 3): x, y from the middle, and height, of the peak and its neighbours; NaN where none.
    Least squares alone, unless they do not converge, leave a centre uncertain by more than ``UNSURE``, or a
    neighbour's amplitude under 3 sigma: then again with the priors of :mod:`braggscope.models.fitting.prior`,
    and the least significant neighbour is left out unless it lowers chi-square by ``EVIDENCE``. What the
    centre moves with the other number of peaks is added to its covariance, times that number's probability.
    Returns the solution and (N,) the number of components, 0 where there is nothing to fit; reorders
    ``starts`` so that these components come first.
    """
    result = blank_solution(len(values))
    spread = np.zeros((len(values), 3))
    count = 1 + np.isfinite(starts[:, 1:, 0]).sum(axis=1)
    for k in range(MAX_COMPONENTS, 0, -1):
        planned = np.flatnonzero(count == k)
        if not len(planned):
            continue
        store(result, planned, _solve(problem, values, starts, planned, k))
        some = planned[_unsure(result, planned, k)]
        if not len(some):
            continue
        strength = _noise(problem.kind, result, values, some, k)
        store(result, some, _solve(problem, values, starts, some, k, strength))
        if k == 1:
            continue
        _weakest_last(result, k, starts, some)
        fewer = _solve(problem, values, starts, some, k - 1, strength)
        gain = _evidence(problem.kind, result.objective[some], fewer.objective, values[some], strength)
        spread[some] += _between(result.parameters[some], fewer.parameters, gain - EVIDENCE)
        count[some[~(gain > EVIDENCE)]] = k - 1
    result.covariance[...] += spread
    count[np.isnan(result.objective)] = 0  # no start was found
    return result, count


def _solve(
    problem: Problem, values: Floats, starts: Floats, some: Indices, k: int, strength: Floats | None = None
) -> Solution:
    chosen = values if len(some) == len(values) else values[some]  # a copy costs as much as an iteration
    return problem.solve(chosen, np.ascontiguousarray(starts[some, :k, :2]), problem.kind, strength)


def _unsure(result: Solution, some: Indices, k: int) -> NDArray[np.bool_]:
    """Which fits the data alone hardly determine."""
    sure = result.converged[some] & (result.covariance[some, :2] < UNSURE * UNSURE).all(axis=1)
    if k > 1:
        sure &= _significance(result, some, k).min(axis=1) >= SIGNIFICANT
    return np.asarray(~sure)


def _significance(result: Solution, some: Indices, k: int) -> Floats:
    """(n, k - 1) amplitudes of the neighbours in sigma."""
    amplitude = result.parameters[some, STRIDE : k * STRIDE : STRIDE]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(amplitude / result.amplitude_err[some, 1:k], nan=0.0)


def _noise(kind: Kind, result: Solution, values: Floats, some: Indices, k: int) -> Floats:
    """(n,) variance of the noise as the residuals show it; 0 where there is no fit."""
    if kind.poisson:
        return np.nan_to_num(np.maximum(result.chi2[some], 1.0))
    freedom = np.maximum(np.isfinite(values[some]).sum(axis=1) - kind.parameters(k), 1)
    return np.nan_to_num(2.0 * result.objective[some] / freedom)


def _weakest_last(result: Solution, k: int, starts: Floats, some: Indices) -> None:
    """Move the least significant neighbour to the end of ``starts``."""
    if k == 3:
        ratio = _significance(result, some, k)
        swap = some[ratio[:, 0] < ratio[:, 1]]
        starts[swap, 1:3] = starts[swap, 2:0:-1]


def _evidence(kind: Kind, more: Floats, fewer: Floats, values: Floats, strength: Floats) -> Floats:
    """(n,) what the further peak takes off chi-square, given both objectives."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind.poisson:
            return np.asarray(2.0 * (fewer - more) / strength)
        return np.asarray(np.isfinite(values).sum(axis=1) * np.log(fewer / more))


def _between(more: Floats, fewer: Floats, odds: Floats) -> Floats:
    """(n, 3) var x, var y, cov xy from not knowing the number of peaks; ``odds``: twice the log for more."""
    doubt = np.nan_to_num(1.0 / (1.0 + np.exp(np.minimum(0.5 * np.abs(odds), 500.0))))
    x, y = (more[:, 1:3] - fewer[:, 1:3]).T
    return np.asarray(doubt[:, None] * np.column_stack((x * x, y * y, x * y)))


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
