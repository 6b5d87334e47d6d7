"""From a measured stack to the pattern that is phased: mask, calibration, hot voxels, centre, crop,
binning.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.ndimage as ndimage
from numpy.typing import NDArray

from braggscope.models.cdi.aliens import aliens
from braggscope.models.cdi.brush import brushed
from braggscope.models.cdi.fourier import good_length, to_centre, to_corner
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.support import autocorrelation

Volume = NDArray[np.float32]
Mask = NDArray[np.bool_]
OFF_CENTRE = 2  # voxels that a peak may lie off the middle and stay: it only gives the object a ramp
CONTRAST = 20.0  # of the middle of a Bragg peak over the mean of the stack
OVERSAMPLING = 1.7  # below, the autocorrelation overlaps itself so much that its end is not seen
HOT = 8.0  # times its brightest neighbour
_EDGE = 0.02  # of the autocorrelation's maximum counts as its end
_TAPER = 1.18  # what that misses, for polyhedra of 4 to 20 planes


class PreparationError(ValueError):
    """A stack that cannot be phased. One sentence."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """What is phased. ``amplitude`` (Z, Y, X) float32 = sqrt(I), 0 where ``mask`` (True = not measured).

    ``scale``: per axis, size of the object's voxel relative to that of the stack as measured (cropping
    makes voxels larger, binning does not change them). ``oversampling``: estimate per axis. ``notes``: what
    was done, sentences. ``steps``: what every step amounts to, by its name. ``origin``: place in the stack of
    the first voxel (of its block).
    """

    amplitude: NDArray[np.float32]
    mask: NDArray[np.bool_]
    scale: tuple[float, float, float]
    oversampling: tuple[float, float, float]
    notes: tuple[str, ...]
    steps: dict[str, str] = field(default_factory=dict)
    origin: tuple[int, int, int] = (0, 0, 0)


def prepare(
    stack: NDArray,
    parameters: Phasing,
    mask: NDArray[np.bool_] | None = None,
    dark: NDArray | None = None,
    flat: NDArray | None = None,
    check: Callable[[], None] = lambda: None,
) -> Pattern:
    """Prepare a stack of frames (Z, Y, X), intensity or amplitude as the parameters say.

    ``mask`` (Z, Y, X) or (Y, X), True = bad; NaN and negative values are bad too. ``dark``, ``flat`` (Y,
    X), of the intensity. Raises PreparationError: no 3-D stack, no Bragg peak, saturated middle, too little
    oversampling. ``check`` is called between the steps and may raise to stop.
    """
    notes: list[str] = []
    steps: dict[str, str] = {}
    values, bad = _intensity(stack, parameters, mask)
    values, bad = _calibrated(values, bad, dark, flat)
    applied = [name for name, image in (("dark", dark), ("flat", flat)) if image is not None]
    steps["calibration"] = ", ".join(applied) or "none"
    steps["gaps"] = f"{np.count_nonzero(bad):,} voxels"
    check()
    values, bad = _cleaned(values, bad, parameters, steps, notes)
    check()
    peak = _peak(values, bad)
    bad |= _saturated(values, peak, parameters)
    values[bad] = 0
    values, bad, cut, start = _centred(values, bad, peak, parameters, notes)
    steps["centre"] = f"peak at {', '.join(map(str, peak))}"
    check()
    steps["crop"] = " × ".join(map(str, values.shape))
    if parameters.aliens:
        values, bad = _without_aliens(values, bad, steps, notes, check)
    values, bad, first = _binned(values, bad, parameters.binning)
    steps["binning"] = " × ".join(map(str, values.shape))
    if bad.any():
        notes.append(f"{100 * bad.mean():.1f} % of the voxels are masked.")
    amplitude = np.sqrt(values)
    check()
    sampling = _sufficient(oversampling(amplitude))
    steps["oversampling"] = ", ".join(f"{side:.1f}" for side in sampling)
    z, y, x = (s + f for s, f in zip(start, first, strict=True))
    return Pattern(amplitude, bad, cut, sampling, tuple(notes), steps, (z, y, x))


def _intensity(stack: NDArray, parameters: Phasing, mask: Mask | None) -> tuple[Volume, Mask]:
    """(Z, Y, X) intensity, 0 where bad, and what is bad."""
    if stack.ndim != 3 or min(stack.shape) < 8:
        size = " x ".join(map(str, stack.shape))
        raise PreparationError(
            f"Phasing needs a 3-D stack of at least 8 frames of 8 x 8 pixels, not {size}; give a"
            " rocking curve."
        )
    values = stack.astype(np.float32)
    bad = ~np.isfinite(values) | (values < 0)
    if mask is not None:
        bad |= mask
    values[bad] = 0
    if parameters.input == "amplitude":
        values *= values
    return values, bad


def _without_aliens(
    values: Volume, bad: Mask, steps: dict[str, str], notes: list[str], check: Callable[[], None]
) -> tuple[Volume, Mask]:
    found, count = aliens(values, bad, check)
    steps["aliens"] = f"{count} peak{'s' * (count != 1)}, {np.count_nonzero(found):,} voxels"
    if count:
        notes.append(f"{count} alien peak{'s were' if count != 1 else ' was'} masked.")
    return np.where(found, np.float32(0), values), bad | found


def _sufficient(sampling: tuple[float, float, float]) -> tuple[float, float, float]:
    """The same. Raises PreparationError where it is too little."""
    if min(sampling) < OVERSAMPLING:
        axis = "zyx"[int(np.argmin(sampling))]
        raise PreparationError(
            f"The pattern is oversampled only {min(sampling):.1f} times along {axis}, it needs 2; measure"
            " with finer steps or farther away, or bin less."
        )
    return sampling


def _cleaned(
    values: Volume, bad: Mask, parameters: Phasing, steps: dict[str, str], notes: list[str]
) -> tuple[Volume, Mask]:
    """Without hot voxels and what was masked by hand."""
    if parameters.hot_voxels:
        hot = _hot(values, bad)
        steps["hot"] = f"{np.count_nonzero(hot):,} voxels"
        if hot.any():
            notes.append(f"{np.count_nonzero(hot)} hot voxels were masked.")
            bad = bad | hot
    if parameters.brushed:
        drawn = brushed(bad.shape, parameters.brushed)
        steps["brush"] = f"{np.count_nonzero(drawn):,} voxels"
        bad = bad | drawn
    values[bad] = 0
    return values, bad


def oversampling(amplitude: NDArray[np.float32]) -> tuple[float, float, float]:
    """Side of the field of view over the object's extent, per axis, from the extent of the
    autocorrelation.
    """
    inside = to_centre(autocorrelation(to_corner(amplitude)) > _EDGE)
    labels, _ = ndimage.label(inside)
    middle = tuple(n // 2 for n in amplitude.shape)
    (place,) = ndimage.find_objects((labels == labels[middle]).astype(np.int8))
    sides = (
        2 * n / (cut.stop - cut.start + 1) / _TAPER for n, cut in zip(amplitude.shape, place, strict=True)
    )
    z, y, x = (float(side) for side in sides)
    return z, y, x


def memory_bytes(shape: tuple[int, ...]) -> int:
    """What phasing a stack of this shape takes at most, about: 24 complex volumes."""
    return 24 * 8 * int(np.prod(shape, dtype=object))


def _calibrated(
    values: NDArray, bad: NDArray[np.bool_], dark: NDArray | None, flat: NDArray | None
) -> tuple[NDArray, NDArray[np.bool_]]:
    for name, image in (("dark", dark), ("flat", flat)):
        if image is not None and image.shape != values.shape[1:]:
            raise PreparationError(
                f"The {name} is {image.shape}, the frames are {values.shape[1:]}; choose one of that size."
            )
    if dark is not None:
        values = np.maximum(values - dark.astype(np.float32), 0)
    if flat is not None:
        good = np.isfinite(flat) & (flat > 0)
        if not good.any():
            raise PreparationError("The flat field has no positive value; choose another file.")
        values = values * np.where(good, flat[good].mean() / np.where(good, flat, 1), 0).astype(np.float32)
        bad = bad | ~good
    return values, bad


def _hot(values: NDArray, bad: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels far brighter than all their neighbours: a coherent pattern is smooth over its speckles."""
    ring = np.ones((3, 3, 3), np.bool_)
    ring[1, 1, 1] = False
    around = ndimage.maximum_filter(values, footprint=ring, mode="nearest")
    level = float(np.median(values[~bad])) if not bad.all() else 0.0
    return np.asarray(~bad & (values > HOT * (around + level + 1e-3 * values.max() / HOT)))


