"""How time grows with the size of the problem: exponents of fits in log-log, and where the curve bends.

Processor time of one thread, the less of two runs; frames of a series: wall time, all threads.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench_detection import split_ties
from benchmarks.bench_fitting import simulate
from benchmarks.bench_scale import make_series
from braggscope.app.engine.batch import SeriesJob, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.models.braggnn.infer import Localizer
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.probe import synthetic_probe
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.parameters import Parameters
from braggscope.models.peaks.persistence import Workspace, find_candidates
from braggscope.models.weights import build_braggnn
from braggscope.resources.loader import load_weights

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "growth.svg"
BENT = 0.3  # least change of the exponent that is called a bend
MANY = 10.0 ** np.arange(1, 6)


@dataclass(frozen=True)
class Curve:
    """Seconds for every size."""

    what: str
    size: str
    sizes: Sequence[float]
    seconds: Sequence[float]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Slope of the straight line through the logarithms of both."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def bend(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float, float] | None:
    """Size at which two joined lines fit best in log-log, and their slopes; None where these are alike."""
    x, y = np.log(sizes), np.log(seconds)
    found = []
    for knot in x[1:-1]:
        columns = np.column_stack((np.ones_like(x), x, np.maximum(x - knot, 0.0)))
        answer = np.linalg.lstsq(columns, y, rcond=None)[0]
        misfit = float(np.sum((columns @ answer - y) ** 2))
        found.append((misfit, float(np.exp(knot)), float(answer[1]), float(answer[1] + answer[2])))
    if not found:
        return None
    _, place, before, after = min(found)
    return (place, before, after) if abs(after - before) >= BENT else None


def spent(work: Callable[[], object], clock: Callable[[], float] = time.process_time, runs: int = 2) -> float:
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    return max(min(times), 1e-6)


def detection() -> Curve:
    sides, seconds, workspace = (256, 512, 1024, 2048, 4096), [], Workspace()
    for side in sides:
        counts = np.random.default_rng(0).poisson(20, (side, side)).astype(np.float32)
        image, floor = split_ties(counts, 0.004)
        find_candidates(image, None, floor, workspace)
        seconds.append(spent(lambda i=image, f=floor: find_candidates(i, None, f, workspace), runs=5))
    return Curve("detection, 0.4 % of the pixels", "pixels", [s * s for s in sides], seconds)


def fitting() -> Curve:
    frame, rows, cols = simulate(10_000, voigt=False)
    fit_peaks(frame, None, rows[:10], cols[:10], noise="poisson", background="auto")
    seconds = []
    for n in MANY.astype(int):
        some = np.resize(np.arange(len(rows)), n)
        seconds.append(
            spent(lambda s=some: fit_peaks(frame, None, rows[s], cols[s], noise="poisson", background="auto"))
        )
    return Curve("fits, counting statistics, background by BIC", "peaks", MANY, seconds)


def network() -> Curve:
    localizer = Localizer(build_braggnn(load_weights("braggnn")[0]))
    patches = np.random.default_rng(0).random((int(MANY[-1]), 11, 11), np.float32)
    localizer.locate(patches[:10])
    return Curve(
        "BraggNN", "peaks", MANY, [spent(lambda n=int(n): localizer.locate(patches[:n])) for n in MANY]
    )


def series() -> Curve:
    sizes, seconds = (100, 300, 1000, 3000), []
    parameters = Parameters().with_detect(minval=20, minscore=15).with_localize(methods=("fit",))
    with tempfile.TemporaryDirectory() as name:
        path = str(make_series(Path(name), sizes[-1]))
        for n in sizes:
            job = SeriesJob(path, range(n), parameters)
            seconds.append(spent(lambda j=job: run_series(j, None, silent_context()), time.perf_counter, 1))
    return Curve("whole series of 512 x 512 frames, 8 peaks, fits", "frames", sizes, seconds)


def cube() -> Curve:
    sizes = (64, 256, 1024, 4096)
    y, x = np.mgrid[:64, :64] % 20
    one = 10.0 + 1000.0 * (np.hypot(x - 12, y - 12) < 4)
    finder = Correlator(synthetic_probe(4.0, 1.5, 17), (64, 64), Strain())
    random = np.random.default_rng(0)
    patterns = random.poisson(one, (256, 64, 64)).astype(np.float32)
    finder.find(patterns[:2])
    seconds = [spent(lambda n=n: [finder.find(patterns[: min(n, 256)]) for _ in range(-(-n // 256))], runs=1)
               for n in sizes]  # fmt: skip
    return Curve("disks by correlation, patterns of 64 x 64", "patterns", sizes, seconds)


def volume() -> Curve:
    sides, seconds = (32, 48, 64, 96, 128), []
    settings = Phasing(start="random", starts=1, iterations="10*RAAR+10*ER", refinement=0, free_share=0.0)
    for side in sides:
        crystal = np.zeros((side,) * 3, np.complex64)
        half = side // 8
        crystal[(slice(side // 2 - half, side // 2 + half),) * 3] = 1.0
        amplitude = np.abs(np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(crystal)))).astype(np.float32)
        masked = np.zeros(amplitude.shape, bool)

        def work(amplitude: np.ndarray = amplitude, masked: np.ndarray = masked) -> None:
            for _ in Reconstructor(amplitude, masked, settings).iterate():
                pass

        seconds.append(spent(work, runs=1))
    return Curve("20 iterations of phasing", "voxels", [s**3 for s in sides], seconds)


def curves() -> Iterator[Curve]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for measure in (detection, fitting, network, series, cube, volume):
            yield measure()
    finally:
        torch.set_num_threads(threads)


def row(curve: Curve) -> dict:
    """The curve as one row of the page."""
    bent = bend(curve.sizes, curve.seconds)
    said = f"at {bent[0]:,.0f}: {bent[1]:.2f}, then {bent[2]:.2f}" if bent else "nowhere"
    return {
        "case": curve.what,
        "from": f"{curve.sizes[0]:,.0f}",
        "to": f"{curve.sizes[-1]:,.0f} {curve.size}",
        "first_s": curve.seconds[0],
        "last_s": curve.seconds[-1],
        "exponent": exponent(curve.sizes, curve.seconds),
        "bend": said,
    }


def draw(found: Sequence[Curve], path: Path) -> None:
    """One panel a curve, with its straight line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "growth", "font.size": 8}):
        figure, panels = pyplot.subplots(2, 3, figsize=(9, 5), layout="constrained")
        for curve, axes in zip(found, panels.ravel(), strict=True):
            axes.loglog(curve.sizes, curve.seconds, "o", color="#0072B2")
            slope = exponent(curve.sizes, curve.seconds)
            middle = np.exp(np.mean(np.log(curve.seconds) - slope * np.log(curve.sizes)))
            axes.loglog(curve.sizes, middle * np.asarray(curve.sizes, float) ** slope, color="#D55E00")
            axes.set(title=f"{curve.what}\nexponent {slope:.2f}", xlabel=curve.size, ylabel="s")
            axes.grid(True, alpha=0.3)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def run() -> list[dict]:
    """Rows for the collecting script; also draws the figure of the page."""
    found = list(curves())
    draw(found, FIGURE)
    return [row(curve) for curve in found]


if __name__ == "__main__":
    for each in run():
        print(each)
