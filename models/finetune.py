"""What the peaks of a series are like: a distribution to simulate from, and fits good enough to learn from.

Lengths in px; heights, slopes and backgrounds in units of each peak's amplitude.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles
from braggscope.models.results import Background, Model, PeakTable, Status

if TYPE_CHECKING:  # torch takes seconds to import
    from braggscope.models.patchsim import Scene

Floats = NDArray[np.float64]
LABEL_ERROR_PX = 0.2  # 1 sigma of a fit that is used as a label, x and y together
FIT_ERROR_PX = 0.6  # of one that is used to measure the distribution
CHI2_FACTOR = 3.0  # times the median; the scale itself depends on the detector
FAR_PX = 1.5  # from the middle pixel; further, and another maximum is meant
HELD_SHARE = 0.2
FEWEST_FRAMES = 3
NOISE_PEAKS = 1000  # whose pixels give the noise
ZERO_SHARE = 0.1  # of the pixels that are exactly 0 before a threshold is suspected
QUANTA = 3.0  # by so many steps of the counts the least positive value must stand above 0


class Spread(NamedTuple):
    """2.5, 50 and 97.5 % of the peaks lie below these."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """What :func:`measure` found. ``sigma`` is of the narrow axis, ``ratio`` long over narrow axis.

    ``eta``: Lorentzian share, None where Gaussians were fitted. ``snr``: amplitude over the noise at the
    top. ``poisson``: share of the noise variance there that follows the signal. ``slope``: of the peaks
    fitted over a plane, amplitude per px, None if there is none. ``threshold``: what pixels were cut below,
    above the background; None where they were not. ``offset_px``: 97.5 % of the centres are as near to
    their pixel, along x and along y. ``*_share``: of the peaks.
    """

    peaks: int
    sigma: Spread
    major: Spread
    ratio: Spread
    eta: Spread | None
    snr: Spread
    poisson: Spread
    background: Spread
    slope: Spread | None
    slope_share: float
    second_share: float
    edge_share: float
    dead_share: float
    threshold: Spread | None
    offset_px: float

    def scene(self, window: int) -> "Scene":
        """Simulation of such peaks for a network of this window; what was not measured stays broad."""
        from braggscope.models.patchsim import Scene

        narrow = (max(0.25, 0.9 * self.sigma.low), max(0.3, 1.1 * self.sigma.high))
        broad = Scene(window)
        return Scene(
            window=window,
            sigma=narrow,
            sigma_max=max(1.1 * self.major.high, narrow[1]),
            ratio=(1.0, max(1.05, 1.1 * self.ratio.high)),
            lorentz=broad.lorentz if self.eta is None else (self.eta.low, self.eta.high),
            gauss_share=broad.gauss_share if self.eta is None else 0.0,
            snr=(max(2.0, 0.8 * self.snr.low), max(3.0, 1.25 * self.snr.high)),
            poisson=(self.poisson.low, self.poisson.high),
            poisson_share=1.0,
            offset=float(np.clip(self.offset_px, 0.5, FAR_PX)),
            slope=broad.slope if self.slope is None else (0.0, 1.2 * self.slope.high),
            slope_share=max(0.05, self.slope_share),
            pedestal=(max(0.0, self.background.low), max(0.01, self.background.high)),
            pedestal_share=1.0,
            second_share=max(0.02, self.second_share),
            cut_share=self.edge_share,
            dead_share=self.dead_share,
            threshold_share=0.0 if self.threshold is None else 1.0,
            threshold=broad.threshold
            if self.threshold is None
            else (max(0.0, self.threshold.low), float(np.clip(self.threshold.high, 0.01, 0.9))),
        )


def good_fits(table: PeakTable, error_px: float = FIT_ERROR_PX) -> NDArray[np.bool_]:
    """(N,) bool: fits that are ok, surer than ``error_px``, and no worse in chi-square than is usual."""
    with np.errstate(invalid="ignore"):
        sure = np.hypot(table["x_fit_err"], table["y_fit_err"]) <= error_px
        chi2 = table["chi2"]
        ok = (table["status"] == Status.OK) & (table["model"] != Model.NONE) & sure & np.isfinite(chi2)
        usual = float(np.median(chi2[ok])) if ok.any() else 0.0
        return np.asarray(ok & (chi2 <= CHI2_FACTOR * max(usual, 1e-9)))


def select_labels(table: PeakTable) -> NDArray[np.bool_]:
    """(N,) bool: fits to learn from. Good ones, of a lone peak, known to 0.2 px, near their pixel.

    Peaks that are saturated, or too far off the frame, have no fit that is ok.
    """
    with np.errstate(invalid="ignore"):
        near = np.maximum(abs(table["x_fit"] - table["col"]), abs(table["y_fit"] - table["row"])) <= FAR_PX
    return good_fits(table, LABEL_ERROR_PX) & (table["n_components"] == 1) & near


def hold_out(frame: NDArray[np.int64], seed: int, share: float = HELD_SHARE) -> NDArray[np.bool_]:
    """(N,) bool: peaks of whole frames, chosen by ``seed``, that are about ``share`` of all peaks.

    Raises ValueError for fewer than 3 frames.
    """
    frames, count = np.unique(frame, return_counts=True)
    if len(frames) < FEWEST_FRAMES:
        raise ValueError(f"peaks of {len(frames)} frames cannot be parted")
    held: list[int] = []
    for k in np.random.default_rng(seed).permutation(len(frames)):
        if count[held].sum() + 0.5 * count[k] <= share * len(frame):
            held.append(int(k))
    return np.isin(frame, frames[held or [int(np.argmin(count))]])


def measure(
    table: PeakTable, patches: NDArray[np.float32], valid: NDArray[np.bool_], threshold: float | None = None
) -> Distribution:
    """What the well-fitted peaks of a table are like.

    ``patches`` (N, S, S) counts around each row's pixel, S odd; ``valid`` of that shape, False where nothing
    was measured. ``threshold``: counts below which pixels are set to 0 before a network sees them, if so.
    Raises ValueError where no fit is good.
    """
    good = good_fits(table)
    if not good.any():
        raise ValueError("no fit is good enough to measure from")
    chosen = table.take(good)
    patches, valid = patches[good], valid[good]
    amplitude, background = chosen["amplitude"], chosen["background"]
    cut = threshold if threshold is not None else _cut_level(patches, valid)
    read, gain = _noise(chosen, patches, valid & (patches > 0) if cut is not None else valid)
    top = np.maximum(read + gain * np.maximum(background + amplitude, 0.0), 1e-12)
    plane = chosen["background_model"] == Background.PLANE
    slope = np.hypot(chosen["slope_x"], chosen["slope_y"]) / amplitude
    ratio = chosen["fwhm_major"] / chosen["fwhm_minor"]
    edge = _at_edge(valid)
    eta = chosen["eta"][np.isfinite(chosen["eta"])]
    apart = np.maximum(abs(chosen["x_fit"] - chosen["col"]), abs(chosen["y_fit"] - chosen["row"]))
    return Distribution(
        peaks=len(chosen),
        sigma=_spread(profiles.sigma_from_fwhm(chosen["fwhm_minor"])),
        major=_spread(profiles.sigma_from_fwhm(chosen["fwhm_major"])),
        ratio=_spread(ratio),
        eta=_spread(eta) if len(eta) else None,
        snr=_spread(amplitude / np.sqrt(top)),
        poisson=_spread(np.clip(gain * amplitude / top, 0.0, 1.0)),
        background=_spread(background / amplitude),
        slope=_spread(slope[plane]) if plane.any() else None,
        slope_share=float(plane.mean()),
        second_share=float((chosen["n_components"] > 1).mean()),
        edge_share=float(edge.mean()),
        dead_share=float((~edge & ~valid.all(axis=(1, 2))).mean()),
        threshold=None if cut is None else _spread(np.clip((cut - background) / amplitude, 0.0, 1.0)),
        offset_px=float(np.quantile(apart, 0.975)),
    )


def _spread(values: NDArray) -> Spread:
    return Spread(*(float(v) for v in np.quantile(values, [0.025, 0.5, 0.975])))


def _at_edge(valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(N,) bool: a whole row or column at the border of the patch is missing."""
    sides = (valid[:, 0], valid[:, -1], valid[:, :, 0], valid[:, :, -1])
    return np.asarray(np.stack([~side.any(axis=1) for side in sides]).any(axis=0))


