"""Training of the disk networks on simulated patterns. Steps and states, no files."""

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from braggscope.models.disks.network.build import Config, DiskNet, channels_last, new_network
from braggscope.models.disks.network.fcunet import FCUNet
from braggscope.models.disks.network.pool import Draw, Pool
from braggscope.models.disks.network.scenes import masked
from braggscope.models.disks.network.targets import loss_of, target_of
from braggscope.models.disks.network.unet import STRIDE, UNetConfig
from braggscope.models.trainer import AveragedTrainer


@dataclass(frozen=True, slots=True)
class DiskSettings:
    """Everything that, with one version of torch on one kind of machine, decides the trained weights.

    ``groups`` of ``group`` patterns are drawn, evenly over the first ``growing`` share of the steps, and
    kept. ``masked``: share of patterns of which a part is hidden; ``half``: convolutions in bfloat16.
    """

    steps: int
    seed: int = 0
    network: Config = field(default_factory=UNetConfig)
    batch: int = 16
    rate: float = 2e-3
    warm_up: int = 200
    decay: float = 1e-4
    average: float = 0.998
    clip: float = 2.0
    groups: int = 160
    group: int = 64
    growing: float = 0.5
    masked: float = 0.1
    half: bool = True


class DiskTrainer(AveragedTrainer[DiskNet]):
    """Training of a disk network, from ``base`` if given, on what ``draw`` gives for numbers of groups."""

    def __init__(self, settings: DiskSettings, draw: Draw, base: DiskNet | None = None) -> None:
        self.settings = settings
        network = new_network(settings.network, settings.seed) if base is None else copy.deepcopy(base)
        super().__init__(settings, channels_last(network))
        self._pool = Pool(draw)

    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""
        s, rng = self.settings, np.random.default_rng(seed)
        grown = (self.step + 1) / max(1.0, s.growing * s.steps)
        scenes = self._pool.batch(s.batch, max(1, min(s.groups, int(grown * s.groups))), rng)
        scenes = masked(scenes, rng, s.masked)
        inputs = scenes.inputs(spectrum=isinstance(self.network, FCUNet))
        with torch.autocast("cpu", torch.bfloat16, enabled=s.half):
            output = self.network(inputs)
        height, width = (n // STRIDE for n in inputs.maps.shape[2:])
        return loss_of(output, target_of(scenes.truth, (height, width)))
