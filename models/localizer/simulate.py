"""Seeded patches in counts with their truth, for the localiser network. All lengths in px."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from braggscope.models.patchsim import (
    Draw,
    Range,
    Scene,
    apply_threshold,
    draw_background,
    draw_missing,
    draw_shifts,
    draw_widths,
    profile,
    second_peak,
)

SIMULATION_VERSION = 2
HELD_OUT_SEED = 2**40  # training draws its seeds below this


@dataclass(frozen=True, slots=True)
class Crowd(Scene):
    """A :class:`Scene` with what else befalls patches of real frames.

    ``stranger``: a further peak towards or beyond the rim, up to much brighter than the peak itself;
    ``gap``: dead rows or columns of a detector; ``saturated``: pixels above a level are clipped, or masked.
    """

    offset: float = 0.55
    threshold_share: float = 0.25
    dead_share: float = 0.08
    stranger_share: float = 0.1
    stranger_distance: Range = (4.5, 9.0)
    stranger_amplitude: Range = (0.3, 6.0)  # log-uniform
    gap_share: float = 0.06
    gap: tuple[int, int] = (1, 4)
    saturated_share: float = 0.06
    saturated_level: Range = (0.4, 0.95)  # of the amplitude


BROAD = Crowd()
WEAK_PAIRS = Crowd(
    sigma=(0.8, 1.8),
    ratio=(1.0, 2.0),
    round_share=0.6,
    gauss_share=0.7,
    snr=(4.0, 40.0),
    slope_share=0.25,
    second_share=0.85,
    second_distance=(2.0, 5.5),
    second_amplitude=(0.2, 1.2),
    cut_share=0.06,
    threshold_share=0.1,
    stranger_share=0.04,
)
ORDINARY = Crowd(
    sigma=(0.8, 4.0),
    round_share=0.6,
    gauss_share=1.0,
    snr=(4.0, 150.0),
    poisson=(0.0, 0.5),
    slope_share=0.35,
    curvature=0.0,
    second_share=0.2,
    second_distance=(2.2, 6.0),
    second_amplitude=(0.2, 1.2),
    cut_share=0.15,
    dead_share=0.04,
    threshold_share=0.0,
    stranger_share=0.03,
    gap_share=0.03,
    saturated_share=0.02,
)
Mixture = tuple[tuple[float, Crowd], ...]  # shares that add up to 1
MIXTURE: Mixture = ((0.45, BROAD), (0.3, WEAK_PAIRS), (0.25, ORDINARY))  # what training draws
_CLEAR = replace(
    ORDINARY,
    round_share=0.8,
    snr=(30.0, 150.0),
    poisson=(0.0, 0.2),
    slope_share=0.1,
    second_share=0.0,
    cut_share=0.03,
    stranger_share=0.0,
    gap_share=0.0,
    saturated_share=0.0,
)
CLEAR_PAIRS = replace(
    _CLEAR, sigma=(0.9, 1.7), second_share=1.0, second_distance=(2.3, 5.3), second_amplitude=(0.25, 1.1)
)
CLEAR_SLOPES = replace(_CLEAR, sigma=(2.0, 4.2), slope_share=1.0, slope=(0.01, 0.12))
CLEAR_EDGES = replace(_CLEAR, sigma=(0.9, 2.3), cut_share=1.0, cut=(2, 5))
CLEAR_ELLIPSES = replace(_CLEAR, sigma=(0.9, 1.7), ratio=(1.7, 3.2), round_share=0.0)
LONE = replace(_CLEAR, sigma=(0.9, 2.4), snr=(4.0, 150.0))
FAINT_PAIRS = replace(CLEAR_PAIRS, snr=(5.0, 30.0))
REGIMES: Mixture = (  # what calibration draws
    (0.18, ORDINARY),
    (0.12, BROAD),
    (0.12, WEAK_PAIRS),
    (0.18, LONE),
    (0.12, FAINT_PAIRS),
    (0.1, CLEAR_PAIRS),
    (0.07, CLEAR_SLOPES),
    (0.07, CLEAR_EDGES),
    (0.04, CLEAR_ELLIPSES),
)


class Samples(NamedTuple):
    """``counts`` (N, S, S) float32 in units of the amplitude, ``valid`` of the same shape, bool.

    ``centre`` and ``second`` (N, 2): (x, y) px from the middle pixel; ``paired`` (N,) bool: whether a
    second peak lies in the window.
    """

    counts: Tensor
    valid: Tensor
    centre: Tensor
    second: Tensor
    paired: Tensor


def simulate_mixture(n: int, seed: int, mixture: Mixture = MIXTURE) -> Samples:
    """Draw n patches, of each scene its share; the same seed gives the same patches."""
    ends = [round(n * sum(share for share, _ in mixture[: k + 1])) for k in range(len(mixture))]
    parts, start = [], 0
    for k, (_, scene) in enumerate(mixture):
        parts.append(simulate(ends[k] - start, seed * len(mixture) + k, scene))
        start = ends[k]
    return Samples(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def simulate(n: int, seed: int, scene: Crowd = BROAD) -> Samples:
    """Draw n patches of one scene; the same seed gives the same patches on one version of torch."""
    draw = Draw(n, torch.Generator().manual_seed(seed))
    sigma, major = draw_widths(draw, scene)
    snr = torch.exp(draw.between(math.log(scene.snr[0]), math.log(scene.snr[1])))
    shift = draw_shifts(draw, scene, major, snr)
    eta = torch.where(draw.chance(scene.gauss_share), 0.0, draw.between(*scene.lorentz))
    signal = profile(shift, sigma, major, draw.between(0.0, math.pi), eta, scene.window)
    other = second_peak(draw, scene, shift, sigma, major, eta)
    place, there = shift, torch.zeros(n, dtype=torch.bool)
    if other is not None:
        signal += other.image
        place, there = other.position, other.amplitude > 0
    place, there = _stranger(draw, scene, signal, (shift, sigma, major, eta), (place, there))
    background = draw_background(draw, scene)
    poisson = torch.where(draw.chance(1 - scene.poisson_share), 0.0, draw.between(*scene.poisson))[
        :, None, None
    ]
    counts = signal + background
    variance = (1 - poisson) + poisson * signal.clamp(min=0)
    counts += torch.sqrt(variance) / snr[:, None, None] * draw.normal(scene.window, scene.window)
    valid = _valid(draw, scene)
    counts, valid = _saturate(draw, scene, counts, background, valid)
    counts = apply_threshold(draw, scene, counts, background, snr)
    inside = place.abs().amax(1) <= scene.window / 2
    return Samples(torch.where(valid, counts, 0.0), valid, shift, place, there & inside)


def _stranger(
    draw: Draw,
    scene: Crowd,
    signal: Tensor,
    peak: tuple[Tensor, Tensor, Tensor, Tensor],
    second: tuple[Tensor, Tensor],
) -> tuple[Tensor, Tensor]:
    """Add one in a share of the patches; it counts as the second peak where there is none."""
    shift, sigma, major, eta = peak
    place, there = second
    rows = torch.nonzero(draw.chance(scene.stranger_share))[:, 0]
    distance, direction = draw.between(*scene.stranger_distance), draw.between(0.0, 2 * math.pi)
    low, high = scene.stranger_amplitude
    amplitude = torch.exp(draw.between(math.log(low), math.log(high)))
    angle = draw.between(0.0, math.pi)
    at = shift + torch.stack([distance * torch.cos(direction), distance * torch.sin(direction)], dim=1)
    form = (at[rows], sigma[rows], major[rows], angle[rows], eta[rows])
    signal[rows] += amplitude[rows, None, None] * profile(*form, scene.window)
    new = torch.zeros_like(there)
    new[rows] = ~there[rows]
    return torch.where(new[:, None], at, place), there | new


def _valid(draw: Draw, scene: Crowd) -> Tensor:
    """Pixels on the frame that are neither dead nor in a gap; the middle one always is valid."""
    size, middle = scene.window, scene.window // 2
    missing = draw_missing(draw, scene)
    valid = torch.ones(draw.n, size, size, dtype=torch.bool) if missing is None else ~missing
    start = draw.integers(1, middle) * torch.where(draw.chance(0.5), 1, -1)
    width = draw.integers(*scene.gap) * draw.chance(scene.gap_share)
    away = (torch.arange(size) - middle)[None, :] * torch.sign(start)[:, None]  # towards the gap: positive
    gap = (away >= start.abs()[:, None]) & (away < (start.abs() + width)[:, None])
    columns = draw.chance(0.5)[:, None, None]
    return valid & ~torch.where(columns, gap[:, None, :], gap[:, :, None])


def _saturate(
    draw: Draw, scene: Crowd, counts: Tensor, background: Tensor, valid: Tensor
) -> tuple[Tensor, Tensor]:
    """Clip at a level in a share of the patches; in half of these the clipped pixels are not valid."""
    middle = scene.window // 2
    level = background[:, middle, middle] + draw.between(*scene.saturated_level)
    level = torch.where(draw.chance(scene.saturated_share), level, torch.inf)[:, None, None]
    masked = draw.chance(0.5)[:, None, None] & (counts >= level)
    return torch.minimum(counts, level), valid & ~masked