def _cut_level(patches: NDArray[np.float32], valid: NDArray[np.bool_]) -> float | None:
    """Counts below which a detector or its software wrote 0; None where there is no such gap above 0."""
    values = patches[valid]
    positive = np.unique(values[values > 0])
    if len(positive) < 3 or np.count_nonzero(values == 0) < ZERO_SHARE * len(values):
        return None
    level = float(np.quantile(values[values > 0], 0.01))
    return level if level >= QUANTA * float(np.quantile(np.diff(positive), 0.05)) else None


def _noise(table: PeakTable, patches: NDArray[np.float32], valid: NDArray[np.bool_]) -> tuple[float, float]:
    """(a, b): variance of a pixel = a + b x its expected counts, from the residuals of lone peaks."""
    from scipy.optimize import nnls  # takes long to import

    lone = np.flatnonzero(table["n_components"] == 1)[:NOISE_PEAKS]
    lone = lone if len(lone) else np.arange(min(len(table), NOISE_PEAKS))
    table, patches = table.take(lone), patches[lone]
    inside = valid[lone] & _inner(table["window"], patches.shape[1])
    height, slopes = _shape(table, patches.shape[1])
    expected = table["amplitude"][:, None, None] * height + slopes
    free = np.maximum(1 - _leverage(table, height, expected, inside), 0.1)
    level, square = expected[inside], ((patches - expected) ** 2 / free)[inside]
    bins = np.array_split(np.argsort(level), 20)
    points = [(level[rows].mean(), _trimmed(square[rows])) for rows in bins if len(rows) > 20]
    if not points:
        return float(square.mean()) if len(square) else 1.0, 0.0
    x, variance = np.array(points).T
    weight = 1 / np.maximum(variance, 1e-3 * variance.max() + 1e-12)
    (read, gain), _ = nnls(np.stack([weight, weight * np.maximum(x, 0)], axis=1), weight * variance)
    return float(read), float(gain)


