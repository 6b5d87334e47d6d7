"""How grains evolve through a charge: lattice, rotation, phase transition, shape and brightness."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EXPANSION, _COLLAPSE = 0.008, 0.014  # of the layer spacing: it grows, then shrinks at high charge
_CANDIDATES = 12


class Sample(Protocol):
    """What the evolution needs to know of the experiment."""

    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def grains(self) -> int: ...  # noqa: D102
    @property
    def splitting(self) -> float: ...  # noqa: D102
    @property
    def blinking(self) -> float: ...  # noqa: D102
    @property
    def amplitude(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def band_sigma_px(self) -> float: ...  # noqa: D102
    @property
    def centre_px(self) -> tuple[float, float]: ...  # noqa: D102
    def radius_px(self, strain: float) -> Floats:
        """Ring radius px for a strain."""
        ...


@dataclass(frozen=True, slots=True)
class Evolution:
    """(F, G) arrays, frames x entries (grains, then the new phases of those that split).

    ``azimuth`` rad around the beam, ``turn`` rad of the long axis from the tangent of the ring, ``strain``
    of d0, ``amplitude`` counts, ``sigma_*`` px. ``common_strain`` (F,): the powder's. ``parent`` (G,).
    """

    parent: NDArray[np.int64]
    common_strain: Floats
    strain: Floats
    azimuth: Floats
    turn: Floats
    amplitude: Floats
    sigma_major: Floats
    sigma_minor: Floats


def smoothstep(x: Floats) -> Floats:
    """0 below 0, 1 above 1, x^2 (3 - 2 x) between."""
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def lattice(charge: Floats) -> Floats:
    """Strain of the layer spacing at a state of charge, 0 to 1."""
    return _EXPANSION * smoothstep(charge / 0.6) - _COLLAPSE * smoothstep((charge - 0.5) / 0.5)


def evolve(sample: Sample, charge: Floats, rng: np.random.Generator) -> Evolution:
    """Draw grains and follow them through ``charge`` (F,), the state of charge of every frame."""
    n = sample.grains
    q = charge[:, None]
    radius = float(sample.radius_px(0.0))
    azimuth, offset = _places(sample, radius, rng)
    strain = offset + rng.uniform(0.85, 1.15, n) * lattice(q - rng.normal(0.0, 0.015, n))
    drift = rng.uniform(-4, 4, n) * q + rng.uniform(0, 2, n) * np.sin(
        2 * np.pi * (rng.uniform(0.3, 1.2, n) * q + rng.uniform(0, 1, n))
    )
    azimuth = azimuth + drift / radius
    major, minor, turn = _shapes(q, n, rng)
    grown = major * minor / (major[0] * minor[0])
    amplitude = _brightness(sample, q, rng) / grown
    base = Evolution(np.full(n, -1), lattice(charge), strain, azimuth, turn, amplitude, major, minor)
    return _split(base, sample, q, radius, rng)


def _places(sample: Sample, radius: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(azimuths rad, strain offsets), each (G,): on the ring across the frame and just beyond, well apart.

    Mitchell's best candidate: of several random places the one farthest from all grains so far.
    """
    (cx, cy), (height, width) = sample.centre_px, sample.shape
    sweep = np.linspace(-np.pi, np.pi, 200_001)
    x, y = cx + radius * np.cos(sweep), cy + radius * np.sin(sweep)
    margin = 3.0
    on = (x > -margin) & (x < width - 1 + margin) & (y > -margin) & (y < height - 1 + margin)
    arc = sweep[on]
    px_per_strain = abs(float(sample.radius_px(1e-4)) - radius) * 1e4
    places = np.empty((sample.grains, 2))
    for i in range(sample.grains):
        drawn = np.column_stack(
            (rng.choice(arc, _CANDIDATES) * radius, rng.uniform(-1, 1, _CANDIDATES) * sample.band_sigma_px)
        )
        gaps = np.hypot(*(drawn[:, None] - places[None, :i]).transpose(2, 0, 1))
        places[i] = drawn[np.argmax(gaps.min(axis=1))] if i else drawn[0]
    return places[:, 0] / radius, places[:, 1] / px_per_strain


def _shapes(q: Floats, n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """(sigma major px, sigma minor px, turn rad), each (F, n): some broaden, some stretch along the ring."""
    start = rng.uniform(1.1, 1.5, n)
    broaden = np.where(rng.random(n) < 0.4, rng.uniform(0.2, 0.8, n), 0.0)
    stretch = np.where(rng.random(n) < 0.35, rng.uniform(0.6, 1.6, n), 0.0)
    begin = rng.uniform(0.2, 0.6, n)
    minor = start * (1 + broaden * smoothstep((q - begin) / 0.3))
    ratio = rng.uniform(1.02, 1.25, n) + stretch * smoothstep((q - begin) / 0.4)
    turn = rng.normal(0, 0.15, n) + rng.normal(0, 0.2, n) * q
    return minor * ratio, minor, turn


def _brightness(sample: Sample, q: Floats, rng: np.random.Generator) -> Floats:
    """(F, G) counts: a rocking curve through which the grain turns, far for those that blink."""
    n = sample.grains
    low, high = sample.amplitude
    peak = np.exp(rng.uniform(np.log(low), np.log(high), n))
    blinks = rng.random(n) < sample.blinking
    swing = np.where(blinks, rng.uniform(1.6, 3.4, n), rng.uniform(0.1, 0.7, n))
    middle = np.where(blinks, rng.uniform(-1.2, 1.2, n), 0.0)
    cycles = rng.uniform(0.5, 1.8, n)
    offset = middle + swing * np.sin(2 * np.pi * (cycles * q + rng.uniform(0, 1, n)))
    return np.asarray(peak * np.exp(-0.5 * offset**2))


def _split(base: Evolution, sample: Sample, q: Floats, radius: float, rng: np.random.Generator) -> Evolution:
    """Append the new phases: each leaves its parent smoothly and takes over its intensity.

    Grains that are bright in the middle of the charge split, so that the splits are there to be seen.
    """
    m = round(sample.splitting * sample.grains)
    half = np.abs(q[:, 0] - 0.5) <= 0.25
    bright = np.argsort(-base.amplitude[half].mean(axis=0)) if half.any() else np.arange(sample.grains)
    chosen = np.sort(rng.permutation(bright[: 2 * m])[:m])
    begin = rng.uniform(0.25, 0.65, m)
    apart = smoothstep((q - begin) / rng.uniform(0.08, 0.15, m))
    share = rng.uniform(0.5, 0.97, m) * smoothstep((q - begin + 0.01) / rng.uniform(0.15, 0.3, m))
    strain = base.strain[:, chosen] - rng.uniform(0.004, 0.008, m) * apart
    azimuth = base.azimuth[:, chosen] + rng.uniform(-3, 3, m) * apart / radius
    amplitude = base.amplitude.copy()
    amplitude[:, chosen] *= 1 - share
    child = base.amplitude[:, chosen] * share

    def joined(old: Floats, new: Floats | None = None) -> Floats:
        return np.concatenate((old, old[:, chosen] if new is None else new), axis=1)

    return Evolution(
        np.concatenate((base.parent, chosen)), base.common_strain, joined(base.strain, strain),
        joined(base.azimuth, azimuth), joined(base.turn), joined(amplitude, child),
        joined(base.sigma_major), joined(base.sigma_minor),
    )  # fmt: skip
