"""How good a reconstruction is, with and without the truth."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.cdi.alignment import aligned
from braggscope.models.cdi.fourier import diffract

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """``chi``: relative L2, ``R``: relative L1 difference of |F|; ``scale``: what |F| was multiplied with."""

    chi: float
    R: float
    scale: float


def compare_amplitudes(computed: NDArray, measured: NDArray, mask: Mask | None = None) -> Agreement:
    """Chi = |A - s F| / |A| and R = sum |A - s F| / sum A, with the s that makes chi smallest.

    ``computed``, ``measured``: any shape, in one order; ``mask``: True = not measured.
    """
    good = slice(None) if mask is None else ~mask
    f, a = np.asarray(computed[good], np.float64), np.asarray(measured[good], np.float64)
    power, length = float((f * f).sum()), float((a * a).sum())
    if power == 0 or length == 0:
        return Agreement(1.0, 1.0, 0.0)
    scale = float((f * a).sum()) / power
    rest = a - scale * f
    return Agreement(
        math.sqrt(float((rest * rest).sum()) / length), float(np.abs(rest).sum() / a.sum()), scale
    )


def agreement(obj: NDArray, amplitude: NDArray, mask: Mask | None = None) -> Agreement:
    """The same for an object, with origin and zero frequency in the middle. ``amplitude`` = sqrt(I)."""
    return compare_amplitudes(np.abs(diffract(obj)), amplitude, mask)


def free_log_likelihood(model: NDArray, counts: NDArray, free: Mask) -> float:
    """Poisson log-likelihood per free voxel relative to a perfect model: <= 0, larger is better.

    ``model``, ``counts``: intensities in counts; ``free``: voxels that took no part in the phasing.
    Source: Favre-Nicolin et al., J. Appl. Cryst. 53, 1404 (2020).
    """
    n = np.asarray(counts[free], np.float64)
    m = np.maximum(np.asarray(model[free], np.float64), 1e-2)
    return float(-np.mean(m - n + n * np.log(np.where(n > 0, n, 1.0) / m))) if n.size else 0.0


def shell_means(volume: NDArray, mask: Mask | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(frequency in cycles per voxel, mean) over spherical shells around the middle, up to 0.5."""
    axes = np.meshgrid(*((np.arange(n) - n // 2) / n for n in volume.shape), indexing="ij", sparse=True)
    shells = max(4, min(volume.shape) // 2)
    radius = np.sqrt(axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2)
    place = np.minimum((radius * 2 * shells).astype(np.intp), shells)
    weight = np.ones(volume.shape) if mask is None else (~mask).astype(np.float64)
    count = np.bincount(place.ravel(), weight.ravel(), shells + 1)[:shells]
    total = np.bincount(place.ravel(), (volume * weight).ravel(), shells + 1)[:shells]
    means = np.where(count > 0, total / np.maximum(count, 1e-30), np.nan)
    return (np.arange(shells) + 0.5) / (2 * shells), means


@dataclass(frozen=True, slots=True)
class Transfer:
    """``frequency`` (cycles per voxel) and ``prtf`` per shell; ``resolution``: full period in voxels where
    the curve falls below 1/e, and whether it does so inside the data at all (else it is the finest period).
    """

    frequency: NDArray[np.float64]
    prtf: NDArray[np.float64]
    resolution: float
    reached: bool


def transfer(average: NDArray, amplitude: NDArray, mask: Mask | None = None) -> Transfer:
    """Phase retrieval transfer function of an average of aligned objects (Chapman, JOSA A 23, 1179 (2006)).

    Mean over shells of |F average| / A, one scale for all; voxels without counts are left out.
    """
    computed = np.abs(diffract(average))
    empty = amplitude <= 0
    left_out = empty if mask is None else mask | empty
    scale = compare_amplitudes(computed, amplitude, mask).scale
    ratio = scale * computed / np.where(left_out, 1.0, amplitude)
    frequency, prtf = shell_means(ratio, left_out)
    below = np.flatnonzero(prtf < 1 / math.e)
    if not below.size:
        return Transfer(frequency, prtf, 2.0, False)
    k = int(below[0])
    if k == 0:
        return Transfer(frequency, prtf, 1 / frequency[0], True)
    share = (prtf[k - 1] - 1 / math.e) / (prtf[k - 1] - prtf[k])
    return Transfer(frequency, prtf, 1 / (frequency[k - 1] + share * (frequency[k] - frequency[k - 1])), True)


@dataclass(frozen=True, slots=True)
class Truth:
    """``phase_rms``: rad, inside the true support; ``iou``: of the shapes at half the modulus."""

    phase_rms: float
    iou: float
    twin: bool


def against_truth(obj: NDArray, truth: NDArray) -> Truth:
    """Compare with the truth, whatever the twin, the shift and the phase offset of the reconstruction."""
    found, twin = aligned(obj, truth)
    inside = shape_of(truth)
    turn = np.angle(found[inside] * np.conj(truth[inside]))
    turn = np.angle(np.exp(1j * (turn - np.angle(np.exp(1j * turn).mean()))))
    both, either = shape_of(found) & inside, shape_of(found) | inside
    iou = float(both.sum() / max(1, int(either.sum())))
    return Truth(float(np.sqrt(np.mean(turn**2))), iou, twin)


def shape_of(obj: NDArray) -> Mask:
    """Voxels of at least half the typical modulus; the typical one is the median over the brighter voxels."""
    modulus = np.abs(obj)
    typical = float(np.median(modulus[modulus > 0.3 * modulus.max()])) if modulus.any() else 1.0
    return np.asarray(modulus >= 0.5 * typical)
