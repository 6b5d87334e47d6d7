"""Strain of known scans by all methods of the program, py4DSTEM and LiberTEM-blobfinder.

    .venv/bin/python -m benchmarks.bench_disks [--positions 120] [--write]

The others run in an environment of their own, which is built in the user's cache folder the first time. Times
are those of the processor, one thread. ``--write`` puts the tables into docs/strain.md.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.bench_disknet import probe_of, scene_of
from benchmarks.disks_environment import run_peers
from braggscope.app.engine.disk_tools import open_disk_network
from braggscope.models.disks.correlate import Correlator
from braggscope.models.disks.lattice import SHARED, fit_lattices, propose
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.precise import LatticeFit
from braggscope.models.disks.results import Disks, Lattice, LatticeMap, Probe
from braggscope.models.disks.simulation.scenes import THICKNESSES_NM, Scene, multilayer, random_strains
from braggscope.models.disks.strain import strain_map

CASES = {  # name: modulation, electrons
    "even disks": (0.0, 5e5),
    "modulation 0.5": (0.5, 5e5),
    "modulation 0.9": (0.9, 5e5),
    "even, 2e4 electrons": (0.0, 2e4),
}
PAGE = Path(__file__).resolve().parents[1] / "docs" / "strain.md"
Found = tuple[LatticeMap, Disks | None, float]


def by_correlation(scene: Scene, probe: Probe, **settings: object) -> Found:
    parameters = Strain(**settings)
    finder = Correlator(probe, scene.patterns.shape[1:], parameters)
    lattice = propose(finder.find(scene.patterns[:16]), scene.patterns.shape[1:])  # once a scan
    start = time.process_time()
    disks = finder.find(scene.patterns)
    fitted = fit_lattices(disks, len(scene.patterns), lattice, parameters)
    return fitted, disks, time.process_time() - start


def by_lattice(scene: Scene, probe: Probe) -> Found:
    parameters = Strain(method="lattice")
    shape = scene.patterns.shape[1:]
    some = Correlator(probe, shape, parameters).find(scene.patterns[:16])
    lattice = propose(some, shape)
    fit = LatticeFit(probe, shape, parameters)
    fit.prepare(scene.patterns, lattice)  # once a scan
    start = time.process_time()
    fitted, disks = fit.measure(scene.patterns, lattice)
    return fitted, disks, time.process_time() - start


def by_network(scene: Scene, probe: Probe, name: str) -> Found:
    parameters = Strain(method="network")
    network = open_disk_network(name)
    network.find(scene.patterns[:2], None, probe, parameters.threshold)
    start = time.process_time()
    disks = network.find(scene.patterns, None, probe, parameters.threshold)
    lattice = propose(disks, scene.patterns.shape[1:])
    fitted = fit_lattices(disks, len(scene.patterns), lattice, parameters, shared=SHARED)
    return fitted, disks, time.process_time() - start


OURS: dict[str, Callable[[Scene, Probe], Found]] = {
    "Braggscope, fast": lambda s, p: by_correlation(s, p, subpixel="parabola"),
    "Braggscope, correlation": by_correlation,
    "Braggscope, lattice": by_lattice,
    "Braggscope, network": lambda s, p: by_network(s, p, "disks"),
    "Braggscope, FCU-Net": lambda s, p: by_network(s, p, "disks-fcunet"),
}


def in_basis(scene: Scene, g: np.ndarray) -> Lattice:
    """The undeformed lattice in the basis in which (2, 2) columns of a measured one are given."""
    g0 = scene.reference[2:].reshape(2, 2).T
    whole = np.round(np.linalg.solve(g0, g))
    a, b = (g0 @ whole).T
    return Lattice((0.0, 0.0), (float(a[0]), float(a[1])), (float(b[0]), float(b[1])))


def errors(scene: Scene, fitted: LatticeMap) -> tuple[np.ndarray, np.ndarray]:
    """(N,) exx found less true, and its stated error; NaN where not valid."""
    middle = np.nanmedian(fitted.values[:, 2:], axis=0).reshape(2, 2).T
    found = strain_map(fitted, (1, len(fitted.valid)), in_basis(scene, middle))
    return found.exx[0] - scene.strain[:, 0], found.exx_err[0]


def of_vectors(vectors: np.ndarray) -> LatticeMap:
    """Lattices of (N, 4) ax ay bx by, with no statement about their errors."""
    n = len(vectors)
    values = np.column_stack((np.zeros((n, 2)), vectors))
    valid = np.isfinite(vectors).all(axis=1)
    return LatticeMap(values, np.full((n, 6, 6), np.nan), np.zeros(n), np.zeros(n, np.int64), valid)


def found_disks(scene: Scene, disks: Disks) -> tuple[float, float]:
    """Recall of the disks that can be seen, and precision."""
    hit = there = true = 0
    for n, (places, present) in enumerate(zip(scene.xy, scene.present, strict=True)):
        own = disks.of(n)
        distance = np.hypot(own.x[:, None] - places[:, 0], own.y[:, None] - places[:, 1])
        near = distance < 0.5 * scene.radius
        hit += int((near.any(axis=0) & present).sum())
        there += int(present.sum())
        true += int(near.any(axis=1).sum())
    return hit / max(there, 1), true / max(len(disks), 1)


def peers(scene: Scene) -> dict[str, tuple[LatticeMap, None, float]]:
    """All methods of the others; told the radius and the undeformed lattice."""
    out = run_peers(scene, "lattices")
    names = [key.removesuffix(":vectors") for key in out if key.endswith(":vectors")]
    return {n: (of_vectors(out[f"{n}:vectors"]), None, float(out[f"{n}:seconds"])) for n in names}


def measured(scene: Scene) -> dict[str, tuple[LatticeMap, Disks | None, float]]:
    probe = probe_of(scene)
    found: dict = {}
    for name, method in OURS.items():
        print(name, file=sys.stderr, flush=True)
        try:
            found[name] = method(scene, probe)
        except ValueError as error:  # a method that gives up is a row without figures
            print(f"{name}: {error}", file=sys.stderr)
    return found | peers(scene)


def cell(values: np.ndarray) -> str:
    """RMS in %, and how much is missing."""
    good = np.isfinite(values)
    if not good.any():
        return "-"
    text = f"{100 * np.sqrt(np.mean(values[good] ** 2)):.4f}"
    return text if good.all() else f"{text} ({100 * (1 - good.mean()):.0f} % missing)"


def table(head: list[str], rows: dict[str, list[str]]) -> str:
    lines = ["| method | " + " | ".join(head) + " |", "|" + "---|" * (len(head) + 1)]
    return "\n".join(lines + [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows.items()])


def single_scattering(positions: int) -> str:
    rows: dict[str, list[str]] = {}
    finding: dict[str, list[str]] = {}
    for name, (modulation, dose) in CASES.items():
        print(name, file=sys.stderr, flush=True)
        scene = multilayer(random_strains(positions, 3), modulation, dose, 5)
        for method, (fitted, disks, seconds) in measured(scene).items():
            off, said = errors(scene, fitted)
            rows.setdefault(method, []).append(cell(off))
            if disks is not None:
                recall, precision = found_disks(scene, disks)
                pull = f"{float(np.nanmean(np.abs(off) < said)):.2f}"
                finding.setdefault(method, []).append(f"{recall:.3f} / {precision:.3f} / {pull}")
            if name == next(iter(CASES)):
                rows[method].append(f"{positions / seconds:,.0f}")
    rows = {method: [cells[0], *cells[2:], cells[1]] for method, cells in rows.items()}
    return "\n\n".join(
        (
            f"RMS error of exx in %, {positions} positions of ±2 %, 256², radius 6.5 px, 5e5 electrons unless"
            " said:",
            table([*CASES, "patterns per CPU second"], rows),
            "Disks found (recall / precision), and the share of exx within the stated 1 sigma (ideal 0.68):",
            table(list(CASES), finding),
        )
    )


def multiple_scattering(positions: int) -> str:
    scene = scene_of(positions, 5e5, 0)
    rows = {}
    for method, (fitted, _, seconds) in measured(scene).items():
        off, _ = errors(scene, fitted)
        parts = np.array_split(off, len(THICKNESSES_NM))
        rows[method] = [*(cell(part) for part in parts), f"{len(off) / seconds:,.0f}"]
    head = [f"{t:g} nm" for t in THICKNESSES_NM]
    return "\n\n".join(
        (
            "RMS error of exx in %, dynamical Si [110], 200 kV, 2 mrad, mistilt to 6 mrad, 128², radius 5 px,"
            f" 5e5 electrons, {positions} positions per thickness:",
            table([*head, "patterns per CPU second"], rows),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--positions", type=int, default=120)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/strain.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = "\n\n".join(
        (single_scattering(arguments.positions), multiple_scattering(arguments.positions // 4))
    )
    print(text)
    if arguments.write:
        page = PAGE.read_text("utf-8")
        before, _, rest = page.partition("<!-- measured -->")
        after = rest.partition("<!-- end -->")[2]
        PAGE.write_text(f"{before}<!-- measured -->\n{text}\n<!-- end -->{after}", "utf-8")


if __name__ == "__main__":
    main()