def _peak(values: NDArray, bad: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Place of the brightest voxel. Raises PreparationError where it is no Bragg peak."""
    if bad.all() or not values.any():
        raise PreparationError("The stack holds no counts outside its mask; check file and mask.")
    top = [int(k) for k in np.unravel_index(int(values.argmax()), values.shape)]
    near = tuple(slice(max(k - 1, 0), k + 2) for k in top)
    middle = float(values[near].sum() / max(1, np.count_nonzero(~bad[near])))
    mean = float(values.sum(dtype=np.float64) / np.count_nonzero(~bad))
    if middle < CONTRAST * mean:
        raise PreparationError(
            f"The stack shows no Bragg peak: around its maximum it is {middle / mean:.1f} x brighter than"
            " on average; choose the frames and the region of one peak."
        )
    for axis, (place, length) in enumerate(zip(top, values.shape, strict=True)):
        if place < length // 8 or place >= length - length // 8:
            raise PreparationError(
                f"The peak lies at {place} of 0 to {length - 1} along axis {'zyx'[axis]}, too near the end;"
                " choose a region with the peak in the middle."
            )
    return top[0], top[1], top[2]


def _saturated(values: NDArray, peak: tuple[int, int, int], parameters: Phasing) -> NDArray[np.bool_]:
    """Voxels at saturation. Raises PreparationError where the peak's middle is."""
    top = float(values[peak])
    limit = parameters.saturation
    if limit is not None and parameters.input == "amplitude":
        limit *= limit
    flat_top = np.count_nonzero(values == values.max()) >= 4
    if flat_top or (limit is not None and top >= limit):
        raise PreparationError(
            f"The middle of the peak is saturated ({top:g} counts); measure with less beam or an absorber."
        )
    return values >= (np.inf if limit is None else limit)


def _centred(
    values: NDArray, bad: NDArray[np.bool_], peak: tuple[int, int, int], parameters: Phasing, notes: list[str]
) -> tuple[NDArray, NDArray[np.bool_], tuple[float, float, float], list[int]]:
    """Cut around the peak to lengths that transform fast; what lies beyond the stack is not measured.

    Also returns the enlargement of the object's voxels and where the cut starts.
    """
    crop = parameters.crop
    lengths = [good_length(n if crop is None else min(n, crop)) for n in values.shape]
    shift = [p - n // 2 for p, n in zip(peak, values.shape, strict=True)]
    if not parameters.centre or max(map(abs, shift)) <= OFF_CENTRE:
        middle = tuple(n // 2 for n in values.shape)
    else:
        middle = peak
        notes.append(f"The peak at {peak} was moved to the middle.")
    out, mask = np.zeros(lengths, np.float32), np.ones(lengths, np.bool_)
    source, target, starts = [], [], []
    for m, length, n in zip(middle, lengths, values.shape, strict=True):
        start = m - length // 2
        starts.append(start)
        low, high = max(start, 0), min(start + length, n)
        source.append(slice(low, high))
        target.append(slice(low - start, high - start))
    out[tuple(target)], mask[tuple(target)] = values[tuple(source)], bad[tuple(source)]
    if lengths != list(values.shape):
        notes.append(
            f"{' x '.join(map(str, values.shape))} voxels were cut to {' x '.join(map(str, lengths))}."
        )
    elif crop is not None and crop > max(values.shape):
        notes.append(f"Nothing was cut to {crop}: the stack has {' x '.join(map(str, values.shape))} voxels.")
    z, y, x = (n / length for n, length in zip(values.shape, lengths, strict=True))
    return out, mask, (z, y, x), starts


def _binned(
    values: NDArray, bad: NDArray[np.bool_], binning: tuple[int, int, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[int]]:
    """Sums of blocks around the middle; blocks with missing voxels are scaled up, bad from half missing
    on. Also returns where the first block starts.
    """
    if max(binning) == 1:
        return values, bad, [0, 0, 0]
    if min(binning) < 1 or any(n // b < 8 for n, b in zip(values.shape, binning, strict=True)):
        raise PreparationError(f"Binning by {binning} leaves too few voxels; use smaller numbers.")
    shape, blocks, starts = [], [], []
    for n, b in zip(values.shape, binning, strict=True):
        half = n // (2 * b)
        shape.append(2 * half)
        first = n // 2 - half * b - b // 2  # the middle voxel stays in the middle of its block
        starts.append(first)
        blocks.append((np.arange(2 * half)[:, None] * b + np.arange(b)[None, :] + first).ravel() % n)
    grid = np.ix_(*blocks)
    split = [k for n, b in zip(shape, binning, strict=True) for k in (n, b)]
    good = (~bad[grid]).reshape(split).sum(axis=(1, 3, 5))
    total = values[grid].reshape(split).sum(axis=(1, 3, 5), dtype=np.float64)
    whole = int(np.prod(binning))
    mask = 2 * good <= whole
    return np.where(mask, 0, total * whole / np.maximum(good, 1)).astype(np.float32), mask, starts
