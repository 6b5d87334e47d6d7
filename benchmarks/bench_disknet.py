"""Disk networks against correlation on multiply scattering Si [110], a crystal they never saw.

    .venv/bin/python -m benchmarks.bench_disknet [--weights disks disks-fcunet] [--positions 48] [--dose 5e5]

Prints tables for docs/disk-network.md: position error (median / RMS, px) by thickness, recall, precision,
share of errors within the stated 1 sigma, and CPU time per pattern on one thread. Correlation is the
program's own and py4DSTEM's with DFT upsampling, which runs in an environment of its own.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.spatial import cKDTree

from benchmarks.disks_environment import run_peers
from braggscope.app.engine.disk_tools import open_disk_network
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.lattice import SHARED, fit_lattices
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Disks, Lattice, Probe
from braggscope.models.disks.simulation.scenes import THICKNESSES_NM, Scene, random_strains, wedge
from braggscope.models.disks.strain import strain_map

TILT_RAD = 6e-3
GATE = 0.7  # radii
HEADS = " | ".join(f"{t:g} nm" for t in THICKNESSES_NM)


def scene_of(positions: int, dose: float, seed: int, tilts: int = 8) -> Scene:
    """A wedge: every thickness at as many positions."""
    count = positions * len(THICKNESSES_NM)
    rng = np.random.default_rng([seed, 11])
    angle, size = rng.uniform(0, 2 * np.pi, tilts), TILT_RAD * np.sqrt(rng.random(tilts))
    directions = size[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    thickness = np.repeat(THICKNESSES_NM, positions)
    return wedge(random_strains(count, seed), thickness, directions[np.arange(count) % tilts], dose, seed)


def probe_of(scene: Scene) -> Probe:
    middle = float(scene.probe.shape[0] // 2)
    return Probe(scene.probe, scene.radius, 1.0, (middle, middle), "simulated")


def judge(disks: Disks, scene: Scene, rows: np.ndarray) -> dict[str, float]:
    """Figures of the disks of some patterns."""
    pattern, disk = np.nonzero(scene.present)
    size = scene.patterns.shape[1]
    everywhere = ((scene.xy > -0.5) & (scene.xy < size - 0.5)).all(2)
    chosen = np.isin(pattern, rows)
    true = scene.xy[pattern, disk][chosen]
    mine = np.isin(disks.pattern, rows)
    far = 1e5
    a = np.column_stack([disks.x, disks.y, far * disks.pattern])[mine]
    b = np.column_stack([true, far * pattern[chosen]])
    distance, nearest = cKDTree(a).query(b)
    found = distance < GATE * scene.radius
    p, d = np.nonzero(everywhere)
    real = cKDTree(np.column_stack([scene.xy[p, d], far * p])).query(a)[0] < GATE * scene.radius
    error = a[nearest[found]][:, :2] - true[found]
    sigma = np.column_stack([disks.x_err, disks.y_err])[mine][nearest[found]]
    stated = np.isfinite(sigma).any()
    return {
        "median": float(np.median(distance[found])),
        "rms": float(np.sqrt(np.mean(distance[found] ** 2))),
        "recall": float(found.mean()), "precision": float(real.mean()),
        "coverage": float((np.abs(error) < sigma).mean()) if stated else np.nan,
    }  # fmt: skip


def strain_error(disks: Disks, scene: Scene, shared: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(N,) error of exx and its stated error, %, of lattices fitted with the stated errors as weights."""
    x0, y0, ax, ay, bx, by = scene.reference
    reference = Lattice((x0, y0), (ax, ay), (bx, by))
    parameters = Strain(weights="robust")
    count = len(scene.patterns)
    fitted = fit_lattices(disks, count, reference, parameters, shared=shared)
    strains = strain_map(fitted, (1, count), reference)
    return 100 * (strains.exx[0] - scene.strain[:, 0]), 100 * strains.exx_err[0]


def correlation(intensity: str) -> Callable[[Scene, Probe], Disks]:
    def run(scene: Scene, probe: Probe) -> Disks:
        parameters = Strain(method="correlation", intensity=intensity, subpixel="upsampled")
        return Correlator(probe, scene.patterns.shape[1:], parameters).find(scene.patterns)

    return run


def network(name: str) -> Callable[[Scene, Probe], Disks]:
    opened = open_disk_network(name)
    return lambda scene, probe: opened.find(scene.patterns, None, probe)


def py4dstem(scene: Scene) -> dict[str, tuple[Disks, float]]:
    """Disks of py4DSTEM, which states no errors, and CPU time in ms per pattern."""
    out = run_peers(scene, "disks")
    found = {}
    for name in (key.removesuffix(":disks") for key in out if key.endswith(":disks")):
        pattern, x, y, intensity = out[f"{name}:disks"].T
        none = np.full(len(x), np.nan)
        disks = Disks(pattern.astype(np.int64), x, y, none, none, intensity, intensity)
        found[name] = disks, float(out[f"{name}:seconds"]) / len(scene.patterns) * 1e3
    return found


