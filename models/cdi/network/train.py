"""Training of the network of coherent imaging on simulated crystals. Steps and states, no files."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations, product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.cdi.dataset import Samples, block
from braggscope.models.cdi.network.inputs import prepare, whole
from braggscope.models.cdi.network.loss import loss_of
from braggscope.models.cdi.network.network import CdiConfig, CdiNet, initialise
from braggscope.models.trainer import AveragedTrainer

SYMMETRIES = tuple(product(permutations(range(3)), product((False, True), repeat=3)))  # 48, of the cube
HELD_OUT_SEED = 10**6  # blocks from here on are never trained on


@dataclass(frozen=True, slots=True)
class CdiSettings:
    """Everything that, with one version of torch on one kind of machine, decides the trained weights.

    ``first_blocks``: simulated before the first step; after that one more every ``steps_per_block`` steps up
    to ``blocks``, all of which are drawn from again and again. ``half``: whether convolutions use bfloat16.
    """

    steps: int
    seed: int = 0
    network: CdiConfig = field(default_factory=CdiConfig)
    batch: int = 16
    rate: float = 1e-3
    warm_up: int = 150
    decay: float = 1e-2
    average: float = 0.99
    clip: float = 1.0
    first_blocks: int = 8
    steps_per_block: int = 6
    blocks: int = 640
    half: bool = True


class Pool:
    """Simulated samples that grow with the training. ``source``: gives the block of a seed."""

    def __init__(self, source: Callable[[int], Samples] = block) -> None:
        self._source = source
        self._blocks: list[Samples] = []

    def draw(self, rng: np.random.Generator, count: int, blocks: int) -> Samples:
        """``count`` samples of the first ``blocks`` blocks, each turned by a symmetry of the cube."""
        while len(self._blocks) < blocks:
            self._blocks.append(self._source(len(self._blocks)))
        rows = []
        for _ in range(count):
            chosen = self._blocks[rng.integers(blocks)]
            k = int(rng.integers(len(chosen.guess)))
            axes, flips = SYMMETRIES[rng.integers(len(SYMMETRIES))]
            rows.append([turned(values[k], axes, flips) for values in chosen])
        return Samples(*(np.stack(column) for column in zip(*rows, strict=True)))


def turned(volume: NDArray, axes: tuple[int, ...], flips: tuple[bool, ...]) -> NDArray:
    """The last three axes of ``volume`` in another order, some mirrored at n // 2."""
    lead = volume.ndim - 3
    out = np.transpose(volume, (*range(lead), *(lead + a for a in axes)))
    for axis, flip in enumerate(flips):
        if flip:
            out = np.roll(np.flip(out, lead + axis), 1, lead + axis)
    return out


def tensors(samples: Samples, seed: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """(amplitude, guess, truth) as float32 and complex64; with a ``seed`` half of the guesses and truths
    become their twins.
    """
    amplitude = torch.from_numpy(samples.amplitude.astype(np.float32))
    guess = whole(torch.from_numpy(samples.guess.astype(np.float32)))
    parts = torch.from_numpy(samples.truth.astype(np.float32))
    truth = torch.complex(parts[:, :, 0], parts[:, :, 1])
    if seed is not None:
        swap = torch.rand(len(guess), generator=torch.Generator().manual_seed(seed)) < 0.5
        guess[swap], truth[swap] = _twin(guess[swap]), _twin(truth[swap])
    return amplitude, guess, truth


def _twin(obj: Tensor) -> Tensor:
    axes = (-3, -2, -1)
    return torch.roll(torch.flip(obj, axes), (1, 1, 1), axes).conj().resolve_conj()


class CdiTrainer(AveragedTrainer[CdiNet]):
    """Training of the network, from ``base`` if given."""

    def __init__(self, settings: CdiSettings, base: CdiNet | None = None, pool: Pool | None = None) -> None:
        self.settings = settings
        self._pool = Pool() if pool is None else pool
        network = CdiNet(settings.network) if base is None else copy.deepcopy(base)
        if base is None:
            initialise(network, settings.seed)
        super().__init__(settings, network)

    def loss(self, seed: int) -> Tensor:
        """Loss of one batch that is drawn with this seed."""
        s = self.settings
        blocks = min(s.blocks, s.first_blocks + self.step // s.steps_per_block)
        samples = self._pool.draw(np.random.default_rng(seed), s.batch, blocks)
        amplitude, guess, truth = tensors(samples, seed)
        with torch.no_grad():
            inputs = prepare(amplitude, guess)
        with torch.autocast("cpu", torch.bfloat16, enabled=s.half):
            output = self.network(inputs)
        return loss_of(output, truth, amplitude)
