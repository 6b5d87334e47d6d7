"""What is found in the patterns of a scan, position by position, and how a journal holds it."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.results import Disks, LatticeMap

VERSION = "disks-1"  # of what is packed; rename it with every change
IMAGES = ("bright_field", "dark_field")  # virtual images that every pass brings along
_HEAD = struct.Struct("<II")
_COLUMNS = ("x", "y", "x_err", "y_err", "intensity", "score")
_LATTICE = 6 + 36 + 2  # values, covariance, residual, valid


@dataclass(frozen=True, slots=True)
class Found:
    """Disks and lattices of B patterns. ``disks.pattern``: position in the scan, here and in all others.

    ``positions`` (B,); ``images`` (B, 2) counts, see ``IMAGES``; ``lattices``: of the B patterns, where the
    method fits the lattice itself, else None.
    """

    positions: NDArray[np.int64]
    disks: Disks
    images: NDArray[np.float64]
    lattices: LatticeMap | None

    def packed(self) -> list[tuple[int, bytes]]:
        """Every position with its record."""
        table = np.stack([getattr(self.disks, name) for name in _COLUMNS], axis=1)
        ends = np.searchsorted(self.disks.pattern, self.positions + 1)
        starts = np.searchsorted(self.disks.pattern, self.positions)
        return [
            (int(p), _pack(table[a:b], self.images[k], _numbers(self.lattices, k)))
            for k, (p, a, b) in enumerate(zip(self.positions, starts, ends, strict=True))
        ]

    @classmethod
    def unpacked(cls, records: list[tuple[int, bytes]]) -> "Found":
        """Inverse of :meth:`packed`, by rising position. Raises ValueError for what is no record."""
        records = sorted(records)
        positions = np.array([p for p, _ in records], np.int64)
        parts = [_unpack(data) for _, data in records]
        counts = np.array([len(table) for table, _, _ in parts], np.int64)
        table = np.concatenate([t for t, _, _ in parts]) if parts else np.empty((0, len(_COLUMNS)))
        disks = Disks(np.repeat(positions, counts), *np.ascontiguousarray(table.T))
        images = np.array([i for _, i, _ in parts]).reshape(len(parts), len(IMAGES))
        numbers = [n for _, _, n in parts]
        fitted = bool(parts) and all(len(n) for n in numbers)
        return cls(positions, disks, images, _lattices(np.array(numbers)) if fitted else None)

    @classmethod
    def join(cls, parts: list["Found"]) -> "Found":
        """All of them by rising position."""
        if not parts:
            return cls(np.empty(0, np.int64), Disks.empty(), np.empty((0, len(IMAGES))), None)
        positions = np.concatenate([p.positions for p in parts])
        order = np.argsort(positions, kind="stable")
        disks = Disks.join([p.disks for p in parts])
        maps = [p.lattices for p in parts if p.lattices is not None]
        lattices = None
        if len(maps) == len(parts):
            names = LatticeMap.__dataclass_fields__
            lattices = LatticeMap(*(np.concatenate([getattr(m, n) for m in maps])[order] for n in names))
        return cls(
            positions[order],
            disks.take(np.argsort(disks.pattern, kind="stable")),
            np.concatenate([p.images for p in parts])[order],
            lattices,
        )


def _numbers(lattices: LatticeMap | None, k: int) -> NDArray[np.float64]:
    if lattices is None:
        return np.empty(0)
    ends = lattices.residual[k], float(lattices.count[k]) * (1 if lattices.valid[k] else -1)
    return np.concatenate([lattices.values[k], lattices.covariance[k].ravel(), ends])


def _lattices(numbers: NDArray[np.float64]) -> LatticeMap:
    values, covariance = numbers[:, :6], numbers[:, 6:42].reshape(-1, 6, 6)
    signed = numbers[:, 43]
    return LatticeMap(values, covariance, numbers[:, 42], np.abs(signed).astype(np.int64), signed > 0)


def _pack(table: NDArray[np.float64], images: NDArray[np.float64], lattice: NDArray[np.float64]) -> bytes:
    parts = (np.ascontiguousarray(part, "<f8").tobytes() for part in (images, lattice, table))
    return _HEAD.pack(len(table), len(lattice)) + b"".join(parts)


def _unpack(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    rows, numbers = _HEAD.unpack_from(data)
    if numbers not in (0, _LATTICE):
        raise ValueError("a record of another kind")
    values = np.frombuffer(data, "<f8", offset=_HEAD.size)
    images, lattice, table = np.split(values, np.cumsum([len(IMAGES), numbers]))
    return table.reshape(rows, len(_COLUMNS)), images, lattice
