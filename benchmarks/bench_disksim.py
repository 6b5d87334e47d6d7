"""The simulator of convergent-beam patterns beside multislice, its convergence, its speed.

``OMP_NUM_THREADS=1 python -m benchmarks.bench_disksim`` in the root writes docs/strain-simulation.md. It
builds an environment of its own with abTEM in the cache folder; ``--environment FOLDER`` uses another one.
"""

import argparse
import dataclasses
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
import torch

from braggscope.app.folders import cache_folder
from braggscope.models.disks.simulation.crystals import Crystal, crystal
from braggscope.models.disks.simulation.dynamics import Beam, intensities, propagate, whole_steps
from braggscope.models.disks.simulation.samples import draw
from braggscope.models.disks.simulation.scattering import Zone, zone_beams

PAGE = Path(__file__).resolve().parents[1] / "docs" / "strain-simulation.md"
CHILD = Path(__file__).with_name("disksim_abtem.py")
VERSIONS = ("abtem==1.0.11", "ase==3.29.0")
TILTS = [(0.0, 0.0), *((3.0 + x, 2.0 + y) for x in (-1.4, 0.0, 1.4) for y in (-1.4, 0.0, 1.4)), (-5.0, 3.0)]
SHOWN_NM = (6, 27, 48, 68, 89, 110)


PAGE_TEXT = """# Simulated convergent-beam patterns: how they are made, and how well

Made by `python -m benchmarks.bench_disksim`, which builds an environment with {abtem} of its own. The
simulator is `models/disks/simulation`; `samples.draw` gives patterns to train on, `scenes` scans of known
strain to measure on, `braggscope demo strain` both as a file.

- **Scattering**: all beams of the zero-order Laue zone up to 121 (the wedge: 200), relativistic, electron
  scattering factors of neutral atoms, Debye-Waller factors, absorption as a share of the potential.
  exp(i pi A t / K) is taken once in the middle of the cone; what tilt changes is diagonal and applied between
  steps (Strang splitting). A step is one product of matrices for all tilts, and every step is a thickness.
  Tilts are 0.7 px apart.
- **Disks**: intensity over tilts x aperture on a raster of 0.5 px, integrated over pixels behind a blur.
  Disks add up as intensities. Strain moves disks; it does not change the excitation errors.
- **Left out**: higher Laue zones, phonon scattering but for a smooth background, interference of overlapping
  disks, inelastic contrast, steps of strain within the thickness.

## Beside multislice

Si [110], 200 kV, {tilts} tilts up to 6 mrad, atoms at rest, no absorption: the hard case, as far beams are
not damped. R = sum |ours - theirs| / sum theirs, and the correlation over all beams but the direct one; both
normalised to the beams compared (multislice loses electrons beyond its aperture, here also to higher zones).

{peers}

## With itself

Si [110] with thermal motion, mean over a cone of 1.4 mrad at 3.6 mrad: sum of all absolute differences, 1 =
the beam.

{own}

## Speed

The sampler made {small} patterns per CPU second at 128 x 128 and {large} at 256 x 256 (one thread, a machine
that others used at the same time), every 24 patterns with a crystal, zone, tilt and aperture of their own.
"""


