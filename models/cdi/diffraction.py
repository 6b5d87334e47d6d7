"""A strained crystal on a grid of voxels and the coherent pattern around one of its Bragg peaks.

Conventions: the transform is exp(-2 pi i k x) and the index of every axis grows with q = k_out - k_in, so
that a crystal displaced by u has the phase -Q . u; a stretched crystal then scatters at a smaller |Q|.
Axis order (z, y, x); origin and zero frequency at index n // 2.
"""

from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

from braggscope.models.cdi.coherence import Coherence, Lags, blur
from braggscope.models.cdi.crystals import GRID, Polyhedron, clipped, lattice, random_rotation, relax
from braggscope.models.cdi.fourier import diffract, smooth, to_centre, to_corner

Floats = NDArray[np.float64]
GOLD_STEP_ANGSTROM = 2.04  # half the cube edge: one step of the spring network
GOLD_111_INV_ANGSTROM = 2.6677
GAP_VALUE = -1.0


@dataclass(frozen=True, slots=True)
class CoherentSpec:
    """What to simulate. Same spec, same numbers (with one version of numpy and torch).

    ``oversampling`` (z, y, x): side of the field of view over the extent of the crystal. ``size_nm``: longest
    extent. ``strain_rms``: rms of an additional smooth random strain. ``inclusion``: misfit of a spherical
    inclusion, ``dislocation``: whether a screw dislocation runs through (phase 2 pi around its line).
    ``coherence``: blur in reciprocal voxels. ``gap_px``: width of a detector gap beside the peak, in the two
    detector axes (y, x). ``peak_counts``: expected counts of the brightest voxel; ``background`` counts.
    """

    shape: tuple[int, int, int] = (64, 64, 64)
    seed: int = 0
    oversampling: tuple[float, float, float] = (2.5, 2.5, 2.5)
    size_nm: float = 200.0
    planes: int | None = None
    strain_rms: float = 1e-4
    inclusion: float = 0.0
    dislocation: bool = False
    coherence: tuple[float, float, float] = (0.0, 0.0, 0.0)
    gap_px: int = 0
    peak_counts: float = 1e6
    background: float = 0.0

    def __post_init__(self) -> None:
        if min(self.shape) < 16 or min(self.oversampling) < 1.2 or self.peak_counts <= 0:
            raise ValueError(
                "A coherent pattern needs 16 voxels a side, an oversampling of 1.2 and a peak above 0."
            )


@dataclass(frozen=True, slots=True)
class Crystal:
    """Truth of a pattern. ``obj`` complex64 (Z, Y, X), modulus = share of the voxel that is crystal, phase =
    -Q . u without ramp; ``displacement_angstrom`` along Q and ``strain`` = its slope along Q, float32, NaN
    outside ``support``; ``q_inv_angstrom`` and ``voxel_nm`` in (z, y, x).
    """

    obj: NDArray[np.complex64]
    support: NDArray[np.bool_]
    displacement_angstrom: NDArray[np.float32]
    strain: NDArray[np.float32]
    q_inv_angstrom: Floats
    voxel_nm: Floats


@dataclass(frozen=True, slots=True)
class Pattern:
    """``counts`` float32 with Poisson noise, ``expected`` without; ``mask``: True = gap, -1 in counts."""

    counts: NDArray[np.float32]
    expected: NDArray[np.float32]
    mask: NDArray[np.bool_]


def grow(spec: CoherentSpec) -> Crystal:
    """One crystal of the spec."""
    rng = np.random.default_rng([spec.seed, 0])
    shape = clipped(rng, spec.planes)
    turn = random_rotation(rng)  # crystal axes to laboratory axes
    direction = turn @ (rng.permutation(np.ones(3)) * rng.choice((-1.0, 1.0), 3) / np.sqrt(3))
    points, voxel = _points(shape, turn, spec)
    density = shape.density(points, _widths(shape, turn, voxel))
    support = density > 0.5
    voxel_nm = voxel * spec.size_nm / float(_extent(shape, turn)[1].max())
    displacement = _surface_relaxation(shape, points, turn.T @ direction)
    displacement += _random_displacement(spec, support, direction, voxel_nm, rng)
    displacement += _defects(spec, support, direction, voxel_nm, rng)
    displacement -= displacement[support].mean()
    slope = _slope_along(displacement, direction, 10 * voxel_nm)
    displacement, slope = _flat(displacement, slope, support)
    outside = ~support
    obj = (density * np.exp(-1j * GOLD_111_INV_ANGSTROM * displacement)).astype(np.complex64)
    return Crystal(
        _centred_peak(obj), support,
        np.where(outside, np.nan, displacement).astype(np.float32),
        np.where(outside, np.nan, slope).astype(np.float32),
        GOLD_111_INV_ANGSTROM * direction, voxel_nm,
    )  # fmt: skip


def measure(crystal: Crystal, spec: CoherentSpec) -> Pattern:
    """The pattern of a crystal as a photon-counting detector sees it."""
    rng = np.random.default_rng([spec.seed, 1])
    expected = (np.abs(diffract(crystal.obj)) ** 2).astype(np.float32)
    if max(spec.coherence) > 0:
        factor = Lags(spec.shape).factor(Coherence(spec.coherence))
        expected = np.maximum(to_centre(blur(to_corner(expected), factor)), 0)
    expected *= spec.peak_counts / expected.max()
    expected += np.float32(spec.background)
    counts = rng.poisson(expected.astype(np.float64)).astype(np.float32)
    mask = np.zeros(spec.shape, np.bool_)
    if spec.gap_px:
        for axis in (1, 2):
            start = int(spec.shape[axis] * 0.62)
            index: list[slice] = [slice(None)] * 3
            index[axis] = slice(start, start + spec.gap_px)
            mask[tuple(index)] = True
        counts[mask] = GAP_VALUE
    return Pattern(counts, expected, mask)


