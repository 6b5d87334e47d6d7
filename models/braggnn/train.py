"""Training of BraggNN on simulated patches, alone or mixed with measured ones. Steps and states, no files."""

import copy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from braggscope.models.braggnn.measured import Measured
from braggscope.models.braggnn.network import BraggNN, BraggNNConfig, fold, folded_forward
from braggscope.models.braggnn.simulate import Scene, simulate
from braggscope.models.trainer import AveragedTrainer

SOFT_PX = 0.01  # below this distance the loss is quadratic
FLOOR_PX = 0.03  # errors are weighed by 1 / (FLOOR_PX + bound)


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that, with one version of torch on one kind of machine, decides the trained weights."""

    steps: int
    seed: int = 0
    network: BraggNNConfig = field(default_factory=BraggNNConfig)
    batch: int = 256
    rate: float = 2e-3
    warm_up: int = 500
    decay: float = 1e-4
    average: float = 0.9995  # of the exponential moving average of the weights
    clip: float = 5.0
    measured_share: float = 0.5  # of a batch, where there are measured patches
    measured_bound: float = 0.02  # px, taken as the bound of these
    scene: Scene = field(default_factory=Scene)


def initialise(network: BraggNN, seed: int) -> None:
    """Seeded start. The last layers are so narrow that they start in the linear part of their LeakyReLU."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    dense = [layer for layer in network.dense_layers if isinstance(layer, nn.Linear)]
    for layer in dense[:-1]:
        nn.init.constant_(layer.bias, 0.3)
    last = dense[-1]
    if last.in_features == 2:
        nn.init.eye_(last.weight)


def position_loss(output: Tensor, centre: Tensor, bound: Tensor, window: int) -> Tensor:
    """Mean distance in px, softened near 0 and weighed by what noise and width allow in each patch."""
    square = (output * window - centre).square().sum(dim=1)
    distance = torch.sqrt(square + SOFT_PX**2) - SOFT_PX
    return (distance / (FLOOR_PX + bound)).mean()


class Trainer(AveragedTrainer[BraggNN]):
    """Training of BraggNN, from ``base`` if given, with ``measured`` patches in every batch if given."""

    def __init__(
        self, settings: TrainSettings, base: BraggNN | None = None, measured: Measured | None = None
    ) -> None:
        self.settings = settings
        self.measured = measured
        network = copy.deepcopy(base) if base is not None else BraggNN(settings.network)
        if base is None:
            initialise(network, settings.seed)
        super().__init__(settings, network)

    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""
        image, centre, bound = self._batch(seed)
        output = folded_forward(self.network, fold(self.network), image)
        return position_loss(output, centre, bound, self.settings.network.window)

    def _batch(self, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        s = self.settings
        if self.measured is None:
            return simulate(s.batch, seed, s.scene)
        count = round(s.batch * s.measured_share)
        simulated = simulate(s.batch - count, seed, s.scene)
        image, centre = self.measured.draw(count, seed)
        bound = torch.full((count,), s.measured_bound)
        return (
            torch.cat([simulated.image, image]),
            torch.cat([simulated.centre, centre]),
            torch.cat([simulated.bound, bound]),
        )
