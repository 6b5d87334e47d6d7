"""Coherent imaging: the measured gold pattern, simulated crystals beside their truth, memory, cancellation.

``BRAGGSCOPE_TEST_DATA=FOLDER python -m benchmarks.bench_phasing [PART ...]`` in the root renews the parts of
docs/coherent.md: gold, cohere, simulated, large; default all. Times are CPU seconds of one thread
(``OMP_NUM_THREADS=1``) in a warmed process, preparation included. cohere-core runs in an environment of its
own, which is made with pip in the user's cache folder at the first call.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import scipy.fft

from braggscope.models.cdi.after import bring_into_order
from braggscope.models.cdi.diffraction import CoherentSpec, Crystal, grow, measure
from braggscope.models.cdi.metrics import against_truth, agreement
from braggscope.models.cdi.outcome import Outcome
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.prepare import prepare
from braggscope.models.cdi.reconstruct import Reconstructor

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coherent.md"
CRYSTALS, SEEDS, FIRST = 20, 5, 1000
WORKER = Path(__file__).with_name("cohere_worker.py")
CLASSIC = "3*(20*ER+180*HIO)+20*ER"


@dataclass(frozen=True)
class Timed:
    """An outcome, CPU seconds to the first finished run and to the end, the longest time without a look."""

    outcome: Outcome
    first_s: float
    all_s: float
    longest_s: float


def timed(
    stack: np.ndarray, parameters: Phasing, start: np.ndarray | None = None, order: bool = False
) -> Timed:
    """Phase a stack; ``order``: the object is also brought into order, as the program does."""
    began = time.process_time()
    first, looks = 0.0, [began]

    def look() -> None:
        looks.append(time.process_time())

    pattern = prepare(stack, parameters)
    look()
    work = Reconstructor(pattern.amplitude, pattern.mask, parameters, start, check=look)
    for _ in work.iterate():
        look()
        if work.outcome.runs and not first:
            first = looks[-1] - began
    if order:
        bring_into_order(*work.outcome.final, look)
    look()
    total = looks[-1] - began
    return Timed(work.outcome, first or total, total, float(np.diff(looks).max()))


def gold(path: Path) -> str:
    with np.load(path) as file:
        stack = file["amplitude"]
    settings = {
        "default, first result": Phasing(input="amplitude", refinement=0),
        "default with refinement": Phasing(input="amplitude"),
        f"random start, {CLASSIC}": Phasing(
            input="amplitude", start="random", starts=1, iterations=CLASSIC, refinement=0,
            support_threshold=0.1, free_share=0.0,
        ),
    }  # fmt: skip
    timed(stack, settings["default with refinement"].model_copy(update={"refinement": 2}))
    rows = ["| | seed | chi | R | chi_model | R_model | CPU-s |", "|---|---|---|---|---|---|---|"]
    for name, parameters in settings.items():
        for seed in range(3 if "random" in name else 10):
            done = timed(stack, parameters.model_copy(update={"seed": seed}))
            best, refined = done.outcome.best.agreement, done.outcome.refined
            model = "– | –" if refined is None else f"{refined.agreement.chi:.4f} | {refined.agreement.R:.4f}"
            rows.append(f"| {name} | {seed} | {best.chi:.4f} | {best.R:.4f} | {model} | {done.all_s:.2f} |")
            print(rows[-1], file=sys.stderr)
    return "\n".join(rows)


STAGES = ("first result", "refined")


def distances(outcome: Outcome, crystal: Crystal) -> list[tuple[float, float, float]]:
    """(chi, phase RMS, 1 - IoU) of the first result and the refined one: 0 is perfect."""
    refined = outcome.refined
    assert refined is not None
    rows = []
    for fit, obj in ((outcome.best.agreement, outcome.best.obj), (refined.coherent, refined.obj)):
        truth = against_truth(obj, crystal.obj)
        rows.append((fit.chi, truth.phase_rms, 1 - truth.iou))
    return rows


Distances = list[tuple[float, float, float]]


def one_crystal(number: int) -> tuple[float, Distances, list[Distances]]:
    """(chi of the truth, distances from the truth as start, those of every random run)."""
    parameters, spec = Phasing(), CoherentSpec(seed=FIRST + number)
    crystal = grow(spec)
    counts = measure(crystal, spec).counts
    reference = distances(timed(counts, parameters, crystal.obj).outcome, crystal)
    runs = []
    for seed in range(SEEDS):
        done = timed(counts, parameters.model_copy(update={"seed": seed}))
        runs.append(distances(done.outcome, crystal))
    print(number, np.median(runs, axis=0).tolist(), reference, file=sys.stderr, flush=True)
    return agreement(crystal.obj, np.sqrt(counts)).chi, reference, runs


def simulated() -> str:
    with ProcessPoolExecutor(min(os.cpu_count() or 1, CRYSTALS)) as pool:
        crystals = list(pool.map(one_crystal, range(CRYSTALS)))
    floors = [floor for floor, _, _ in crystals]
    ours = [run for _, _, runs in crystals for run in runs]
    reference = [truth for _, truth, _ in crystals]
    found, truth = np.array(ours), np.repeat(np.array(reference), SEEDS, axis=0)
    rows = [f"chi of the truth itself, the noise: {np.median(floors):.4f}.", ""]
    rows += [
        "| | median, from random | median, from the truth | ratio, median | ratio, 95 % | runs within 1.1 |",
        "|---|---|---|---|---|---|",
    ]
    for stage, words in enumerate(STAGES):
        for k, name in enumerate(("chi", "phase RMS / rad", "1 - IoU")):
            x, y = found[:, stage, k], truth[:, stage, k]
            rows.append(
                f"| {words}: {name} | {np.median(x):.4f} | {np.median(y):.4f} | {np.median(x / y):.2f} |"
                f" {np.quantile(x / y, 0.95):.2f} | {100 * np.mean(x <= 1.1 * y):.0f} % |"
            )
    rows.append("")
    for stage, words in enumerate(STAGES):
        good = (found[:, stage, 1] <= 0.03) & (found[:, stage, 2] <= 0.02)
        rows.append(
            f"Runs with phase RMS <= 0.03 rad and IoU >= 0.98, {words}: {100 * good.mean():.0f} %; with"
            f" IoU >= 0.98: {100 * np.mean(found[:, stage, 2] <= 0.02):.0f} %."
        )
    return "\n".join(rows)


def large() -> str:
    small, spec = CoherentSpec(seed=1), CoherentSpec(seed=1, shape=(128, 128, 128))
    counts = measure(grow(small), small).counts
    timed(counts, Phasing(refinement=9))  # loads what is compiled
    wait = timed(counts, Phasing(), order=True).longest_s
    done = timed(measure(grow(spec), spec).counts, Phasing(), order=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"128 x 128 x 128 voxels: {done.all_s:.1f} CPU-s, chi {done.outcome.best.agreement.chi:.4f}, largest"
        f" resident memory of the process {peak:.1f} GiB. Longest time between two chances to cancel:"
        f" {1e3 * wait:.0f} ms at 64 x 64 x 64, {1e3 * done.longest_s:.0f} ms at 128 x 128 x 128."
    )


def yardstick() -> str:
    """Time of the transform that everything consists of: tells how fast, and how quiet, the machine was."""
    volume = np.ones((64, 64, 64), np.complex64)
    scipy.fft.fftn(volume)
    took = []
    for _ in range(50):
        began = time.process_time()
        scipy.fft.fftn(volume, norm="ortho")
        took.append(time.process_time() - began)
    return f"{1e3 * np.median(took):.2f} ms"


def cohere(path: Path) -> str:
    """The gold pattern by cohere-core with its usual settings, judged by the same chi."""
    python = environment("cohere-core")
    with np.load(path) as file:
        pattern = prepare(file["amplitude"], Phasing(input="amplitude"))
    rows = ["| | seed | chi | R | CPU-s |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "amplitude.npy", Path(folder) / "object.npy"
        np.save(source, np.where(pattern.mask, 0, pattern.amplitude).astype(np.float64))
        for seed in range(SEEDS):
            words = [python, WORKER, source, target, seed]
            said = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=True).stdout
            took = float(said.split("CPU-s")[1])
            inverted = np.conj(np.load(target))  # its transform to the pattern is the inverse one
            fit = agreement(inverted, pattern.amplitude, pattern.mask)
            rows.append(f"| cohere, {CLASSIC} | {seed} | {fit.chi:.4f} | {fit.R:.4f} | {took:.2f} |")
            print(rows[-1], file=sys.stderr)
    return "\n".join(rows)


def environment(package: str) -> Path:
    """Python of a virtual environment that holds ``package``, made at the first call."""
    folder = Path(platformdirs.user_cache_dir("braggscope-benchmarks")) / package
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "complete").exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", package], check=True)
        (folder / "complete").touch()
    return python


def renewed(page: str, part: str, text: str) -> str:
    """The page with what stands between the marks of a part replaced."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end)[1]}"


def main() -> None:
    folder = os.environ.get("BRAGGSCOPE_TEST_DATA")
    path = Path(folder or ".") / "cdi" / "3dcdinn_gold_ft_crop_64_amp.npz"
    if not path.exists():
        sys.exit("The gold pattern is missing; set BRAGGSCOPE_TEST_DATA to the folder that holds cdi/.")
    parts = {
        "gold": lambda: gold(path), "cohere": lambda: cohere(path), "simulated": simulated, "large": large
    }  # fmt: skip
    for part in sys.argv[1:] or parts:
        began = f"One transform of 64 x 64 x 64 voxels took {yardstick()}."
        text = f"{parts[part]()}\n\n{began}"
        PAGE.write_text(renewed(PAGE.read_text("utf-8"), part, text), "utf-8")


if __name__ == "__main__":
    main()
