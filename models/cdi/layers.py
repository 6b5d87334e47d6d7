"""Volumes made ready for the screen: one byte a voxel, so that a slice is drawn without any arithmetic."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
Quantity = Literal["data", "modulus", "phase", "displacement", "strain"]
EMPTY = 255  # index of voxels without a value; colours are 0 to 254
COLOURS = 255
LOOKS: dict[Quantity, tuple[str, str]] = {  # colour map, unit
    "data": ("inferno", "counts"),
    "modulus": ("viridis", ""),
    "phase": ("romaO", "rad"),
    "displacement": ("vik", "Å"),
    "strain": ("vik", ""),
}
_SHOWN = 97.0  # % of the values lie within the colours of displacement and strain: surfaces are rough


@dataclass(frozen=True, slots=True)
class Layer:
    """``index`` (Z, Y, X) uint8: 0 to 254 along the colours, 255 = no value; ``values``: what is read off.

    ``low``, ``high``: values of the first and the last colour (of the data: their decadic logarithms);
    ``spacing``: relative size of a voxel along the axes; ``box``: first and last voxel of every axis between
    which there is something to see.
    """

    quantity: Quantity
    index: NDArray[np.uint8]
    values: NDArray
    low: float
    high: float
    box: Box
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def colormap(self) -> str:
        """Name of the colour map."""
        return LOOKS[self.quantity][0]

    @property
    def unit(self) -> str:
        """Of the values, empty without one."""
        return LOOKS[self.quantity][1]


def data_layer(intensity: NDArray, mask: NDArray[np.bool_] | None = None) -> Layer:
    """An intensity on a logarithmic scale: from one count, or a 1e-6th of the largest value, up."""
    good = np.isfinite(intensity) & (intensity >= 0)
    if mask is not None:
        good &= ~mask
    top = float(np.max(intensity, initial=0, where=good))
    floor = min(max(0.5, top * 1e-7), max(top / 10, 1e-30)) if top > 1 else max(top * 1e-6, 1e-30)
    low, high = np.log10(floor), np.log10(max(top, 10 * floor))
    logs = np.log10(np.maximum(np.where(good, intensity, floor), floor))
    return Layer(
        "data", _index(logs, low, high, good), intensity, float(low), float(high), _box(np.ones_like(good))
    )


def object_layer(
    quantity: Quantity,
    values: NDArray,
    inside: NDArray[np.bool_] | None = None,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Layer:
    """A quantity of an object: modulus from 0, phase modulo 2 pi on a circle, the others around 0.

    ``inside``: voxels with a value, default all that are finite.
    """
    good = np.isfinite(values) if inside is None else inside & np.isfinite(values)
    if quantity == "phase":
        low, high = -np.pi, np.pi
        shown = np.angle(np.exp(1j * np.where(good, values, 0)))
    else:
        some = np.abs(values[good])
        if quantity == "modulus":
            low, high = 0.0, float(some.max(initial=0)) or 1.0
        else:
            high = float(np.percentile(some, _SHOWN)) if some.size else 1.0
            high = high or 1.0
            low = -high
        shown = np.where(good, values, 0)
    seen = good & (shown > 0.1 * high) if quantity == "modulus" else good
    return Layer(quantity, _index(shown, low, high, good), values, low, high, _box(seen), spacing)


def _index(values: NDArray, low: float, high: float, good: NDArray[np.bool_]) -> NDArray[np.uint8]:
    scaled = np.clip((values - low) * (COLOURS / (high - low)), 0, COLOURS - 1)
    return np.where(good, scaled, EMPTY).astype(np.uint8)


def _box(seen: NDArray[np.bool_]) -> Box:
    sides = []
    for axis, n in enumerate(seen.shape):
        along = np.flatnonzero(seen.any(axis=tuple(a for a in range(3) if a != axis)))
        sides.append((int(along[0]), int(along[-1])) if along.size else (0, n - 1))
    return sides[0], sides[1], sides[2]
