"""Counts of disks above their surroundings, and whether there is anything at all."""

import math

import torch
from torch import Tensor

RING_PX = 2.0  # width of the ring that the surroundings are taken from
FAINT = 2.0  # standard deviations by which a disk must at least stand above its ring
EVEN = 1.3  # variance of pixels over that of neighbours, below which there is no structure
FEWEST = 8  # pixels on which emptiness is judged


def disk_counts(
    counts: Tensor, valid: Tensor, pattern: Tensor, xy: Tensor, radius: float, edge: float
) -> Tensor:
    """(N,) counts inside disks of patterns (B, H, W) above the median of a ring around each.

    ``pattern`` (N,) int64, ``xy`` (N, 2) px. What is not valid, or outside the frame, is left out; the sum is
    scaled to the whole disk. 0 where nothing of a disk or of its ring can be seen.
    """
    whole = radius + 0.5 * edge
    half = math.ceil(whole + RING_PX) + 1
    steps = torch.arange(-half, half + 1, device=counts.device)
    dy, dx = (d.reshape(-1) for d in torch.meshgrid(steps, steps, indexing="ij"))
    away = torch.hypot(dx.float(), dy.float())
    near = torch.round(xy).long()
    ring = (away > whole + 0.5) & (away <= whole + 0.5 + RING_PX)
    values, there = _gather(counts, valid, pattern, near, dx[ring], dy[ring])
    level = torch.where(there, values, torch.nan).nanmedian(dim=1).values
    core = away <= whole + 1.5
    values, there = _gather(counts, valid, pattern, near, dx[core], dy[core])
    offset = (near - xy).float()
    distance = torch.hypot(dx[core] + offset[:, :1], dy[core] + offset[:, 1:])
    share = (whole + 0.5 - distance).clamp(0, 1)
    seen = share * there
    part = seen.sum(1) / share.sum(1).clamp(min=1e-6)
    total = ((values - level[:, None]) * seen).sum(1) / part.clamp(min=1e-6)
    return torch.nan_to_num(torch.where(part > 0, total, 0.0))


def is_empty(
    counts: Tensor, valid: Tensor, pattern: Tensor, xy: Tensor, radius: float, edge: float
) -> Tensor:
    """(N,) bool: places where there is nothing but noise. Arguments as of :func:`disk_counts`.

    There the inside is not brighter than the ring, and neighbouring pixels differ as much as distant ones.
    Noise is taken from these pixels themselves, so gain and readout do not matter. Disks that overlap, or
    carry structure, are not empty, nor are places of which hardly anything can be seen.
    """
    whole = radius + 0.5 * edge
    half = math.ceil(whole + RING_PX) + 1
    steps = torch.arange(-half, half + 1, device=counts.device)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    near = torch.round(xy).long()
    side = (-1, len(steps), len(steps))
    values, there = _gather(counts, valid, pattern, near, dx.reshape(-1), dy.reshape(-1))
    away = torch.hypot(dx.float(), dy.float())
    inside, here = away <= radius - 0.5, away <= whole + 0.5 + RING_PX
    values, there = values.view(side), there.view(side) & here
    core, ring = there & inside, there & (away > whole + 0.5)
    difference = _mean(values, core) - _mean(values, ring)
    spread = _mean((values - _mean(values, there)[:, None, None]).square(), there)
    across = there[:, :, 1:] & there[:, :, :-1]
    down = there[:, 1:] & there[:, :-1]
    change = _mean(values.diff(dim=2).square(), across) + _mean(values.diff(dim=1).square(), down)
    few, around = core.sum((1, 2)), ring.sum((1, 2))
    noise = torch.sqrt(spread * (1 / few.clamp(min=1) + 1 / around.clamp(min=1)))
    enough = (few >= FEWEST) & (around >= FEWEST)
    return enough & (difference <= FAINT * noise) & (4 * spread <= EVEN * change)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    return (values * chosen).sum((1, 2)) / chosen.sum((1, 2)).clamp(min=1)


def _gather(
    counts: Tensor, valid: Tensor, pattern: Tensor, near: Tensor, dx: Tensor, dy: Tensor
) -> tuple[Tensor, Tensor]:
    height, width = counts.shape[1:]
    column, row = near[:, :1] + dx, near[:, 1:] + dy
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    which = pattern[:, None].expand_as(row)
    good = valid[which if len(valid) > 1 else torch.zeros_like(which), row, column] & inside
    return torch.where(good, counts[which, row, column], 0.0), good
