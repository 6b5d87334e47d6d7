"""The localiser network: a patch and what of it is valid in, position, uncertainty and trust out."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

OUTPUTS = 8  # offset x y, log scale x y, overlap, second x y, quality
LOG_SCALE = (-6.5, 1.0)  # between 0.0015 and 2.7 px
SCALE_NODES, OVERLAP_NODES = 9, 4  # of the calibration, even in log scale and in probability


@dataclass(frozen=True, slots=True)
class LocalizerConfig:
    """``window``: px, odd. ``channels`` of the convolutions; the last one halves the grid."""

    window: int = 11
    channels: tuple[int, ...] = (24, 32, 32, 48)
    hidden: tuple[int, ...] = (96, 64)


class Output(NamedTuple):
    """What the network says of N patches; positions (x, y) in px from the middle pixel.

    ``scale`` (N, 2): half-width of the 68.3 % interval, px. ``overlap`` and ``quality`` (N,): logits of
    "a second peak lies in the window" and of "the error is below 0.5 px".
    """

    offset: Tensor
    log_scale: Tensor
    overlap: Tensor
    second: Tensor
    quality: Tensor


class LocalizerNet(nn.Module):
    """Four 3 x 3 convolutions without padding but one, then three dense layers: 82,000 parameters at 11 px.

    ``correction`` (scale, overlap) is added to the log scale at use, between its nodes linearly; it is
    zero in training and found on held-out simulation afterwards.
    """

    correction: Tensor

    def __init__(self, config: LocalizerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LocalizerConfig()
        one, two, three, four = config.channels
        self.features = nn.Sequential(
            nn.Conv2d(2, one, 3), nn.ReLU(),  # S - 2
            nn.Conv2d(one, two, 3), nn.ReLU(),  # S - 4
            nn.Conv2d(two, three, 3, padding=1), nn.ReLU(),
            nn.Conv2d(three, four, 3, stride=2), nn.ReLU(),
        )  # fmt: skip
        side = (config.window - 5) // 2
        if side < 1 or config.window % 2 == 0:
            raise ValueError(f"the localiser needs an odd window of at least 7 px, not {config.window}")
        sizes = (side * side * four, *config.hidden)
        dense: list[nn.Module] = []
        for before, after in pairwise(sizes):
            dense += [nn.Linear(before, after), nn.ReLU()]
        self.head = nn.Sequential(*dense, nn.Linear(sizes[-1], OUTPUTS))
        self.register_buffer("correction", torch.zeros(SCALE_NODES, OVERLAP_NODES))

    def forward(self, inputs: Tensor) -> Output:
        """(N, 2, S, S) float32 of :func:`prepare` to what the network says, uncorrected."""
        raw = self.head(self.features(inputs).flatten(1))
        return Output(raw[:, :2], raw[:, 2:4].clamp(*LOG_SCALE), raw[:, 4], raw[:, 5:7], raw[:, 7])


def prepare(counts: Tensor, valid: Tensor) -> Tensor:
    """Network input (N, 2, S, S): counts with mean 0 and deviation 1 over the valid pixels, and validity.

    Invariant to gain and offset. Pixels that are not valid are 0 in both channels.
    """
    weight = valid.to(torch.float32)
    number = weight.sum((1, 2), keepdim=True).clamp(min=1.0)
    least = counts.masked_fill(~valid, torch.inf).amin((1, 2), keepdim=True)
    raised = torch.where(valid, counts - least, 0.0)  # first, so that a high pedestal costs no digits
    centred = (raised - raised.sum((1, 2), keepdim=True) / number) * weight
    deviation = torch.sqrt(centred.square().sum((1, 2), keepdim=True) / number)
    tiny = torch.finfo(torch.float32).tiny
    return torch.stack([centred / deviation.clamp(min=tiny), weight], dim=1)


def initialise(network: LocalizerNet, seed: int) -> None:
    """Seeded start: He for ReLU, the last layer near zero with a scale of 0.3 px."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(0.1)
        last.bias[2:4] = -1.2


def lay_out(network: LocalizerNet) -> LocalizerNet:
    """The same network, its convolutions laid out in memory as CPUs compute them fastest. In place."""
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return network


def corrected(network: LocalizerNet, output: Output) -> Tensor:
    """Log scale (N, 2) with the calibration of the weights, bilinear between its nodes."""
    low, high = LOG_SCALE
    at = (output.log_scale - low) / (high - low) * (SCALE_NODES - 1)  # (N, 2)
    across = (torch.sigmoid(output.overlap) * (OVERLAP_NODES - 1))[:, None]
    i, j = at.floor().clamp(max=SCALE_NODES - 2), across.floor().clamp(max=OVERLAP_NODES - 2)
    u, v = at - i, across - j
    flat = network.correction.flatten()
    base = (i * OVERLAP_NODES + j).long()
    return (
        output.log_scale
        + (1 - u) * ((1 - v) * flat[base] + v * flat[base + 1])
        + u * ((1 - v) * flat[base + OVERLAP_NODES] + v * flat[base + OVERLAP_NODES + 1])
    )
