"""FCU-Net: a complex U-Net on the cross spectrum of pattern and probe, then a real one on its image.

After Munshi et al., npj Comput. Mater. 8, 254 (2022), with the spectrum shifted and periodic, complex
channels joined as such, an activation that keeps phases, average pooling, and one pass for position and
error.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from braggscope.models.disks.network.complex import ComplexConv, cardioid, join, stack, unstack
from braggscope.models.disks.network.inputs import CHANNELS, CONDITION, Inputs
from braggscope.models.disks.network.signs import Calibration
from braggscope.models.disks.network.unet import HIDDEN, LEAK, OUTPUTS, STRIDE, Block, Output, split


@dataclass(frozen=True, slots=True)
class FCUNetConfig:
    """``channels``: complex ones at 1/2, 1/4, 1/8 and 1/16 of the pixels. ``spatial``: real ones after the
    inverse transform, in ``blocks`` residual blocks.
    """

    channels: tuple[int, ...] = (8, 16, 24, 32)
    spatial: int = 24
    blocks: int = 2


class ComplexBlock(nn.Module):
    """Residual pair of complex convolutions; the probe scales what lies between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ComplexConv(channels, channels)
        self.second = ComplexConv(channels, channels)
        self.probe = nn.Linear(HIDDEN, channels)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, 2 C, h, w) and (B, HIDDEN) to (B, 2 C, h, w)."""
        scale = 1 + self.probe(condition)[:, :, None, None]
        inner = self.first(cardioid(x)) * torch.cat([scale, scale], dim=1)
        return x + self.second(cardioid(inner))


class FCUNet(nn.Module):
    """Inputs of :func:`prepare` to an :class:`Output`, any size."""

    def __init__(self, config: FCUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FCUNetConfig()
        c = config.channels
        self.condition = nn.Sequential(nn.Linear(CONDITION, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN))
        self.entry = ComplexConv(1, c[0])
        self.widen = nn.ModuleList(ComplexConv(a, b, 1) for a, b in itertools.pairwise(c))
        self.narrow = nn.ModuleList(ComplexConv(a + b, a, 1) for a, b in itertools.pairwise(c))
        self.before = nn.ModuleList(ComplexBlock(a) for a in c)
        self.after = nn.ModuleList(ComplexBlock(a) for a in c[:-1])
        self.stem = nn.Conv2d(CHANNELS * STRIDE**2 + 2 * c[0], config.spatial, 3, padding=1)
        self.spatial = nn.ModuleList(Block(config.spatial) for _ in range(config.blocks))
        self.head = nn.Conv2d(config.spatial, OUTPUTS, 3, padding=1)
        self.calibration = Calibration()

    def forward(self, inputs: Inputs) -> Output:
        """One pass."""
        condition = F.relu(self.condition(inputs.condition.to(self.stem.weight.dtype)))
        x = self._spectral(stack(inputs.spectrum[:, None]).to(self.stem.weight.dtype), condition)
        image = torch.fft.ifft2(torch.fft.ifftshift(unstack(x), dim=(2, 3)), norm="ortho")
        maps = F.pixel_unshuffle(inputs.maps, STRIDE)
        joined = torch.cat([maps, stack(image)], dim=1).to(self.stem.weight.dtype)
        y = self.stem(joined.contiguous(memory_format=torch.channels_last))
        for block in self.spatial:
            y = block(y, condition)
        return split(self.head(F.leaky_relu(y, LEAK)).float())

    def _spectral(self, x: Tensor, condition: Tensor) -> Tensor:
        """The complex U-Net, from the spectrum to ``channels[0]`` spectra."""
        x = self.entry(x.contiguous(memory_format=torch.channels_last))
        kept = []
        for level, block in enumerate(self.before):
            if level:
                kept.append(x)
                x = self.widen[level - 1](F.avg_pool2d(x, 2))
            x = block(x, condition)
        for level in reversed(range(len(kept))):
            wide = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self.after[level](self.narrow[level](join(kept[level], wide)), condition)
        return x
