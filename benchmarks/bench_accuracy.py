"""Position errors of every method on simulated peaks, beside the Cramér-Rao bound of the same draws.

``python -m benchmarks.bench_accuracy`` in the root writes docs/accuracy.md.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit

from benchmarks import accuracy_combined, accuracy_demo
from benchmarks.accuracy_scenes import CASES, PEDESTAL, WINDOW, Case, Draws, draw, ideal, pixels
from benchmarks.bench_fitting import gaussian
from braggscope.app.engine.networks import Networks
from braggscope.models.braggnn.infer import Localizer
from braggscope.models.fitting.peaks import Fits, fit_peaks
from braggscope.models.peaks.patches import cut_patches, normalise
from braggscope.models.results import Status
from braggscope.models.weights import build_braggnn
from braggscope.resources.loader import load_weights, weights_hash

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
PATCHES, PEER_PATCHES = 10_000, 2_000
THRESHOLD = 20.0  # counts above the pedestal, a fifth of the amplitude
QUANTILES = (0.5, 0.95)
REACHED = """Nothing where the fit is told of every peak and its background is the true one: each such
row reaches 1.05 (constant) and 1.10 (auto) times the bound. Where a second peak was not
detected the plain fit is many times worse and its 1σ hold too few of the errors (the last two
rows): there the network and the combined answer are needed."""
SECTIONS = """# How accurate the positions are

Made by `python -m benchmarks.bench_accuracy` (seeded; {patches:,} simulated peaks a row, {peer:,} for
scipy). But for the µs, no figure depends on the machine. Errors are distances to the true centre in px,
median / 95th percentile; a peak without an answer counts as infinitely wrong (–).

Peaks are Gaussians of 100 counts over 50, noise is Gaussian with σ = 100 / SNR, windows have 11 x 11 px,
centres lie within ±0.5 px of the middle pixel, slopes are 2–10 counts per px in any direction. A second
peak has 0.3–1 times the height and 0.7–1.4 times the width; the pixels of both are given. *Bound*: errors
of a Gaussian estimator with the Cramér-Rao covariance of each draw, for the true model (with a plane
where there is one) on the pixels that the fit uses. *Centre of mass*: of what stands above the threshold,
a fifth of the amplitude above the pedestal (two sigma of noise where that is more). *Thresholded*: pixels
under that level set to 0. *scipy*: one rotated Gaussian over a constant. BraggNN: the shipped weights
(sha256 {weights}), patches scaled to 0–1 by their least and largest value. *Network*: the shipped
localiser network (sha256 {net}), raw counts. *Combined*: the answer of the whole program with fit and
network; it may look for peaks that nobody told it of, which matters in the last two rows, where the second
peak was not detected and the plain fits know nothing of it.

{errors}

## The fit beside the bound

*Auto*: constant or plane by the Bayesian information criterion, for each peak. Coverage: how often the
true x and y lie within the stated 1σ; 0.683 is right.

{fits}

## The localiser network and the combination

The network sees 11 x 11 counts and which of them are valid; it gives the position, the half-width of its
68 % interval in x and y, the probability of a second peak in the window with its position, and a quality:
the probability that the position is less than 0.5 px from the truth. The rule of the combined answer:

1. How likely the network finds a second peak depends on how frequent pairs were in its training (45 %).
   Their share in the frame at hand is estimated from all its peaks (Saerens et al., Neural Computation 14,
   21, 2002) and the probabilities are corrected for it. A peak is alone if it was fitted with one component
   and the corrected probability is below 0.7.
2. A fit whose own error is at most 0.06 px stands as it is where the peak is alone; there it reaches the
   bound. So does any fit of a lone peak that the network, uncorrected, takes for two.
3. Every other fit is averaged with the network by inverse variance. A fit with a larger error of its own
   loses weight as it leaves the network's interval, half of it at 1.5 of the network's errors, and at 0.5
   where peaks overlap.
4. Without a fit the network, if its quality is at least 0.5; else BraggNN; else nothing. Where an edge or bad
   pixels cut the peak off, nothing: the network's errors were 2 to 5 times too small there (median, on two
   demo series), because the highest pixel is not where the centre is.

A second peak that the network sees with a probability of at least 0.7, and that was not detected, is a start
for the joint fit. The error of an average takes the errors of fit and network as correlated, by 0.35 where
the fit's own error is below 0.06 px and by 0.75 above, and adds half of the variance of what they differ by
there. µs: CPU time of one core of the machine at hand, {patches:,} patches at once.

