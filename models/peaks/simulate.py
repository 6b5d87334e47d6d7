"""A seeded operando series with its truth: grains of a battery cathode on a Debye ring during one charge.

Each grain is a 2-D Gaussian sampled at pixel centres, on a powder band over a sloping background, with
Poisson noise. Its radius from the beam centre follows its lattice spacing by Bragg's law, its azimuth its
rotation. Some grains turn in and out of the Bragg condition; some go through a first-order transition,
in which the new phase grows out of the old one while both coexist.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.constants import HC_KEV_ANGSTROM
from braggscope.models.peaks.grains import Evolution, evolve

Floats = NDArray[np.float64]

GAP, DEAD, NOISY = 1, 2, 16  # bits of a NeXus pixel_mask
GAP_VALUE = 65535
_VISIBLE_SNR = 5.0
_RESOLVED = 2.5  # sigma; two equal Gaussians show two maxima from 2 sigma on (Sparrow)


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """What to simulate. Same spec, same bytes (with one version of numpy).

    ``shape`` (rows, columns). ``splitting``, ``blinking``: shares of the grains that do. ``amplitude``:
    smallest and largest height in counts. ``band``, ``base``: height of the powder band and of the
    background in counts; the latter doubles across the frame.
    """

    frames: int = 480
    shape: tuple[int, int] = (256, 256)
    grains: int = 30
    seed: int = 0
    splitting: float = 0.27
    blinking: float = 0.6
    amplitude: tuple[float, float] = (100.0, 4000.0)
    base: float = 20.0
    band: float = 80.0
    band_sigma_px: float = 14.0
    gap_px: int = 6
    dead: int = 24
    hot: int = 6
    period_s: float = 30.0
    exposure_s: float = 1.0
    energy_keV: float = 9.0
    distance_m: float = 0.5
    pixel_size_m: float = 110e-6
    d0_angstrom: float = 4.74

    def __post_init__(self) -> None:
        if self.frames < 1 or self.grains < 0 or min(self.shape) < 32:
            raise ValueError(
                "A series has at least 1 frame of 32 x 32 pixels and no negative number of grains."
            )
        if self.wavelength_angstrom >= 2 * self.d0_angstrom:
            raise ValueError(
                f"At {self.energy_keV} keV no ring of {self.d0_angstrom} angstrom exists; raise it."
            )

    @property
    def wavelength_angstrom(self) -> float:
        """Wavelength of the photons."""
        return HC_KEV_ANGSTROM / self.energy_keV

    @property
    def centre_px(self) -> tuple[float, float]:
        """(x, y) of the beam, off the frame: the unstrained ring passes the middle of the frame."""
        radius = float(self.radius_px(0.0))
        azimuth = np.deg2rad(-35.0)
        height, width = self.shape
        x = (width - 1) / 2 - radius * float(np.cos(azimuth))
        return x, (height - 1) / 2 - radius * float(np.sin(azimuth))

    def radius_px(self, strain: Floats | float) -> Floats:
        """Ring radius for d = d0 (1 + strain): distance tan(2 asin(wavelength / 2d)) / pixel size."""
        d = self.d0_angstrom * (1 + np.asarray(strain, np.float64))
        two_theta = 2 * np.arcsin(self.wavelength_angstrom / (2 * d))
        return self.distance_m * np.tan(two_theta) / self.pixel_size_m

    def strain(self, x: Floats, y: Floats) -> Floats:
        """(d - d0) / d0 of a spot at (x, y) px: inverse of :meth:`radius_px`."""
        cx, cy = self.centre_px
        radius = np.hypot(x - cx, y - cy) * self.pixel_size_m
        d = self.wavelength_angstrom / (2 * np.sin(np.arctan(radius / self.distance_m) / 2))
        return d / self.d0_angstrom - 1


@dataclass(frozen=True, slots=True)
class SeriesTruth:
    """What is in every frame: (F, G) arrays, frames x entries; an entry is a grain or its new phase.

    ``parent`` (G,) int64: entry from which it splits, or -1. ``x y sigma_*`` px, ``amplitude background``
    counts, ``angle`` rad of the long axis from +x towards +y, in (-pi/2, pi/2]. ``visible``: centre on good
    pixels and amplitude >= 5 sqrt(background). ``resolved``: visible, and no brighter visible peak within
    2.5 rms sigma.
    """

    parent: NDArray[np.int64]
    x: Floats
    y: Floats
    amplitude: Floats
    sigma_major: Floats
    sigma_minor: Floats
    angle: Floats
    background: Floats
    strain: Floats
    visible: NDArray[np.bool_]
    resolved: NDArray[np.bool_]

    def table(self) -> dict[str, NDArray]:
        """Columns of one row per frame and entry: ``frame grain parent x y …``, frames outermost."""
        frames, entries = self.x.shape
        columns: dict[str, NDArray] = {
            "frame": np.repeat(np.arange(frames), entries),
            "grain": np.tile(np.arange(entries), frames),
            "parent": np.tile(self.parent, frames),
        }
        names = ("x", "y", "amplitude", "sigma_major", "sigma_minor", "angle", "background", "strain")
        for name in (*names, "visible", "resolved"):
            columns[name] = getattr(self, name).ravel()
        return columns

    def splits(self) -> NDArray[np.int64]:
        """(S, 3) int64: parent, child, first frame in which both are resolved; splits never seen left out."""
        rows = []
        for child in np.flatnonzero(self.parent >= 0):
            both = self.resolved[:, child] & self.resolved[:, self.parent[child]]
            if both.any():
                rows.append((self.parent[child], child, int(np.argmax(both))))
        return np.array(rows, np.int64).reshape(-1, 3)


class Series:
    """The frames of a spec. Every frame can be made alone; nothing is kept but the truth."""

    def __init__(self, spec: SeriesSpec) -> None:
        self.spec = spec
        self.charge = np.linspace(0.0, 1.0, spec.frames)
        rng = np.random.default_rng([spec.seed, 0])
        self._evolution = evolve(spec, self.charge, rng)
        self.pixel_mask, self._hot = _defects(spec, rng)
        rows, cols = np.indices(spec.shape)
        cx, cy = spec.centre_px
        self._radius = np.hypot(cols - cx, rows - cy)
        self._slope = _slope(spec, cols, rows)
        self._band_radius = spec.radius_px(self._evolution.common_strain)
        self.truth = _truth(spec, self._evolution, self._band_radius, self.pixel_mask)

    @property
    def time_s(self) -> Floats:
        """(F,) s since the start of the charge."""
        return np.arange(self.spec.frames, dtype=np.float64) * self.spec.period_s

    @property
    def voltage_V(self) -> Floats:
        """(F,) cell voltage of a layered oxide charged at constant current, 3.0 to 4.3 V."""
        q = self.charge
        rise = 0.62 * (1 - np.exp(-q / 0.03)) / (1 - np.exp(-1 / 0.03))
        return np.asarray(3.0 + rise + 0.5 * q + 0.18 * q**6)

    def expected(self, index: int) -> Floats:
        """(H, W) float64 counts without noise and without defects of the detector."""
        image = _scene(
            self._radius, self._slope, self._band_radius[index], self.spec.band, self.spec.band_sigma_px
        )
        t = self.truth
        shapes = np.column_stack(
            (
                t.x[index],
                t.y[index],
                t.amplitude[index],
                t.sigma_major[index],
                t.sigma_minor[index],
                t.angle[index],
            )
        )
        _stamp(image, shapes)
        return image

    def frame(self, index: int) -> NDArray[np.uint16]:
        """(H, W) uint16 counts as a detector would store them; IndexError beyond the series."""
        if not 0 <= index < self.spec.frames:
            raise IndexError(f"The series has {self.spec.frames} frames, there is no frame {index}.")
        rng = np.random.default_rng([self.spec.seed, 1, index])
        counts = rng.poisson(self.expected(index) + self._hot)
        frame = np.minimum(counts, GAP_VALUE - 1).astype(np.uint16)
        frame[self.pixel_mask == DEAD] = 0
        frame[self.pixel_mask == GAP] = GAP_VALUE
        return frame

    def chunks(self, size: int = 16) -> Iterator[tuple[int, NDArray[np.uint16]]]:
        """(first frame, (n, H, W) uint16) for n <= ``size`` frames at a time, to the end."""
        for start in range(0, self.spec.frames, size):
            stop = min(start + size, self.spec.frames)
            yield start, np.stack([self.frame(i) for i in range(start, stop)])


def _slope(spec: SeriesSpec, x: NDArray, y: NDArray) -> Floats:
    """Background under the band, counts: rises from the lower left to the upper right."""
    height, width = spec.shape
    return np.asarray(spec.base * (1 + 0.6 * x / width + 0.4 * (1 - y / height)), np.float64)


def _defects(spec: SeriesSpec, rng: np.random.Generator) -> tuple[NDArray[np.uint32], Floats]:
    """(pixel mask, extra counts of hot pixels), both (H, W)."""
    height, width = spec.shape
    mask = np.zeros(spec.shape, np.uint32)
    chosen = rng.choice(height * width, spec.dead + spec.hot, replace=False)
    mask.flat[chosen[: spec.dead]] = DEAD
    mask.flat[chosen[spec.dead :]] = NOISY
    extra = np.where(mask == NOISY, rng.uniform(500, 9000, spec.shape), 0.0)
    first = round(0.68 * width)
    mask[:, first : first + spec.gap_px] = GAP
    extra[mask == GAP] = 0
    return mask, extra


def _truth(spec: SeriesSpec, grown: Evolution, band_radius: Floats, mask: NDArray[np.uint32]) -> SeriesTruth:
    radius = spec.radius_px(grown.strain)
    cx, cy = spec.centre_px
    x, y = cx + radius * np.cos(grown.azimuth), cy + radius * np.sin(grown.azimuth)
    band = spec.band * np.exp(-0.5 * ((radius - band_radius[:, None]) / spec.band_sigma_px) ** 2)
    background = _slope(spec, x, y) + band
    cols, rows = np.rint(x).astype(np.int64), np.rint(y).astype(np.int64)
    inside = (cols >= 0) & (cols < spec.shape[1]) & (rows >= 0) & (rows < spec.shape[0])
    on_gap = mask[rows.clip(0, spec.shape[0] - 1), cols.clip(0, spec.shape[1] - 1)] != 0
    visible = inside & ~on_gap & (grown.amplitude >= _VISIBLE_SNR * np.sqrt(background.clip(1.0)))
    tilt = grown.azimuth + np.pi / 2 + grown.turn
    angle = np.pi / 2 - np.mod(np.pi / 2 - tilt, np.pi)  # into (-pi/2, pi/2]
    return SeriesTruth(
        grown.parent, x, y, grown.amplitude, grown.sigma_major, grown.sigma_minor, angle, background,
        grown.strain, visible, _resolved(x, y, grown, visible),
    )  # fmt: skip


def _resolved(x: Floats, y: Floats, grown: Evolution, visible: NDArray[np.bool_]) -> NDArray[np.bool_]:
    resolved = visible.copy()
    size = (grown.sigma_major**2 + grown.sigma_minor**2) / 2
    for i in range(x.shape[1]):
        near = np.hypot(x - x[:, i : i + 1], y - y[:, i : i + 1]) < _RESOLVED * np.sqrt(
            (size + size[:, i : i + 1]) / 2
        )
        brighter = grown.amplitude > grown.amplitude[:, i : i + 1]
        resolved[:, i] &= ~(near & brighter & visible).any(axis=1)
    return resolved


@njit(cache=True, nogil=True)
def _scene(radius: Floats, slope: Floats, centre: float, height: float, sigma: float) -> Floats:
    image = np.empty(radius.shape)
    for row in range(radius.shape[0]):
        for col in range(radius.shape[1]):
            u = (radius[row, col] - centre) / sigma
            image[row, col] = slope[row, col] + height * np.exp(-0.5 * u * u)
    return image


@njit(cache=True, nogil=True)
def _stamp(image: Floats, shapes: Floats) -> None:
    """Add rotated Gaussians (x, y, amplitude, sigma major, sigma minor, angle), cut at 6 sigma."""
    rows, cols = image.shape
    for x, y, amplitude, major, minor, angle in shapes:
        if amplitude < 1e-3:
            continue
        c, s = np.cos(angle), np.sin(angle)
        reach = 6.0 * major
        for row in range(max(0, int(np.ceil(y - reach))), min(rows, int(np.floor(y + reach)) + 1)):
            for col in range(max(0, int(np.ceil(x - reach))), min(cols, int(np.floor(x + reach)) + 1)):
                u = ((col - x) * c + (row - y) * s) / major
                v = ((row - y) * c - (col - x) * s) / minor
                image[row, col] += amplitude * np.exp(-0.5 * (u * u + v * v))
