"""The surface of a volume as triangles.

Naive surface nets (Gibson, MICCAI 1998): one vertex in every cell of eight voxels that the surface crosses,
at the mean of its crossings with the cell's edges, and a quadrilateral for every crossed edge.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

_CORNERS = tuple(product((0, 1), repeat=3))
_EDGES = tuple(
    (a, b)
    for a in _CORNERS
    for b in _CORNERS
    if a < b and sum(abs(i - j) for i, j in zip(a, b, strict=True)) == 1
)


@dataclass(frozen=True, slots=True)
class Surface:
    """``vertices`` (N, 3) float32 in voxels (z, y, x); ``faces`` (M, 3) int32, seen from outside
    counter-clockwise in a right-handed (z, y, x) frame; ``normals`` (N, 3) float32 outwards, length 1.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    normals: NDArray[np.float32]


def surface_of(volume: NDArray, level: float) -> Surface:
    """Where ``volume`` (Z, Y, X) crosses ``level``; larger values are inside. Empty where it does not."""
    import scipy.ndimage as ndimage  # here: the window knows what a scene is before it knows SciPy

    padded = np.pad(np.asarray(volume, np.float32), 1)
    inside = padded > level
    box = ndimage.find_objects(inside.astype(np.int8))
    if not box:
        none = np.zeros((0, 3), np.float32)
        return Surface(none, np.zeros((0, 3), np.int32), none)
    cut = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box[0])
    values, inside = padded[cut] - np.float32(level), inside[cut]
    start = np.array([s.start - 1 for s in cut], np.float32)
    index, vertices = _vertices(values, inside)
    faces = np.concatenate([_quads(inside, index, axis) for axis in range(3)])
    return Surface(vertices + start, faces, _normals(vertices, faces))


def sampled(volume: NDArray, surface: Surface, depth: float = 1.0) -> NDArray[np.float32]:
    """(N,) values of a volume a little under the surface, where NaN is outside: the nearest value counts."""
    import scipy.ndimage as ndimage

    unknown = ~np.isfinite(volume)
    filled = np.asarray(volume, np.float32)
    if unknown.all():
        return np.full(len(surface.vertices), np.nan, np.float32)
    if unknown.any():
        nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
        filled = filled[tuple(nearest)]
    places = (surface.vertices - depth * surface.normals).T
    out: NDArray[np.float32] = ndimage.map_coordinates(filled, places, order=1, mode="nearest")
    return out


def _vertices(
    values: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """(number of the vertex of every cell, or -1; places of the vertices)."""
    shape = tuple(n - 1 for n in values.shape)

    def corner(of: NDArray, at: tuple[int, ...]) -> NDArray:
        return of[tuple(slice(c, c + n) for c, n in zip(at, shape, strict=True))]

    total, count = np.zeros((3, *shape), np.float32), np.zeros(shape, np.float32)
    for a, b in _EDGES:
        crossed = corner(inside, a) != corner(inside, b)
        low, high = corner(values, a), corner(values, b)
        share = np.where(crossed, low / np.where(crossed, low - high, 1), 0)
        for axis in range(3):
            total[axis] += np.where(crossed, a[axis] + share * (b[axis] - a[axis]), 0)
        count += crossed
    cells = np.argwhere(count > 0)
    index = np.full(shape, -1, np.int32)
    index[tuple(cells.T)] = np.arange(len(cells))
    at = tuple(cells.T)
    return index, (cells + np.stack([part[at] / count[at] for part in total], axis=1)).astype(np.float32)


def _quads(inside: NDArray[np.bool_], index: NDArray[np.int32], axis: int) -> NDArray[np.int32]:
    """Two triangles for every crossed edge along an axis."""
    second, third = (axis + 1) % 3, (axis + 2) % 3
    here: list[slice] = [slice(None)] * 3
    there = list(here)
    here[axis], there[axis] = slice(None, -1), slice(1, None)
    low, high = inside[tuple(here)], inside[tuple(there)]
    places = np.argwhere(low != high)
    places = places[(places[:, second] > 0) & (places[:, third] > 0)]
    outwards = low[tuple(places.T)]
    around = []
    for i, j in ((0, 0), (1, 0), (1, 1), (0, 1)):
        cell = places.copy()
        cell[:, second] -= 1 - i
        cell[:, third] -= 1 - j
        around.append(index[tuple(cell.T)])
    a, b, c, d = around
    b, d = np.where(outwards, b, d), np.where(outwards, d, b)
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)


def _normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Mean normals of the triangles around every vertex, weighted by their areas."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, k], across[:, axis], len(vertices))
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return (total / np.maximum(length, 1e-12)).astype(np.float32)