def _trimmed(square: Floats) -> float:
    """Mean without the largest hundredth, which belongs to what was not in the model."""
    return float(np.sort(square)[: -(len(square) // 100) or None].mean())


def _inner(window: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """(N, S, S) bool: pixels that took part in the fit."""
    far = abs(np.arange(size) - size // 2)
    within = far[None] <= (window // 2)[:, None]
    return np.asarray(within[:, None, :] & within[:, :, None])


def _offsets(table: PeakTable, size: int) -> tuple[Floats, Floats]:
    """(N, S, S) px from the fitted centre, along x and along y."""
    y, x = np.mgrid[:size, :size].astype(np.float64) - size // 2
    return (
        x - (table["x_fit"] - table["col"])[:, None, None],
        y - (table["y_fit"] - table["row"])[:, None, None],
    )


def _shape(table: PeakTable, size: int) -> tuple[Floats, Floats]:
    """(N, S, S): the fitted peak at height 1, and its background in counts; neighbours left out."""
    dx, dy = _offsets(table, size)
    form = profiles.form_from_axes(table["fwhm_major"], table["fwhm_minor"], table["angle"])
    a, b, c = (part[:, None, None] for part in form)
    eta = np.nan_to_num(table["eta"])[:, None, None]
    rise, fall = (np.nan_to_num(table[name])[:, None, None] for name in ("slope_x", "slope_y"))
    ground = table["background"][:, None, None] + rise * dx + fall * dy
    return profiles.profile(profiles.quadratic(dx, dy, a, b, c), eta), ground


def _leverage(table: PeakTable, height: Floats, expected: Floats, inside: NDArray[np.bool_]) -> Floats:
    """(N, S, S): by how much the fit follows each pixel's noise, so that its residual is too small.

    Diagonal of the hat matrix under counting statistics. A Gaussian's derivatives by its seven parameters
    span the same space as these products.
    """
    dx, dy = _offsets(table, height.shape[1])
    columns = [height * part for part in (1.0, dx, dy, dx * dx, dx * dy, dy * dy)] + [np.ones_like(height)]
    weight = inside / np.sqrt(np.maximum(expected, 1.0))
    basis = np.stack([weight * column for column in columns], axis=-1)
    n, size = len(height), height.shape[1]
    q, _ = np.linalg.qr(basis.reshape(n, size * size, -1))
    return np.asarray((q * q).sum(axis=2).reshape(n, size, size))
