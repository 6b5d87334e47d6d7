"""Reading frames beside ``dataset[i]`` and tifffile: unpacked here, by one or two threads, or by the reader.

``reader process``: with the copy out of shared memory. Wall time of the fastest of five passes.
"""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import tifffile

from braggscope.app.sources import chunks
from braggscope.app.sources.base import Layout
from braggscope.app.sources.chunks import DirectChunks
from braggscope.app.sources.reader import Reader

FRAMES = 40
CASES = ((1024, "uint16"), (1024, "uint32"), (2048, "uint16"), (2048, "uint32"))
PEER = "h5py dataset[i], same process"


def frames(side: int, dtype: str) -> Iterator[np.ndarray]:
    """A series like a detector's: Poisson background and a few bright spots."""
    rng = np.random.default_rng(0)
    for _ in range(FRAMES):
        frame = rng.poisson(3, (side, side)).astype(dtype)
        frame[rng.integers(0, side, 200), rng.integers(0, side, 200)] += 2000
        yield frame


def write(path: Path, side: int, dtype: str) -> None:
    """The series, one bitshuffle-LZ4 chunk a frame."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "d", (FRAMES, side, side), dtype, chunks=(1, side, side), **hdf5plugin.Bitshuffle()
        )
        for k, frame in enumerate(frames(side, dtype)):
            data[k] = frame


def best_ms(read: Callable[[int], Any], order: Iterable[int] = range(FRAMES), repeats: int = 5) -> float:
    """Milliseconds per frame of the fastest pass."""
    wanted = list(order)
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        for k in wanted:
            read(k)
        best = min(best, (time.perf_counter() - start) / len(wanted))
    return best * 1e3


def direct(data: Any, out: np.ndarray, threads: int) -> float:
    """Milliseconds of a frame that is unpacked in this process."""
    found = DirectChunks.of(data, Layout.of(data.shape, None, "d"), threads)
    assert found is not None
    found.read(0, out, "")

    def read(k: int) -> None:
        if not found.read(k, out, ""):
            raise RuntimeError("the frame was left to HDF5")

    return best_ms(read)


def case(reader: Reader, folder: Path, side: int, dtype: str) -> list[dict[str, Any]]:
    """Rows for frames of one size and type."""
    path = folder / f"{side}_{dtype}.h5"
    write(path, side, dtype)
    out = np.empty((side, side), dtype)
    chunks.prepare(np.dtype(f"u{out.itemsize}"))
    with h5py.File(path, "r") as file:
        data = file["d"]
        peer = best_ms(lambda k: data[k])
        ours = {f"{n} thread{'s' * (n > 1)}": direct(data, out, n) for n in (1, 2)}
    reader.open(str(path))
    best_ms(lambda k: reader.read(k, out))  # meanwhile the process makes its unpacking ready
    time.sleep(2)
    shuffled = np.random.default_rng(1).permutation(FRAMES).tolist()
    ours["reader process, in order"] = best_ms(lambda k: reader.read(k, out))
    ours["reader process, at random"] = best_ms(lambda k: reader.read(k, out), shuffled)
    path.unlink()
    return [row(f"{side}² {dtype} bitshuffle-LZ4, {name}", ms, peer, PEER) for name, ms in ours.items()]


def tiffs(reader: Reader, folder: Path, side: int = 2048) -> dict[str, Any]:
    """A folder of uncompressed TIFF files."""
    for k, frame in enumerate(frames(side, "uint16")):
        tifffile.imwrite(folder / f"frame_{k:03}.tif", frame)
    names = sorted(folder.glob("*.tif"))
    peer = best_ms(lambda k: tifffile.imread(names[k]))
    reader.open(str(folder))
    out = np.empty((side, side), "uint16")
    ours = best_ms(lambda k: reader.read(k, out))
    return row(f"{side}² uint16 TIFF, reader process, in order", ours, peer, "tifffile.imread, same process")


def row(name: str, ours: float, peer: float, peer_name: str) -> dict[str, Any]:
    return {"case": name, "ours_ms": ours, "peer_ms": peer, "peer": peer_name, "ratio": peer / ours}


def run() -> list[dict[str, Any]]:
    """One row per case: ours and the peer in milliseconds per frame; ratio > 1 means ours is faster."""
    with tempfile.TemporaryDirectory() as name, Reader() as reader:
        rows = [found for side, dtype in CASES for found in case(reader, Path(name), side, dtype)]
        return [*rows, tiffs(reader, Path(name))]


if __name__ == "__main__":
    for each in run():
        print(each)