def _extent(shape: Polyhedron, turn: Floats) -> tuple[Floats, Floats]:
    """(middle, extent) of the crystal along the laboratory axes."""
    axis = np.linspace(-1, 1, 41)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    found = points[shape.inside(points)] @ turn.T
    low, high = found.min(axis=0), found.max(axis=0)
    return (low + high) / 2, high - low


def _points(shape: Polyhedron, turn: Floats, spec: CoherentSpec) -> tuple[Floats, Floats]:
    """((Z, Y, X, 3) crystal coordinates of the voxels, (3,) voxel size)."""
    middle, extent = _extent(shape, turn)
    voxel = extent * np.array(spec.oversampling) / np.array(spec.shape)
    axes = [(np.arange(n) - n // 2) * v + m for n, v, m in zip(spec.shape, voxel, middle, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn, voxel


def _widths(shape: Polyhedron, turn: Floats, voxel: Floats) -> Floats:
    """(P,) thickness of a voxel along the normal of every plane."""
    return np.asarray(np.sqrt(((shape.normals @ turn.T * voxel) ** 2).sum(axis=1)))


def _surface_relaxation(shape: Polyhedron, points: Floats, q_direction: Floats) -> Floats:
    """(Z, Y, X) Angstrom: displacement along Q of the relaxed crystal, continued outside."""
    sites = lattice([shape])
    along = np.tensordot(q_direction, relax(sites)[0].astype(np.float64), axes=1) * GOLD_STEP_ANGSTROM
    present = sites[0]
    filled, weight = along.copy(), present.astype(np.float64)
    kernel = ndimage.generate_binary_structure(3, 1).astype(np.float64)
    total, count = ndimage.convolve(filled, kernel), ndimage.convolve(weight, kernel)
    between = ~present & (count > 0)
    filled[between] = total[between] / count[between]
    nearest = ndimage.distance_transform_edt(count == 0, return_distances=False, return_indices=True)
    filled = filled[tuple(nearest)]
    places = np.moveaxis(points * (GRID / 2) + (GRID + 1) / 2, -1, 0)
    return np.asarray(ndimage.map_coordinates(filled, places, order=1, mode="nearest"))


def _random_displacement(
    spec: CoherentSpec,
    support: NDArray[np.bool_],
    direction: Floats,
    voxel_nm: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Smooth random field, Angstrom, scaled to the rms strain of the spec."""
    noise = rng.normal(size=spec.shape).astype(np.float32)
    sigma = 0.12 * np.cbrt(np.prod(spec.shape)) / float(np.mean(spec.oversampling))
    field = smooth(noise, sigma).astype(np.float64)
    slope = _slope_along(field, direction, 10 * voxel_nm)
    return np.asarray(field * spec.strain_rms / float(np.std(slope[support])))


def _defects(
    spec: CoherentSpec,
    support: NDArray[np.bool_],
    direction: Floats,
    voxel_nm: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Displacement along Q, Angstrom, of a spherical inclusion and a screw dislocation, where asked for."""
    out = np.zeros(spec.shape)
    if not spec.inclusion and not spec.dislocation:
        return out
    places = np.argwhere(support)
    core = places[rng.integers(len(places))]
    away = [10 * v * (np.arange(n) - c) for n, v, c in zip(spec.shape, voxel_nm, core, strict=True)]
    z, y, x = np.meshgrid(*away, indexing="ij", sparse=True)
    if spec.inclusion:
        radius, along = np.sqrt(z * z + y * y + x * x), z * direction[0] + y * direction[1] + x * direction[2]
        size = 1.5 * spec.size_nm  # Angstrom: 15 % of the crystal
        out += spec.inclusion * along * np.minimum(1.0, (size / np.maximum(radius, 1e-9)) ** 3)
    if spec.dislocation:
        line = np.cross(direction, rng.normal(size=3))
        line /= np.linalg.norm(line)
        side = np.cross(line, direction)
        u = z * direction[0] + y * direction[1] + x * direction[2]
        v = z * side[0] + y * side[1] + x * side[2]
        out += np.arctan2(v, u) / GOLD_111_INV_ANGSTROM
    return out


def _slope_along(field: Floats, direction: Floats, step: Floats) -> Floats:
    gradient = np.gradient(field, *step)
    return np.asarray(sum(d * g for d, g in zip(direction, gradient, strict=True)))


def _flat(displacement: Floats, slope: Floats, support: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Take the mean gradient out of the displacement: it only moves the peak, which is centred."""
    places = np.argwhere(support).astype(np.float64)
    rows = np.column_stack([places - places.mean(axis=0), np.ones(len(places))])
    fit = np.linalg.lstsq(rows, displacement[support], rcond=None)[0]
    grid = np.indices(support.shape).astype(np.float64)
    ramp = np.tensordot(fit[:3], grid - places.mean(axis=0)[:, None, None, None], axes=1) + fit[3]
    return displacement - ramp, slope - float(slope[support].mean())


def _centred_peak(obj: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Turn the phase so that the brightest voxel of the pattern is the middle one."""
    intensity = np.abs(diffract(obj))
    top = np.unravel_index(int(intensity.argmax()), intensity.shape)
    for axis, (place, length) in enumerate(zip(top, obj.shape, strict=True)):
        index = np.arange(length) - length // 2
        ramp = np.exp(-2j * np.pi * (int(place) - length // 2) * index / length)
        obj = obj * ramp.reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.complex64)
    return obj
