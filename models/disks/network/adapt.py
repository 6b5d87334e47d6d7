"""Simulation like one's own scan, for a disk network to learn from: its probe, disks, dose and background."""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from braggscope.models.disks.network.infer import resampling
from braggscope.models.disks.network.pool import Draw, Scenes
from braggscope.models.disks.network.scenes import GROUPS_PER_SEED, PER_EXPERIMENT, scenes_of
from braggscope.models.disks.results import Disks, Probe
from braggscope.models.disks.simulation.conditions import BROAD, Range, Split
from braggscope.models.disks.simulation.optics import Optics
from braggscope.models.disks.simulation.samples import Through, draw

LEAST_DOSE, MOST_DOSE = 300.0, 1e8  # electrons that are simulated
FEWEST = 10  # disks from which a scan can be judged
CAMERA = 0.08  # relative range of the radius
FLOOR = 0.02  # of the probe's height: below it is noise


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a scan is like.

    ``dose`` counts per pattern (least, most); ``background`` share of them outside disks, up to; ``spacing``
    px of neighbouring disks (least, most); ``size`` px of the shorter side.
    """

    dose: tuple[float, float]
    background: float
    spacing: tuple[float, float]
    size: int


def statistics_of(patterns: NDArray[np.float32], disks: Disks) -> Statistics:
    """Measure patterns (B, H, W) of counts and what was found there. Raises ValueError for too few disks."""
    if len(disks) < FEWEST:
        raise ValueError(
            f"Only {len(disks)} disks were found in {len(patterns)} patterns, too few to learn from;"
            " lower the threshold, or choose another probe."
        )
    totals = np.nansum(np.clip(patterns, 0, None).astype(np.float64), axis=(1, 2))
    bright: NDArray[np.float64] = totals[totals > 0]
    inside = np.bincount(disks.pattern, disks.intensity, len(patterns))[totals > 0]
    background = float(np.clip(np.median(1 - inside / bright), 0.02, 0.6))
    gaps = []
    for k in range(len(patterns)):
        own = disks.of(k)
        if len(own) > 2:
            places = np.column_stack([own.x, own.y])
            gaps.append(np.median(cKDTree(places).query(places, 2)[0][:, 1]))
    if not gaps:
        raise ValueError("No pattern shows three disks, too few to learn from; choose another scan.")
    spacing = float(np.median(gaps))
    low, high = (float(np.clip(q, LEAST_DOSE, MOST_DOSE)) for q in np.quantile(bright, [0.05, 0.95]))
    return Statistics((low / 1.5, high * 1.5), background, (0.85 * spacing, 1.15 * spacing),
                      min(patterns.shape[1:]))  # fmt: skip


def scene_like(probe: Probe, statistics: Statistics) -> Range:
    """Experiments with the probe's radius and the dose, spacing and background of a scan, all else as ever.

    In px of the patterns as the network gets to see them, after :func:`.infer.resampling`.
    """
    scale = resampling(probe.radius)
    radius = probe.radius * scale
    low, high = (scale * gap for gap in statistics.spacing)
    high = max(high, 2.1 * radius)
    low = min(max(low, 2.05 * radius), high * 0.98)
    return replace(
        BROAD,
        radius=(radius * (1 - CAMERA), radius * (1 + CAMERA)),
        spacing=(low, high),
        filling=max(BROAD.filling, 2 * radius * (1 + CAMERA) / low),
        overlap_share=0.0,
        cone=(0.1e-3, 30e-3),
        pixel_rad=5e-3,
        dose=statistics.dose,
        background=min(0.8, 1.3 * statistics.background),
        bullseye_share=0.0,
        soft_share=0.0,
    )


def through(probe: Probe) -> Through:
    """Transmission of the measured probe, in place of a simulated aperture.

    The image already holds the blur of the detector, which the simulation adds once more: up to 0.7 px.
    """
    image = torch.from_numpy(np.ascontiguousarray(probe.image, np.float32))
    image = (image - FLOOR * image.max()).clamp(min=0)
    side = image.shape[-1]

    def transmission(optics: Optics, radius: Tensor) -> Tensor:
        steps = optics.fine().to(radius.device)
        place = steps[None, :] * probe.radius / radius[:, None] + side // 2
        grid = (2 * place + 1) / side - 1
        x, y = grid[:, None, :].expand(-1, len(steps), -1), grid[:, :, None].expand(-1, -1, len(steps))
        whole = image[None, None].expand(len(radius), 1, -1, -1).to(radius.device)
        out = F.grid_sample(whole, torch.stack([x, y], dim=-1), align_corners=False)[:, 0]
        return out / out.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)

    return transmission


def drawing_like(
    probe: Probe, statistics: Statistics, seed: int, count: int, crystals: Split = "train"
) -> Draw:
    """What draws groups of ``count`` scenes like a scan, by the number of the group."""
    scene, shape = scene_like(probe, statistics), through(probe)
    size = int(np.clip(round(statistics.size * resampling(probe.radius) / 16) * 16, 64, 128))

    def draw_group(number: int) -> Scenes:
        return scenes_of(
            draw(count, seed * GROUPS_PER_SEED + number, size, crystals, scene, PER_EXPERIMENT, through=shape)
        )

    return draw_group
