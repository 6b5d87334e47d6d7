"""Scans of known strain to measure methods on: a film of single scattering, a foil of multiple scattering.

The deformation F of a position multiplies real space: reciprocal vectors, as columns in px, are F^-T times
those of the undeformed crystal. x = column, y = row of the pattern, tension positive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.disks.simulation.conditions import Experiment
from braggscope.models.disks.simulation.crystals import Crystal, crystal
from braggscope.models.disks.simulation.dynamics import Beam, propagate, whole_steps
from braggscope.models.disks.simulation.kinematics import smooth_fields
from braggscope.models.disks.simulation.optics import Optics, aperture, cone, probe_image, refine, render
from braggscope.models.disks.simulation.samples import visible
from braggscope.models.disks.simulation.scattering import Zone, zone_beams

Floats = NDArray[np.float64]
Tick = Callable[[int, int], None]
VOLTAGE_KV = 200.0
CONE_RAD = 2e-3
APART = 0.42  # of the spacing, at most, is the radius of a disk
TURN = 0.2  # rad, of the crystal in the pattern
SILICON = crystal("Si")
THICKNESSES_NM = (6.0, 27.0, 48.0, 68.0, 89.0, 110.0)
BACKGROUND = 0.02  # share of the electrons, the same everywhere
PROBE_ELECTRONS = 1e7
FOIL_BEAMS = 200
CHUNK = 32  # patterns rendered together


@dataclass(frozen=True, slots=True)
class Scene:
    """N patterns with truth. Lengths in px.

    ``patterns`` (N, S, S) float32 counts; ``probe`` (S, S) float32 vacuum image with noise, sum 1, centred on
    the pixel (S // 2, S // 2); ``lattice`` (N, 6) x0 y0 ax ay bx by and ``reference`` (6,) of the undeformed
    crystal; ``strain`` (N, 4): exx eyy exy theta (U - 1 and rotation of F = R U, rad); ``xy`` (N, M, 2) and
    ``present`` (N, M) as in Samples; ``per_px`` 1/Å; ``thickness_nm`` (N,), NaN for single scattering.
    """

    patterns: NDArray[np.float32]
    probe: NDArray[np.float32]
    lattice: Floats
    reference: Floats
    strain: Floats
    xy: NDArray[np.float32]
    present: NDArray[np.bool_]
    radius: float
    per_px: float
    thickness_nm: Floats


def deformation(exx: Floats, eyy: Floats, exy: Floats, theta: Floats) -> Floats:
    """(..., 2, 2) F = R (1 + strain), theta in rad from x towards y."""
    stretch = np.stack([np.stack([1 + exx, exy], -1), np.stack([exy, 1 + eyy], -1)], -2)
    turn = np.stack(
        [np.stack([np.cos(theta), -np.sin(theta)], -1), np.stack([np.sin(theta), np.cos(theta)], -1)], -2
    )
    return np.asarray(turn @ stretch)


def random_strains(n: int, seed: int, largest: float = 0.02) -> Floats:
    """(N, 4) exx eyy exy theta, even within +- largest, the latter two within half of it."""
    numbers = np.random.default_rng([seed, 7]).uniform(-largest, largest, (n, 4))
    return np.asarray(numbers * (1, 1, 0.5, 0.5))


def multilayer(
    strain: Floats, modulation: float, dose: float, seed: int, size: int = 256, radius: float = 6.5,
    tick: Tick = lambda done, total: None,
) -> Scene:  # fmt: skip
    """Disks of single scattering, Si [110] in shape, for strains (N, 4): exx eyy exy theta.

    The intensity inside every disk is 1 + ``modulation`` times a smooth field from -1 to 1 that is random for
    every disk and position. ``dose`` electrons per pattern. ``tick`` is told patterns done and to do.
    """
    rng = np.random.default_rng([seed, 1])
    film = _experiment(zone_beams(SILICON, (1, 1, 0)), radius)
    length = np.linalg.norm(film.zone.g, axis=1)
    heights = np.exp(-((length / 0.75) ** 2)) * rng.uniform(0.4, 1.0, len(length))
    heights[0] *= 3
    heights /= heights.sum()
    shown = _near(film, size) & (heights > 1e-3)
    inside = cone(film.optics)

    def nodes(rows: NDArray[np.int64]) -> Tensor:
        field = smooth_fields(rng, inside.inside / radius, (len(rows), int(shown.sum())))
        values = (heights[shown, None] * (1 + modulation * field)).astype(np.float32)
        return torch.from_numpy(values)[:, :, inside.source]

    return _expose(film, strain, nodes, shown, dose, seed, size, np.full(len(strain), np.nan), tick)


def wedge(
    strain: Floats, thickness_nm: Floats, tilt: Floats, dose: float, seed: int, size: int = 128,
    radius: float = 5.0, substance: Crystal = SILICON, axis: tuple[int, int, int] = (1, 1, 0),
    tick: Tick = lambda done, total: None,
) -> Scene:  # fmt: skip
    """Multiple scattering at 200 kV, cone of 2 mrad or less, for strains (N, 4): exx eyy exy theta.

    ``thickness_nm`` (N,); ``tilt`` (N, 2) rad: middle of the cone against the zone axis. Scattering
    is calculated once for every different tilt: draw few of them. Thicknesses are rounded to whole steps of
    about 1 nm, and given back as they are.
    """
    foil = _experiment(zone_beams(substance, axis, FOIL_BEAMS), radius)
    inside = cone(foil.optics)
    shown = _near(foil, size)
    kept = torch.from_numpy(shown)
    thickness, table = np.empty(len(strain)), {}
    tilts, which = np.unique(tilt, axis=0, return_inverse=True)
    which = which.ravel()
    offsets = foil.wave_vectors(inside.inside)
    for k, (x, y) in enumerate(tilts.tolist()):
        tick(0, len(strain))
        beam = Beam(VOLTAGE_KV, (x, y), 0.03)
        wanted = np.unique(thickness_nm[which == k])
        steps, length = whole_steps(foil.zone, beam, offsets, 10 * wanted)
        images = propagate(foil.zone, beam, offsets, 10 * wanted).mT
        for image, nominal, step in zip(images, wanted, steps, strict=True):
            table[k, nominal] = image[kept]
            thickness[(which == k) & (thickness_nm == nominal)] = step * length / 10

    def nodes(rows: NDArray[np.int64]) -> Tensor:
        return torch.stack([table[which[row], thickness_nm[row]] for row in rows])[:, :, inside.source]

    return _expose(foil, strain, nodes, shown, dose, seed, size, thickness, tick)


def _experiment(zone: Zone, radius: float) -> Experiment:
    beam = Beam(VOLTAGE_KV)
    widest = min(CONE_RAD * beam.wavenumber, APART * float(np.linalg.norm(zone.basis[0])))
    return Experiment(0, zone, beam, Optics(radius, 0.3, 0.4), widest / radius, TURN, False)


def _near(experiment: Experiment, size: int) -> NDArray[np.bool_]:
    """(M,) bool: disks that strain can bring into the frame."""
    return np.asarray(np.linalg.norm(experiment.zone.g, axis=1) / experiment.per_px < 0.8 * size)


def _expose(
    experiment: Experiment, strain: Floats, nodes: Callable[[NDArray[np.int64]], Tensor],
    shown: NDArray[np.bool_], dose: float, seed: int, size: int, thickness_nm: Floats, tick: Tick,
) -> Scene:  # fmt: skip
    """Patterns with noise; ``nodes`` gives the intensities (B, M, G, G) of the rows asked for."""
    count, optics = len(strain), experiment.optics
    generator = torch.Generator().manual_seed(seed)
    rng = np.random.default_rng([seed, 2])
    origin = size // 2 + rng.normal(0, 0.5, (count, 2)).clip(-2, 2)
    vectors = experiment.vectors(deformation(*strain.T))
    xy = torch.from_numpy(origin[:, None] + experiment.zone.indices[shown] @ vectors).float()
    sizes = torch.full((count,), optics.radius)
    transmission = aperture(optics, sizes[:1])
    weights = refine(optics, torch.ones(1))
    patterns, present = torch.empty(count, size, size), torch.empty(xy.shape[:2], dtype=torch.bool)
    for start in range(0, count, CHUNK):
        rows = np.arange(start, min(start + CHUNK, count))
        tick(start, count)
        of = slice(start, start + len(rows))
        many = (len(rows), -1, -1)
        drawn = render(optics, nodes(rows), transmission.expand(many), weights.expand(many), xy[of], size)
        expected = dose * ((1 - BACKGROUND) * drawn.patterns + BACKGROUND / size**2)
        patterns[of] = torch.poisson(expected, generator=generator)
        intensity = (1 - BACKGROUND) * dose * drawn.share
        present[of] = visible(expected, xy[of], intensity, sizes[of], torch.zeros(len(rows)))[1]
    vacuum = torch.poisson(probe_image(optics, transmission, size)[0] * PROBE_ELECTRONS, generator=generator)
    reference = np.concatenate([np.full(2, size // 2), experiment.vectors(np.eye(2)).ravel()])
    return Scene(
        patterns.numpy(), (vacuum / vacuum.sum()).numpy(),
        np.concatenate([origin, vectors.reshape(count, 4)], axis=1), reference, np.asarray(strain),
        xy.numpy(), present.numpy(), optics.radius, experiment.per_px, thickness_nm,
    )  # fmt: skip
