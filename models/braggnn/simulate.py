"""Seeded patches with known centres, as broad as what real detectors deliver. All lengths in px."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

SIMULATION_VERSION = 1
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
    offset: float = 0.7
    wander: bool = True
    slope: Range = (0.0, 0.15)  # amplitude per px
    slope_share: float = 0.4
    curvature: float = 0.01  # amplitude per px^2, along the slope
    pedestal: Range = (0.0, 2.0)
    second_share: float = 0.3
    second_distance: Range = (2.0, 7.0)
    second_amplitude: Range = (0.1, 1.5)
    cut_share: float = 0.12  # patches that lack columns or rows at an edge of the frame
    cut: tuple[int, int] = (1, 5)
    dead_share: float = 0.04  # patches with a few dead pixels
    threshold_share: float = 0.5
    threshold: Range = (0.03, 0.4)


class Patches(NamedTuple):
    """``image`` (N, S, S) float32 in 0-1; ``centre`` (N, 2) (x, y) px in the patch.

    ``bound`` (N,) px: rough lower bound of the error from width and noise.
    """

    image: Tensor
    centre: Tensor
    bound: Tensor


def simulate(n: int, seed: int, scene: Scene | None = None) -> Patches:
    """Draw n patches; the same seed gives the same patches on one version of torch."""
    scene = scene or Scene()
    draw = _Draw(n, torch.Generator().manual_seed(seed))
    sigma, major = _widths(draw, scene)
    snr = torch.exp(draw.between(math.log(scene.snr[0]), math.log(scene.snr[1])))
    shift = _shift(draw, scene, major, snr)
    eta = torch.where(draw.chance(scene.gauss_share), 0.0, draw.between(*scene.lorentz))
    signal = _profile(shift, sigma, major, draw.between(0.0, math.pi), eta, scene.window)
    signal += _second(draw, scene, shift, sigma, major, eta)
    background = _background(draw, scene)
    poisson = torch.where(draw.chance(0.5), 0.0, draw.between(*scene.poisson))
    image = signal + background
    variance = (1 - poisson)[:, None, None] + poisson[:, None, None] * signal.clamp(min=0)
    image += torch.sqrt(variance) / snr[:, None, None] * draw.normal(scene.window, scene.window)
    missing = _missing(draw, scene)
    image = normalise(_threshold(draw, scene, image, background, snr), missing)
    bound = 0.8 * torch.sqrt(major / sigma) / snr
    return Patches(image, shift + scene.window // 2, bound)


def normalise(image: Tensor, missing: Tensor | None = None) -> Tensor:
    """Min-max to 0-1 per patch over the pixels that are there; missing and constant ones become 0."""
    flat = image.flatten(1)
    if missing is None:
        low, high = torch.aminmax(flat, dim=1)
    else:
        gone = missing.flatten(1)
        low = flat.masked_fill(gone, math.inf).amin(1)
        high = flat.masked_fill(gone, -math.inf).amax(1)
    span = (high - low).clamp(min=torch.finfo(image.dtype).tiny)
    scaled = (image - low[:, None, None]) / span[:, None, None]
    return scaled if missing is None else scaled.masked_fill_(missing, 0.0)


def benchmark_scenes(window: int = 11) -> dict[str, Scene]:
    """The rows of the accuracy table: raw patches, Gaussian noise, centres within +-0.5 px.

    Sigma is 1-2 px unless the name says another, and 1-1.5 px where there is a second peak: broader pairs at
    2.5 px have one maximum between them, and no patch would be centred on either.
    """
    plain = Scene(
        window=window,
        sigma=(1.0, 2.0),
        ratio=(1.0, 1.0),
        gauss_share=1.0,
        snr=(100.0, 100.0),
        poisson=(0.0, 0.0),
        offset=0.5,
        wander=False,
        slope_share=0.0,
        curvature=0.0,
        second_share=0.0,
        cut_share=0.0,
        dead_share=0.0,
        threshold_share=0.0,
    )
    pair = replace(
        plain, sigma=(1.0, 1.5), second_share=1.0, second_distance=(2.5, 5.0), second_amplitude=(0.3, 1.0)
    )
    return {
        "round, SNR 100": plain,
        "round, SNR 10": replace(plain, snr=(10.0, 10.0)),
        "round, SNR 5": replace(plain, snr=(5.0, 5.0)),
        "elongated 2-3x, SNR 100": replace(plain, sigma=(1.0, 1.5), ratio=(2.0, 3.0), round_share=0.0),
        "broad sigma 3-4, SNR 100": replace(plain, sigma=(3.0, 4.0)),
        "sloping background, SNR 100": replace(plain, slope_share=1.0, slope=(0.02, 0.1)),
        "second peak 2.5-5 px, SNR 100": pair,
        "second peak 2.5-5 px, SNR 10": replace(pair, snr=(10.0, 10.0)),
        "4 columns missing, SNR 100": replace(plain, cut_share=1.0, cut=(4, 4)),
    }


class _Draw:
    """Random numbers for n patches from one generator."""

    def __init__(self, n: int, generator: torch.Generator) -> None:
        self.n, self.generator = n, generator

    def between(self, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(self.n, generator=self.generator)

    def chance(self, share: float) -> Tensor:
        return torch.rand(self.n, generator=self.generator) < share

    def integers(self, low: int, high: int) -> Tensor:
        return torch.randint(low, high + 1, (self.n,), generator=self.generator)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.n, *shape, generator=self.generator)


def _widths(draw: _Draw, scene: Scene) -> tuple[Tensor, Tensor]:
    low, high = scene.sigma
    even = draw.between(low, high)
    logarithmic = torch.exp(draw.between(math.log(low), math.log(high)))
    sigma = torch.where(draw.chance(0.5), even, logarithmic)
    ratio = torch.where(draw.chance(scene.round_share), scene.ratio[0], draw.between(*scene.ratio))
    return sigma, torch.maximum(torch.minimum(sigma * ratio, torch.tensor(scene.sigma_max)), sigma)


def _shift(draw: _Draw, scene: Scene, major: Tensor, snr: Tensor) -> Tensor:
    """Centre minus middle pixel, (N, 2). Where the top is flat, noise moves the maximum pixel further."""
    shift = torch.stack([draw.between(-scene.offset, scene.offset) for _ in range(2)], dim=1)
    further = draw.normal(2) * (0.35 * major * torch.sqrt(2 / snr))[:, None]
    return (shift + further).clamp(-2.5, 2.5) if scene.wander else shift


def _grid(window: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(window, dtype=torch.float32) - window // 2
    return axis[None, None, :], axis[None, :, None]


def _profile(shift: Tensor, sigma: Tensor, major: Tensor, angle: Tensor, eta: Tensor, window: int) -> Tensor:
    """Pseudo-Voigt of amplitude 1 with equal widths at half maximum, long axis at ``angle`` from +x to +y."""
    x, y = _grid(window)
    dx, dy = x - shift[:, 0, None, None], y - shift[:, 1, None, None]
    cos, sin = torch.cos(angle), torch.sin(angle)
    a, b = 1 / major**2, 1 / sigma**2
    xx, yy, xy = a * cos**2 + b * sin**2, a * sin**2 + b * cos**2, 2 * (a - b) * sin * cos
    square = xx[:, None, None] * dx * dx + yy[:, None, None] * dy * dy + xy[:, None, None] * (dx * dy)
    gauss = torch.exp(-0.5 * square)
    lorentz = 1 / (1 + square / (2 * math.log(2)))
    return gauss + eta[:, None, None] * (lorentz - gauss)


def _second(
    draw: _Draw, scene: Scene, shift: Tensor, sigma: Tensor, major: Tensor, eta: Tensor
) -> Tensor | float:
    if scene.second_share == 0:
        return 0.0
    distance, direction = draw.between(*scene.second_distance), draw.between(0.0, 2 * math.pi)
    away = torch.stack([distance * torch.cos(direction), distance * torch.sin(direction)], dim=1)
    like = draw.between(0.7, 1.4)  # neighbours resemble each other
    amplitude = draw.between(*scene.second_amplitude) * draw.chance(scene.second_share)
    other = _profile(shift + away, sigma * like, major * like, draw.between(0, math.pi), eta, scene.window)
    return other * amplitude[:, None, None]


def _background(draw: _Draw, scene: Scene) -> Tensor:
    """Pedestal, plane and a slight bend along its slope; zero at the middle but for the pedestal."""
    pedestal = torch.where(draw.chance(0.5), 0.0, draw.between(*scene.pedestal))
    slope = draw.between(*scene.slope) * draw.chance(scene.slope_share)
    bend = draw.between(-scene.curvature, scene.curvature) * draw.chance(scene.slope_share)
    direction = draw.between(0.0, 2 * math.pi)
    x, y = _grid(scene.window)
    along = torch.cos(direction)[:, None, None] * x + torch.sin(direction)[:, None, None] * y
    return pedestal[:, None, None] + along * (slope[:, None, None] + bend[:, None, None] * along)


def _missing(draw: _Draw, scene: Scene) -> Tensor | None:
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


def _threshold(draw: _Draw, scene: Scene, image: Tensor, background: Tensor, snr: Tensor) -> Tensor:
    """Set what lies below the threshold to 0, in a share of the patches; half of those lose the pedestal."""
    chosen = draw.chance(scene.threshold_share)[:, None, None]
    pedestal = background[:, scene.window // 2, scene.window // 2][:, None, None]
    kept = pedestal * draw.chance(0.5)[:, None, None]
    level = torch.maximum(draw.between(*scene.threshold), (2 / snr).clamp(max=0.6))[:, None, None]
    raised = image - pedestal
    cut = torch.where(raised < level, 0.0, raised + kept)
    return torch.where(chosen, cut, image)
