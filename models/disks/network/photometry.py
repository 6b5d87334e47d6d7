"""Counts of disks above their surroundings."""

import math

import torch
from torch import Tensor

RING_PX = 2.0  # width of the ring that the surroundings are taken from


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
