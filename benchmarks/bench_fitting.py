"""CPU time of one fit beside scipy's curve_fit and lmfit, on the same simulated 11 x 11 windows.

``python benchmarks/bench_fitting.py`` prints a table; :func:`run` returns its rows.
"""

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from benchmarks import peers
from braggscope.models import profiles
from braggscope.models.fitting.peaks import Fits, fit_peaks

WINDOW, STEP = 11, 24  # the peaks stand on a grid wide enough that none is another's neighbour
SNR, AMPLITUDE, BACKGROUND = 20.0, 100.0, 50.0
PATCHES, PEER_PATCHES, LMFIT_PATCHES = 10_000, 300, 100
CASES = (
    ("rotated Gaussian, 7 parameters", "gaussian", "constant"),
    ("rotated Gaussian on a plane, 9 parameters", "gaussian", "plane"),
    ("rotated Gaussian, constant or plane by BIC", "gaussian", "auto"),
    ("pseudo-Voigt, 8 parameters", "pseudovoigt", "constant"),
)


def simulate(n: int, *, voigt: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A frame of n rotated elliptical peaks (sigma 1-2 px, ratio 1-2) with noise, and their pixels."""
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(n)))
    index = np.arange(n)
    rows, cols = index // across * STEP + STEP // 2, index % across * STEP + STEP // 2
    frame = np.full((across * STEP, across * STEP), BACKGROUND)
    for row, col in zip(rows, cols, strict=True):
        x, y = STEP // 2 + rng.uniform(-0.5, 0.5, 2)
        minor = profiles.FWHM_PER_SIGMA * rng.uniform(1.0, 2.0)
        eta = rng.uniform(0.2, 0.8) if voigt else 0.0
        angle = rng.uniform(-np.pi / 2, np.pi / 2)
        tile = profiles.peak((STEP, STEP), x, y, AMPLITUDE, minor * rng.uniform(1, 2), minor, angle, eta)
        frame[row - STEP // 2 : row + STEP // 2, col - STEP // 2 : col + STEP // 2] += tile
    return frame + rng.normal(0.0, AMPLITUDE / SNR, frame.shape), rows, cols


def quadratic(at: np.ndarray, x: float, y: float, major: float, minor: float, angle: float) -> np.ndarray:
    """The ellipse as one usually writes it for curve_fit: two widths (sigma) and an angle."""
    cos, sin = np.cos(angle), np.sin(angle)
    along, across = cos * (at[0] - x) + sin * (at[1] - y), cos * (at[1] - y) - sin * (at[0] - x)
    return (along / major) ** 2 + (across / minor) ** 2


def gaussian(
    at: np.ndarray, height: float, x: float, y: float, s1: float, s2: float, angle: float, base: float
) -> Any:
    return height * np.exp(-0.5 * quadratic(at, x, y, s1, s2, angle)) + base


def pseudo_voigt(
    at: np.ndarray,
    height: float,
    x: float,
    y: float,
    s1: float,
    s2: float,
    angle: float,
    eta: float,
    base: float,
) -> Any:
    q = quadratic(at, x, y, s1, s2, angle)
    return height * ((1 - eta) * np.exp(-0.5 * q) + eta / (1 + q / profiles.HALF_MAXIMUM)) + base


def gaussian_on_plane(at: np.ndarray, *values: float) -> Any:
    return gaussian(at, *values[:7]) + values[7] * at[0] + values[8] * at[1]


def start(patch: np.ndarray, voigt: bool) -> list[float]:
    """Start values from the rim, the maximum and the middle."""
    base = float(np.median(np.concatenate((patch[[0, -1]].ravel(), patch[:, [0, -1]].ravel()))))
    middle = WINDOW // 2
    shape = [float(patch.max()) - base, middle, middle, 1.8, 1.4, 0.0]
    return [*shape, 0.5, base] if voigt else [*shape, base]


def peer(
    frame: np.ndarray, rows: np.ndarray, cols: np.ndarray, voigt: bool, plane: bool
) -> tuple[float, np.ndarray]:
    """CPU seconds a fit, and (n, 3) x, y and eta, NaN where curve_fit gives up."""
    half = WINDOW // 2
    at = np.mgrid[:WINDOW, :WINDOW][::-1].reshape(2, -1).astype(float)
    answers = np.full((len(rows), 3), np.nan)
    model = gaussian_on_plane if plane else pseudo_voigt if voigt else gaussian
    begin = time.thread_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (OptimizeWarning, RuntimeWarning))
        for k, (row, col) in enumerate(zip(rows, cols, strict=True)):
            patch = frame[row - half : row + half + 1, col - half : col + half + 1]
            try:
                best, _ = curve_fit(
                    model,
                    at,
                    patch.ravel(),
                    start(patch, voigt) + [0.0, 0.0] * plane,
                )
            except RuntimeError:
                continue
            answers[k] = best[1] + col - half, best[2] + row - half, best[6] if voigt else 0.0
    return (time.thread_time() - begin) / len(rows), answers


def fastest(fit: Callable[[], Fits], repeats: int = 5) -> tuple[float, Fits]:
    """CPU seconds of the fastest call, and its result."""
    fit()  # compile
    best = np.inf
    for _ in range(repeats):
        begin = time.thread_time()
        result = fit()
        best = min(best, time.thread_time() - begin)
    return best, result


def run() -> list[dict[str, Any]]:
    """One row per model: microseconds a fit, the ratio, and the largest difference in position."""
    table = []
    for name, model, background in CASES:
        voigt, plane = model == "pseudovoigt", background == "plane"
        frame, rows, cols = simulate(PATCHES, voigt=voigt)
        fit = partial(fit_peaks, frame, None, rows, cols, model=model, background=background)
        seconds, fits = fastest(fit)
        ours = seconds / PATCHES * 1e6
        peer_seconds, answers = peer(frame, rows[:PEER_PATCHES], cols[:PEER_PATCHES], voigt, plane)
        # curve_fit knows no bounds here: compare where its eta is a mixture. It chooses no background either.
        same = np.isfinite(answers[:, 0]) & (answers[:, 2] >= 0) & (answers[:, 2] <= 1)
        same &= fits.plane[:PEER_PATCHES] == plane
        apart = np.hypot(fits.x[:PEER_PATCHES] - answers[:, 0], fits.y[:PEER_PATCHES] - answers[:, 1])
        table.append(
            {
                "case": name,
                "ours_us": ours,
                "peer_us": peer_seconds * 1e6,
                "peer": "scipy curve_fit",
                "ratio": peer_seconds * 1e6 / ours,
                "max_difference_px": float(np.nanmax(apart[same])),
            }
        )
    return [*table, *by_lmfit(table[0]["ours_us"])]


def by_lmfit(ours: float) -> list[dict[str, Any]]:
    """The first case by lmfit, ``ours`` being our microseconds; nothing where lmfit cannot be had."""
    frame, rows, cols = simulate(PATCHES, voigt=False)
    half, rows, cols = WINDOW // 2, rows[:LMFIT_PATCHES], cols[:LMFIT_PATCHES]
    patches = np.stack([frame[r - half : r + half + 1, c - half : c + half + 1]
                        for r, c in zip(rows, cols, strict=True)])  # fmt: skip
    answer = peers.ask("lmfit", patches=patches)
    if answer is None:
        return []
    fits = fit_peaks(frame, None, rows, cols)
    apart = np.hypot(
        fits.x - cols + half - answer["places"][:, 0], fits.y - rows + half - answer["places"][:, 1]
    )
    theirs = float(answer["seconds"]) * 1e6
    return [{"case": CASES[0][0], "ours_us": ours, "peer_us": theirs, "peer": "lmfit", "ratio": theirs / ours,
             "max_difference_px": float(np.nanmax(apart))}]  # fmt: skip


def main() -> None:
    print("| case | ours, µs | peer | peer, µs | ratio | largest difference, px |")
    print("|---|---|---|---|---|---|")
    for row in run():
        print(
            f"| {row['case']} | {row['ours_us']:.2f} | {row['peer']} | {row['peer_us']:.0f} "
            f"| {row['ratio']:.0f} | {row['max_difference_px']:.1e} |"
        )


if __name__ == "__main__":
    main()
