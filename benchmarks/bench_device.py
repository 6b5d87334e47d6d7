"""Fits and BraggNN on a CUDA device beside one thread of the processor, with the share of the limits reached.

Counted are the operations of the network's layers (twice the multiplications), and the bytes of the patches.
Without a device there are no rows.
"""

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch

from benchmarks.bench_fitting import simulate
from braggscope.models.braggnn.infer import Localizer
from braggscope.models.braggnn.network import CHANNELS, BraggNN
from braggscope.models.braggnn.simulate import Scene
from braggscope.models.braggnn.simulate import simulate as simulate_patches
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.weights import build_braggnn
from braggscope.resources.loader import load_weights

PATCHES = 65_536


def operations(network: BraggNN) -> int:
    """Floating-point operations of one patch in the published network, without its activations."""
    side, inner, total = network.config.window, CHANNELS[0] // 2, 0
    for before, after in pairwise((1, *CHANNELS)):
        side -= 2
        total += 2 * 9 * before * after * side * side
    positions = (network.config.window - 2) ** 2
    total += 2 * positions * (4 * inner * CHANNELS[0] + 2 * inner * positions)
    sizes = (side * side * CHANNELS[-1], *network.config.hidden, 2)
    return total + 2 * sum(a * b for a, b in pairwise(sizes))


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    work()
    times = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def peak_rate() -> float:
    """Operations a second of the device in float32, as a large matrix product reaches them."""
    a = torch.randn(8192, 8192, device="cuda")
    return 2 * 8192**3 / seconds(lambda: a @ a)


def braggnn() -> dict:
    network = build_braggnn(load_weights("braggnn")[0])
    images = simulate_patches(PATCHES, 0, Scene(network.config.window)).image.numpy()
    host, device = Localizer(network), Localizer(network, "cuda")
    ours = PATCHES / seconds(lambda: device.locate(images))
    theirs = 8192 / seconds(lambda: host.locate(images[:8192]))
    share = ours * operations(network) / peak_rate()
    return {"case": "BraggNN, 11 px", "device_per_s": ours, "ours_per_s": theirs, "ratio": ours / theirs,
            "operations": operations(network), "bytes": images[0].nbytes + 16, "share": share}  # fmt: skip


def fits() -> dict:
    frame, rows, cols = simulate(20_000, voigt=False)
    ours = len(rows) / seconds(lambda: fit_peaks(frame, None, rows, cols, device="cuda"))
    theirs = len(rows) / seconds(lambda: fit_peaks(frame, None, rows, cols))
    return {"case": "rotated Gaussian, 7 parameters", "device_per_s": ours, "ours_per_s": theirs,
            "ratio": ours / theirs, "operations": np.nan, "bytes": 121 * 8, "share": np.nan}  # fmt: skip


def run() -> list[dict]:
    """Rows for the collecting script; none without a device."""
    if not torch.cuda.is_available():
        return []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [braggnn(), fits()]
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    for row in run():
        print(row)
