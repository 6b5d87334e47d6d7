"""The precise lattice fit on simulated scans: strain errors, calibration, CPU time, beside the bound.

``python -m benchmarks.bench_precise`` prints tables; ``--patterns N`` of each kind.
"""

import argparse
import time

import numpy as np
import torch
from scipy import special

from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.precise import LatticeFit
from braggscope.models.disks.probe import measure_probe
from braggscope.models.disks.results import Lattice
from braggscope.models.disks.simulation import scenes

FILMS = ((0.0, 5e5), (0.5, 5e5), (0.9, 5e5), (0.0, 2e4))
DOSE, TILT = 5e5, 6e-3  # electrons, rad
HEAD = "| {} | disks | exx % | eyy % | exy % | pull | CPU ms |\n|---|---|---|---|---|---|---|"


def strains(lattices, reference):
    """(N, 3) exx eyy exy of lattices against a reference."""
    start = reference[2:].reshape(2, 2).T
    out = []
    for lattice in lattices:
        _, stretch, right = np.linalg.svd(np.linalg.inv(lattice[2:].reshape(2, 2).T @ np.linalg.inv(start)).T)
        biot = right.T @ np.diag(stretch) @ right - np.eye(2)
        out.append((biot[0, 0], biot[1, 1], biot[0, 1]))
    return np.array(out)


def measure(scene, rows):
    """Fit some patterns from the common start; the cells of a row of the table."""
    patterns, truth = scene.patterns[rows], scene.lattice[rows]
    fit = LatticeFit(measure_probe(scene.probe * 1e7), patterns.shape[1:], Strain())
    first = scene.reference
    start = Lattice(tuple(first[:2]), tuple(first[2:4]), tuple(first[4:]))
    fit.prepare(patterns, start)
    before = time.process_time()
    found = fit.fit(patterns, start)
    spent = (time.process_time() - before) / len(patterns) * 1e3
    good = found.valid
    error = 100 * (strains(found.values[good], first) - scene.strain[rows][good, :3])
    off = found.values[good] - truth[good]
    pull = np.sqrt(np.mean(np.einsum("ni,nij,nj->n", off, np.linalg.inv(found.covariance[good]), off) / 6))
    rms = np.sqrt(np.mean(error**2, axis=0))
    cells = (f"{found.count[good].mean():.0f}", *(f"{r:.4f}" for r in rms), f"{pull:.2f}", f"{spent:.1f}")
    return " | ".join(cells) + ("" if good.all() else f" ({(~good).sum()} not valid)")


def bound(scene, row, degree):
    """Least standard deviation of exx in % (Cramér-Rao) where every inside is a polynomial, edge known."""
    lattice, pattern = scene.lattice[row], scene.patterns[row]
    size, radius = pattern.shape[0], scene.radius - 0.02
    y, x = np.mgrid[:size, :size].astype(float)
    level = scenes.BACKGROUND * pattern.sum() / size**2
    mean, free = np.full(pattern.shape, level), [np.ones(pattern.size)]
    moved = np.zeros((6, pattern.size))
    for h in range(-9, 10):
        for k in range(-9, 10):
            cx, cy = lattice[:2] + h * lattice[2:4] + k * lattice[4:]
            if not (5 < cx < size - 6 and 5 < cy < size - 6):
                continue
            u, v = x - cx, y - cy
            far = np.hypot(u, v)
            edge = 0.5 * special.erfc((far - radius) / (np.sqrt(2) * 0.58))
            height = max((pattern[far < radius - 1] - level).mean(), 0.0)
            fall = height * np.exp(-0.5 * ((far - radius) / 0.58) ** 2) / (np.sqrt(2 * np.pi) * 0.58)
            slope = np.stack([(fall * c / np.maximum(far, 1e-9)).ravel() for c in (u, v)])
            moved += np.concatenate([slope, h * slope, k * slope])
            mean += height * edge
            powers = [(a, d - a) for d in range(degree + 1) for a in range(d + 1)]
            free += [(edge * (u / radius) ** a * (v / radius) ** b).ravel() for a, b in powers]
    weight = 1 / np.sqrt(mean.ravel())
    q, _ = np.linalg.qr(np.array(free).T * weight[:, None])
    rest = moved * weight
    rest = rest - (rest @ q) @ q.T
    covariance = np.linalg.inv(rest @ rest.T)
    gradient = np.array([
        (strains([lattice + s], lattice) - strains([lattice - s], lattice))[0, 0] / 2e-3
        for s in 1e-3 * np.eye(6)
    ])  # fmt: skip
    return 100 * np.sqrt(gradient @ covariance @ gradient)


def main():
    torch.set_num_threads(1)
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--patterns", type=int, default=12)
    count = arguments.parse_args().patterns
    print(HEAD.format("film, 256 px: modulation, electrons"))
    for modulation, dose in FILMS:
        scene = scenes.multilayer(scenes.random_strains(count, 3), modulation, dose, 5)
        print(f"| {modulation:g}, {dose:.0e} | {measure(scene, slice(None))} |", flush=True)
        if not modulation:
            least = (np.mean([bound(scene, row, degree) for row in range(3)]) for degree in (0, 2))
            print("| bound of exx: flat, quadratic insides | | {:.4f}, {:.4f} | | | | |".format(*least))
    rng = np.random.default_rng(3)
    size, angle = TILT * np.sqrt(rng.uniform(size=count)), rng.uniform(0, 2 * np.pi, count)
    tilt = np.stack([size * np.cos(angle), size * np.sin(angle)], 1)
    layers = len(scenes.THICKNESSES_NM)
    for side, radius in ((128, 5.0), (256, 6.5)):
        print("\n" + HEAD.format(f"Si [110], {side} px: nm"))
        scene = scenes.wedge(
            scenes.random_strains(count * layers, 4), np.repeat(scenes.THICKNESSES_NM, count),
            np.tile(tilt, (layers, 1)), DOSE, 6, size=side, radius=radius,
        )  # fmt: skip
        for i, nominal in enumerate(scenes.THICKNESSES_NM):
            print(f"| {nominal:g} | {measure(scene, slice(count * i, count * (i + 1)))} |", flush=True)


if __name__ == "__main__":
    main()
