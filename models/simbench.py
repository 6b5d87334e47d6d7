"""One kind of peak, drawn many times: how far every method is from the truth, beside the Cramér-Rao bound."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles
from braggscope.models.bench_settings import AMPLITUDE, BOUND, DRAWS, BenchSettings, Floats, Outcome
from braggscope.models.bounds import ideal_errors, peak_counts, position_bound
from braggscope.models.fitting.grounds import Background
from braggscope.models.fitting.peaks import Model, Noise, fit_peaks
from braggscope.models.peaks.patches import Patches, cut_patches
from braggscope.models.results import Status

Check = Callable[[], None]  # raises to stop

JITTER = 0.5  # px; centres lie within this of the middle pixel
PIECE = 100  # draws between two looks at the cancel flag
REPEATS = 5  # errors drawn from the bound of each draw


class Answers(NamedTuple):
    """Positions (N,) px from the middle pixel, and their 1 sigma errors; NaN where there is none."""

    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats


@dataclass(frozen=True, slots=True)
class Draws:
    """Peaks in tiles one below the other. ``peaks`` (N, K, 6 or 7) as in :mod:`braggscope.models.bounds`."""

    settings: BenchSettings
    frame: Floats  # (N · tile, columns) counts
    tile: int  # rows
    col: int  # the middle column
    peaks: Floats

    def __len__(self) -> int:
        return len(self.peaks)

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) middle rows."""
        return np.arange(len(self)) * self.tile + self.tile // 2

    @property
    def cols(self) -> NDArray[np.int64]:
        """(N,) middle columns."""
        return np.full(len(self), self.col)

    def take(self, start: int, stop: int) -> "Draws":
        """Some of them."""
        frame = self.frame[start * self.tile : stop * self.tile]
        return Draws(self.settings, frame, self.tile, self.col, self.peaks[start:stop])

    def patches(self, window: int) -> Patches:
        """(N, window, window) counts and valid pixels."""
        return cut_patches(self.frame, None, self.rows, self.cols, window)


class Method(NamedTuple):
    """One way to find the position. ``key``: as in marks and colours."""

    key: str
    name: str
    locate: Callable[[Draws], Answers]


