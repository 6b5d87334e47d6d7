"""Reading bitshuffle-LZ4 frames through the reader process, beside ``dataset[i]`` in the same process."""

import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from braggscope.app.sources.reader import Reader

FRAMES = 40
CASES = ((1024, "uint16"), (1024, "uint32"), (2048, "uint16"), (2048, "uint32"))


def write(path: Path, side: int, dtype: str) -> None:
    """A series like a detector's: Poisson background and a few bright spots."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "d", (FRAMES, side, side), dtype, chunks=(1, side, side), **hdf5plugin.Bitshuffle()
        )
        for k in range(FRAMES):
            frame = rng.poisson(3, (side, side))
            frame[rng.integers(0, side, 200), rng.integers(0, side, 200)] += 2000
            data[k] = frame


def best_ms(read: Callable[[int], Any], order: Iterable[int], repeats: int = 5) -> float:
    """Milliseconds per frame of the fastest pass."""
    frames = list(order)
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        for k in frames:
            read(k)
        best = min(best, (time.perf_counter() - start) / len(frames))
    return best * 1e3


def run() -> list[dict[str, Any]]:
    """One row per case: ours and the peer in milliseconds per frame; ratio > 1 means ours is faster."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, Reader() as reader:
        for side, dtype in CASES:
            path = Path(folder) / f"{side}_{dtype}.h5"
            write(path, side, dtype)
            reader.open(str(path))
            out = np.empty((side, side), dtype)
            with h5py.File(path, "r") as file:
                data = file["d"]
                peer = best_ms(lambda k, data=data: data[k], range(FRAMES))
            shuffled = np.random.default_rng(1).permutation(FRAMES).tolist()
            for name, order in (("in order", range(FRAMES)), ("at random", shuffled)):
                ours = best_ms(lambda k, out=out: reader.read(k, out), order)
                rows.append(
                    {
                        "case": f"read {side}² {dtype} bitshuffle-LZ4, {name}",
                        "ours_ms": ours,
                        "peer_ms": peer,
                        "peer": "h5py dataset[i], same process",
                        "ratio": peer / ours,
                    }
                )
    return rows


if __name__ == "__main__":
    for row in run():
        print(
            f"{row['case']:55s} {row['ours_ms']:7.2f} ms  {row['peer_ms']:7.2f} ms  {row['ratio']:.2f}x"
            f"  {1e3 / row['ours_ms']:.0f} frames/s"
        )
