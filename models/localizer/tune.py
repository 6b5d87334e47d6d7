"""Fine-tuning of the localiser network on simulation and on measured patches with fitted centres."""

from dataclasses import fields

import torch
from torch import Tensor

from braggscope.models.braggnn.measured import Measured
from braggscope.models.localizer.network import LocalizerNet, Output, prepare
from braggscope.models.localizer.simulate import Crowd, simulate_mixture
from braggscope.models.localizer.train import LocalizerSettings, LocalizerTrainer, loss_of, position_loss
from braggscope.models.patchsim import Scene


def crowd_like(scene: Scene) -> Crowd:
    """The same peaks among what else befalls patches of real frames."""
    return Crowd(**{entry.name: getattr(scene, entry.name) for entry in fields(Scene)})


class LocalizerTuner(LocalizerTrainer):
    """As :class:`LocalizerTrainer`, with ``measured`` patches in a ``share`` of every batch.

    From these it learns positions only: a fit says nothing of its own error, nor of faint neighbours.
    """

    def __init__(
        self, settings: LocalizerSettings, base: LocalizerNet, measured: Measured, share: float
    ) -> None:
        super().__init__(settings, base)
        self.measured, self.share = measured, share

    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""
        count = round(self.settings.batch * self.share)
        truth = simulate_mixture(self.settings.batch - count, seed, self.settings.mixture)
        counts, valid, centre = self.measured.draw_counts(count, seed)
        inputs = torch.cat([prepare(truth.counts, truth.valid), prepare(counts, valid)])
        output = self.network(inputs.contiguous(memory_format=torch.channels_last))
        known = len(truth.counts)
        simulated = loss_of(Output(*(part[:known] for part in output)), truth)
        fitted = position_loss(Output(*(part[known:] for part in output)), centre - self.measured.window // 2)
        return (1 - self.share) * simulated + self.share * fitted