def draw(settings: BenchSettings, n: int = DRAWS, check: Check = lambda: None) -> Draws:
    """Simulate ``n`` peaks with their neighbours; the same settings give the same draws."""
    half = settings.window // 2
    tile = 4 * (half + 1)  # no peak is a neighbour of that in another tile
    lost = tile // 2 - half + settings.missing if settings.missing else 0
    frame, peaks = np.empty((n * tile, tile - lost)), []
    axis = np.arange(tile, dtype=np.float64) - tile // 2
    for start in range(0, n, PIECE):
        check()
        rng = np.random.default_rng([settings.seed, start])
        peaks.append(_peaks(settings, rng.uniform(-JITTER, JITTER, (min(PIECE, n - start), 2))))
        counts = peak_counts(peaks[-1], axis[None, None, :], axis[None, :, None]) + _ground(settings, axis)
        if settings.noise == "counting":
            counts = rng.poisson(counts).astype(np.float64)
        else:
            counts = counts + rng.normal(0.0, AMPLITUDE / settings.snr, counts.shape)
        frame[start * tile : (start + PIECE) * tile] = counts.reshape(-1, tile)[:, lost:]
    return Draws(settings, frame, tile, tile // 2 - lost, np.concatenate(peaks))


def _peaks(settings: BenchSettings, centre: Floats) -> Floats:
    """(N, K, 6 or 7) peaks at (N, 2) centres, with their neighbours."""
    wide, narrow = (profiles.fwhm_from_sigma(settings.sigma * r) for r in (settings.ratio, 1.0))
    form = [float(value) for value in profiles.form_from_axes(wide, narrow, settings.angle)]
    shape = np.tile([*form, *([settings.eta] if settings.eta else [])], (len(centre), 1))
    places = [(settings.amplitude, centre)]
    if settings.second is not None:
        one = settings.second
        step = one.distance * np.array([math.cos(one.angle), math.sin(one.angle)])
        places.append((settings.amplitude * one.height, centre + step))
    return np.stack([np.column_stack((np.full(len(at), a), at, shape)) for a, at in places], axis=1)


def _ground(settings: BenchSettings, dx: Floats) -> Floats:
    """Counts of the background ``dx`` px beside the middle; outside the window it falls no further."""
    return settings.level + settings.slope * np.maximum(dx, -(settings.window // 2))


def least_errors(draws: Draws, check: Check = lambda: None) -> Outcome:
    """Errors of an estimator that reaches the Cramér-Rao bound of each draw, as an outcome."""
    settings = draws.settings

    def variance(counts: Floats, dx: Floats) -> Floats:
        if settings.noise == "gaussian":
            return np.full_like(counts, (AMPLITUDE / settings.snr) ** 2)
        return counts + _ground(settings, dx)

    parts = []
    for start in range(0, len(draws), PIECE):
        check()
        some = draws.peaks[start : start + PIECE]
        plane, missing = settings.slope > 0, settings.missing
        parts.append(position_bound(some, settings.window, variance, plane=plane, missing=missing))
    covariance = np.concatenate(parts)
    known = np.asarray(np.isfinite(covariance).all(axis=(1, 2)))
    errors = np.full(len(known) * REPEATS, np.inf)
    found = ideal_errors(covariance[known], REPEATS)
    errors[: len(found)] = np.sort(found)
    return Outcome(BOUND, "Cramér-Rao bound", errors, coverage=math.erf(math.sqrt(0.5)))


def measure(draws: Draws, method: Method, check: Check = lambda: None) -> Outcome:
    """Errors of a method on all draws."""
    method.locate(draws.take(0, 2))  # compiled and warm
    parts, seconds = [], 0.0
    for start in range(0, len(draws), PIECE):
        check()
        before = time.thread_time()
        parts.append(method.locate(draws.take(start, start + PIECE)))
        seconds += time.thread_time() - before
    found = Answers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    off = np.stack((found.x, found.y), axis=1) - draws.peaks[:, 0, 1:3]
    known = np.isfinite(off).all(axis=1)
    pulls = off / np.stack((found.x_err, found.y_err), axis=1)
    stated = np.isfinite(pulls)
    return Outcome(
        method.key,
        method.name,
        np.sort(np.where(known, np.hypot(off[:, 0], off[:, 1]), np.inf)),
        (float(off[known, 0].mean()), float(off[known, 1].mean())) if known.any() else (math.nan, math.nan),
        float(np.mean(np.abs(pulls[stated]) < 1.0)) if stated.any() else math.nan,
        int(np.count_nonzero(~known)),
        1e6 * seconds / max(len(draws), 1),
    )


def bench(
    settings: BenchSettings,
    methods: Sequence[Method],
    n: int = DRAWS,
    check: Check = lambda: None,
) -> Iterator[Outcome]:
    """The bound, then every method in turn, on the same ``n`` draws."""
    draws = draw(settings, n, check)
    yield least_errors(draws, check)
    for method in methods:
        yield measure(draws, method, check)


def centre_of_mass(draws: Draws) -> Answers:
    """Of what stands above the threshold of the settings."""
    window = draws.settings.window
    patches, valid = draws.patches(window)
    height = np.where(valid, np.maximum(patches - draws.settings.threshold, 0.0), 0.0)
    dy, dx = np.indices((window, window)) - window // 2
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y = ((height * d).sum((1, 2)) / height.sum((1, 2)) for d in (dx, dy))
    nothing = np.full(len(draws), np.nan)
    return Answers(x, y, nothing, nothing)


def fitted(draws: Draws, model: Model, noise: Noise, background: Background) -> Answers:
    """Least-squares fits; the pixel of the second peak is given, as its detection would."""
    rows, cols = draws.rows, draws.cols
    offset = np.rint(draws.peaks[:, 1:, 1:3]).astype(np.int64)
    both_rows = np.concatenate((rows, *(rows + offset[:, k, 1] for k in range(offset.shape[1]))))
    both_cols = np.concatenate((cols, *(cols + offset[:, k, 0] for k in range(offset.shape[1]))))
    fits = fit_peaks(
        draws.frame, None, both_rows, both_cols,
        window=draws.settings.window, model=model, noise=noise, background=background, only=len(draws),
    )  # fmt: skip
    ok = np.where(fits.status == Status.OK, 1.0, np.nan)
    return Answers((fits.x - cols) * ok, (fits.y - rows) * ok, fits.x_err * ok, fits.y_err * ok)
