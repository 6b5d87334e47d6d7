"""The solver of :mod:`braggscope.models.fitting.solver` in torch: all windows at once, on any device.

The same Levenberg-Marquardt in float64 from the same scan of start values; one damping per window.
Shapes: B windows, n pixels, p parameters.
"""

import logging
import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.fitting import solution as limits
from braggscope.models.fitting.solution import GROUND, STRIDE, Kind, Solution, blank_solution, store
from braggscope.models.fitting.solver import solve
from braggscope.models.fitting.starts import FIRST_SIGMA, LAST_SIGMA, SIGMA_RATIO, START_ETA
from braggscope.models.profiles import HALF_MAXIMUM

CHUNK_BYTES = 256 << 20  # of Jacobian at a time
FEWEST = 64  # windows that are worth a device

log = logging.getLogger(__name__)


class Problem(NamedTuple):
    """Windows of one number of components."""

    px: Tensor  # (n,)
    py: Tensor
    value: Tensor  # (B, n), 0 where not live
    live: Tensor  # (B, n) 1 or 0
    side: int
    components: int
    kind: Kind

    @property
    def ground(self) -> Tensor:
        """(B, 1 or 3, n) derivatives of the background: 1, x and y, 0 where not live."""
        rows = [self.live] if not self.kind.plane else [self.live, self.live * self.px, self.live * self.py]
        return torch.stack(rows, 1)

    def among(self, some: Tensor) -> "Problem":
        """The windows chosen by indices."""
        return self._replace(value=self.value[some], live=self.live[some])


class Normal(NamedTuple):
    """A model and its normal equations."""

    objective: Tensor  # (B,)
    matrix: Tensor  # (B, p, p)
    gradient: Tensor  # (B, p)
    chi2_sum: Tensor  # (B,)

    def update(self, at: Tensor, new: "Normal", which: Tensor) -> None:
        """Take over the windows ``which`` of ``new``."""
        for mine, theirs in zip(self, new, strict=True):
            mine[at[which]] = theirs[which]


def solve_torch(
    values: NDArray[np.float64], starts: NDArray[np.float64], kind: Kind, device: str
) -> Solution:
    """As :func:`braggscope.models.fitting.solver.solve`, in torch on ``device``.

    Where its memory does not suffice the batch is halved; below ``FEWEST`` windows the rest goes to the CPU.
    """
    result = blank_solution(len(values))
    chunk = max(1, CHUNK_BYTES // (8 * kind.parameters(starts.shape[1]) * values.shape[1]))
    at = 0
    while at < len(values):
        part = np.arange(at, min(at + chunk, len(values)))
        if _fits_in_memory(values[part], starts[part], kind, device, result, part):
            at += len(part)
        elif len(part) > FEWEST:
            chunk = len(part) // 2
        else:
            _warn_once(device)
            rest = np.arange(at, len(values))
            store(result, rest, solve(values[rest], starts[rest], kind))
            break
    return result


def _fits_in_memory(
    values: NDArray, starts: NDArray, kind: Kind, device: str, into: Solution, part: NDArray
) -> bool:
    """Solve a chunk, if the memory of the device suffices; says whether it did."""
    try:
        with torch.no_grad():
            _solve_chunk(values, starts, kind, device, into, part)
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
    values: NDArray, starts: NDArray, kind: Kind, device: str, into: Solution, part: NDArray
) -> None:
    side, count, stride = math.isqrt(values.shape[1]), starts.shape[1], kind.stride
    axis = torch.arange(side, dtype=torch.float64, device=device) - side // 2
    py, px = (grid.reshape(-1) for grid in torch.meshgrid(axis, axis, indexing="ij"))
    given = torch.as_tensor(values, device=device)
    live = torch.isfinite(given).double()
    problem = Problem(px, py, torch.nan_to_num(given), live, side, count, kind)
    theta, found = _start(problem, torch.as_tensor(starts, device=device))
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


