"""What a reconstruction says about the crystal: shape, phase, displacement and strain.

The transform is exp(-2 pi i k x) and the index of every axis grows with q = k_out - k_in: a crystal
displaced by u has the phase -Q . u, so the displacement along Q is -phase / |Q| and a stretched crystal has
positive strain.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

from braggscope.models.cdi.alignment import twin_of
from braggscope.models.cdi.unwrap import unwrap

Volume = NDArray[np.float32]
TWIN_RULE = (
    "of object and twin the one whose density has a positive third central moment"
    " along the axis where it is largest"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A reconstruction brought into order, origin in the middle. ``obj`` complex64 without ramp and offset,
    ``support`` its largest connected part, ``phase`` rad unwrapped, NaN outside; ``twin``: whether the twin
    of the input was taken; ``shift``: voxels by which it was moved.
    """

    obj: NDArray[np.complex64]
    support: NDArray[np.bool_]
    phase: Volume
    twin: bool
    shift: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Strain:
    """Along the scattering vector, NaN outside the support. ``displacement_angstrom``; ``strain``, tension
    positive; ``surface``: support less one erosion, where only one-sided differences are possible.
    """

    displacement_angstrom: Volume
    strain: Volume
    surface: NDArray[np.bool_]


def bring_into_order(
    obj: NDArray, support: NDArray[np.bool_], check: Callable[[], None] = lambda: None
) -> Shape:
    """Centre, choose between the twins by :data:`TWIN_RULE`, unwrap, take out ramp and offset.

    ``check`` is called between the steps and may raise to stop.
    """
    obj, support, shift = _to_middle(obj, support)
    check()
    support = _largest(support)
    twin = _skewness(np.abs(obj) * support) < 0
    if twin:
        obj, support = twin_of(obj), twin_of(support).astype(np.bool_)
    check()
    phase = unwrap(np.angle(obj), support, check)
    check()
    ramp = _plane(phase, np.abs(obj), support)
    flat = (np.abs(obj) * np.exp(1j * (np.angle(obj) - ramp))).astype(np.complex64)
    return Shape(flat, support, (phase - ramp).astype(np.float32), twin, shift)


def strain_along(
    shape: Shape, q_inv_angstrom: tuple[float, float, float], voxel_nm: tuple[float, float, float]
) -> Strain:
    """Displacement and strain from the phase; vectors in the order of the axes (z, y, x).

    Differences are those of the phase factor, so they survive wraps and the jump behind a dislocation:
    central inside (second order), one-sided at the surface (first order), NaN where a voxel has no
    neighbour along an axis that Q has a part of.
    """
    q = np.asarray(q_inv_angstrom, np.float64)
    length = float(np.linalg.norm(q))
    if length == 0:
        raise ValueError("The scattering vector is zero; give its three components in 1/angstrom.")
    total = np.zeros(shape.phase.shape)
    for axis in range(3):
        if q[axis]:
            total += _difference(shape.obj, shape.support, axis) / (10 * voxel_nm[axis]) * q[axis] / length
    inner = ndimage.binary_erosion(shape.support)
    outside = ~shape.support
    strain = np.where(outside, np.nan, -total / length).astype(np.float32)
    return Strain((-shape.phase / np.float32(length)).astype(np.float32), strain, shape.support & ~inner)


def _difference(obj: NDArray, support: NDArray[np.bool_], axis: int) -> NDArray:
    """Slope of the phase in rad per voxel from neighbours inside the support, NaN without any."""
    turn = np.angle(np.roll(obj, -1, axis) * np.conj(obj))
    ahead = support & np.roll(support, -1, axis)
    last: list[slice] = [slice(None)] * 3
    last[axis] = slice(-1, None)
    ahead[tuple(last)] = False
    turn = np.where(ahead, turn, 0.0)
    behind, turn_behind = np.roll(ahead, 1, axis), np.roll(turn, 1, axis)
    count = ahead.astype(np.int8) + behind
    return np.where(count > 0, (turn + turn_behind) / np.maximum(count, 1), np.nan)


def _largest(support: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, count = ndimage.label(support)
    if count < 2:
        return support
    sizes = np.bincount(labels.ravel())[1:]
    return np.asarray(labels == 1 + int(sizes.argmax()))


def _to_middle(
    obj: NDArray, support: NDArray[np.bool_]
) -> tuple[NDArray, NDArray[np.bool_], tuple[int, int, int]]:
    """Roll the centre of mass to n // 2 (it may lie across the edge, so angles are averaged)."""
    density = np.abs(obj) * support
    shift = []
    for axis, n in enumerate(obj.shape):
        profile = density.sum(axis=tuple(a for a in range(3) if a != axis))
        turn = np.angle((profile * np.exp(2j * np.pi * np.arange(n) / n)).sum())
        shift.append(n // 2 - int(np.rint(turn * n / (2 * np.pi))) % n)
    z, y, x = shift
    return np.roll(obj, shift, (0, 1, 2)), np.roll(support, shift, (0, 1, 2)), (z, y, x)


def _skewness(density: NDArray) -> float:
    """Third central moment, in units of the width, along the axis where it is largest."""
    found = []
    for axis, n in enumerate(density.shape):
        profile = density.sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64)
        profile /= profile.sum()
        place = np.arange(n) - float(profile @ np.arange(n))
        found.append(float(profile @ place**3) / max(float(profile @ place**2), 1e-12) ** 1.5)
    return max(found, key=abs)


def _plane(phase: Volume, weight: NDArray, support: NDArray[np.bool_]) -> NDArray:
    """Plane through the phase inside the support, weighted by the modulus, continued over the volume."""
    places = np.argwhere(support).astype(np.float64)
    middle = places.mean(axis=0)
    rows = np.column_stack([places - middle, np.ones(len(places))])
    w = np.sqrt(weight[support].astype(np.float64))
    fit = np.linalg.lstsq(rows * w[:, None], phase[support].astype(np.float64) * w, rcond=None)[0]
    z, y, x = (np.arange(n) - m for n, m in zip(phase.shape, middle, strict=True))
    return np.asarray(fit[0] * z[:, None, None] + fit[1] * y[:, None] + fit[2] * x + fit[3])
