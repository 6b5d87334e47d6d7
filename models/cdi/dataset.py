"""Samples to train the network of coherent imaging on: a crystal, its pattern as measured, a rough guess.

Everything is at 32 voxels a side, the middle of a pattern of 64. A crystal is relaxed once and looked at from
several sides, at several reflections and with several further strains, because relaxing costs most.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

from braggscope.models.cdi.alignment import moved_onto, twin_of
from braggscope.models.cdi.coherence import Coherence, Lags, blur
from braggscope.models.cdi.crystals import GRID, Polyhedron, clipped, lattice, random_rotation, relax
from braggscope.models.cdi.diffraction import GOLD_111_INV_ANGSTROM, GOLD_STEP_ANGSTROM
from braggscope.models.cdi.fourier import Complex, Real, backward, diffract, fit_centre, to_centre, to_corner
from braggscope.models.cdi.phasing import Phaser, Settings, run
from braggscope.models.cdi.sequence import Step
from braggscope.models.cdi.support import autocorrelation_support

SIMULATION_VERSION = 1
FINE, SIDE, BOX = 64, 32, 24  # voxels a side: of the crystal, of a sample, of what holds its object
CRYSTALS, VIEWS = 8, 4  # of a block
RELAXED = 3e-3  # tolerance, see relax
OVERSAMPLING = (1.5, 4.0)
PEAK_COUNTS = (1e4, 1e7)
GUESS = Settings(beta=0.95, sigma=1.0, threshold=0.1, every=5)
RAAR_STEPS, ER_STEPS = (15, 120), 10
_REFLECTIONS = ((1, 1, 1), (1, 1, 1), (2, 0, 0), (2, 2, 0))
_BOX = slice((SIDE - BOX) // 2, (SIDE + BOX) // 2)

Floats = NDArray[np.float64]


class Samples(NamedTuple):
    """N samples, float16, origins at n // 2.

    ``amplitude`` (N, 32, 32, 32): square root of the counts, -1 in gaps; ``guess`` (N, 2, 24, 24, 24): real
    and imaginary part after a few iterations from a random start; ``truth`` (N, 2, 2, 24, 24, 24): object and
    twin, each moved and turned onto the guess, with real and imaginary part.
    """

    amplitude: NDArray[np.float16]
    guess: NDArray[np.float16]
    truth: NDArray[np.float16]

    @classmethod
    def joined(cls, parts: "list[Samples]") -> "Samples":
        """All of several."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def block(seed: int, crystals: int = CRYSTALS, views: int = VIEWS) -> Samples:
    """``crystals`` x ``views`` samples. Same seed, same samples (with one version of numpy and torch)."""
    rng = np.random.default_rng([seed, 11])
    shapes = [clipped(rng) for _ in range(crystals)]
    sites = lattice(shapes)
    fields = relax(sites, tolerance=RELAXED)
    rows = []
    for shape, field, present in zip(shapes, fields, sites, strict=True):
        full = continued(field, present)
        rows += [_sample(rng, *_object(rng, shape, full)) for _ in range(views)]
    amplitude, guess, truth = zip(*rows, strict=True)
    return Samples(np.stack(amplitude), np.stack(guess), np.stack(truth))


