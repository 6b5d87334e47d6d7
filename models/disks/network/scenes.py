"""Groups of simulated patterns for training and for judging, by seed."""

import numpy as np
import torch

from braggscope.models.disks.network.inputs import kernel_half
from braggscope.models.disks.network.pool import Draw, Scenes
from braggscope.models.disks.network.targets import Truth
from braggscope.models.disks.simulation.conditions import BROAD, Range, Split
from braggscope.models.disks.simulation.samples import SIMULATION_VERSION, Samples, draw

__all__ = ["HELD_OUT_SEED", "PER_EXPERIMENT", "SIMULATION_VERSION", "drawing", "scenes_of"]

PER_EXPERIMENT = 8  # patterns that share crystal, zone, tilt and aperture
HELD_OUT_SEED = 2**40  # training draws its seeds far below
LEAST_SNR = 2.5  # of a disk whose finding is neither asked for nor wrong
GROUPS_PER_SEED = 2**20


def drawing(seed: int, count: int, scene: Range = BROAD, crystals: Split = "train", size: int = 128) -> Draw:
    """What draws the groups of a training: for the number of a group its ``count`` scenes."""

    def draw_group(number: int) -> Scenes:
        return scenes_of(draw(count, seed * GROUPS_PER_SEED + number, size, crystals, scene, PER_EXPERIMENT))

    return draw_group


def scenes_of(samples: Samples) -> Scenes:
    """Simulated samples as the training uses them. All pixels are valid."""
    half = kernel_half(float(samples.radius.max()), samples.probe.shape[-1])
    middle = samples.probe.shape[-1] // 2
    part = slice(middle - half, middle + half + 1)
    size = samples.patterns.shape[-1]
    inside = ((samples.xy > -0.5) & (samples.xy < size - 0.5)).all(2)
    weak = inside & (samples.snr >= LEAST_SNR) & ~samples.present
    return Scenes(
        samples.patterns, torch.ones(samples.patterns.shape, dtype=torch.bool), samples.probe[:, part, part],
        samples.radius, truth_of(samples, weak),
    )  # fmt: skip


def truth_of(samples: Samples, weak: torch.Tensor) -> Truth:
    """Positions, amplitudes relative to the strongest disk but one, and which are to be found."""
    strength = samples.intensity.clamp(min=0)
    second = (strength * samples.present).topk(2, dim=1).values[:, 1:].clamp(min=1e-12)
    return Truth(samples.xy, torch.sqrt(strength / second).clamp(max=1.5), samples.present, weak)


def masked(scenes: Scenes, rng: np.random.Generator, share: float) -> Scenes:
    """Some of the patterns with a part that is not valid: a bar, or a beam stop from one edge."""
    valid = scenes.valid.clone()
    height, width = valid.shape[1:]
    for k in np.flatnonzero(rng.random(len(valid)) < share):
        if rng.random() < 0.5:
            start, thick = int(rng.integers(width)), int(rng.integers(1, 5))
            valid[k, :, start : start + thick] = False
        else:
            row, column = (int(rng.integers(n // 4, n - n // 4)) for n in (height, width))
            valid[k, row : row + int(rng.integers(3, 12)), :column] = False
    x, y = (scenes.truth.xy[:, :, a].round().long().clamp(0, n - 1) for a, n in ((0, width), (1, height)))
    seen = valid[torch.arange(len(valid))[:, None], y, x]
    truth = scenes.truth._replace(present=scenes.truth.present & seen, weak=scenes.truth.weak & seen)
    return scenes._replace(valid=valid, truth=truth)
