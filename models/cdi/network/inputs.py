"""What the network of coherent imaging sees: a rough guess, what the data say to it, and autocorrelations.

A convolution sees neighbours only, a pattern tells of its object through the Fourier transform alone. So the
data come in as things of real space: the change that the measured modulus asks of the guess, and the
autocorrelations of the object (transform of I) and of its sharpened kin (transform of sqrt I).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

SIDE, BOX = 32, 24  # voxels a side: of a pattern, of the middle that holds the object
CHANNELS = 13
CHANGE = 4.0  # of what the data ask: small beside the guess
_AXES = (1, 2, 3)
_EDGE = (SIDE - BOX) // 2


class Inputs(NamedTuple):
    """``features`` (N, 13, 32, 32, 32) float32: guess and the change that the data ask of it (real and
    imaginary part, in units of the guess's modulus), autocorrelations of I and sqrt I (real and imaginary
    part, 1 at lag 0, with the root of the modulus), log amplitude (0 to 1), mask (1 = not measured),
    log oversampling along z, y, x. ``guess`` (N, 32, 32, 32) complex64 in the same units, its mean phase 0.
    """

    features: Tensor
    guess: Tensor


def forward(obj: Tensor) -> Tensor:
    """Unitary transform of (N, Z, Y, X), origins in the middle."""
    return torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(obj, _AXES), dim=_AXES, norm="ortho"), _AXES)


def backward(spectrum: Tensor) -> Tensor:
    """Inverse of :func:`forward`."""
    moved = torch.fft.ifftshift(spectrum, _AXES)
    return torch.fft.fftshift(torch.fft.ifftn(moved, dim=_AXES, norm="ortho"), _AXES)


def whole(parts: Tensor) -> Tensor:
    """(N, 2, 24, 24, 24) real and imaginary part to (N, 32, 32, 32) complex64."""
    return torch.nn.functional.pad(torch.complex(parts[:, 0], parts[:, 1]), (_EDGE,) * 6)


def middle(volume: Tensor) -> Tensor:
    """The (..., 24, 24, 24) in the middle of (..., 32, 32, 32)."""
    inner = slice(_EDGE, _EDGE + BOX)
    return volume[..., inner, inner, inner]


def prepare(amplitude: Tensor, guess: Tensor) -> Inputs:
    """Inputs of N patterns: ``amplitude`` (N, 32, 32, 32) float32, zero frequency in the middle, negative
    where not measured; ``guess`` (N, 32, 32, 32) complex64.
    """
    missing = amplitude < 0
    known = amplitude.clamp(min=0)
    spectrum = forward(guess)
    modulus = spectrum.abs()
    seen = torch.where(missing, 0.0, modulus)
    scale = _sum(seen * known) / _sum(seen * seen).clamp(min=1e-20)
    wanted = torch.where(missing, scale * modulus, known)
    asked = backward(spectrum * (wanted / modulus.clamp(min=1e-12)))
    offset = torch.sgn(_sum(guess * guess.abs())).conj()
    guess, asked = guess * scale * offset, asked * offset
    power = guess.abs().square()
    unit = (_sum(power.square()) / _sum(power).clamp(min=1e-20)).sqrt().clamp(min=1e-20)
    guess, change = guess / unit, (asked - guess) / unit
    lags = autocorrelation(known.square())
    volumes = [guess, CHANGE * change, _rooted(lags), _rooted(autocorrelation(known))]
    parts = [part for volume in volumes for part in (volume.real, volume.imag)]
    log = torch.log1p(known)
    parts += [log / log.amax(_AXES, keepdim=True).clamp(min=1e-6), missing.float()]
    parts += [size[:, None, None, None].expand_as(known) for size in oversampling(lags).log().unbind(1)]
    return Inputs(torch.stack(parts, 1), guess)


def autocorrelation(intensity: Tensor) -> Tensor:
    """Transform of (N, Z, Y, X), complex, 1 at lag 0, which is in the middle."""
    found = backward(intensity.to(torch.complex64))
    return found / _sum(intensity)[:, :1, :1, :1].clamp(min=1e-20) * math.sqrt(intensity[0].numel())


def oversampling(lags: Tensor) -> Tensor:
    """(N, 3) field of view over extent along z, y, x, from the width of the autocorrelation.

    The squared autocorrelation of a bar of length L has a variance of L^2 / 10.
    """
    weight = lags.abs().square()
    found = []
    for axis, length in enumerate(lags.shape[1:]):
        others = tuple(a for a in _AXES if a != axis + 1)
        profile = weight.sum(others)
        place = torch.arange(length, dtype=torch.float32, device=lags.device) - length // 2
        variance = (profile * place.square()).sum(1) / profile.sum(1)
        found.append(length / (10 * variance).clamp(min=1.0).sqrt())
    return torch.stack(found, 1)


def _rooted(volume: Tensor) -> Tensor:
    """The same phases with the root of the modulus, so that weak lags are seen beside lag 0."""
    return volume / volume.abs().clamp(min=1e-8).sqrt()


def _sum(values: Tensor) -> Tensor:
    return values.sum(_AXES, keepdim=True)
