"""The network of coherent imaging: improves a rough object by what the pattern says.

Residual blocks with group normalisation on 16, 8 and 4 voxels a side after space-to-depth, with a dense
mixing of all places at the coarsest level; two heads, a shape logit and the modulus times cosine and sine
of the phase. The second corrects the guess that comes in, so an untrained network hands the guess on.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from braggscope.models.cdi.network.inputs import CHANNELS, Inputs, middle

STEEP, EDGE = 6.0, 0.5  # logit of the guess's modulus
TOKENS = 4**3


@dataclass(frozen=True, slots=True)
class CdiConfig:
    """``widths``: channels at 16, 8, 4 voxels a side; ``blocks``: residual blocks there, on each way."""

    widths: tuple[int, int, int] = (32, 96, 192)
    blocks: tuple[int, int, int] = (1, 2, 2)


class Output(NamedTuple):
    """``shape`` (N, 24, 24, 24) logit of being inside; ``obj`` (N, 24, 24, 24) complex64, modulus about 1,
    the phase relative to the mean one.
    """

    shape: Tensor
    obj: Tensor


class CdiNet(nn.Module):
    """See the module; ``forward`` takes :class:`Inputs`."""

    def __init__(self, config: CdiConfig = CdiConfig()) -> None:
        super().__init__()
        self.config = config
        fine, mid, coarse = config.widths
        one, two, three = config.blocks
        self.stem = nn.Conv3d(CHANNELS * 8, fine, 1)
        self.fine_in = _blocks(fine, one)
        self.down_mid = nn.Conv3d(fine * 8, mid, 1)
        self.mid_in = _blocks(mid, two)
        self.down_coarse = nn.Conv3d(mid * 8, coarse, 1)
        self.coarse = nn.Sequential(Mixing(coarse), *_blocks(coarse, three), Mixing(coarse))
        self.up_mid = nn.Conv3d(coarse, mid * 8, 1)
        self.mid_out = _blocks(mid, two)
        self.up_fine = nn.Conv3d(mid, fine * 8, 1)
        self.fine_out = _blocks(fine, one)
        self.head_shape = nn.Conv3d(fine, 8, 1)
        self.head_turn = nn.Conv3d(fine, 16, 1)

    def forward(self, inputs: Inputs) -> Output:
        """Shape and phase in the middle of the field of view."""
        fine = self.fine_in(self.stem(to_depth(inputs.features)))
        mid = self.mid_in(self.down_mid(to_depth(fine)))
        coarse = self.coarse(self.down_coarse(to_depth(mid)))
        mid = self.mid_out(mid + to_space(self.up_mid(coarse)))
        fine = self.fine_out(fine + to_space(self.up_fine(mid)))
        shape = middle(to_space(self.head_shape(fine)).float())[:, 0]
        change = middle(to_space(self.head_turn(fine)).float())
        guess = middle(inputs.guess)
        obj = guess + torch.complex(change[:, 0], change[:, 1])
        return Output(shape + STEEP * (guess.abs() - EDGE), obj)


class Residual(nn.Module):
    """x + conv(act(norm(conv(act(norm(x))))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_first, self.norm_last = nn.GroupNorm(8, width), nn.GroupNorm(8, width)
        self.first = nn.Conv3d(width, width, 3, padding=1)
        self.last = nn.Conv3d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, n, n, n) to the same shape."""
        between: Tensor = self.first(F.silu(self.norm_first(x)))
        change: Tensor = self.last(F.silu(self.norm_last(between)))
        return x + change


class Mixing(nn.Module):
    """Every place hears of every other one: a dense layer over the 64 places, alike for all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.spread = nn.Linear(TOKENS, 2 * TOKENS)
        self.gather = nn.Linear(2 * TOKENS, TOKENS)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, 4, 4, 4) to the same shape."""
        mixed = self.gather(F.silu(self.spread(self.norm(x).flatten(2))))
        return x + mixed.reshape(x.shape)


def to_depth(x: Tensor) -> Tensor:
    """(N, C, 2 n, 2 n, 2 n) to (N, 8 C, n, n, n)."""
    n, c, z, y, x_ = x.shape
    split = x.reshape(n, c, z // 2, 2, y // 2, 2, x_ // 2, 2)
    return split.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, 8 * c, z // 2, y // 2, x_ // 2)


def to_space(x: Tensor) -> Tensor:
    """Inverse of :func:`to_depth`."""
    n, c, z, y, x_ = x.shape
    split = x.reshape(n, c // 8, 2, 2, 2, z, y, x_)
    return split.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // 8, 2 * z, 2 * y, 2 * x_)


def initialise(network: CdiNet, seed: int) -> None:
    """Seeded weights; the heads, and the last layer of every branch, start small or at 0."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, (nn.Conv3d, nn.Linear)):
            fan_in = module.weight[0].numel()
            with torch.no_grad():
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Residual):
                module.last.weight.mul_(0.3)
            elif isinstance(module, Mixing):
                module.gather.weight.mul_(0.3)
        network.head_shape.weight.zero_()
        network.head_turn.weight.zero_()


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(count)))
