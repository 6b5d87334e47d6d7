"""3D-CDI-NN as published, for comparisons: 32 voxels a side, one encoder, a decoder each for shape and phase.

Source: Chan et al., Applied Physics Reviews 8, 021407 (2021). No weights of it are shipped.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

SIDE = 32
WIDTHS = (32, 64, 128)


class PublishedOutput(NamedTuple):
    """(N, 32, 32, 32) each: ``shape`` 0 to 1; ``phase`` in rad."""

    shape: Tensor
    phase: Tensor


class PublishedNet(nn.Module):
    """Pairs of 3 x 3 x 3 convolutions with ReLU; max-pooling on the way down, nearest upsampling up."""

    def __init__(self) -> None:
        super().__init__()
        down: list[nn.Module] = []
        for before, width in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True):
            down += [*_pair(before, width), nn.MaxPool3d(2)]
        self.encoder = nn.Sequential(*down)
        self.shape = _decoder()
        self.phase = _decoder()

    def forward(self, amplitude: Tensor) -> PublishedOutput:
        """``amplitude`` (N, 1, 32, 32, 32): square root of the intensity over its largest value."""
        if amplitude.shape[1:] != (1, SIDE, SIDE, SIDE):
            raise ValueError(f"The published network wants (N, 1, 32, 32, 32), not {tuple(amplitude.shape)}.")
        hidden = self.encoder(amplitude)
        shape = torch.sigmoid(self.shape(hidden))[:, 0]
        phase = torch.sigmoid(self.phase(hidden))[:, 0]  # stored as phase / 2 pi + 0.5
        return PublishedOutput(shape, 2 * math.pi * (phase - 0.5))


def _pair(before: int, width: int) -> list[nn.Module]:
    first, second = (nn.Conv3d(n, width, 3, padding=1) for n in (before, width))
    return [first, nn.ReLU(), second, nn.ReLU()]


def _decoder() -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, width in zip((WIDTHS[-1], *WIDTHS[:0:-1]), WIDTHS[::-1], strict=True):
        layers += [*_pair(before, width), nn.Upsample(scale_factor=2)]
    return nn.Sequential(*layers, nn.Conv3d(WIDTHS[0], 1, 3, padding=1))
