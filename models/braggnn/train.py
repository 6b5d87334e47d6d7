"""Training of BraggNN on simulated patches, alone or mixed with measured ones. Steps and states, no files."""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from braggscope.models.braggnn.measured import Measured
from braggscope.models.braggnn.network import BraggNN, BraggNNConfig, fold, folded_forward
from braggscope.models.braggnn.simulate import Scene, simulate

SOFT_PX = 0.01  # below this distance the loss is quadratic
FLOOR_PX = 0.03  # errors are weighed by 1 / (FLOOR_PX + bound)
MEASURED_BOUND_PX = 0.02  # taken for measured patches, whose noise is not known


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


class Trainer:
    """AdamW with warm-up and cosine; the weights to use are the moving average.

    Every step has its own seed, so a restored state goes on exactly as if nothing had happened.
    """

    def __init__(
        self, settings: TrainSettings, base: BraggNN | None = None, measured: Measured | None = None
    ) -> None:
        self.settings = settings
        self.measured = measured
        self.step = 0
        self.network = copy.deepcopy(base) if base is not None else BraggNN(settings.network)
        if base is None:
            initialise(self.network, settings.seed)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.rate, weight_decay=settings.decay
        )

    def rate(self) -> float:
        """Learning rate of the coming step."""
        s = self.settings
        warm = min(s.warm_up, max(1, s.steps // 10))
        if self.step < warm:
            return s.rate * (self.step + 1) / warm
        phase = (self.step - warm) / max(1, s.steps - warm)
        return s.rate * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(phase, 1.0))))

    def advance(self) -> float:
        """One step. Returns its loss."""
        settings = self.settings
        image, centre, bound = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        output = folded_forward(self.network, fold(self.network), image)
        loss = position_loss(output, centre, bound, settings.network.window)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        self.optimizer.step()
        self.step += 1
        keep = min(settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.network.parameters()), weight=1 - keep
            )
        return float(loss.detach())

    def state(self) -> dict[str, Any]:
        """Tensors and numbers from which :meth:`restore` goes on."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        s = self.settings
        seed = (s.seed % 2**16) * 2**23 + self.step
        if self.measured is None:
            return simulate(s.batch, seed, s.scene)
        count = round(s.batch * s.measured_share)
        simulated = simulate(s.batch - count, seed, s.scene)
        image, centre = self.measured.draw(count, seed)
        bound = torch.full((count,), MEASURED_BOUND_PX)
        return (
            torch.cat([simulated.image, image]),
            torch.cat([simulated.centre, centre]),
            torch.cat([simulated.bound, bound]),
        )
