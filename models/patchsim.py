"""The pieces of simulated patches: profiles, neighbours, backgrounds, missing pixels. All lengths in px."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scene:
    """Distribution of simulated patches. The defaults are the training distribution.

    Lengths in px; amplitudes, slopes and pedestals in units of the peak's amplitude. ``sigma`` is that of
    the narrow axis and ``ratio`` stretches the other, up to ``sigma_max``. ``snr``: amplitude over noise
    sigma at the top of the peak, log-uniform. ``offset``: the centre lies uniformly within +- offset of
    the middle of the window, and with ``wander`` further away where noise would move the maximum.
    """

    window: int = 11
    sigma: Range = (0.4, 4.0)
    sigma_max: float = 4.5
    ratio: Range = (1.0, 3.0)
    round_share: float = 0.3
    lorentz: Range = (0.0, 1.0)  # eta of the pseudo-Voigt
    gauss_share: float = 0.5  # eta is exactly 0 in this share
    snr: Range = (3.0, 300.0)
    poisson: Range = (0.0, 1.0)  # share of the noise variance that follows the intensity
    poisson_share: float = 0.5  # in the other patches the noise is the same everywhere
    offset: float = 0.7
    wander: bool = True
    slope: Range = (0.0, 0.15)  # amplitude per px
    slope_share: float = 0.4
    curvature: float = 0.01  # amplitude per px^2, along the slope
    pedestal: Range = (0.0, 2.0)
    pedestal_share: float = 0.5
    second_share: float = 0.3
    second_distance: Range = (2.0, 7.0)
    second_amplitude: Range = (0.1, 1.5)
    cut_share: float = 0.12  # patches that lack columns or rows at an edge of the frame
    cut: tuple[int, int] = (1, 5)
    dead_share: float = 0.04  # patches with a few dead pixels
    threshold_share: float = 0.5
    threshold: Range = (0.03, 0.4)


class Draw:
    """Random numbers for n patches from one generator."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def between(self, low: float, high: float) -> Tensor:
        """(N,) uniform numbers."""
        return low + (high - low) * torch.rand(self.n, generator=self.generator)

    def chance(self, share: float) -> Tensor:
        """(N,) bool, True in this share."""
        return torch.rand(self.n, generator=self.generator) < share

    def integers(self, low: int, high: int) -> Tensor:
        """(N,) integers from low to high, both included."""
        return torch.randint(low, high + 1, (self.n,), generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        """(N, *shape) normal numbers."""
        return torch.randn(self.n, *shape, generator=self.generator)


def draw_widths(draw: Draw, scene: Scene) -> tuple[Tensor, Tensor]:
    """(sigma, major): narrow and long width of each peak, px."""
    low, high = scene.sigma
    even = draw.between(low, high)
    logarithmic = torch.exp(draw.between(math.log(low), math.log(high)))
    sigma = torch.where(draw.chance(0.5), even, logarithmic)
    ratio = torch.where(draw.chance(scene.round_share), scene.ratio[0], draw.between(*scene.ratio))
    return sigma, torch.maximum(torch.minimum(sigma * ratio, torch.tensor(scene.sigma_max)), sigma)


def draw_shifts(draw: Draw, scene: Scene, major: Tensor, snr: Tensor) -> Tensor:
    """Centre minus middle pixel, (N, 2). Where the top is flat, noise moves the maximum pixel further."""
    shift = torch.stack([draw.between(-scene.offset, scene.offset) for _ in range(2)], dim=1)
    further = draw.normal(2) * (0.35 * major * torch.sqrt(2 / snr))[:, None]
    return (shift + further).clamp(-2.5, 2.5) if scene.wander else shift


def grid(window: int) -> tuple[Tensor, Tensor]:
    """Coordinates x (1, 1, S) and y (1, S, 1), px from the middle pixel."""
    axis = torch.arange(window, dtype=torch.float32) - window // 2
    return axis[None, None, :], axis[None, :, None]


def profile(shift: Tensor, sigma: Tensor, major: Tensor, angle: Tensor, eta: Tensor, window: int) -> Tensor:
    """Pseudo-Voigt of amplitude 1 with equal widths at half maximum, long axis at ``angle`` from +x to +y."""
    x, y = grid(window)
    dx, dy = x - shift[:, 0, None, None], y - shift[:, 1, None, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b = 1 / major**2, 1 / sigma**2
    xx, yy, xy = a * cos**2 + b * sin**2, a * sin**2 + b * cos**2, 2 * (a - b) * sin * cos
    square = xx[:, None, None] * dx * dx + yy[:, None, None] * dy * dy + xy[:, None, None] * (dx * dy)
    gauss = torch.exp(-0.5 * square)
    lorentz = 1 / (1 + square / (2 * math.log(2)))
    return gauss + eta[:, None, None] * (lorentz - gauss)


class Second(NamedTuple):
    """``image`` (N, S, S); ``position`` (N, 2) (x, y) px from the middle; ``amplitude`` (N,)."""

    image: Tensor
    position: Tensor
    amplitude: Tensor


def second_peak(
    draw: Draw, scene: Scene, shift: Tensor, sigma: Tensor, major: Tensor, eta: Tensor
) -> Second | None:
    """A neighbour of the peaks at ``shift``, amplitude 0 where there is none; None if there never is one."""
    if scene.second_share == 0:
        return None
    distance, direction = draw.between(*scene.second_distance), draw.between(0.0, 2 * math.pi)
    away = torch.stack([distance * torch.cos(direction), distance * torch.sin(direction)], dim=1)
    like = draw.between(0.7, 1.4)  # neighbours resemble each other
    amplitude = draw.between(*scene.second_amplitude) * draw.chance(scene.second_share)
    angle = draw.between(0, math.pi)
    other = profile(shift + away, sigma * like, major * like, angle, eta, scene.window)
    return Second(other * amplitude[:, None, None], shift + away, amplitude)


def draw_background(draw: Draw, scene: Scene) -> Tensor:
    """Pedestal, plane and a slight bend along its slope; zero at the middle but for the pedestal."""
    pedestal = torch.where(draw.chance(1 - scene.pedestal_share), 0.0, draw.between(*scene.pedestal))
    slope = draw.between(*scene.slope) * draw.chance(scene.slope_share)
    bend = draw.between(-scene.curvature, scene.curvature) * draw.chance(scene.slope_share)
    direction = draw.between(0.0, 2 * math.pi)
    x, y = grid(scene.window)
    along = torch.cos(direction)[:, None, None] * x + torch.sin(direction)[:, None, None] * y
    return pedestal[:, None, None] + along * (slope[:, None, None] + bend[:, None, None] * along)


def draw_missing(draw: Draw, scene: Scene) -> Tensor | None:
    """(N, S, S) True where a frame's edge or a dead pixel leaves nothing; None if that never happens."""
    if scene.cut_share == 0 and scene.dead_share == 0:
        return None
    size = scene.window
    depth = draw.integers(*scene.cut) * draw.chance(scene.cut_share)
    position = torch.arange(size)
    left = position[None, :] < depth[:, None]  # (N, S)
    gone = torch.where(draw.chance(0.5)[:, None], left, left.flip(1))
    columns = draw.chance(0.5)[:, None, None]
    missing = torch.where(columns, gone[:, None, :], gone[:, :, None])
    dead = torch.rand(draw.n, size, size, generator=draw.generator) < 0.015
    missing = missing | (dead & draw.chance(scene.dead_share)[:, None, None])
    missing[:, size // 2, size // 2] = False  # the maximum itself is there
    return missing


def apply_threshold(draw: Draw, scene: Scene, image: Tensor, background: Tensor, snr: Tensor) -> Tensor:
    """Set what lies below the threshold to 0, in a share of the patches; half of those lose the pedestal."""
    chosen = draw.chance(scene.threshold_share)[:, None, None]
    pedestal = background[:, scene.window // 2, scene.window // 2][:, None, None]
    kept = pedestal * draw.chance(0.5)[:, None, None]
    level = torch.maximum(draw.between(*scene.threshold), (2 / snr).clamp(max=0.6))[:, None, None]
    raised = image - pedestal
    cut = torch.where(raised < level, 0.0, raised + kept)
    return torch.where(chosen, cut, image)


def draw_noise(draw: Draw, scene: Scene, signal: Tensor, snr: Tensor) -> Tensor:
    """(N, H, W) noise of standard deviation 1 / ``snr`` (N,) where the peak is highest.

    A share of its variance, drawn for every patch, follows ``signal``, peak height = 1.
    """
    poisson = torch.where(draw.chance(1 - scene.poisson_share), 0.0, draw.between(*scene.poisson))
    poisson = poisson[:, None, None]
    variance = (1 - poisson) + poisson * signal.clamp(min=0)
    return torch.sqrt(variance) / snr[:, None, None] * draw.normal(*signal.shape[1:])