{nets}

## The demo series

Every fourth frame of `braggscope demo series`, minval {minval:g}, minscore {minscore:g}, beside its
truth; the spots ride on a sloping ring. This decides the default background, `auto`. µs: CPU time of one
core of the machine at hand.

{demo}

## Fine-tuning

A network adapts to a series in minutes and is kept only if frames held out, and simulated peaks of the same
kind, say that it is better: [fine-tuning.md](fine-tuning.md) has the errors before and after on the demo
series, beside its truth, and on measured series.

## What falls short

{short}
"""


def centre_of_mass(draws: Draws, patches: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Of what stands above the threshold."""
    height = np.where(valid, np.maximum(patches - level(draws), 0.0), 0.0)
    dy, dx = np.indices((WINDOW, WINDOW)) - WINDOW // 2
    with np.errstate(invalid="ignore"):
        return np.stack([(height * d).sum((1, 2)) / height.sum((1, 2)) for d in (dx, dy)], axis=1)


def level(draws: Draws) -> float:
    """Counts below which a pixel counts as nothing, where a method is fed thresholded patches."""
    return PEDESTAL + max(THRESHOLD, 2.0 * draws.noise)


def scipy_fit(patches: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """``curve_fit`` of a rotated Gaussian over a constant, from the maximum, the median and the middle."""
    axes = np.mgrid[:WINDOW, :WINDOW][::-1].reshape(2, -1) - WINDOW // 2.0
    found = np.full((len(patches), 2), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (OptimizeWarning, RuntimeWarning))
        for k, (patch, good) in enumerate(zip(patches, valid, strict=True)):
            at, values = axes[:, good.ravel()], patch[good].astype(float)
            start = [values.max() - np.median(values), 0.0, 0.0, 1.8, 1.4, 0.0, np.median(values)]
            try:
                found[k] = curve_fit(gaussian, at, values, start)[0][1:3]
            except RuntimeError:
                continue
    return found


def our_fit(draws: Draws, background: str) -> Fits:
    """All peaks that the fit is told of; the first N are the ones in question."""
    return fit_peaks(draws.frame, None, *pixels(draws), window=WINDOW, background=background)


def from_middle(draws: Draws, fits: Fits) -> np.ndarray:
    n = len(draws.rows)
    return np.column_stack((fits.x[:n] - draws.cols, fits.y[:n] - draws.rows))


def coverage(draws: Draws, fits: Fits) -> float:
    """Share of the truth within one sigma, x and y."""
    n = len(draws.rows)
    pulls = (from_middle(draws, fits) - draws.peaks[:, 0, 1:3]) / np.column_stack(
        (fits.x_err[:n], fits.y_err[:n])
    )
    return float(np.mean(np.abs(pulls[fits.status[:n] == Status.OK]) < 1.0))


def measure(
    case: Case, locate: Callable[[np.ndarray], np.ndarray], ready: Networks, n: int, seed: int
) -> dict[str, Any]:
    """Quantiles of the error of every method, what was not fitted, and the coverage."""
    draws = draw(case, n, seed)
    patches, valid = cut_patches(draws.frame, None, draws.rows, draws.cols, WINDOW)
    constant, auto = (our_fit(draws, background) for background in ("constant", "auto"))
    few = slice(0, PEER_PATCHES)
    ours = accuracy_combined.measure(draws, ready)
    found = {
        "centre of mass": centre_of_mass(draws, patches, valid),
        "scipy curve_fit": scipy_fit(patches[few], valid[few]),
        "fit, constant": from_middle(draws, constant),
        "fit, auto": from_middle(draws, auto),
        "BraggNN, raw": locate(normalise(patches, valid)) - WINDOW // 2,
        "BraggNN, thresholded": locate(normalise(patches, valid, level(draws))) - WINDOW // 2,
        "network": ours["found"]["network"][0],
        "combined": ours["found"]["combined"][0],
    }
    errors = {"bound": ideal(draws)} | {name: draws.distance(place) for name, place in found.items()}
    return {
        "case": case.name,
        "errors": {name: np.quantile(e, QUANTILES, method="higher") for name, e in errors.items()},
        "lost": float(np.mean(auto.status[:n] != Status.OK)),
        "plane": float(np.mean(auto.plane[:n])),
        "coverage": coverage(draws, auto),
        "covered": {name: accuracy_combined.covered(draws, *pair) for name, pair in ours["found"].items()},
        "microseconds": ours["microseconds"],
        "by": {name: float(np.mean(ours["method"] == name)) for name in ("fit", "fit+net", "net")},
    }


def run(n: int = PATCHES) -> list[dict[str, Any]]:
    """One entry per case."""
    localizer = Localizer(build_braggnn(load_weights("braggnn")[0]))
    ready = accuracy_combined.networks()
    return [measure(case, localizer.locate, ready, n, seed) for seed, case in enumerate(CASES)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _number(value: float) -> str:
    return "–" if not np.isfinite(value) else f"{value:.4f}" if value < 0.1 else f"{value:.3f}"


def error_table(rows: list[dict[str, Any]]) -> str:
    """Median / 95th percentile in px."""
    names = list(rows[0]["errors"])
    lines = [_row(["median / 95 %, px", *names]), "|" + "---|" * (len(names) + 1)]
    lines += [
        _row([row["case"], *(" / ".join(map(_number, row["errors"][name])) for name in names)])
        for row in rows
    ]
    return "\n".join(lines)


def fit_table(rows: list[dict[str, Any]]) -> str:
    """How the fit with automatic background compares with the bound."""
    head = ["fit, auto", "median / bound", "95 % / bound", "1σ coverage", "on a plane, %", "without a fit, %"]
    lines = [_row(head), "|" + "---|" * len(head)]
    for row in rows:
        ratio = row["errors"]["fit, auto"] / row["errors"]["bound"]
        share = [f"{100 * row[name]:.1f}" for name in ("plane", "lost")]
        cells = [*(f"{r:.3f}" if np.isfinite(r) else "–" for r in ratio), f"{row['coverage']:.3f}", *share]
        lines.append(_row([row["case"], *cells]))
    return "\n".join(lines)


def net_table(rows: list[dict[str, Any]]) -> str:
    """How often network and combination are as sure as they should be, and who gave the answer."""
    head = ["", "network, 1σ coverage", "combined, 1σ coverage", "fit, %", "fit and network, %", "network, %"]
    lines = [_row([*head, "network, µs"]), "|" + "---|" * (len(head) + 1)]
    for row in rows:
        covered = [f"{row['covered'][name]:.3f}" for name in ("network", "combined")]
        shares = [f"{100 * share:.1f}" for share in row["by"].values()]
        lines.append(_row([row["case"], *covered, *shares, f"{row['microseconds']:.0f}"]))
    return "\n".join(lines)


def demo_table(rows: list[dict[str, Any]]) -> str:
    """The demo series beside its truth."""
    lines = [_row(list(rows[0])), "|" + "---|" * len(rows[0])]
    return "\n".join(lines + [_row([str(value) for value in row.values()]) for row in rows])


def shortfalls(rows: list[dict[str, Any]]) -> str:
    """What misses 1.05 times the bound (constant, where that is the truth), 1.10 (auto), or .65-.71."""
    lines = []
    for case, row in zip(CASES, rows, strict=True):
        for name, reach in (("fit, constant", 1.05), ("fit, auto", 1.10)):
            ratio = row["errors"][name] / row["errors"]["bound"]
            known = case.given and not (case.plane and name == "fit, constant")
            if (ratio > reach).any() and known:
                shown = " and ".join(f"{r:.2f}" if np.isfinite(r) else "∞" for r in ratio)
                lines.append(f"- {case.name}, {name}: {shown} times the bound (aim: {reach:.2f}).")
        covered = {"fit, auto": row["coverage"]} | {k: row["covered"][k] for k in ("network", "combined")}
        if not case.given:
            del covered["fit, auto"]
        for name, share in covered.items():
            if not 0.65 <= share <= 0.71:
                lines.append(f"- {case.name}, {name}: the 1σ intervals cover {share:.3f} (aim: .65–.71).")
    return "\n".join(lines) or REACHED


def page(rows: list[dict[str, Any]]) -> str:
    """The whole document."""
    return SECTIONS.format(
        patches=PATCHES,
        peer=PEER_PATCHES,
        weights=weights_hash("braggnn")[:12],
        net=weights_hash("net")[:12],
        errors=error_table(rows),
        fits=fit_table(rows),
        nets=net_table(rows),
        minval=accuracy_demo.MINVAL,
        minscore=accuracy_demo.MINSCORE,
        demo=demo_table(accuracy_demo.run()),
        short=shortfalls(rows),
    )


if __name__ == "__main__":
    PAGE.write_text(page(run()), "utf-8")
    print(PAGE.read_text("utf-8"))
