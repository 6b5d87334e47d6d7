"""What the network of coherent imaging is worth beside iterations at low resolution without it.

``BRAGGSCOPE_TEST_DATA=FOLDER python -m benchmarks.bench_cdinet [WEIGHTS]`` in the root renews the tables of
docs/cdi-network.md. Times are CPU seconds of one thread (``OMP_NUM_THREADS=1``) in a warmed process. The
crystals have seeds from 1000, which training never saw.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from braggscope.app.engine.cdi_network import open_improver
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.fourier import fit_centre, forward, pyramid, resample, to_centre, to_corner
from braggscope.models.cdi.metrics import against_truth, compare_amplitudes
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.phasing import Phaser, Settings, run
from braggscope.models.cdi.prepare import prepare
from braggscope.models.cdi.sequence import parse
from braggscope.models.cdi.starts import Starts
from braggscope.models.cdi.support import autocorrelation_support, shrink_wrap

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cdi-network.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
FIRST = 1000
CONVERGED = 1.25
LONG = "10*ER+170*HIO+20*ER"
FULL = Settings(beta=0.9, sigma=1.0, threshold=0.1, every=10)
SETS = {  # crystals, and how they differ from those of the demo
    "Weakly strained, as `braggscope demo coherent` makes them": (20, {}),
    "Strongly strained, rms strain 1e-3": (10, {"strain_rms": 1e-3}),
}


@dataclass(frozen=True)
class Way:
    """A kind of start, and the iterations at full resolution after it: 60, and for some 200."""

    begin: Callable[[Starts, int], np.ndarray]
    long: str | None = None
    short: str = "10*ER+30*HIO+20*ER"


def iterated(steps: str, tries: int = 1) -> Callable[[Starts, int], np.ndarray]:
    """The best by chi of several starts at low resolution without the network."""

    def begin(starts: Starts, seed: int) -> np.ndarray:
        plain = Starts(
            starts.target, starts.levels, starts.parameters.model_copy(update={"coarse_iterations": steps})
        )
        found = [exhaust(plain.iterated(tries * seed + k)) for k in range(tries)]
        target = starts.target(starts.levels[0])
        return min(found, key=lambda obj: chi(obj, target))

    return begin


def random(starts: Starts, seed: int) -> np.ndarray:
    """Random modulus in the support of the autocorrelation, at full resolution."""
    amplitude = np.maximum(starts.target(starts.levels[-1]), np.float32(0))
    support = autocorrelation_support(amplitude)
    return (np.random.default_rng(seed).random(support.shape) * support).astype(np.complex64)


WAYS = {
    "random, HIO, ER": Way(random, "180*HIO+20*ER", "40*HIO+20*ER"),
    "60 at 32³, network": Way(lambda starts, seed: exhaust(starts.led(seed, polish=False))),
    "60 at 32³, network, 160 at 32³": Way(lambda starts, seed: exhaust(starts.led(seed)), LONG),
    "240 at 32³ (control)": Way(iterated("220*RAAR+20*ER"), LONG),
    "300 at 32³ (control)": Way(iterated("280*RAAR+20*ER")),
    "best of 2 x 220 at 32³ (default)": Way(iterated("200*RAAR+20*ER", 2)),
}


def exhaust(work) -> np.ndarray:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def chi(obj: np.ndarray, target: np.ndarray) -> float:
    return compare_amplitudes(np.abs(forward(obj)), target, target < 0).chi


def finished(obj: np.ndarray, target: np.ndarray, steps: str) -> np.ndarray:
    bare = obj.shape == target.shape
    obj = obj if bare else resample(obj, target.shape)
    known = np.maximum(target, np.float32(0))
    support = autocorrelation_support(known) if bare else shrink_wrap(obj, FULL.sigma, FULL.threshold)
    return run(Phaser(target, obj, support, FULL), parse(steps))


def measured(amplitude: np.ndarray, seed: int, improve, truth: np.ndarray | None = None) -> dict:
    """(CPU-s of the start, chi after 60, after 200, phase RMS and 1 - IoU after 60) of every way."""

    def target(shape: tuple[int, ...]) -> np.ndarray:
        return to_corner(amplitude if shape == amplitude.shape else fit_centre(amplitude, shape))

    starts, full = Starts(target, pyramid(amplitude.shape), Phasing(), improve), target(amplitude.shape)
    found = {}
    for name, way in WAYS.items():
        began = time.process_time()
        obj = way.begin(starts, seed)
        took = time.process_time() - began
        short = finished(obj, full, way.short)
        errors = (np.nan, np.nan)
        if truth is not None:
            known = against_truth(to_centre(short), truth)
            errors = (known.phase_rms, 1 - known.iou)
        late = np.nan if way.long is None else chi(finished(obj, full, way.long), full)
        found[name] = (took, chi(short, full), late, *errors)
    return found


def table(rows: list[dict]) -> str:
    """One line per way; converged: within 1.25 x the smallest chi of any way."""
    values = {name: np.array([row[name] for row in rows]) for name in WAYS}
    best = np.nanmin([v[:, 1:3].min(axis=1) for v in values.values()], axis=0)
    reference = values["random, HIO, ER"][:, 1]
    lines = [
        "| start | CPU-s of the start | chi after 60, median | after 200 | converged after 60 / 200 |"
        " chi after 60 / random after 60 | phase RMS / rad, 1 - IoU after 60 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, v in values.items():
        share = [f"{np.mean(v[:, k] <= CONVERGED * best):.2f}" for k in (1, 2)]
        late = f"{np.median(v[:, 2]):.4f}"
        if np.isnan(v[0, 2]):
            share[1] = late = "–"
        known = "–" if np.isnan(v[0, 3]) else f"{np.median(v[:, 3]):.3f}, {np.median(v[:, 4]):.3f}"
        lines.append(
            f"| {name} | {np.median(v[:, 0]):.3f} | {np.median(v[:, 1]):.4f} | {late} |"
            f" {share[0]} / {share[1]} | {v[:, 1].sum() / reference.sum():.2f} | {known} |"
        )
    return "\n".join(lines)


def simulated(title: str, crystals: int, changes: dict, improve) -> str:
    rows = []
    for seed in range(FIRST, FIRST + crystals):
        spec = CoherentSpec(seed=seed, **changes)
        crystal = grow(spec)
        amplitude = np.sqrt(measure(crystal, spec).counts)
        rows.append(measured(amplitude, seed, improve, crystal.obj))
        print(seed, {name: round(v[1], 4) for name, v in rows[-1].items()}, file=sys.stderr)
    return f"### {title}: {crystals} crystals\n\n{table(rows)}"


def gold(path: Path, improve) -> str:
    with np.load(path) as file:
        pattern = prepare(file["amplitude"], Phasing(input="amplitude"))
    amplitude = np.where(pattern.mask, np.float32(-1), pattern.amplitude)
    rows = [measured(amplitude, seed, improve) for seed in range(5)]
    return f"### The gold pattern, 5 seeds\n\n{table(rows)}"


def main() -> None:
    folder = os.environ.get("BRAGGSCOPE_TEST_DATA")
    path = Path(folder or ".") / "cdi" / "3dcdinn_gold_ft_crop_64_amp.npz"
    if not path.exists():
        sys.exit("The gold pattern is missing; set BRAGGSCOPE_TEST_DATA to the folder that holds cdi/.")
    improve = open_improver(sys.argv[1] if len(sys.argv) > 1 else "cdi")
    measured(np.ones((64, 64, 64), np.float32), 0, improve)  # warm
    parts = [gold(path, improve)]
    for title, (crystals, changes) in SETS.items():
        parts.append(simulated(title, crystals, changes, improve))
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    text = "\n\n".join(parts)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}", "utf-8")


if __name__ == "__main__":
    main()