def continued(field: NDArray[np.float32], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(3, n, n, n) field on all points of the grid: fcc leaves out half of them, and all outside."""
    total, count = np.zeros_like(field), np.zeros(present.shape, np.float32)
    for axis in range(3):
        for step in (-1, 1):
            total += np.roll(field, step, axis + 1)
            count += np.roll(present, step, axis)
    between = ~present & (count > 0)
    filled = np.where(between, total / np.maximum(count, 1), field)
    nearest = ndimage.distance_transform_edt(~present & ~between, return_distances=False, return_indices=True)
    return np.ascontiguousarray(filled[:, nearest[0], nearest[1], nearest[2]], np.float32)


def _object(
    rng: np.random.Generator, shape: Polyhedron, field: NDArray[np.float32]
) -> tuple[Complex, Floats]:
    """(object (64, 64, 64), oversampling) seen from a random side."""
    turn = random_rotation(rng)
    base = math.exp(rng.uniform(*np.log((1.1 * OVERSAMPLING[0], 0.9 * OVERSAMPLING[1]))))
    oversampling = np.clip(base * np.exp(rng.normal(0, 0.12, 3)), *OVERSAMPLING)
    points, voxel, corner = _points(shape, turn, oversampling)
    widths = np.sqrt(((shape.normals @ turn.T * voxel) ** 2).sum(axis=1))
    density = shape.density(points, widths)
    reflection = rng.permutation(np.array(_REFLECTIONS[rng.integers(len(_REFLECTIONS))], np.float64))
    reflection *= rng.choice((-1.0, 1.0), 3) / math.sqrt(3)
    along = np.tensordot(reflection, field, axes=1)
    places = np.moveaxis(points * (GRID / 2) + (GRID + 1) / 2, -1, 0)
    relaxed = ndimage.map_coordinates(along, places, order=1, mode="nearest")
    phase = relaxed * GOLD_STEP_ANGSTROM * GOLD_111_INV_ANGSTROM * math.exp(rng.normal(0, 0.6))
    phase += _further_strain(rng, points, reflection, density)
    small = density * np.exp(-1j * phase)
    obj = np.zeros((FINE,) * 3, np.complex64)
    obj[tuple(slice(c, c + n) for c, n in zip(corner, small.shape, strict=True))] = small
    return obj, oversampling


def _points(
    shape: Polyhedron, turn: Floats, oversampling: Floats
) -> tuple[Floats, Floats, tuple[int, int, int]]:
    """Crystal coordinates of the voxels around the crystal, voxel sizes, index of the first voxel."""
    axis = np.linspace(-1, 1, 33)
    coarse = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    found = coarse[shape.inside(coarse)] @ turn.T
    low, high = found.min(axis=0), found.max(axis=0)
    voxel = (high - low) * oversampling / FINE
    half = np.minimum(np.ceil(FINE / oversampling / 2) + 2, FINE // 2).astype(int)
    axes = [np.arange(-h, h) * v + m for h, v, m in zip(half, voxel, (low + high) / 2, strict=True)]
    z, y, x = (FINE // 2 - half).tolist()
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn, voxel, (z, y, x)


def _further_strain(rng: np.random.Generator, points: Floats, reflection: Floats, density: Floats) -> Floats:
    """Phase in rad of smooth random strain, at times of an inclusion or a screw dislocation."""
    kind = rng.random()
    phase = np.zeros(points.shape[:-1])
    if kind < 0.85:
        for _ in range(10):
            wave = rng.normal(size=3) * 2.0
            phase += rng.normal() * np.cos(points @ wave + rng.uniform(0, 2 * np.pi))
        strong = rng.random() < 0.35
        wanted = math.exp(rng.uniform(*np.log((0.3, 2.0) if strong else (0.02, 0.3))))
        inside = phase[density > 0.5]
        phase *= wanted / max(float(inside.std()), 1e-9)
    direction = reflection / np.linalg.norm(reflection)
    away = points - rng.uniform(-0.5, 0.5, 3)
    if kind > 0.94:
        line = np.cross(direction, rng.normal(size=3))
        side = np.cross(line / np.linalg.norm(line), direction)
        phase += np.arctan2(away @ side, away @ direction)
    elif kind > 0.88:
        radius, core = np.sqrt((away**2).sum(axis=-1)), rng.uniform(0.15, 0.4)
        pull = np.minimum(1.0, (core / np.maximum(radius, 1e-9)) ** 3)
        phase += rng.uniform(2, 12) * rng.choice((-1, 1)) * (away @ direction) * pull
    return phase


def _sample(
    rng: np.random.Generator, obj: Complex, oversampling: Floats
) -> tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float16]]:
    spectrum = diffract(obj)
    top = np.unravel_index(int(np.abs(spectrum).argmax()), spectrum.shape)
    spectrum = np.roll(spectrum, tuple(FINE // 2 - int(t) for t in top), (0, 1, 2))
    spectrum = fit_centre(spectrum, (SIDE,) * 3)
    truth = to_centre(backward(to_corner(spectrum)))
    amplitude = _measured(rng, np.asarray(np.abs(spectrum) ** 2, np.float32))
    steps = (Step(int(rng.integers(*RAAR_STEPS)), "RAAR"), Step(ER_STEPS, "ER"))
    guess = rough_guess(amplitude, rng, steps)
    both = [moved_onto(candidate, guess) for candidate in (truth, twin_of(truth))]
    return amplitude.astype(np.float16), _halves(guess), np.stack([_halves(one) for one in both])


def _measured(rng: np.random.Generator, expected: Real) -> Real:
    """Square root of the counts, -1 in gaps."""
    if rng.random() < 0.5:
        width = tuple(rng.uniform(0, 0.6, 3).tolist())
        factor = Lags((SIDE,) * 3).factor(Coherence(width))
        expected = np.maximum(to_centre(blur(to_corner(expected), factor)), 0)
    expected *= np.float32(math.exp(rng.uniform(*np.log(PEAK_COUNTS))) / expected.max())
    if rng.random() < 0.2:
        expected += np.float32(math.exp(rng.uniform(*np.log((0.05, 5.0)))))
    amplitude = np.sqrt(rng.poisson(expected.astype(np.float64))).astype(np.float32)
    if rng.random() < 0.25:
        for axis in range(1, 3) if rng.random() < 0.5 else (int(rng.integers(1, 3)),):
            start = SIDE // 2 + int(rng.integers(3, 12)) * int(rng.choice((-1, 1)))
            index: list[slice] = [slice(None)] * 3
            index[axis] = slice(start, start + int(rng.integers(1, 4)))
            amplitude[tuple(index)] = -1
    return amplitude


def rough_guess(amplitude: Real, rng: np.random.Generator, steps: tuple[Step, ...]) -> Complex:
    """Object after a few iterations from a random start, its centre of mass in the middle.

    ``amplitude`` (Z, Y, X): negative where not measured, zero frequency in the middle.
    """
    target = to_corner(amplitude)
    known = np.maximum(target, np.float32(0))
    support = autocorrelation_support(known)
    start = (rng.random(support.shape) * support).astype(np.complex64)
    start *= np.float32(np.linalg.norm(known) / max(float(np.linalg.norm(start)), 1e-30))
    return in_middle(to_centre(run(Phaser(target, start, support, GUESS), steps)))


def in_middle(obj: Complex) -> Complex:
    """``obj`` moved by whole voxels so that the centre of |obj|^2 is at n // 2."""
    density = np.abs(obj) ** 2
    shift = []
    for axis, n in enumerate(obj.shape):
        profile = density.sum(axis=tuple(a for a in range(3) if a != axis))
        turn = np.angle((profile * np.exp(2j * np.pi * np.arange(n) / n)).sum())
        shift.append(n // 2 - int(np.rint(turn * n / (2 * np.pi))) % n)
    return np.roll(obj, shift, (0, 1, 2))


def _halves(obj: NDArray) -> NDArray[np.float16]:
    """(2, 24, 24, 24): real and imaginary part of the middle, the modulus about 1."""
    inner = obj[_BOX, _BOX, _BOX]
    modulus = np.abs(inner)
    typical = float(np.sqrt(np.mean(modulus[modulus > 0.3 * modulus.max()] ** 2)))
    return np.asarray(np.stack([inner.real, inner.imag]) / typical, np.float16)
