"""Training of the localiser network on simulated patches. Steps and states, no files."""

import copy
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from braggscope.models.localizer.network import (
    LocalizerConfig,
    LocalizerNet,
    Output,
    initialise,
    lay_out,
    prepare,
)
from braggscope.models.localizer.simulate import MIXTURE, Mixture, Samples, simulate_mixture
from braggscope.models.trainer import AveragedTrainer

SOFT_PX = 0.01  # below this distance the position's loss is quadratic
FLOOR_PX = 0.04  # distances are weighed by 1 / (FLOOR_PX + expected distance)
SHARE = 0.683  # of the errors that the scale is to hold
TRUST_PX = 0.5  # quality is the probability of a smaller error
WEIGHTS = (1.0, 0.5, 0.3, 0.15, 0.2)  # position, scale, overlap, second peak, quality


@dataclass(frozen=True, slots=True)
class LocalizerSettings:
    """Everything that, with one version of torch on one kind of machine, decides the trained weights."""

    steps: int
    seed: int = 0
    network: LocalizerConfig = field(default_factory=LocalizerConfig)
    batch: int = 512
    rate: float = 2e-3
    warm_up: int = 500
    decay: float = 1e-4
    average: float = 0.9995
    clip: float = 5.0
    mixture: Mixture = MIXTURE


def position_loss(output: Output, centre: Tensor) -> Tensor:
    """Distance to the truth over what the network itself expects, so that all patches count alike."""
    distance = torch.sqrt((output.offset - centre).square().sum(1) + SOFT_PX**2) - SOFT_PX
    expected = torch.exp(output.log_scale.detach()).square().sum(1).sqrt()
    return (distance / (FLOOR_PX + expected)).mean()


def loss_of(output: Output, truth: Samples) -> Tensor:
    """Sum of five parts, each robust.

    Position: :func:`position_loss`.
    Scale: pinball loss of log |error|, whose minimum is the log of the 68.3 % quantile wherever the patch
    lies. Overlap and quality: cross entropy. Second peak: distance, softened at 0.5 px.
    """
    error = output.offset - truth.centre
    position = position_loss(output, truth.centre)
    beyond = torch.log(error.detach().abs() + 1e-4) - output.log_scale
    scale = torch.maximum(SHARE * beyond, (SHARE - 1) * beyond).mean()
    paired = truth.paired.to(torch.float32)
    overlap = F.binary_cross_entropy_with_logits(output.overlap, paired)
    apart = torch.sqrt((output.second - truth.second).square().sum(1) + 0.25) - 0.5
    second = (apart * paired).sum() / paired.sum().clamp(min=1.0)
    near = (error.detach().square().sum(1) < TRUST_PX**2).to(torch.float32)
    quality = F.binary_cross_entropy_with_logits(output.quality, near)
    parts = (position, scale, overlap, second, quality)
    return torch.stack([w * part for w, part in zip(WEIGHTS, parts, strict=True)]).sum()


class LocalizerTrainer(AveragedTrainer[LocalizerNet]):
    """Training of the localiser, from ``base`` if given."""

    def __init__(self, settings: LocalizerSettings, base: LocalizerNet | None = None) -> None:
        self.settings = settings
        network = LocalizerNet(settings.network) if base is None else copy.deepcopy(base)
        if base is None:
            initialise(network, settings.seed)
        super().__init__(settings, lay_out(network))

    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""
        truth = simulate_mixture(self.settings.batch, seed, self.settings.mixture)
        inputs = prepare(truth.counts, truth.valid).contiguous(memory_format=torch.channels_last)
        return loss_of(self.network(inputs), truth)
