"""Which disks a lattice puts into a pattern, and how far they move."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FARTHEST = 14  # largest index


def candidates(lattice: Floats, shape: tuple[int, int]) -> NDArray[np.int64]:
    """(M, 2) indices of the disks that can lie in the pattern."""
    steps = np.arange(-FARTHEST, FARTHEST + 1)
    indices = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    place = lattice[:2] + indices @ lattice[2:].reshape(2, 2)
    inside = (place > -0.05 * max(shape)).all(1) & (place < np.array(shape[::-1]) + 0.05 * max(shape)).all(1)
    return np.ascontiguousarray(indices[inside])


def farthest(change: Floats, indices: NDArray[np.int64]) -> float:
    """Px by which a change of the lattice moves the disk that moves most; 0 without, NaN as infinity."""
    moved = np.hypot(*(change[:2] + indices @ change[2:].reshape(2, 2)).T)
    return float(np.nan_to_num(moved, nan=np.inf).max(initial=0.0))


def near(lattice: Floats, reach: float) -> NDArray[np.int64]:
    """(n, 2) indices of the neighbours that reach into a disk's window."""
    steps = np.arange(-3, 4)
    indices = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)
    far = np.hypot(*(indices @ lattice[2:].reshape(2, 2)).T)
    return np.ascontiguousarray(indices[(far > 0) & (far < reach)])
