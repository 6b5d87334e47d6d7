"""Training of a small network on seeded batches: AdamW, cosine, moving average. No files."""

import copy
import math
from abc import ABC, abstractmethod
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class Schedule(Protocol):
    """What every kind of training settles beforehand. ``average``: of the exponential moving average."""

    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def rate(self) -> float: ...  # noqa: D102
    @property
    def warm_up(self) -> int: ...  # noqa: D102
    @property
    def decay(self) -> float: ...  # noqa: D102
    @property
    def average(self) -> float: ...  # noqa: D102
    @property
    def clip(self) -> float: ...  # noqa: D102


class AveragedTrainer(ABC, Generic[Network]):
    """AdamW with warm-up and cosine; the weights to use are the moving average.

    Every step has its own seed, so a restored state goes on exactly as if nothing had happened.
    """

    def __init__(self, schedule: Schedule, network: Network) -> None:
        self.schedule = schedule
        self.step = 0
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=schedule.rate, weight_decay=schedule.decay
        )

    @abstractmethod
    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""

    def rate(self) -> float:
        """Learning rate of the coming step."""
        s = self.schedule
        warm = min(s.warm_up, max(1, s.steps // 10))
        if self.step < warm:
            return s.rate * (self.step + 1) / warm
        phase = (self.step - warm) / max(1, s.steps - warm)
        return s.rate * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(phase, 1.0))))

    def advance(self) -> float:
        """One step. Returns its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        loss = self.loss((self.schedule.seed % 2**16) * 2**23 + self.step)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.schedule.clip)
        self.optimizer.step()
        self.step += 1
        keep = min(self.schedule.average, (1 + self.step) / (10 + self.step))
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
