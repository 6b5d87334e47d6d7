"""Disks and lattices by py4DSTEM and LiberTEM-blobfinder, in an environment of their own.

python disks_peers.py SCENE.npz OUT.npz WHAT; SCENE: patterns, probe, radius, reference. OUT, by method:
`NAME:seconds` of the processor and, where WHAT is "lattices", `NAME:vectors` (N, 4) ax ay bx by, or, where it
is "disks", `NAME:disks` (M, 4) pattern, x, y, intensity of py4DSTEM, sub-pixel by DFT upsampling.
"""

import sys
import time

import numpy as np


def reference_points(reference: np.ndarray, shape: tuple[int, int], margin: float) -> np.ndarray:
    """(M, 2) indices of the nodes at least ``margin`` px inside the frame."""
    h, k = (v.ravel() for v in np.mgrid[-12:13, -12:13])
    x = reference[0] + h * reference[2] + k * reference[4]
    y = reference[1] + h * reference[3] + k * reference[5]
    inside = (np.minimum(x, shape[1] - 1 - x) > margin) & (np.minimum(y, shape[0] - 1 - y) > margin)
    return np.column_stack((h, k))[inside]


def blobfinder(patterns: np.ndarray, radius: float, reference: np.ndarray) -> dict:
    """Its eight settings: four templates, centre of mass or DFT upsampling x20."""
    from libertem_blobfinder.common import patterns as templates
    from libertem_blobfinder.common.correlation import process_frames_fast
    from libertem_blobfinder.common.gridmatching import Matcher

    zero, a, b = (reference[i : i + 2][::-1] for i in (0, 2, 4))
    nodes = reference_points(reference, patterns.shape[1:], 2.2 * radius)
    peaks = np.round(zero + nodes[:, :1] * a + nodes[:, 1:] * b).astype(np.int32)
    search = 2 * radius
    kinds = {
        "circular": templates.Circular(radius, search),
        "gradient": templates.RadialGradient(radius, search),
        "subtraction": templates.BackgroundSubtraction(radius, search),
        "gradient subtraction": templates.RadialGradientBackgroundSubtraction(radius, search),
    }
    out = {}
    for name, template in kinds.items():
        for upsample in (False, True):
            process_frames_fast(template, patterns[:1], peaks, 20 * upsample)
            start = time.process_time()
            found = process_frames_fast(template, patterns, peaks, 20 * upsample)
            vectors = np.full((len(patterns), 4), np.nan)
            for n, (centers, refineds, heights, elevations) in enumerate(zip(*found, strict=True)):
                match = Matcher().fastmatch(centers, zero, a, b, refineds, heights, elevations)
                vectors[n] = [*match.a[::-1], *match.b[::-1]]
            key = f"blobfinder, {name}{', upsampled' if upsample else ''}"
            out[key] = vectors, time.process_time() - start
    return out


def py4dstem(patterns: np.ndarray, probe: np.ndarray, radius: float, reference: np.ndarray) -> dict:
    """Lattices by its weights and by uniform ones."""
    from py4DSTEM.process.strain.latticevectors import fit_lattice_vectors

    out = {}
    for subpixel in ("poly", "multicorr"):
        for root in (False, True):
            every, seconds = py4dstem_disks(patterns, probe, radius, subpixel, root)
            for weights in ("own weights", "uniform weights"):
                vectors = np.full((len(patterns), 4), np.nan)
                for n, points in enumerate(every):
                    vectors[n] = py4dstem_lattice(points, reference, weights[0] == "u", fit_lattice_vectors)
                out[f"py4DSTEM, {subpixel}{' on √I' if root else ''}, {weights}"] = vectors, seconds
    return out


def py4dstem_disks(
    patterns: np.ndarray, probe: np.ndarray, radius: float, subpixel: str, root: bool
) -> tuple[list, float]:
    """Its point list of every pattern, by cross correlation with its sigmoid kernel, and the time."""
    import py4DSTEM
    from py4DSTEM.braggvectors.diskdetection import find_Bragg_disks

    vacuum = py4DSTEM.Probe(probe.astype(np.float64))
    kernel = vacuum.get_kernel(mode="sigmoid", radii=(radius, 2 * radius), origin=(len(probe) // 2,) * 2)
    kernel = kernel if isinstance(kernel, np.ndarray) else vacuum.kernel
    data = np.sqrt(patterns) if root else patterns
    start = time.process_time()
    every = [
        find_Bragg_disks(
            pattern, kernel, corrPower=1, sigma_cc=2, subpixel=subpixel, minPeakSpacing=1.5 * radius,
            minRelativeIntensity=0.005, relativeToPeak=1, edgeBoundary=int(radius), maxNumPeaks=200,
        )
        for pattern in data
    ]  # fmt: skip
    return every, time.process_time() - start


def py4dstem_positions(patterns: np.ndarray, probe: np.ndarray, radius: float) -> dict:
    """(M, 4) pattern, x, y, intensity of what it finds; its x goes along the rows."""
    out = {}
    for root in (False, True):
        every, seconds = py4dstem_disks(patterns, probe, radius, "multicorr", root)
        rows = [
            np.column_stack([np.full(len(p.data), n), p.data["qy"], p.data["qx"], p.data["intensity"]])
            for n, p in enumerate(every)
        ]
        out[f"py4DSTEM, multicorr{' on √I' if root else ''}"] = np.concatenate(rows), seconds
    return out


def py4dstem_lattice(points, reference: np.ndarray, uniform: bool, fit_lattice_vectors) -> list:
    """ax ay bx by of one pattern, disks indexed by the reference; its x goes along the rows."""
    from py4DSTEM import PointList

    data = points.data
    place = np.column_stack((data["qy"], data["qx"])) - origin_of(data["qy"], data["qx"], reference)
    exact = place @ np.linalg.inv(reference[2:].reshape(2, 2))
    whole = np.round(exact)
    near = (np.abs(exact - whole) < 0.25).all(axis=1)
    names = [(name, float) for name in ("qx", "qy", "intensity")] + [("g1_ind", int), ("g2_ind", int)]
    table = np.zeros(len(data), names)
    table["qx"], table["qy"] = data["qx"], data["qy"]
    table["intensity"] = 1.0 if uniform else data["intensity"]
    table["g1_ind"], table["g2_ind"] = whole.T
    lattice = fit_lattice_vectors(PointList(table[near]))
    return [np.nan] * 4 if lattice[2] is None else [lattice[3], lattice[2], lattice[5], lattice[4]]


def origin_of(x: np.ndarray, y: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """The disk nearest to the reference's origin."""
    nearest = int(np.argmin(np.hypot(x - reference[0], y - reference[1])))
    return float(x[nearest]), float(y[nearest])


def main() -> None:
    scene, out, what = sys.argv[1:]
    with np.load(scene) as file:
        patterns, probe, radius, reference = (file[n] for n in ("patterns", "probe", "radius", "reference"))
    if what == "disks":
        kind, found = what, py4dstem_positions(patterns, probe, float(radius))
    else:
        kind, found = "vectors", blobfinder(patterns, float(radius), reference)
        found |= py4dstem(patterns, probe, float(radius), reference)
    arrays = {f"{name}:{kind}": values for name, (values, _) in found.items()}
    np.savez(out, **arrays, **{f"{name}:seconds": np.array(seconds) for name, (_, seconds) in found.items()})


if __name__ == "__main__":
    main()
