"""Simulated peaks of every kind with their truth, and the Cramér-Rao bound of each draw."""

from dataclasses import dataclass

import numpy as np

from braggscope.models import profiles
from braggscope.models.bounds import ideal_errors, peak_counts, position_bound

WINDOW, TILE = 11, 24  # px; every peak has a tile of its own
AMPLITUDE, PEDESTAL = 100.0, 50.0  # counts
MISSING = 4  # columns, in the row that lies at an edge


@dataclass(frozen=True)
class Case:
    """One row of the table. Lengths in px; ``slope``: counts per px in any direction.

    ``given``: whether the fit is told of the second peak of a pair.
    """

    name: str
    snr: float = 100.0
    sigma: tuple[float, float] = (1.0, 2.0)
    ratio: tuple[float, float] = (1.0, 1.0)
    slope: tuple[float, float] = (0.0, 0.0)
    edge: bool = False
    pair: bool = False
    given: bool = True

    @property
    def plane(self) -> bool:
        return self.slope[1] > 0


CASES = (
    Case("round σ 1–2, SNR 100"),
    Case("round σ 1–2, SNR 10", snr=10),
    Case("round σ 1–2, SNR 5", snr=5),
    Case("elongated 2–3×, σ 1–1.5, SNR 100", sigma=(1.0, 1.5), ratio=(2.0, 3.0)),
    Case("broad σ 3–4, SNR 100", sigma=(3.0, 4.0)),
    Case("broad σ 3–4 on a slope, SNR 100", sigma=(3.0, 4.0), slope=(2.0, 10.0)),
    Case("σ 1–2 on a slope, SNR 100", slope=(2.0, 10.0)),
    Case("edge, 4 of 11 columns missing, SNR 100", edge=True),
    Case("second peak 2.5–5 px away, SNR 100", sigma=(1.0, 1.5), pair=True),
    Case("second peak 2.5–5 px away, SNR 10", snr=10, sigma=(1.0, 1.5), pair=True),
    Case("second peak not detected, SNR 100", sigma=(1.0, 1.5), pair=True, given=False),
    Case("second peak not detected, SNR 10", snr=10, sigma=(1.0, 1.5), pair=True, given=False),
)


@dataclass(frozen=True)
class Draws:
    """Peaks one below the other. ``peaks`` (N, K, 6): amplitude, x, y from the middle pixel, a, b, c."""

    case: Case
    frame: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    peaks: np.ndarray

    @property
    def noise(self) -> float:
        return AMPLITUDE / self.case.snr

    def distance(self, found: np.ndarray) -> np.ndarray:
        """(n,) px from the truth to (n, 2) positions from the middle pixel; infinite where there is none."""
        apart = np.hypot(*(found - self.peaks[: len(found), 0, 1:3]).T)
        return np.where(np.isfinite(apart), apart, np.inf)


def draw(case: Case, n: int, seed: int) -> Draws:
    """Simulate ``n`` tiles; the noise is Gaussian."""
    rng = np.random.default_rng(seed)
    minor = rng.uniform(*case.sigma, n)
    centre = rng.uniform(-0.5, 0.5, (n, 2))
    form = _form(minor, minor * rng.uniform(*case.ratio, n), rng.uniform(-np.pi / 2, np.pi / 2, n))
    peaks = [np.column_stack((np.full(n, AMPLITUDE), centre, form))]
    if case.pair:
        turn, away = rng.uniform(0, 2 * np.pi, n), rng.uniform(2.5, 5.0, n)
        place = centre + away[:, None] * np.column_stack((np.cos(turn), np.sin(turn)))
        like = minor * rng.uniform(0.7, 1.4, n)
        peaks.append(
            np.column_stack((AMPLITUDE * rng.uniform(0.3, 1.0, n), place, _form(like, like, 0 * like)))
        )
    both = np.stack(peaks, axis=1)
    axis = np.arange(TILE, dtype=float) - TILE // 2
    dx, dy = axis[None, None, :], axis[None, :, None]
    steep, turn = rng.uniform(*case.slope, n), rng.uniform(0, 2 * np.pi, n)
    tiles = PEDESTAL + (steep * np.cos(turn))[:, None, None] * dx + (steep * np.sin(turn))[:, None, None] * dy
    tiles = tiles + peak_counts(both, dx, dy)
    tiles += rng.normal(0.0, AMPLITUDE / case.snr, tiles.shape)
    lost = TILE // 2 - WINDOW // 2 + MISSING if case.edge else 0
    rows = np.arange(n) * TILE + TILE // 2
    return Draws(case, tiles.reshape(-1, TILE)[:, lost:].copy(), rows, np.full(n, TILE // 2 - lost), both)


def pixels(draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the peaks that the fit is told of; the first N are the ones in question."""
    offset = np.rint(draws.peaks[:, 1:, 1:3]).astype(int)
    if not draws.case.given:
        offset = offset[:, :0]
    rows = [draws.rows + offset[:, k, 1] for k in range(offset.shape[1])]
    cols = [draws.cols + offset[:, k, 0] for k in range(offset.shape[1])]
    return np.concatenate((draws.rows, *rows)), np.concatenate((draws.cols, *cols))


def _form(minor: np.ndarray, major: np.ndarray, angle: np.ndarray) -> np.ndarray:
    axes = (profiles.fwhm_from_sigma(major), profiles.fwhm_from_sigma(minor), angle)
    return np.column_stack(profiles.form_from_axes(*axes))


def bound(draws: Draws) -> np.ndarray:
    """(N, 2, 2) least covariance of x and y for the true model on the pixels that the fit uses, px²."""
    missing = MISSING if draws.case.edge else 0
    return position_bound(draws.peaks, WINDOW, draws.noise**2, plane=draws.case.plane, missing=missing)


def ideal(draws: Draws) -> np.ndarray:
    """Errors, px, of an estimator that reaches the bound on every draw."""
    return ideal_errors(bound(draws))
