"""The solver of :mod:`braggscope.models.fitting.solver` in torch: all windows at once, on any device.

The same Levenberg-Marquardt in float64 from the same scan of start values; one damping per window.
"""

import logging
import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.fitting import solution as limits
from braggscope.models.fitting.batched_model import Normal, Problem, evaluate
from braggscope.models.fitting.batched_steps import (
    damped_step,
    hold_bound_etas,
    is_possible,
    is_small,
    solve_scaled,
    start_values,
)
from braggscope.models.fitting.solution import GROUND, STRIDE, Kind, Solution, blank_solution, store
from braggscope.models.fitting.solver import solve

CHUNK_BYTES = 256 << 20  # of Jacobian at a time
FEWEST = 64  # windows that are worth a device

log = logging.getLogger(__name__)


def solve_torch(
    values: NDArray[np.float64],
    starts: NDArray[np.float64],
    kind: Kind,
    strength: NDArray[np.float64] | None = None,
    *,
    device: str,
) -> Solution:
    """As :func:`braggscope.models.fitting.solver.solve`, in torch on ``device``.

    Where its memory does not suffice the batch is halved; below ``FEWEST`` windows the rest goes to the CPU.
    """
    result = blank_solution(len(values))
    strength = np.zeros(len(values)) if strength is None else strength
    chunk = max(1, CHUNK_BYTES // (8 * kind.parameters(starts.shape[1]) * values.shape[1]))
    at = 0
    while at < len(values):
        part = np.arange(at, min(at + chunk, len(values)))
        if _fits_in_memory(values[part], starts[part], kind, strength[part], device, result, part):
            at += len(part)
        elif len(part) > FEWEST:
            chunk = len(part) // 2
        else:
            _warn_once(device)
            rest = np.arange(at, len(values))
            store(result, rest, solve(values[rest], starts[rest], kind, strength[rest]))
            break
    return result


def _fits_in_memory(
    values: NDArray,
    starts: NDArray,
    kind: Kind,
    strength: NDArray,
    device: str,
    into: Solution,
    part: NDArray,
) -> bool:
    """Solve a chunk, if the memory of the device suffices; says whether it did."""
    try:
        with torch.no_grad():
            _solve_chunk(values, starts, kind, strength, device, into, part)
    except torch.OutOfMemoryError:
        pass
    else:
        return True
    if torch.cuda.is_available():  # outside the handler: the error holds the tensors
        torch.cuda.empty_cache()
    return False


@cache
def _warn_once(device: str) -> None:
    log.warning("The device %s ran out of memory; fits that do not fit on it run on the CPU.", device)


def _solve_chunk(
    values: NDArray,
    starts: NDArray,
    kind: Kind,
    strength: NDArray,
    device: str,
    into: Solution,
    part: NDArray,
) -> None:
    side, count, stride = math.isqrt(values.shape[1]), starts.shape[1], kind.stride
    axis = torch.arange(side, dtype=torch.float64, device=device) - side // 2
    py, px = (grid.reshape(-1) for grid in torch.meshgrid(axis, axis, indexing="ij"))
    given = torch.as_tensor(values, device=device)
    live = torch.isfinite(given).double()
    priors, places = (torch.as_tensor(array, device=device) for array in (strength, starts))
    problem = Problem(px, py, torch.nan_to_num(given), live, side, count, kind, priors, places)
    theta, found = start_values(problem)
    found &= live.sum(1) > kind.parameters(count)
    some = found.nonzero()[:, 0]
    if not len(some):
        return
    theta, normal, converged = _descend(problem.among(some), theta[some])
    at = part[some.cpu().numpy()]
    for k in range(count):
        columns = slice(k * STRIDE, k * STRIDE + stride)
        into.parameters[at, columns] = theta[:, k * stride : (k + 1) * stride].cpu().numpy()
    into.parameters[at, GROUND : GROUND + kind.ground] = theta[:, count * stride :].cpu().numpy()
    into.converged[at] = converged.cpu().numpy()
    into.objective[at] = normal.objective.cpu().numpy()
    _errors(problem.among(some), theta, normal, into, at)


def _descend(problem: Problem, theta: Tensor) -> tuple[Tensor, Normal, Tensor]:
    """Minimise; windows that have converged leave the batch."""
    theta = theta.clone()
    normal = evaluate(problem, theta)
    damping = torch.full_like(normal.objective, limits.FIRST_DAMPING)
    converged = torch.zeros_like(damping, dtype=torch.bool)
    open_ = torch.arange(len(theta), device=theta.device)
    for turn in range(limits.MAX_ITERATIONS):
        slack = limits.SLACK if turn == limits.MAX_ITERATIONS - 1 else 1.0
        here, now = problem.among(open_), theta[open_]
        step, regular = damped_step(here, now, Normal(*(field[open_] for field in normal)), damping[open_])
        trial = now + step
        regular &= is_possible(here, torch.nan_to_num(trial))
        small = is_small(here, now, step, slack)
        small |= (step * normal.gradient[open_]).sum(1) < limits.SMALL_GAIN * here.strength
        done = regular & (damping[open_] <= 1e-2) & small
        new = evaluate(here, torch.where(regular[:, None], trial, now))
        accept = regular & (done | (new.objective <= normal.objective[open_]))
        theta[open_[accept]] = trial[accept]
        normal.update(open_, new, accept)
        old = damping[open_]
        damping[open_] = torch.where(accept, old * 0.1, old.clamp(min=1e-4) * 10.0)
        converged[open_] = done
        open_ = open_[~done]
        if not len(open_):
            break
    return theta, normal, converged


def _errors(problem: Problem, theta: Tensor, normal: Normal, into: Solution, at: NDArray) -> None:
    """Fill covariances and chi2 from the undamped normal equations."""
    freedom = (problem.live.sum(1) - theta.shape[1]).clamp(min=1)
    chi2 = normal.chi2_sum / freedom
    variance = chi2
    if not problem.kind.poisson:
        variance = torch.where(problem.strength > 0, problem.strength, 2.0 * normal.objective / freedom)
    matrix = normal.matrix.clone()
    hold_bound_etas(problem, theta, matrix, normal.gradient.clone())
    wanted = [1, 2] + [k * problem.kind.stride for k in range(problem.components)]
    unit = torch.eye(theta.shape[1], dtype=torch.float64, device=theta.device)[:, wanted]
    inverse, regular = solve_scaled(matrix, unit.expand(len(theta), -1, -1), variance * 0.0)
    inverse = torch.where(regular[:, None, None], inverse * variance[:, None, None], torch.nan)
    covariance = torch.stack((inverse[:, 1, 0], inverse[:, 2, 1], inverse[:, 2, 0]), 1)
    into.covariance[at] = covariance.cpu().numpy()
    for k in range(problem.components):
        into.amplitude_err[at, k] = inverse[:, k * problem.kind.stride, k + 2].sqrt().cpu().numpy()
    into.chi2[at] = chi2.cpu().numpy()
