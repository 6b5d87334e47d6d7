"""Seeded patches with known centres, as broad as what real detectors deliver. All lengths in px."""

import math
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from braggscope.models.patchsim import (
    Draw,
    Scene,
    apply_threshold,
    draw_background,
    draw_missing,
    draw_noise,
    draw_shifts,
    draw_widths,
    profile,
    second_peak,
)

__all__ = ["SIMULATION_VERSION", "Patches", "Scene", "benchmark_scenes", "normalise", "simulate"]

SIMULATION_VERSION = 1


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
    draw = Draw(n, torch.Generator().manual_seed(seed))
    sigma, major = draw_widths(draw, scene)
    snr = torch.exp(draw.between(math.log(scene.snr[0]), math.log(scene.snr[1])))
    shift = draw_shifts(draw, scene, major, snr)
    eta = torch.where(draw.chance(scene.gauss_share), 0.0, draw.between(*scene.lorentz))
    signal = profile(shift, sigma, major, draw.between(0.0, math.pi), eta, scene.window)
    other = second_peak(draw, scene, shift, sigma, major, eta)
    if other is not None:
        signal += other.image
    background = draw_background(draw, scene)
    image = signal + background + draw_noise(draw, scene, signal, snr)
    missing = draw_missing(draw, scene)
    image = normalise(apply_threshold(draw, scene, image, background, snr), missing)
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
