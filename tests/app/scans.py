"""Small simulated scans: disks on a strained lattice with Poisson noise, and their truth."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.protocol import SourceInfo
from braggscope.app.sources.registry import open_source
from braggscope.models.parameters import Parameters

SIDE, RADIUS, EDGE = 64, 3.4, 0.8
CENTRE = (31.6, 32.3)  # x, y px
A, B = (13.0, 1.0), (-1.0, 12.5)  # reciprocal vectors of the unstrained crystal, x, y px


@dataclass(frozen=True)
class SmallScan:
    """A written scan and its truth: strains (rows, columns), positive in tension."""

    path: Path
    patterns: NDArray[np.uint16]
    exx: NDArray[np.float64]
    theta: NDArray[np.float64]


def disk(x: float, y: float, side: int = SIDE, radius: float = RADIUS) -> NDArray[np.float64]:
    """A soft disk of height 1."""
    rows, cols = np.mgrid[:side, :side]
    return 1 / (1 + np.exp((np.hypot(cols - x, rows - y) - radius) / (EDGE / 4.4)))


def pattern(exx: float, theta: float, side: int = SIDE, shift: tuple[float, float] = (0, 0)) -> NDArray:
    """Mean counts of a crystal stretched along x by ``exx`` and turned by ``theta``."""
    turn = np.array([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    stretch = np.diag([1 + exx, 1.0])
    vectors = np.linalg.inv(turn @ stretch).T @ np.array([A, B]).T
    image = np.full((side, side), 0.4)
    for h in range(-3, 4):
        for k in range(-3, 4):
            x, y = np.array(CENTRE) + shift + vectors @ (h, k)
            if -RADIUS < x < side + RADIUS and -RADIUS < y < side + RADIUS:
                height = 400.0 if h == k == 0 else 120.0 * np.exp(-0.12 * (h * h + k * k))
                image += height * disk(x, y, side)
    return image


def small_scan(path: Path, rows: int = 4, columns: int = 6, seed: int = 1) -> SmallScan:
    """Unstrained on the left, up to 2 % strain and 1 degree on the right."""
    exx = np.tile(np.concatenate([np.zeros(2), np.linspace(0, 0.02, columns - 2)]), (rows, 1))
    theta = np.deg2rad(exx / 0.02)
    random = np.random.default_rng(seed)
    means = [[pattern(exx[r, c], theta[r, c]) for c in range(columns)] for r in range(rows)]
    patterns = random.poisson(np.array(means)).astype(np.uint16)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("/entry/data/data", data=patterns, chunks=(1, 1, SIDE, SIDE))
        data.attrs.update(scan_step_nm=2.0, pixel_inv_angstrom=0.04)
    return SmallScan(path, patterns, exx, theta)


def correlation(**more) -> Parameters:
    """Parameters of 4D-STEM by correlation, the left of the scan unstrained."""
    return Parameters().with_strain(method="correlation", reference=(0, 4, 0, 2), **more)


def written(path: Path, patterns: NDArray, **attributes) -> str:
    """Location of patterns in a NeXus-like file."""
    with h5py.File(path, "w") as file:
        file.create_dataset("/entry/data/data", data=patterns).attrs.update(attributes)
    return str(path)


def cube(dtype: str = "uint16", pattern: tuple[int, int] = (10, 12)) -> NDArray:
    """A scan of 3 x 4 patterns of noise."""
    return np.random.default_rng(3).integers(0, 200, (3, 4, *pattern)).astype(dtype)


def frames_of(location: object, frame_axis: int | None = None) -> tuple[NDArray, SourceInfo]:
    """All frames of a source, and what it says of itself."""
    source = open_source(str(location), frame_axis)
    try:
        return np.stack([source.read(k) for k in range(source.info.frames)]), source.info
    finally:
        source.close()


def flat(values: NDArray) -> NDArray:
    """A cube as a series."""
    return values.reshape(-1, *values.shape[-2:])
