"""Persistence of the same frames by findpeaks, with the same answer, and by gudhi and cripser; the sliders.

Processor time of one thread. ``python -m benchmarks.bench_detection`` prints the rows.
"""

import time
from collections.abc import Callable

import numpy as np

from benchmarks import peers
from braggscope.models.peaks.detect import reference_peaks, select
from braggscope.models.peaks.persistence import Workspace, find_candidates

SIDE = 1024
BACKGROUND = 20.0
N_PEAKS = 100
CASES = {"no threshold": None, "2 % of the pixels": 0.02, "0.4 % of the pixels": 0.004}


def frame(seed: int = 0) -> np.ndarray:
    """(1024, 1024) float32 whole counts: Poisson background and 100 round peaks."""
    rng = np.random.default_rng(seed)
    mean = np.full((SIDE, SIDE), BACKGROUND)
    near = np.arange(-15, 16)
    for _ in range(N_PEAKS):
        row, col = rng.integers(20, SIDE - 20, 2)
        sigma, height = rng.uniform(1.0, 2.5), rng.uniform(100, 3000)
        y, x = near[:, None] - rng.uniform(-0.5, 0.5), near - rng.uniform(-0.5, 0.5)
        mean[row - 15 : row + 16, col - 15 : col + 16] += height * np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return rng.poisson(mean).astype(np.uint16).astype(np.float32)


def split_ties(image: np.ndarray, fraction: float) -> tuple[np.ndarray, float]:
    """The frame and the value that leaves the given fraction of its pixels.

    Whole counts allow few fractions, so every pixel gets a fraction of a count first, from a fixed seed.
    """
    image = image + np.random.default_rng(1).random(image.shape, np.float32) * np.float32(0.99)
    return image, float(np.quantile(image, 1 - fraction))


def median_ms(work: Callable[[], object], repeats: int = 25) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * float(np.median(times))


def detection(case: str, fraction: float | None) -> list[dict]:
    image, floor = (frame(), 0.0) if fraction is None else split_ties(frame(), fraction)
    workspace = Workspace()
    found = find_candidates(image, None, floor, workspace)
    ours = median_ms(lambda: find_candidates(image, None, floor, workspace))
    reference_peaks(np.eye(8))  # import
    start = time.process_time()
    expected = reference_peaks(image, None, floor)
    others = {"findpeaks": 1e3 * (time.process_time() - start)}
    for name in ("index", "birth", "death"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    part = float((image >= floor).mean()) if floor else 1.0
    name = f"{SIDE}², {case} ({100 * part:.3g} %, {len(found)} maxima)"
    answer = peers.ask("persistence", image=image, floor=floor) or {}
    for peer in ("gudhi", "gudhi with pixels", "cripser"):
        if peer in answer:
            others[peer] = 1e3 * float(answer[peer])
    return [
        {"case": name, "ours_ms": ours, "peer_ms": spent, "peer": peer, "ratio": spent / ours}
        for peer, spent in others.items()
    ]


def slider(n: int) -> dict:
    """A step of a slider on the first n candidates of a frame: median over positions of both."""
    found = find_candidates(frame())
    order = np.arange(n)
    few = type(found)(found.shape, 0.0, found.index[order], found.birth[order], found.death[order])
    steps = [(v, s) for v in np.linspace(0, 40, 9) for s in np.linspace(0, 20, 5)]
    ours = float(np.max([median_ms(lambda v=v, s=s: select(few, v, s), 9) for v, s in steps]))
    return {
        "case": f"slider, {n} candidates (worst step)",
        "ours_ms": ours,
        "peer_ms": None,
        "peer": "",
        "ratio": None,
    }


def run() -> list[dict]:
    """Measure all cases: case, ours_ms, peer_ms, peer, ratio (None where there is no peer)."""
    found = [row for case, fraction in CASES.items() for row in detection(case, fraction)]
    return [*found, slider(10_000), slider(100_000)]


if __name__ == "__main__":
    for row in run():
        print(row)