def environment(folder: Path) -> Path:
    """Python of an environment with abTEM, made on first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *VERSIONS], check=True)
    return python


def multislice(python: Path, parametrisation: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(thicknesses / Å, (T, N, 64, 48) intensities, CPU seconds) of abTEM."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.npz"
        tilts = [f"{x},{y}" for x, y in TILTS]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([python, CHILD, out, parametrisation, *tilts], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        with np.load(out) as file:
            return file["thickness_angstrom"], file["intensities"], after.ru_utime - before.ru_utime


def at_rest() -> Crystal:
    """Silicon without thermal motion."""
    return dataclasses.replace(crystal("Si"), b_factors=np.zeros(8))


def beams(zone: Zone) -> tuple[np.ndarray, np.ndarray]:
    """((M, 2) indices along [001] and [1-10], (2, 2) from those axes to the zone's)."""
    across = np.array([[0, 0, 1], [1, -1, 0] / np.sqrt(2)])
    g = zone.hkl @ zone.crystal.reciprocal
    edges = np.array([5.431, 5.431 / np.sqrt(2)])
    x = g[1] / np.linalg.norm(g[1])
    y = np.cross(np.array([1, 1, 0]) / np.sqrt(2), x)
    return np.rint(g @ across.T * edges).astype(int), across @ np.stack([x, y], axis=1)


def compare(thickness: np.ndarray, reference: np.ndarray, most: int) -> list[tuple[float, float]]:
    """(R, correlation of all beams but the direct one) at the shown thicknesses, over all tilts."""
    zone = zone_beams(at_rest(), (1, 1, 0), most)
    index, axes = beams(zone)
    depths = [int(np.abs(thickness - 10 * nm).argmin()) for nm in SHOWN_NM]
    ours, theirs = [], []
    for tilt, exits in zip(TILTS, reference, strict=True):
        x, y = np.array(tilt) * 1e-3 @ axes
        ours.append(intensities(zone, Beam(200.0, (x, y)), np.zeros((1, 2)), thickness[depths])[:, 0])
        theirs.append(exits[depths][:, index[:, 0], index[:, 1]])
    found = []
    for a, b in zip(np.stack(ours, 1), np.stack(theirs, 1), strict=True):
        a, b = a / a.sum(axis=1, keepdims=True), b / b.sum(axis=1, keepdims=True)
        found.append((np.abs(a - b).sum() / b.sum(), np.corrcoef(a[:, 1:].ravel(), b[:, 1:].ravel())[0, 1]))
    return found


def convergence() -> tuple[list[float], list[float]]:
    """R of 121 beams against 200, and of steps against eigenvalues, of warm silicon."""
    wanted = 10.0 * np.array(SHOWN_NM)
    beam = Beam(200.0, (3e-3, 2e-3))
    offsets = np.random.default_rng(0).uniform(-1.4e-3, 1.4e-3, (12, 2)) * beam.wavenumber
    many = zone_beams(crystal("Si"), (1, 1, 0), 200)
    few = zone_beams(crystal("Si"), (1, 1, 0), 121)
    steps, length = whole_steps(few, beam, offsets, wanted)
    best = intensities(many, beam, offsets, steps * length)
    exact = intensities(few, beam, offsets, steps * length)
    quick = propagate(few, beam, offsets, wanted).numpy()
    missed = best[..., len(few.g) :].sum(axis=(1, 2))
    by_beams = np.abs(best[..., : len(few.g)] - exact).sum(axis=(1, 2)) + missed
    by_steps = np.abs(quick - exact).sum(axis=(1, 2))
    return list(by_beams / len(offsets)), list(by_steps / len(offsets))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def speed(size: int, count: int = 480) -> float:
    """Patterns per CPU second of the training sampler."""
    draw(24, 1, size)
    start = time.process_time()
    draw(count, 2, size)
    return count / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=cache_folder() / "abtem-environment")
    torch.set_num_threads(1)
    python = environment(parser.parse_args().environment)
    rows = []
    for name in ("peng", "lobato"):
        thickness, reference, seconds = multislice(python, name)
        for most in (81, 121, 200):
            cells = [f"{r:.3f} / {c:.4f}" for r, c in compare(thickness, reference, most)]
            rows.append([name, str(len(zone_beams(at_rest(), (1, 1, 0), most).g)), *cells])
        print(name, f"{seconds:.0f} CPU-s", file=sys.stderr)
    head = [f"{nm} nm" for nm in SHOWN_NM]
    inner = [[name, *(f"{value:.4f}" for value in values)]
             for name, values in zip(("121 beams against 181", "steps against eigenvalues"),
                                     convergence(), strict=True)]  # fmt: skip
    text = PAGE_TEXT.format(
        abtem=VERSIONS[0].replace("==", " "), tilts=len(TILTS),
        peers=table(["potential", "beams", *head], rows), own=table(["", *head], inner),
        small=f"{speed(128):.0f}", large=f"{speed(256, 240):.0f}",
    )  # fmt: skip
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