def _solve_scaled(matrix: Tensor, vector: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Solutions of Marquardt's scaled systems, (B, p, m) right-hand sides; and whether each has one."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    scale = torch.where(diagonal > 0, diagonal, torch.inf).rsqrt()
    scaled = matrix * scale[:, :, None] * scale[:, None, :]
    scaled.diagonal(dim1=1, dim2=2).copy_((1.0 + damping)[:, None])
    factor, info = torch.linalg.cholesky_ex(scaled)
    regular = (info == 0) & (factor.diagonal(dim1=1, dim2=2).amin(1) > 3e-7)
    factor = torch.where(
        regular[:, None, None], factor, torch.eye(matrix.shape[1], device=matrix.device).double()
    )
    return torch.cholesky_solve(vector * scale[:, :, None], factor) * scale[:, :, None], regular


def _start(problem: Problem, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Scan round widths; (B, p) parameters, and (B,) whether any width explains something."""
    px, py, value, live, side, count, kind = problem
    ground = problem.ground
    best = value.new_zeros(len(value))
    level, found = _solve_scaled(
        ground @ ground.mT, torch.einsum("bgn,bn->bg", ground, value)[..., None], best
    )
    centred = value - torch.einsum("bgn,bg->bn", ground, level[..., 0])
    theta = value.new_zeros(len(value), kind.parameters(count))
    squared = (px - starts[..., 0, None]) ** 2 + (py - starts[..., 1, None]) ** 2
    sigma = FIRST_SIGMA
    while sigma <= LAST_SIGMA * side:
        rows = torch.cat((torch.exp(-0.5 * squared / sigma**2) * live[:, None], ground), 1)
        gradient = torch.einsum("bkn,bn->bk", rows, centred)
        heights, regular = _solve_scaled(rows @ rows.mT, gradient[..., None], best * 0.0)
        heights = heights[..., 0]
        explained = (heights * gradient)[:, :count].sum(1)
        better = regular & (heights[:, :count] > 0).all(1) & (explained > best)
        best = torch.where(better, explained, best)
        form = torch.full_like(heights[:, :count], sigma**-2)
        shape = [heights[:, :count], starts[..., 0], starts[..., 1], form, 0 * form, form]
        shape += [torch.full_like(form, START_ETA)] * kind.voigt
        trial = torch.cat((torch.stack(shape, 2).flatten(1), heights[:, count:] + level[..., 0]), 1)
        theta = torch.where(better[:, None], trial, theta)
        sigma *= SIGMA_RATIO
    return theta, found & (best > 0)


def _model(problem: Problem, theta: Tensor) -> tuple[Tensor, Tensor]:
    """(B, n) model and (B, p, n) Jacobian."""
    live, rows, ground = problem.live, [], problem.ground
    stride = problem.kind.stride
    model = torch.einsum("bgn,bg->bn", ground, theta[:, problem.components * stride :])
    for k in range(problem.components):
        amplitude, x, y, a, b, c = (theta[:, k * stride + i, None] for i in range(6))
        dx, dy = problem.px - x, problem.py - y
        u, v = a * dx + b * dy, b * dx + c * dy
        q = dx * u + dy * v
        height = torch.exp(-0.5 * q) * live
        slope = -0.5 * amplitude * height
        extra = []
        if problem.kind.voigt:
            eta = theta[:, k * 7 + 6, None]
            lorentz = live / (1.0 + q / HALF_MAXIMUM)
            slope = (1.0 - eta) * slope - amplitude * eta / HALF_MAXIMUM * lorentz**2
            extra = [amplitude * (lorentz - height)]
            height = height + eta * (lorentz - height)
        rows += [
            height,
            -2 * slope * u,
            -2 * slope * v,
            slope * dx * dx,
            2 * slope * dx * dy,
            slope * dy * dy,
        ]
        rows += extra
        model = model + amplitude * height
    return model, torch.cat((torch.stack(rows, 1), ground), 1)


def _evaluate(problem: Problem, theta: Tensor) -> Normal:
    model, jacobian = _model(problem, theta)
    k, live = problem.value, problem.live
    residual = k - model
    weight = 1.0 / model.clamp(min=1.0)
    chi2_sum = (residual**2 * weight).sum(1)
    if problem.kind.poisson:
        reference = k.clamp(min=1.0)
        above = model - k - k * torch.log(model.clamp(min=1.0) / reference)
        below = 0.5 * model**2 - k * model + 0.5 + k * torch.log(reference)
        objective = (torch.where(model >= 1.0, above, below) * live).sum(1)
        weighted = jacobian * weight[:, None]
    else:
        objective, weighted = 0.5 * (residual**2).sum(1), jacobian
    gradient = torch.einsum("bpn,bn->bp", weighted, residual)
    return Normal(objective, weighted @ jacobian.mT, gradient, chi2_sum)


def _hold(matrix: Tensor, gradient: Tensor, e: int, where: Tensor, by: Tensor) -> None:
    """Take unknown ``e`` out of the systems ``where``, its step fixed at ``by``, which the gradient keeps."""
    gradient -= torch.where(where, by, 0.0)[:, None] * matrix[:, :, e]
    gradient[:, e] = torch.where(where, by, gradient[:, e])
    matrix[:, :, e] = torch.where(where[:, None], 0.0, matrix[:, :, e])
    matrix[:, e, :] = torch.where(where[:, None], 0.0, matrix[:, e, :])


def _etas(problem: Problem) -> list[int]:
    return [7 * k + 6 for k in range(problem.components)] if problem.kind.voigt else []


def _hold_bound_etas(problem: Problem, theta: Tensor, matrix: Tensor, gradient: Tensor) -> None:
    for e in _etas(problem):
        low, high = (theta[:, e] <= 0) & (gradient[:, e] <= 0), (theta[:, e] >= 1) & (gradient[:, e] >= 0)
        _hold(matrix, gradient, e, low | high, theta[:, e] * 0.0)


def _step(problem: Problem, theta: Tensor, normal: Normal, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Damped steps that keep each eta in [0, 1], and whether the systems could be solved."""
    matrix, gradient = normal.matrix.clone(), normal.gradient.clone()
    _hold_bound_etas(problem, theta, matrix, gradient)
    step, regular = _solve_scaled(matrix, gradient[..., None], damping)
    for e in _etas(problem):
        limited = (theta[:, e] + step[:, e, 0]).clamp(0.0, 1.0) - theta[:, e]
        _hold(matrix, gradient, e, limited != step[:, e, 0], limited)
        step, again = _solve_scaled(matrix, gradient[..., None], damping)
        regular = regular & again
    for e in _etas(problem):
        wanted = torch.where(matrix[:, e, e] > 0, step[:, e, 0], gradient[:, e])
        step[:, e, 0] = (theta[:, e] + wanted).clamp(0.0, 1.0) - theta[:, e]
    return step[..., 0], regular


def _components(problem: Problem, theta: Tensor) -> Tensor:
    count, stride = problem.components, problem.kind.stride
    return theta[:, : count * stride].reshape(len(theta), count, stride)


def _possible(problem: Problem, theta: Tensor) -> Tensor:
    part = _components(problem, theta)
    a, b, c = part[..., 3], part[..., 4], part[..., 5]
    half_sum, radius = 0.5 * (a + c), torch.hypot(0.5 * (a - c), b)
    sized = (half_sum - radius > (limits.WIDEST * problem.side) ** -2) & (
        half_sum + radius < limits.NARROWEST**-2
    )
    return (sized & (part[..., 1:3].abs() < problem.side).all(2)).all(1)


def _small(problem: Problem, theta: Tensor, step: Tensor, slack: float) -> Tensor:
    part, change = _components(problem, theta), _components(problem, step).abs()
    small = (change[..., 1:3] <= slack * limits.STEP_PX).all(2)
    small &= change[..., 0] <= slack * limits.STEP_SHAPE * part[..., 0].abs()
    small &= change[..., 3:6].amax(2) <= slack * limits.STEP_SHAPE * (part[..., 3] + part[..., 5])
    if problem.kind.voigt:
        small &= change[..., 6] <= slack * limits.STEP_SHAPE
    return small.all(1)


def _descend(problem: Problem, theta: Tensor) -> tuple[Tensor, Normal, Tensor]:
    """Minimise; windows that have converged leave the batch."""
    theta = theta.clone()
    normal = _evaluate(problem, theta)
    damping = torch.full_like(normal.objective, limits.FIRST_DAMPING)
    converged = torch.zeros_like(damping, dtype=torch.bool)
    open_ = torch.arange(len(theta), device=theta.device)
    for turn in range(limits.MAX_ITERATIONS):
        slack = limits.SLACK if turn == limits.MAX_ITERATIONS - 1 else 1.0
        here, now = problem.among(open_), theta[open_]
        step, regular = _step(here, now, Normal(*(field[open_] for field in normal)), damping[open_])
        trial = now + step
        regular &= _possible(here, torch.nan_to_num(trial))
        done = regular & (damping[open_] <= 1e-2) & _small(here, now, step, slack)
        new = _evaluate(here, torch.where(regular[:, None], trial, now))
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
    variance = chi2 if problem.kind.poisson else 2.0 * normal.objective / freedom
    matrix = normal.matrix.clone()
    _hold_bound_etas(problem, theta, matrix, normal.gradient.clone())
    wanted = [1, 2] + [k * problem.kind.stride for k in range(problem.components)]
    unit = torch.eye(theta.shape[1], dtype=torch.float64, device=theta.device)[:, wanted]
    inverse, regular = _solve_scaled(matrix, unit.expand(len(theta), -1, -1), variance * 0.0)
    inverse = torch.where(regular[:, None, None], inverse * variance[:, None, None], torch.nan)
    covariance = torch.stack((inverse[:, 1, 0], inverse[:, 2, 1], inverse[:, 2, 0]), 1)
    into.covariance[at] = covariance.cpu().numpy()
    for k in range(problem.components):
        into.amplitude_err[at, k] = inverse[:, k * problem.kind.stride, k + 2].sqrt().cpu().numpy()
    into.chi2[at] = chi2.cpu().numpy()
