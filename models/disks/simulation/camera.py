"""What the camera makes of a pattern: diffuse background, noise, faults."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of patterns with a fault. ``readout``: sigma in counts, up to; ``gain``: rms, up to."""

    readout_share: float = 0.4
    readout: float = 1.5
    gain: float = 0.02
    hot_share: float = 0.1
    saturated_share: float = 0.1
    dead_share: float = 0.04


FAULTS = Faults()
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0)


def diffuse(rng: np.random.Generator, centre: Tensor, size: int, radius: Tensor) -> Tensor:
    """(B, size, size) background of sum 1 around ``centre`` (B, 2): a level, a hill, sometimes a ring."""
    count, device = len(centre), centre.device

    def numbers(low: float, high: float) -> Tensor:
        return torch.from_numpy(rng.uniform(low, high, count).astype(np.float32)).to(device)[:, None, None]

    axis = torch.arange(size, device=device, dtype=torch.float32)
    dx, dy = axis - centre[:, :1, None], axis[:, None] - centre[:, 1:, None]
    distance = torch.sqrt(dx**2 + dy**2)
    width = numbers(0.06, 0.5) * size + radius[:, None, None]
    hill = torch.where(
        numbers(0, 1) < 0.5,
        torch.exp(-0.5 * (distance / width) ** 2),
        1 / (1 + (distance / width) ** 2) ** 1.5,
    )
    ring = torch.exp(-0.5 * ((distance - numbers(0.15, 0.45) * size) / (numbers(0.02, 0.08) * size)) ** 2)
    parts = (numbers(0, 1) * 0.3, hill, ring * numbers(0, 0.6) * (numbers(0, 1) < 0.2))
    total = torch.zeros_like(distance)
    for part in parts:
        total = total + part
    return total / total.sum(dim=(1, 2), keepdim=True)


def expose(
    expected: Tensor, rng: np.random.Generator, generator: torch.Generator, faults: Faults = NO_FAULTS
) -> tuple[Tensor, Tensor]:
    """((B, S, S) counts, (B,) sigma of the readout) of expected counts."""
    count = len(expected)
    device = expected.device
    counts = torch.poisson(expected, generator=generator)
    reads = rng.uniform(0, 1, count) < faults.readout_share
    sigma = torch.from_numpy((reads * rng.uniform(0.1, 1, count) * faults.readout).astype(np.float32))
    sigma = sigma.to(device)
    if reads.any():
        noise = torch.randn(2, *expected.shape, generator=generator, device=device)
        uneven = torch.from_numpy(reads * rng.uniform(0, 1, count) * faults.gain).float().to(device)
        counts = counts * (1 + noise[0] * uneven[:, None, None]) + noise[1] * sigma[:, None, None]
    for k in np.flatnonzero(rng.uniform(0, 1, count) < faults.saturated_share):
        counts[k].clamp_(max=float(counts[k].max()) * float(np.exp(rng.uniform(np.log(0.03), np.log(0.8)))))
    for k in np.flatnonzero(rng.uniform(0, 1, count) < faults.hot_share):
        _hot(counts[k], rng)
    for k in np.flatnonzero(rng.uniform(0, 1, count) < faults.dead_share):
        _dead(counts[k], rng)
    return counts, sigma


def _hot(image: Tensor, rng: np.random.Generator) -> None:
    """Set a few pixels to high values."""
    places = rng.integers(0, image.shape[0], (int(rng.integers(1, 7)), 2))
    top = float(image.max())
    for row, column in places:
        image[row, column] = top * rng.uniform(0.3, 3)


def _dead(image: Tensor, rng: np.random.Generator) -> None:
    """Set one or two rows or columns to zero."""
    start, width = int(rng.integers(0, image.shape[0] - 2)), int(rng.integers(1, 3))
    if rng.random() < 0.5:
        image[start : start + width] = 0
    else:
        image[:, start : start + width] = 0