def all_disks(found: dict[str, tuple[Disks, float]], scene: Scene, groups: np.ndarray) -> list[str]:
    """Errors of all the disks that each method finds, and how many these are."""
    rows = [f"| median / RMS, px | {HEADS} | recall | precision | in 1 sigma | ms |", "|---" * 11 + "|"]
    for name, (disks, ms) in found.items():
        parts = [judge(disks, scene, some) for some in groups]
        whole = judge(disks, scene, groups.ravel())
        cells = [f"{p['median']:.3f} / {p['rms']:.3f}" for p in parts]
        cells += [f"{whole['recall']:.4f}", f"{whole['precision']:.4f}", f"{whole['coverage']:.3f}"]
        rows.append(f"| {name} | " + " | ".join([*cells, f"{ms:.1f}"]).replace("nan", "-") + " |")
    return rows


def same_disks(
    found: dict[str, tuple[Disks, float]], scene: Scene, groups: np.ndarray, best: str
) -> list[str]:
    """Medians on the disks that all find; and on those that a method and the ``best`` network both find."""
    errors = {name: errors_at(disks, scene) for name, (disks, _) in found.items()}
    common = np.all([np.isfinite(values) for values in errors.values()], axis=0)
    rows = [f"| disks that all find, median, px | {HEADS} |", "|---" * 7 + "|"]
    for name, values in errors.items():
        own = np.where(common, values, np.nan)
        rows.append(f"| {name} | " + " | ".join(f"{np.nanmedian(own[some]):.3f}" for some in groups) + " |")
    rows += ["", f"| disks that it and {best} find, px | {HEADS} |", "|---" * 7 + "|"]
    for name in (name for name in found if name != best):
        both = np.isfinite(errors[name]) & np.isfinite(errors[best])
        pairs = [[np.median(errors[k][some][both[some]]) for k in (name, best)] for some in groups]
        cells = [f"{theirs:.3f} / {own:.3f} = {theirs / own:.1f}" for theirs, own in pairs]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return rows


def strains(
    found: dict[str, tuple[Disks, float]], scene: Scene, groups: np.ndarray, networks: list[str]
) -> list[str]:
    """Errors of exx and the share of them within their stated 1 sigma."""
    rows = [f"| exx, RMS, % / in 1 sigma | {HEADS} | not fitted |", "|---" * 8 + "|"]
    for name, (disks, _) in found.items():
        error, sigma = strain_error(disks, scene, SHARED if name in networks else 0.0)
        cells = [
            f"{np.sqrt(np.nanmean(error[some] ** 2)):.3f} / {(np.abs(error) < sigma)[some].mean():.2f}"
            for some in groups
        ]
        rows.append(f"| {name} | " + " | ".join([*cells, f"{np.isnan(error).mean():.3f}"]) + " |")
    return rows


def errors_at(disks: Disks, scene: Scene) -> np.ndarray:
    """(N, M) distance in px of the disk found for every true one that is present, NaN where there is none."""
    pattern, disk = np.nonzero(scene.present)
    far = 1e5
    tree = cKDTree(np.column_stack([disks.x, disks.y, far * disks.pattern]))
    distance = tree.query(np.column_stack([scene.xy[pattern, disk], far * pattern]))[0]
    out = np.full(scene.present.shape, np.nan)
    out[pattern, disk] = np.where(distance < GATE * scene.radius, distance, np.nan)
    return out


def timed(run: Callable[[Scene, Probe], Disks], scene: Scene, probe: Probe) -> tuple[Disks, float]:
    """Disks, and CPU time in ms per pattern of this thread, after a first pattern that compiles."""
    few = replace(scene, patterns=scene.patterns[:2])
    run(few, probe)
    start = time.process_time()
    disks = run(scene, probe)
    return disks, (time.process_time() - start) / len(scene.patterns) * 1e3


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--weights", nargs="*", default=["disks", "disks-fcunet"])
    options.add_argument("--positions", type=int, default=24, help="per thickness")
    options.add_argument("--dose", type=float, nargs="*", default=[5e5, 2e4])
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    torch.set_num_threads(1)
    methods = {f"correlation, {kind}": correlation(kind) for kind in ("linear", "sqrt", "log")}
    methods |= {name: network(name) for name in given.weights}
    for dose in given.dose:
        scene = scene_of(given.positions, dose, given.seed)
        found = py4dstem(scene)
        found |= {name: timed(run, scene, probe_of(scene)) for name, run in methods.items()}
        groups = np.arange(len(scene.patterns)).reshape(len(THICKNESSES_NM), -1)
        print(f"\ndose {dose:g}, {given.positions} positions per thickness\n")
        parts = all_disks(found, scene, groups), same_disks(found, scene, groups, given.weights[0])
        print(
            "\n".join(
                "\n".join([*part, ""]) for part in (*parts, strains(found, scene, groups, given.weights))
            ),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
