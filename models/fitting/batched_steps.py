"""Start values and steps of Levenberg-Marquardt for a batch of windows in torch.

The rules of :mod:`braggscope.models.fitting.starts` and :mod:`braggscope.models.fitting.steps`.
"""

import torch
from torch import Tensor

from braggscope.models.fitting import solution as limits
from braggscope.models.fitting.batched_model import Normal, Problem
from braggscope.models.fitting.starts import FIRST_SIGMA, LAST_SIGMA, SIGMA_RATIO, START_ETA


def solve_scaled(matrix: Tensor, vector: Tensor, damping: Tensor) -> tuple[Tensor, Tensor]:
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


def start_values(problem: Problem) -> tuple[Tensor, Tensor]:
    """Scan round widths; (B, p) parameters, and (B,) whether any width explains something."""
    px, py, value, live, side, count, kind, _, starts = problem
    ground = problem.ground
    best = value.new_zeros(len(value))
    level, found = solve_scaled(
        ground @ ground.mT, torch.einsum("bgn,bn->bg", ground, value)[..., None], best
    )
    centred = value - torch.einsum("bgn,bg->bn", ground, level[..., 0])
    theta = value.new_zeros(len(value), kind.parameters(count))
    squared = (px - starts[..., 0, None]) ** 2 + (py - starts[..., 1, None]) ** 2
    sigma = FIRST_SIGMA
    while sigma <= LAST_SIGMA * side:
        rows = torch.cat((torch.exp(-0.5 * squared / sigma**2) * live[:, None], ground), 1)
        gradient = torch.einsum("bkn,bn->bk", rows, centred)
        heights, regular = solve_scaled(rows @ rows.mT, gradient[..., None], best * 0.0)
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


def _hold(matrix: Tensor, gradient: Tensor, e: int, where: Tensor, by: Tensor) -> None:
    """Take unknown ``e`` out of the systems ``where``, its step fixed at ``by``, which the gradient keeps."""
    gradient -= torch.where(where, by, 0.0)[:, None] * matrix[:, :, e]
    gradient[:, e] = torch.where(where, by, gradient[:, e])
    matrix[:, :, e] = torch.where(where[:, None], 0.0, matrix[:, :, e])
    matrix[:, e, :] = torch.where(where[:, None], 0.0, matrix[:, e, :])


def _etas(problem: Problem) -> list[int]:
    return [7 * k + 6 for k in range(problem.components)] if problem.kind.voigt else []


def hold_bound_etas(problem: Problem, theta: Tensor, matrix: Tensor, gradient: Tensor) -> None:
    """Hold each eta that lies on a bound and is pushed against it."""
    for e in _etas(problem):
        low, high = (theta[:, e] <= 0) & (gradient[:, e] <= 0), (theta[:, e] >= 1) & (gradient[:, e] >= 0)
        _hold(matrix, gradient, e, low | high, theta[:, e] * 0.0)


def damped_step(problem: Problem, theta: Tensor, normal: Normal, damping: Tensor) -> tuple[Tensor, Tensor]:
    """Damped steps that keep each eta in [0, 1], and whether the systems could be solved."""
    matrix, gradient = normal.matrix.clone(), normal.gradient.clone()
    hold_bound_etas(problem, theta, matrix, gradient)
    step, regular = solve_scaled(matrix, gradient[..., None], damping)
    for e in _etas(problem):
        limited = (theta[:, e] + step[:, e, 0]).clamp(0.0, 1.0) - theta[:, e]
        _hold(matrix, gradient, e, limited != step[:, e, 0], limited)
        step, again = solve_scaled(matrix, gradient[..., None], damping)
        regular = regular & again
    for e in _etas(problem):
        wanted = torch.where(matrix[:, e, e] > 0, step[:, e, 0], gradient[:, e])
        step[:, e, 0] = (theta[:, e] + wanted).clamp(0.0, 1.0) - theta[:, e]
    return step[..., 0], regular


def _components(problem: Problem, theta: Tensor) -> Tensor:
    count, stride = problem.components, problem.kind.stride
    return theta[:, : count * stride].reshape(len(theta), count, stride)


def is_possible(problem: Problem, theta: Tensor) -> Tensor:
    """(B,) whether every component is an ellipse of sensible size not far outside the window."""
    part = _components(problem, theta)
    a, b, c = part[..., 3], part[..., 4], part[..., 5]
    half_sum, radius = 0.5 * (a + c), torch.hypot(0.5 * (a - c), b)
    sized = (half_sum - radius > (limits.WIDEST * problem.side) ** -2) & (
        half_sum + radius < limits.NARROWEST**-2
    )
    return (sized & (part[..., 1:3].abs() < problem.side).all(2)).all(1)


def is_small(problem: Problem, theta: Tensor, step: Tensor, slack: float) -> Tensor:
    """(B,) whether a step is too short to matter."""
    part, change = _components(problem, theta), _components(problem, step).abs()
    small = (change[..., 1:3] <= slack * limits.STEP_PX).all(2)
    small &= change[..., 0] <= slack * limits.STEP_SHAPE * part[..., 0].abs()
    small &= change[..., 3:6].amax(2) <= slack * limits.STEP_SHAPE * (part[..., 3] + part[..., 5])
    if problem.kind.voigt:
        small &= change[..., 6] <= slack * limits.STEP_SHAPE
    return small.all(1)
