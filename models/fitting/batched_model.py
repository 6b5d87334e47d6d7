"""The model of a batch of windows in torch: pixels, profiles, normal equations, priors.

Shapes: B windows, n pixels, p parameters, K components.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from braggscope.models.fitting.prior import ALIKE, CENTRE, ROUND
from braggscope.models.fitting.solution import Kind
from braggscope.models.profiles import HALF_MAXIMUM


class Problem(NamedTuple):
    """Windows of one number of components."""

    px: Tensor  # (n,)
    py: Tensor
    value: Tensor  # (B, n), 0 where not live
    live: Tensor  # (B, n) 1 or 0
    side: int
    components: int
    kind: Kind
    strength: Tensor  # (B,) of the priors, 0 for none
    places: Tensor  # (B, K, 2) pixels of the peaks

    @property
    def ground(self) -> Tensor:
        """(B, 1 or 3, n) derivatives of the background: 1, x and y, 0 where not live."""
        rows = [self.live] if not self.kind.plane else [self.live, self.live * self.px, self.live * self.py]
        return torch.stack(rows, 1)

    def among(self, some: Tensor) -> "Problem":
        """The windows chosen by indices."""
        return self._replace(
            value=self.value[some],
            live=self.live[some],
            strength=self.strength[some],
            places=self.places[some],
        )


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


def evaluate(problem: Problem, theta: Tensor) -> Normal:
    """Objective and normal equations at (B, p) parameters, priors included."""
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
    normal = Normal(objective, weighted @ jacobian.mT, gradient, chi2_sum)
    return normal if not bool((problem.strength > 0).any()) else _with_priors(problem, theta, normal)


def _with_priors(problem: Problem, theta: Tensor, normal: Normal) -> Normal:
    """Add the squares of :mod:`braggscope.models.fitting.prior` where they take part."""
    residual, rows = _prior_squares(problem, theta)
    strength = problem.strength[:, None]
    return normal._replace(
        objective=normal.objective + 0.5 * problem.strength * (residual**2).sum(1),
        matrix=normal.matrix + strength[..., None] * (rows.mT @ rows),
        gradient=normal.gradient - strength * torch.einsum("bmp,bm->bp", rows, residual),
    )


def _prior_squares(problem: Problem, theta: Tensor) -> tuple[Tensor, Tensor]:
    """(B, m) residuals and (B, m, p) their derivatives."""
    forms, squares = [], []

    def add(residual: Tensor, *derivatives: tuple[int, Tensor]) -> None:
        row = torch.zeros_like(theta)
        for at, part in derivatives:
            row[:, at : at + part.shape[1]] = part
        squares.append((residual, row))

    for k in range(problem.components):
        o = k * problem.kind.stride
        away = (theta[:, o + 1 : o + 3] - problem.places[:, k]) / CENTRE
        for i in range(2):
            add(away[:, i], (o + 1 + i, torch.full_like(away[:, :1], 1.0 / CENTRE)))
        a, b, c = theta[:, o + 3], theta[:, o + 4], theta[:, o + 5]
        det = a * c - b * b
        forms.append((det, torch.stack((c, -2.0 * b, a), 1) / det[:, None]))
        s = det[:, None].rsqrt() / ROUND
        for part, by_form in ((0.5 * (a - c), (0.5, 0.0, -0.5)), (b, (0.0, 1.0, 0.0))):
            row = s * theta.new_tensor(by_form) - 0.5 * s * part[:, None] * forms[k][1]
            add(part * s[:, 0], (o + 3, row))
        if k > 0:
            ratio, w = torch.log(forms[0][0] / det), 0.25 / ALIKE
            add(w * ratio, (3, w * forms[0][1]), (o + 3, -w * forms[k][1]))
    return torch.stack([r for r, _ in squares], 1), torch.stack([row for _, row in squares], 1)
