"""The real-valued disk network: a small U-Net on half the pixels, conditioned on the probe."""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from braggscope.models.disks.network.inputs import CHANNELS, CONDITION, Inputs
from braggscope.models.disks.network.signs import Calibration

OUTPUTS = 6  # structure factor image, visibility, offset x y, log scale x y
LOG_SCALE = (-5.0, 1.5)  # between 0.007 and 4.5 px
STRIDE = 2  # px per cell of the output
HIDDEN = 32  # of what the condition becomes
LEAK = 0.05  # of what is below 0, so that no channel dies


class Output(NamedTuple):
    """What a network says of every cell of 2 x 2 px, cell (i, j) centred at y = 2 i + 0.5, x = 2 j + 0.5.

    ``image`` (B, h, w): amplitude of the structure factors; ``visibility`` (B, h, w): logit of "a disk's
    centre is here"; ``offset`` (B, 2, h, w): from the cell's centre to the disk's, (x, y) px; ``log_scale``
    (B, 2, h, w): log of the Laplace scale of the offset, px.
    """

    image: Tensor
    visibility: Tensor
    offset: Tensor
    log_scale: Tensor


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """``channels`` at 1/2, 1/4, 1/8 and 1/16 of the pixels; ``blocks`` per level on the way down."""

    channels: tuple[int, ...] = (16, 48, 64, 96)
    blocks: tuple[int, ...] = (1, 1, 2, 2)


class Block(nn.Module):
    """Residual pair of 3 x 3 convolutions; the probe scales and shifts what lies between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.probe = nn.Linear(HIDDEN, 2 * channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, h, w) and (B, HIDDEN) to (B, C, h, w)."""
        scale, shift = self.probe(condition)[:, :, None, None].chunk(2, dim=1)
        inner = self.first(F.leaky_relu(x, LEAK)) * (1 + scale) + shift
        return x + self.second(F.leaky_relu(inner, LEAK))


class DiskUNet(nn.Module):
    """Inputs of :func:`prepare` to an :class:`Output`, any size."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNetConfig()
        c = config.channels
        self.condition = nn.Sequential(nn.Linear(CONDITION, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN))
        self.stem = nn.Conv2d(CHANNELS * STRIDE**2, c[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(c))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(c))
        self.before = nn.ModuleList(
            nn.ModuleList(Block(a) for _ in range(n)) for a, n in zip(c, config.blocks, strict=True)
        )
        self.after = nn.ModuleList(Block(a) for a in c[:-1])
        self.head = nn.Conv2d(c[0], OUTPUTS, 3, padding=1)
        self.calibration = Calibration()

    def forward(self, inputs: Inputs) -> Output:
        """One pass."""
        condition = F.relu(self.condition(inputs.condition.to(self.stem.weight.dtype)))
        maps = inputs.maps.to(self.stem.weight.dtype)
        x = self.stem(F.pixel_unshuffle(maps, STRIDE).contiguous(memory_format=torch.channels_last))
        kept = []
        for level, blocks in enumerate(self.before):
            if level:
                kept.append(x)
                x = self.down[level - 1](x)
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, condition)
        for level in reversed(range(len(kept))):
            x = kept[level] + F.interpolate(self.up[level](x), scale_factor=2, mode="nearest")
            x = self.after[level](x, condition)
        return split(self.head(F.leaky_relu(x, LEAK)).float())


def split(raw: Tensor) -> Output:
    """The channels (B, OUTPUTS, h, w) of a head by their meaning."""
    return Output(raw[:, 0], raw[:, 1], raw[:, 2:4], raw[:, 4:6].clamp(*LOG_SCALE))


def initialise(network: nn.Module, seed: int) -> None:
    """Seeded start that keeps variances; blocks begin near identities, conditions nearly without effect."""
    generator = torch.Generator().manual_seed(seed)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and not name.startswith("calibration"):
            last = name.rpartition(".")[2]
            gain = 2**0.5 if last in ("first", "second") else 1.0
            nn.init.normal_(layer.weight, 0, gain / layer.weight[0].numel() ** 0.5, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
            with torch.no_grad():
                layer.weight.mul_({"second": 0.2, "probe": 0.1, "head": 0.05}.get(last, 1.0))
                if last == "head":
                    layer.bias[1] = -4.0
