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
    draw_noise,
    draw_shifts,
    draw_widths,
    grid,
    profile,
    second_peak,
)

SIMULATION_VERSION = 4
REACH = 2  # px, within which a detector looks for the highest pixel
HELD_OUT_SEED = 2**40  # training draws its seeds below this


@dataclass(frozen=True, slots=True)
class Crowd(Scene):
    """A :class:`Scene` with what else befalls patches of real frames.

    ``stranger``: a further peak towards or beyond the rim, up to much brighter than the peak itself;
    ``gap``: dead rows or columns of a detector; ``saturated``: pixels above a level are clipped, or masked;
    ``ridge``: the bright ring on which spots ride, straight at this scale, ``ridge_width`` its sigma.
    ``found_share``: patches whose middle is the highest pixel within 2 px, as a detector finds it.
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
    ridge_share: float = 0.25
    ridge_width: Range = (2.0, 12.0)
    ridge_height: Range = (0.2, 4.0)  # log-uniform, of the amplitude
    ridge_distance: Range = (0.0, 10.0)  # of its crest from the middle
    found_share: float = 0.7


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
    ridge_share=0.15,
    found_share=0.4,
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
    ridge_share=0.15,
    found_share=0.5,
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
    ridge_share=0.0,
    found_share=0.0,
)
CLEAR_PAIRS = replace(
    _CLEAR, sigma=(0.9, 1.7), second_share=1.0, second_distance=(2.3, 5.3), second_amplitude=(0.25, 1.1)
)
CLEAR_SLOPES = replace(_CLEAR, sigma=(2.0, 4.2), slope_share=1.0, slope=(0.01, 0.12))
CLEAR_EDGES = replace(_CLEAR, sigma=(0.9, 2.3), cut_share=1.0, cut=(2, 5))
CLEAR_ELLIPSES = replace(_CLEAR, sigma=(0.9, 1.7), ratio=(1.7, 3.2), round_share=0.0)
LONE = replace(_CLEAR, sigma=(0.9, 2.4), snr=(4.0, 150.0))
FOUND = replace(LONE, ratio=(1.0, 2.5), round_share=0.3, poisson=(0.0, 1.0), ridge_share=0.2, found_share=1.0)
CLEAR_BROAD = replace(_CLEAR, sigma=(2.4, 4.2), snr=(10.0, 150.0))
FAINT_PAIRS = replace(CLEAR_PAIRS, snr=(5.0, 30.0))
REGIMES: Mixture = (  # what calibration draws
    (0.13, ORDINARY),
    (0.1, BROAD),
    (0.1, WEAK_PAIRS),
    (0.17, LONE),
    (0.08, FOUND),
    (0.12, FAINT_PAIRS),
    (0.1, CLEAR_PAIRS),
    (0.06, CLEAR_SLOPES),
    (0.05, CLEAR_EDGES),
    (0.04, CLEAR_ELLIPSES),
    (0.05, CLEAR_BROAD),
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
    large = replace(scene, window=scene.window + 2 * REACH)
    sigma, major = draw_widths(draw, scene)
    snr = torch.exp(draw.between(math.log(scene.snr[0]), math.log(scene.snr[1])))
    shift = draw_shifts(draw, scene, major, snr)
    eta = torch.where(draw.chance(scene.gauss_share), 0.0, draw.between(*scene.lorentz))
    signal = profile(shift, sigma, major, draw.between(0.0, math.pi), eta, large.window)
    other = second_peak(draw, large, shift, sigma, major, eta)
    place, there = shift, torch.zeros(n, dtype=torch.bool)
    if other is not None:
        signal += other.image
        place, there = other.position, other.amplitude > 0
    place, there = _stranger(draw, large, signal, (shift, sigma, major, eta), (place, there))
    signal += _ridge(draw, large)
    background = draw_background(draw, large)
    counts = signal + background + draw_noise(draw, large, signal, snr)
    move = _found(draw, scene, counts)
    counts, background = (_cut(image, move, scene.window) for image in (counts, background))
    shift, place = _main_first(shift - move, place - move, there)
    valid = _valid(draw, scene)
    counts, valid = _saturate(draw, scene, counts, background, valid)
    counts = apply_threshold(draw, scene, counts, background, snr)
    inside = place.abs().amax(1) <= scene.window / 2
    return Samples(torch.where(valid, counts, 0.0), valid, shift, place, there & inside)


def _found(draw: Draw, scene: Crowd, counts: Tensor) -> Tensor:
    """(N, 2) x, y from the middle to the highest pixel near it, in a share of the patches, else 0."""
    edge = counts.shape[1] // 2 - REACH
    near = counts[:, edge : edge + 2 * REACH + 1, edge : edge + 2 * REACH + 1].flatten(1).argmax(1)
    side = 2 * REACH + 1
    highest = torch.stack([near % side, near // side], dim=1) - REACH
    return highest * draw.chance(scene.found_share)[:, None]


def _cut(image: Tensor, move: Tensor, size: int) -> Tensor:
    """(N, size, size) around the pixels that lie ``move`` from the middle of larger images."""
    first = (image.shape[1] - size) // 2 + torch.arange(size)
    rows, cols = first + move[:, 1:], first + move[:, :1]
    return image[torch.arange(len(image))[:, None, None], rows[:, :, None], cols[:, None, :]]


def _main_first(shift: Tensor, place: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """The peak nearer to the middle is the one that the patch is of."""
    swapped = (there & (place.norm(dim=1) < shift.norm(dim=1)))[:, None]
    return torch.where(swapped, place, shift), torch.where(swapped, shift, place)


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


def _ridge(draw: Draw, scene: Crowd) -> Tensor:
    """(N, S, S): a Gaussian ridge in any direction, in a share of the patches."""
    low, high = scene.ridge_height
    height = torch.exp(draw.between(math.log(low), math.log(high))) * draw.chance(scene.ridge_share)
    width, distance = draw.between(*scene.ridge_width), draw.between(*scene.ridge_distance)
    direction = draw.between(0.0, 2 * math.pi)[:, None, None]
    x, y = grid(scene.window)
    across = torch.cos(direction) * x + torch.sin(direction) * y - distance[:, None, None]
    return height[:, None, None] * torch.exp(-0.5 * (across / width[:, None, None]) ** 2)


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
