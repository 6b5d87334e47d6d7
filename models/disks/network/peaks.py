"""From the maps of a disk network to disks: peaks of the visibility, positions averaged around them."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.disks.network.targets import SPOT_PX
from braggscope.models.disks.network.unet import STRIDE, Output

SAME_PX = 2.0  # between what two cells say of one disk
AROUND = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])


def _whole() -> float:
    """What the weighted sum over a disk's spot is, in the mean over positions within a cell."""
    centres = torch.linspace(-1, 1, 41)
    cells = STRIDE * torch.arange(-1, 2, dtype=torch.float32)
    line = torch.exp(-((cells[:, None] - centres) ** 2) / (2 * SPOT_PX**2))
    return float((line * torch.tensor([0.5, 1.0, 0.5])[:, None]).sum(0).mean() ** 2)


WHOLE = _whole()


class Found(NamedTuple):
    """N disks, ordered by pattern, then by falling visibility. float64 px, ``scale``: Laplace, of x and y."""

    pattern: NDArray[np.int64]
    xy: NDArray[np.float64]
    scale: NDArray[np.float64]
    visibility: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    def take(self, rows: NDArray) -> "Found":
        """Some of them."""
        return Found(
            self.pattern[rows], self.xy[rows], self.scale[rows], self.visibility[rows], self.amplitude[rows]
        )


def find_peaks(output: Output, threshold: float, most: int, spacing: NDArray[np.float64] | float) -> Found:
    """Peaks of the visibility, summed around each cell, above ``threshold``; at most ``most`` a pattern.

    Of two nearer than ``spacing`` px (one number, or (B,)) the more visible is kept.
    """
    heat = torch.sigmoid(output.visibility)
    kernel = AROUND[None, None].to(heat.device)
    seen = F.conv2d(heat[:, None], kernel, padding=1)[:, 0] / WHOLE
    top = (seen == F.max_pool2d(seen[:, None], 3, 1, 1)[:, 0]) & (seen > threshold)
    pattern, row, column = torch.nonzero(top, as_tuple=True)
    xy, scale, amplitude = _averaged(output, heat, pattern, row, column)
    visibility = seen[pattern, row, column].clamp(max=1.0)
    columns = [values.double().cpu().numpy() for values in (xy, scale, visibility, amplitude)]
    found = Found(pattern.cpu().numpy(), *columns)
    order = np.lexsort((-found.visibility, found.pattern))
    found = found.take(order)
    return _apart(found, len(heat), most, np.broadcast_to(np.asarray(spacing, np.float64), len(heat)))


def _averaged(
    output: Output, heat: Tensor, pattern: Tensor, row: Tensor, column: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Position from the 3 x 3 cells around a peak, weighted by visibility and by the square of 1 / scale.

    Cells that speak of another disk, more than :data:`SAME_PX` from what the middle one says, are left out.
    """
    height, width = heat.shape[1:]
    step = torch.arange(-1, 2, device=heat.device)
    rows = (row[:, None, None] + step[:, None]).expand(-1, 3, 3)
    columns = (column[:, None, None] + step[None, :]).expand(-1, 3, 3)
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    r, c = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    p = pattern[:, None, None].expand_as(r)
    scale = torch.exp(output.log_scale[p, :, r, c])
    centre = STRIDE * torch.stack([c, r], dim=-1) + 0.5
    said = centre + output.offset[p, :, r, c]
    same = (said - said[:, 1:2, 1:2]).square().sum(3) < SAME_PX**2
    trust = (heat[p, r, c] * (inside & same))[..., None] / scale.square()
    whole = trust.sum((1, 2))
    xy = (said * trust).sum((1, 2)) / whole
    mean = torch.exp((torch.log(scale) * trust).sum((1, 2)) / whole)
    return xy, mean, output.image[pattern, row, column]


def _apart(found: Found, patterns: int, most: int, spacing: NDArray[np.float64]) -> Found:
    """Without disks that are too near a better one, and without those beyond the first ``most``."""
    keep = np.ones(len(found.pattern), np.bool_)
    bounds = np.searchsorted(found.pattern, np.arange(patterns + 1))
    for k in range(patterns):
        part = slice(bounds[k], bounds[k + 1])
        xy, kept = found.xy[part], keep[part]
        near = ((xy[:, None] - xy[None]) ** 2).sum(2) < spacing[k] ** 2
        for worse, better in np.argwhere(np.tril(near, -1)):
            if kept[better]:
                kept[worse] = False
        kept[np.flatnonzero(kept)[most:]] = False
    return found.take(keep)
