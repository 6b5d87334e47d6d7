"""The localiser network: a patch and what of it is valid in, position, uncertainty and trust out."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

OUTPUTS = 8  # offset x y, log scale x y, overlap, second x y, quality
LOG_SCALE = (-6.5, 1.0)  # between 0.0015 and 2.7 px
SIGNS = 8  # numbers of :func:`signs_of_noise`


@dataclass(frozen=True, slots=True)
class LocalizerConfig:
    """``window``: px, odd. ``channels`` of the convolutions; the last one halves the grid."""

    window: int = 11
    channels: tuple[int, ...] = (24, 32, 32, 48)
    hidden: tuple[int, ...] = (96, 64)


class Output(NamedTuple):
    """What the network says of N patches; positions (x, y) in px from the middle pixel.

    ``log_scale`` (N, 2): log of the half-width of the 68 % interval, px. ``overlap`` and ``quality``
    (N,): logits of "a second peak lies in the window" and of "the error is below 0.5 px".
    """

    offset: Tensor
    log_scale: Tensor
    overlap: Tensor
    second: Tensor
    quality: Tensor


class LocalizerNet(nn.Module):
    """Four 3 x 3 convolutions, then three dense layers: 109,000 parameters at 11 px.

    ``calibration`` is trained last, on what the rest has become: from the hidden layers and
    :func:`signs_of_noise` it finds what is to be added to the log scales. It adds nothing before that.
    """

    sign_mean: Tensor
    sign_deviation: Tensor

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
        inner = sum(config.hidden) + SIGNS
        self.calibration = nn.Sequential(
            nn.Linear(inner, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2)
        )  # fmt: skip
        self.register_buffer("sign_mean", torch.zeros(inner))
        self.register_buffer("sign_deviation", torch.ones(inner))
        initialise_calibration(self, torch.Generator().manual_seed(0))

    def forward(self, inputs: Tensor) -> Output:
        """(N, 2, S, S) float32 of :func:`prepare` to what the network says, not calibrated."""
        return self._output(self.head(self.features(inputs).flatten(1)))

    def calibrated(self, inputs: Tensor) -> Output:
        """The same with calibrated scales."""
        output, signs = self.with_signs(inputs)
        more = self.calibration((signs - self.sign_mean) / self.sign_deviation)
        return output._replace(log_scale=(output.log_scale + more).clamp(*LOG_SCALE))

    def with_signs(self, inputs: Tensor) -> tuple[Output, Tensor]:
        """What the network says, not calibrated, and what the calibration goes by, (N, hidden + SIGNS)."""
        seen = [self.features(inputs).flatten(1)]
        for k in range(0, len(self.head) - 1, 2):
            seen.append(self.head[k : k + 2](seen[-1]))
        return self._output(self.head[-1](seen[-1])), torch.cat([*seen[1:], signs_of_noise(inputs)], dim=1)

    @staticmethod
    def _output(raw: Tensor) -> Output:
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
    initialise_calibration(network, generator)


def initialise_calibration(network: LocalizerNet, generator: torch.Generator) -> None:
    """Seeded start that adds nothing to the scales."""
    layers = [layer for layer in network.calibration if isinstance(layer, nn.Linear)]
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].weight)


def lay_out(network: LocalizerNet) -> LocalizerNet:
    """The same network, its convolutions laid out in memory as CPUs compute them fastest. In place."""
    for layer in network.features:
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return network


def signs_of_noise(inputs: Tensor) -> Tensor:
    """(N, SIGNS): how rough a prepared patch is where it should be smooth, how high its middle stands.

    Second differences along both axes leave little of peaks and nothing of planes. Their size is averaged
    in three ways, of which the geometric mean cares least for peaks, over all and over the rim.
    """
    image, valid = inputs[:, 0], inputs[:, 1]
    across = image[:, :, :-2] - 2 * image[:, :, 1:-1] + image[:, :, 2:]
    rough = ((across[:, :-2] - 2 * across[:, 1:-1] + across[:, 2:]) / 6).abs()
    near = valid[:, :, :-2] * valid[:, :, 1:-1] * valid[:, :, 2:]
    whole = near[:, :-2] * near[:, 1:-1] * near[:, 2:]
    rim = whole.clone()
    rim[:, 2:-2, 2:-2] = 0
    columns = []
    for weight in (whole, rim):
        number = weight.sum((1, 2)).clamp(min=1)
        columns += [
            (torch.log(rough + 1e-4) * weight).sum((1, 2)) / number,
            torch.log((rough.sqrt() * weight).sum((1, 2)) / number + 1e-2),
            torch.log((rough * weight).sum((1, 2)) / number + 1e-4),
        ]
    middle = image.shape[1] // 2
    columns += [image[:, middle - 1 : middle + 2, middle - 1 : middle + 2].mean((1, 2)), valid.mean((1, 2))]
    return torch.stack(columns, dim=1)
