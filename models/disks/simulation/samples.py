"""Seeded patterns with their truth, to train and judge networks on. Lengths in px, x = column, y = row."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from braggscope.models.disks.simulation.camera import diffuse, expose
from braggscope.models.disks.simulation.conditions import (
    BROAD,
    MOST_DISKS,
    Experiment,
    Range,
    Split,
    draw_deformation,
    draw_experiment,
    log_uniform,
)
from braggscope.models.disks.simulation.dynamics import propagate, whole_steps
from braggscope.models.disks.simulation.kinematics import modulated
from braggscope.models.disks.simulation.optics import Optics, aperture, cone, probe_image, refine, render

SIMULATION_VERSION = 1
LEAST_SNR = 6.0
LEAST_SHARE = 0.05  # of the counts at the place of a disk
Through = Callable[[Optics, Tensor], Tensor]


class Samples(NamedTuple):
    """N patterns, each with M = 121 places for disks.

    ``patterns`` (N, S, S) float32 counts, readout noise may be negative. ``probe`` (N, S, S) float32: vacuum
    image with noise, sum 1, its centre on the pixel (S // 2, S // 2). ``xy`` (N, M, 2): true centres, inside
    the frame or not. ``intensity`` (N, M): counts expected in the whole disk; 0 in places without a disk.
    ``snr`` (N, M): counts of the disk over the noise of all that lies inside its radius in the frame.
    ``present`` (N, M) bool: centre in the frame, ``snr`` >= 6 and >= 5 % of the counts that lie there.
    ``lattice`` (N, 6): x0 y0 ax ay bx by of the shortest reflections. ``radius`` (N,) px.
    ``crystal`` (N,) int64: number in the table of crystals, -1 for a synthetic cell; ``thickness_nm`` (N,);
    ``dose`` (N,) electrons.
    """

    patterns: Tensor
    probe: Tensor
    xy: Tensor
    intensity: Tensor
    snr: Tensor
    present: Tensor
    lattice: Tensor
    radius: Tensor
    crystal: Tensor
    thickness_nm: Tensor
    dose: Tensor


def draw(
    n: int, seed: int, size: int = 128, crystals: Split = "train", scene: Range = BROAD, per_group: int = 24,
    device: str = "cpu", through: Through = aperture,
) -> Samples:  # fmt: skip
    """Draw n patterns of ``size`` px, the same for the same seed on one version of torch and one device.

    Patterns share crystal, zone, voltage, tilt and aperture in groups of ``per_group``, because scattering
    costs most; thickness, strain, camera length, radius, mirror image, dose and faults are each pattern's
    own, and the order is shuffled. ``crystals``: "held_out" has only those of ``HELD_OUT``, "train" none.
    ``through``: what gives the transmission of the optics for radii (B,) px, as :func:`aperture` does.
    """
    rng = np.random.default_rng([seed, int(crystals == "held_out"), SIMULATION_VERSION])
    generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    parts = []
    for start in range(0, n, per_group):
        experiment = draw_experiment(rng, crystals, scene)
        count = min(per_group, n - start)
        parts.append(_patterns(experiment, scene, count, size, rng, generator, through))
    order = torch.from_numpy(rng.permutation(n)).to(device)
    return Samples(*(torch.cat(columns)[order] for columns in zip(*parts, strict=True)))


def _patterns(
    experiment: Experiment, scene: Range, count: int, size: int, rng: np.random.Generator,
    generator: torch.Generator, through: Through,
) -> Samples:  # fmt: skip
    optics, device = experiment.optics, generator.device

    def tensor(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(device)

    scale = rng.uniform(0.85, 1.0, count)
    least = np.clip(scene.radius[0] / (optics.radius * scale), 0.75, 0.99)
    radius = optics.radius * scale * rng.uniform(least, 1.0)
    thickness, nodes = _scattered(experiment, scene, count, rng, str(device))
    deformation = draw_deformation(rng, scene, count)
    vectors = experiment.vectors(deformation) * scale[:, None, None]
    origin = size // 2 + rng.normal(0, scene.shift, (count, 2)).clip(-3 * scene.shift, 3 * scene.shift)
    xy = tensor(origin[:, None] + experiment.zone.indices @ vectors)
    sizes, dose = tensor(radius), tensor(log_uniform(rng, scene.dose, count))
    transmission = through(optics, sizes)
    scattered = render(optics, nodes, transmission, refine(optics, tensor(scale)), xy, size)
    share = tensor(rng.uniform(0, scene.background, count))
    level, rest = ((1 - share) * dose)[:, None, None], (share * dose)[:, None, None]
    expected = scattered.patterns * level + rest * diffuse(rng, tensor(origin), size, sizes)
    counts, readout = expose(expected, rng, generator, scene.faults)
    intensity = scattered.share * level[:, :, 0]
    snr, present = visible(expected, xy, intensity, sizes, readout)
    vacuum = probe_image(optics, transmission, size)
    vacuum_dose = tensor(log_uniform(rng, scene.probe_dose, count))
    seen = torch.poisson(vacuum.clamp(min=0) * vacuum_dose[:, None, None], generator=generator)
    found = Samples(
        counts, seen / seen.sum(dim=(1, 2), keepdim=True), _padded(xy), _padded(intensity), _padded(snr),
        _padded(present), tensor(np.concatenate([origin, vectors.reshape(count, 4)], axis=1)), sizes,
        torch.full((count,), experiment.number, device=device), tensor(thickness), dose,
    )  # fmt: skip
    return mirror(found, rng)


def _scattered(
    experiment: Experiment, scene: Range, count: int, rng: np.random.Generator, device: str
) -> tuple[np.ndarray, Tensor]:
    """((B,) nm, (B, M, G, G) share of the beam over the nodes of the cone)."""
    thickness = np.where(
        rng.random(count) < 0.7,
        rng.uniform(*scene.thickness_nm, count),
        log_uniform(rng, scene.thickness_nm, count),
    )
    tilts = cone(experiment.optics)
    if experiment.kinematic:
        nodes = modulated(rng, experiment.zone, tilts.inside / experiment.optics.radius, count).to(device)
    else:
        offsets = experiment.wave_vectors(tilts.inside)
        steps, length = whole_steps(experiment.zone, experiment.beam, offsets, 10 * thickness)
        thickness = steps * length / 10
        nodes = propagate(experiment.zone, experiment.beam, offsets, 10 * thickness, device).mT
    return thickness, nodes[:, :, tilts.source.to(device)]


def _padded(values: Tensor) -> Tensor:
    out = torch.zeros(len(values), MOST_DISKS, *values.shape[2:], dtype=values.dtype, device=values.device)
    out[:, : values.shape[1]] = values
    return out


def visible(
    expected: Tensor, xy: Tensor, intensity: Tensor, radius: Tensor, readout: Tensor
) -> tuple[Tensor, Tensor]:
    """(snr, present), both (B, M), of disks at ``xy`` (B, M, 2) in expected counts (B, S, S); see Samples."""
    count, size = expected.shape[:2]
    half = math.ceil(float(radius.max()))
    steps = torch.arange(-half, half + 1, device=xy.device)
    dy, dx = torch.meshgrid(steps, steps, indexing="ij")
    column, row = (xy[..., axis].round().long()[..., None] + d.reshape(-1) for axis, d in ((0, dx), (1, dy)))
    inside = (column - xy[..., :1]) ** 2 + (row - xy[..., 1:]) ** 2 <= radius[:, None, None] ** 2
    inside &= (column >= 0) & (column < size) & (row >= 0) & (row < size)
    which = torch.arange(count, device=xy.device)[:, None, None]
    there = expected[which, row.clamp(0, size - 1), column.clamp(0, size - 1)] * inside
    total, pixels = there.sum(dim=2), inside.sum(dim=2)
    part = pixels / (math.pi * radius[:, None] ** 2)  # of the disk in the frame
    own = intensity * part.clamp(max=1)
    snr = own / torch.sqrt(total + readout[:, None] ** 2 * pixels + 1e-6)
    centre_in = ((xy > -0.5) & (xy < size - 0.5)).all(dim=2)
    return snr, centre_in & (snr >= LEAST_SNR) & (own >= LEAST_SHARE * total)


def mirror(samples: Samples, rng: np.random.Generator) -> Samples:
    """Turn every pattern into one of its eight mirror images."""
    size = samples.patterns.shape[1]
    patterns, probe, xy, lattice = (one.clone() for one in (samples[0], samples[1], samples[2], samples[6]))
    operations = rng.integers(0, 8, len(patterns))
    for operation in range(1, 8):
        rows = torch.from_numpy(np.flatnonzero(operations == operation)).to(patterns.device)
        for axis in (0, 1):
            if operation & (1 << axis):
                flipped = 2 - axis  # of the image: x is the last
                patterns[rows] = patterns[rows].flip(flipped)
                probe[rows] = torch.roll(probe[rows].flip(flipped), 1 - size % 2, flipped)
                xy[rows, :, axis] = size - 1 - xy[rows, :, axis]
                lattice[rows, axis] = size - 1 - lattice[rows, axis]
                lattice[rows[:, None], torch.tensor([2 + axis, 4 + axis])] *= -1
        if operation & 4:
            patterns[rows], probe[rows] = patterns[rows].mT, probe[rows].mT
            xy[rows] = xy[rows].flip(2)
            lattice[rows] = lattice[rows][:, [1, 0, 3, 2, 5, 4]]
    return samples._replace(patterns=patterns, probe=probe, xy=xy, lattice=lattice)
