"""What the disk networks are to say, and how far they are from it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from braggscope.models.disks.network.unet import STRIDE, Output

SPOT_PX = 1.5  # sigma of a disk's spot in the visibility
IMAGE_PX = 1.2  # and in the structure factor image
REACH = 3  # cells around a disk's that are told of it
WEIGHTS = (1.0, 1.0, 0.3)  # visibility, position, image


class Truth(NamedTuple):
    """Disks of B patterns, up to K each: ``xy`` (B, K, 2) px, ``amplitude`` (B, K) relative to the strongest
    but one, ``present`` (B, K) bool: to be found; ``weak`` (B, K) bool: may be found.
    """

    xy: Tensor
    amplitude: Tensor
    present: Tensor
    weak: Tensor


class Target(NamedTuple):
    """Per cell (B, h, w): ``visibility`` 0-1, ``asked``: whether that counts, ``image``, ``weight`` of the
    position; ``offset`` (B, 2, h, w).
    """

    visibility: Tensor
    asked: Tensor
    image: Tensor
    weight: Tensor
    offset: Tensor


def target_of(truth: Truth, grid: tuple[int, int]) -> Target:
    """Target on a grid of h x w cells: a Gaussian spot for every disk, the offset to the nearest one."""
    height, width = grid
    patterns, disks = torch.nonzero(truth.present | truth.weak, as_tuple=True)
    xy, amplitude = truth.xy[patterns, disks], truth.amplitude[patterns, disks]
    steps = torch.arange(-REACH, REACH + 1)
    cell = torch.round((xy - 0.5) / STRIDE).long()
    cx = (cell[:, 0, None, None] + steps[None, None, :]).expand(-1, len(steps), -1).flatten(1)
    cy = (cell[:, 1, None, None] + steps[None, :, None]).expand(-1, -1, len(steps)).flatten(1)
    offset = torch.stack([xy[:, :1] - (STRIDE * cx + 0.5), xy[:, 1:] - (STRIDE * cy + 0.5)], dim=2)
    inside = (cx >= 0) & (cx < width) & (cy >= 0) & (cy < height)
    place = (patterns[:, None] * height * width + cy * width + cx)[inside]
    offset, distance2 = offset[inside], offset.square().sum(2)[inside]
    number = len(truth.xy) * height * width
    nearest = torch.full((number,), torch.inf).scatter_reduce_(0, place, distance2, "amin")
    first = distance2 == nearest[place]
    offsets = torch.zeros(number, 2)
    offsets[place[first]] = offset[first]
    spot = torch.exp(-distance2 / (2 * IMAGE_PX**2)) * amplitude[:, None].expand_as(cx)[inside]
    shape = (len(truth.xy), height, width)
    weak = truth.weak[patterns, disks][:, None].expand_as(cx)[inside]
    asked = torch.ones(number)
    asked[place[first & weak]] = 0
    near = torch.exp(-nearest / (2 * SPOT_PX**2)).view(shape)
    image = torch.zeros(number).index_add_(0, place, spot).view(shape)
    return Target(
        near, asked.view(shape), image, near * (near > 0.1), offsets.view(*shape, 2).permute(0, 3, 1, 2)
    )


def loss_of(output: Output, target: Target) -> Tensor:
    """Sum of three parts, each per disk.

    Visibility: cross entropy with the spots, less its smallest value. Position: Laplace likelihood of the
    offsets with the stated scales, near disks. Image: squared error.
    """
    number = target.visibility.sum() + 1.0
    entropy = F.binary_cross_entropy_with_logits(output.visibility, target.visibility, reduction="none")
    least = F.binary_cross_entropy(target.visibility, target.visibility, reduction="none")
    visibility = ((entropy - least) * target.asked).sum() / number
    error = (output.offset - target.offset).abs() * torch.exp(-output.log_scale)
    position = ((error + output.log_scale).sum(1) * target.weight).sum() / (target.weight.sum() + 1.0)
    image = (output.image - target.image).square().sum() / number
    parts = torch.stack([visibility, position, image])
    return (parts * torch.tensor(WEIGHTS)).sum()
