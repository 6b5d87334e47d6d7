"""Disks by correlation with a template: fast for looking on, or to a small fraction of a pixel."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from braggscope.models.disks import subpixel
from braggscope.models.disks.kernel import make_template
from braggscope.models.disks.maxima import apart, local_maxima
from braggscope.models.disks.noise import Noise, noise_of, sums_by_grey, sway
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import check_setting
from braggscope.models.disks.results import Disks, Probe

Bools = NDArray[np.bool_]
Image = NDArray[np.float32]

SPACING = 1.5  # radii between two disks, unless told
CANDIDATES = 4  # maxima looked at per disk that may stay
WHITE = 0.03  # of the largest amplitude: what phase correlation does not raise


class Correlator:
    """Finds disks in patterns of one shape with one probe.

    The pattern is transformed (log(1 + I), √I or I), padded by its border, correlated with the template of
    :mod:`.kernel` by real Fourier transforms; with ``power`` p the spectrum is divided by its amplitude to
    the power 1 - p (1 cross, 0 phase correlation). ``parameters.subpixel``: "parabola" through the
    correlation map; "upsampled": the maximum of the correlation with the template shifted by any fraction
    of a pixel, to which upsampling by a discrete Fourier transform tends with its factor, but without its
    grid; with the "sigmoid" kernel the template is that of the least error for the noise of each disk and
    for what varies inside the disks. ``mask`` (H, W) bool, True = bad: masked pixels are filled for the map
    and weigh nothing in what is measured on it. Errors of positions are those that Poisson noise brings
    (:mod:`.subpixel`), NaN where the values are no counts or the power is not 1. Raises ValueError for a
    probe that is larger than the pattern.
    """

    def __init__(
        self, probe: Probe, shape: tuple[int, int], parameters: Strain, mask: Bools | None = None
    ) -> None:
        check_setting(probe, shape, mask)
        self._shape = int(shape[0]), int(shape[1])
        self._parameters = parameters
        self._template = make_template(probe, parameters.kernel)
        half = self._template.half
        self._padded = tuple(fft.next_fast_len(n + 2 * half, real=True) for n in self._shape)
        self._bad = np.zeros(self._shape, np.bool_) if mask is None else mask.astype(np.bool_)
        self._weight = (~self._bad).astype(np.float32)
        self._nearest = _nearest_good(self._bad)
        self._buffer = np.empty(self._padded, np.float32)
        self._spectrum = self._transfer()
        self._noise: Noise = noise_of(parameters.intensity)
        self._mixed = parameters.kernel == "sigmoid" and parameters.power == 1
        self._sway = sway(self._template, self._noise)
        self._sums = sums_by_grey(self._template)
        self._spacing = parameters.spacing or SPACING * probe.radius
        self._subpixel = ("none", "parabola", "upsampled").index(parameters.subpixel)

    def find(self, patterns: NDArray) -> Disks:
        """Disks of patterns (B, H, W) of any real type; ``pattern`` is the index in the batch."""
        if patterns.ndim != 3 or patterns.shape[1:] != self._shape:
            raise ValueError(f"the patterns are {patterns.shape[1:]} pixels, not {self._shape} as set up")
        counts = self._parameters.power == 1 and _are_counts(patterns)
        return Disks.join([self._find(pattern, k, counts) for k, pattern in enumerate(patterns)])

    def correlation(self, pattern: NDArray) -> Image:
        """Map (H, W) float32 of one pattern, at every pixel the height a disk there would have."""
        return self._map(self._prepared(*self._sound(pattern)))[0]

    def _find(self, pattern: NDArray, index: int, counts: bool) -> Disks:
        settings, template = self._parameters, self._template
        pattern, bad = self._sound(pattern)
        found, image = self._map(self._prepared(pattern, bad))
        margin = int(np.ceil(settings.edge))
        floor = max(settings.absolute, settings.threshold * float(_second(found, self._spacing)))
        rows, cols = local_maxima(found, max(floor, 1e-6), margin)
        kept = apart(found, rows, cols, self._spacing, settings.threshold, CANDIDATES * settings.most)
        rows, cols = rows[kept], cols[kept]
        weight = self._weight if bad is self._bad else (~bad).astype(np.float32)
        values = subpixel.measure(
            found, image, pattern.astype(np.float32), weight, template.table, template.core, rows, cols,
            self._subpixel, counts, self._mixed and counts, *self._noise, self._sway,
            self._sums,
        )  # fmt: skip
        some = np.flatnonzero(np.isfinite(values[:, 0]))[: settings.most]
        x, y, x_err, y_err, height = values[some].T
        score = found[rows[some], cols[some]].astype(np.float64)
        return Disks(np.full(len(some), index), x, y, x_err, y_err, height * template.area, score)

    def _sound(self, pattern: NDArray) -> tuple[NDArray, Bools]:
        """The pattern without values that are no numbers, and its bad pixels."""
        if pattern.dtype.kind != "f":
            return pattern, self._bad
        lost = ~np.isfinite(pattern)
        return (np.where(lost, 0, pattern), self._bad | lost) if lost.any() else (pattern, self._bad)

    def _prepared(self, pattern: NDArray, bad: Bools) -> Image:
        """The transformed pattern, bad pixels filled by the nearest good ones, padded by its border."""
        height, width = self._shape
        buffer = self._buffer
        inner = buffer[:height, :width]
        inner[:] = pattern
        nearest = self._nearest if bad is self._bad else _nearest_good(bad)
        if nearest is not None:
            inner[bad] = inner[nearest]
        kind = self._parameters.intensity
        if kind != "linear":
            np.maximum(inner, 0, out=inner)
        if kind == "log":
            inner += 1
            np.log(inner, out=inner)
        elif kind == "sqrt":
            np.sqrt(inner, out=inner)
        _pad(buffer, width, axis=1, along=height)
        _pad(buffer.T, height, axis=1, along=buffer.shape[1])
        return buffer

    def _map(self, buffer: Image) -> tuple[Image, Image]:
        """Correlation, and the transformed pattern (whitened where the power is not 1), both (H, W)."""
        height, width = self._shape
        spectrum = fft.rfft2(buffer)
        power = self._parameters.power
        image = buffer[:height, :width]
        if power < 1:
            amplitude = np.abs(spectrum * self._spectrum)
            largest = float(np.max(amplitude.ravel()[1:])) or 1.0
            spectrum *= (np.maximum(amplitude, WHITE * largest) / largest) ** (power - 1)
            image = fft.irfft2(spectrum, s=self._padded)[:height, :width]
        spectrum *= self._spectrum
        return fft.irfft2(spectrum, s=self._padded, overwrite_x=True)[:height, :width], image

    def _transfer(self) -> NDArray[np.complex64]:
        """Conjugate spectrum of the template over its response to a disk of height 1, smoothed."""
        template = self._template
        plane = np.zeros(self._padded, np.float32)
        size = 2 * template.half + 1
        plane[:size, :size] = template.image / template.norm
        spectrum = np.conj(fft.rfft2(np.roll(plane, (-template.half, -template.half), (0, 1))))
        if self._parameters.smoothing > 0:
            spectrum = ndimage.fourier_gaussian(
                spectrum, self._parameters.smoothing, n=self._padded[1], axis=1
            )
        return np.ascontiguousarray(spectrum, np.complex64)


def _nearest_good(bad: Bools) -> tuple[NDArray, ...] | None:
    """Rows and columns of the nearest good pixel of every bad one; None where there is none of either."""
    if not bad.any() or bad.all():
        return None
    rows, cols = ndimage.distance_transform_edt(bad, return_distances=False, return_indices=True)
    return rows[bad], cols[bad]


def _pad(buffer: Image, size: int, axis: int, along: int) -> None:
    """Fill the columns behind ``size``: half with the last column, half with the first."""
    middle = (size + buffer.shape[axis] + 1) // 2
    buffer[:along, size:middle] = buffer[:along, size - 1 : size]
    buffer[:along, middle:] = buffer[:along, :1]


def _second(found: Image, spacing: float) -> float:
    """Height of the highest maximum but the one that is nearer than ``spacing`` to the highest pixel."""
    row, col = np.unravel_index(int(np.argmax(found)), found.shape)
    reach = int(np.ceil(spacing))
    r0, r1, c0, c1 = max(row - reach, 0), row + reach + 1, max(col - reach, 0), col + reach + 1
    parts = found[:r0], found[r1:], found[r0:r1, :c0], found[r0:r1, c1:]
    return max((float(part.max()) for part in parts if part.size), default=0.0)


def _are_counts(patterns: NDArray) -> bool:
    """Whether values are whole numbers, as counted electrons are."""
    if patterns.dtype.kind in "ub" or not patterns.size:
        return True
    some = patterns[0][np.isfinite(patterns[0])] if patterns.dtype.kind == "f" else patterns[0]
    return bool(np.array_equal(some, np.round(some)))
