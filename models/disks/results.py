"""Value types of 4D-STEM: probes, disks, lattices, strain. Pixel centre = integer, x = column, y = row."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Probe:
    """The undiffracted disk. ``image`` (S, S) float32 of sum 1, its centre on the pixel (S // 2, S // 2).

    ``radius`` px at half height, ``edge`` px: from 90 to 10 % of the height, ``centre`` (x, y) px: where it
    stood in the pattern it was taken from. ``source``: in words.
    """

    image: NDArray[np.float32]
    radius: float
    edge: float
    centre: tuple[float, float]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Disks:
    """Disks of many patterns, rows ordered by pattern, then by falling ``score``. All arrays (N,).

    ``pattern`` int64: 0-based position in the scan, row-major. ``x, y`` float64 px; ``x_err, y_err`` 1 sigma,
    NaN where the method has none; ``intensity`` counts above the surroundings; ``score``: height of the
    correlation or visibility of the network, >= 0.
    """

    pattern: NDArray[np.int64]
    x: Floats
    y: Floats
    x_err: Floats
    y_err: Floats
    intensity: Floats
    score: Floats

    def __len__(self) -> int:
        return len(self.pattern)

    def of(self, pattern: int) -> Self:
        """Disks of one pattern."""
        first, last = np.searchsorted(self.pattern, (pattern, pattern + 1))
        return self.take(slice(first, last))

    def take(self, rows: NDArray | slice) -> Self:
        """Some rows."""
        return type(self)(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    @classmethod
    def join(cls, parts: list["Disks"]) -> "Disks":
        """Rows of several, one after the other."""
        if not parts:
            return cls.empty()
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in cls.__dataclass_fields__))

    @classmethod
    def empty(cls) -> "Disks":
        """No disks."""
        none = np.empty(0)
        return cls(np.empty(0, np.int64), none, none, none, none, none, none)


@dataclass(frozen=True, slots=True)
class Lattice:
    """Reciprocal lattice in a pattern: disk (h, k) lies at origin + h a + k b; px, order (x, y)."""

    origin: tuple[float, float]
    a: tuple[float, float]
    b: tuple[float, float]

    @property
    def matrix(self) -> Floats:
        """(2, 2): columns a and b."""
        return np.array([self.a, self.b], np.float64).T


@dataclass(frozen=True, slots=True)
class LatticeMap:
    """A lattice for every pattern, flattened scan, N = rows x columns.

    ``values`` (N, 6) px: x0 y0 ax ay bx by; ``covariance`` (N, 6, 6) px^2; ``residual`` (N,) px: rms distance
    of disks from the lattice; ``count`` (N,) int64 disks used; ``valid`` (N,) bool. NaN where not valid.
    """

    values: Floats
    covariance: Floats
    residual: Floats
    count: NDArray[np.int64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StrainMap:
    """Strain for every scan position, (rows, columns) float32, NaN outside ``valid``; ``*_err`` 1 sigma.

    Biot strain U - I of F = R U, F = (G G0^-1)^-T with reciprocal vectors as columns; tension positive. x is
    along the columns, y along the rows of the pattern, unless ``frame`` (rad) turns them. ``theta``: angle
    of R / rad from +x towards +y. ``reference``: the lattice called unstrained.
    """

    exx: NDArray[np.float32]
    eyy: NDArray[np.float32]
    exy: NDArray[np.float32]
    theta: NDArray[np.float32]
    exx_err: NDArray[np.float32]
    eyy_err: NDArray[np.float32]
    exy_err: NDArray[np.float32]
    theta_err: NDArray[np.float32]
    valid: NDArray[np.bool_]
    reference: Lattice
    frame: float = 0.0
