"""Disks of single scattering with made-up intensities inside: smooth modulation of a chosen depth."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.disks.simulation.scattering import Zone

Floats = NDArray[np.float64]
WAVES = 6
CYCLES = 1.2  # across the radius of a disk, at most


def smooth_fields(rng: np.random.Generator, inside: Floats, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(*shape, T) random fields from -1 to 1 at ``inside`` (T, 2), in radii: a few waves each."""
    vectors = 2 * np.pi * rng.normal(0, CYCLES / 2, (*shape, WAVES, 2)).clip(-CYCLES, CYCLES)
    phases = rng.uniform(0, 2 * np.pi, (*shape, WAVES, 1)).astype(np.float32)
    field = np.cos(vectors.astype(np.float32) @ inside.T.astype(np.float32) + phases).mean(axis=-2)
    lowest, highest = field.min(axis=-1, keepdims=True), field.max(axis=-1, keepdims=True)
    return np.asarray(2 * (field - lowest) / (highest - lowest) - 1)


def modulated(rng: np.random.Generator, zone: Zone, inside: Floats, count: int) -> Tensor:
    """(count, M, T) float32 share of the beam: random heights that fall with length, random modulation."""
    length = np.linalg.norm(zone.g, axis=1)
    width = rng.uniform(0.3, 1.0, (count, 1))
    heights = np.exp(-((length / width) ** 2)) * rng.exponential(1, (count, len(length)))
    heights[:, 0] *= rng.uniform(1, 20, count)
    heights /= heights.sum(axis=1, keepdims=True)
    depth = rng.uniform(0, 0.95, (count, 1, 1))
    field = smooth_fields(rng, inside, (count, len(length)))
    return torch.from_numpy((heights[:, :, None] * (1 + depth * field) / (1 + depth)).astype(np.float32))
