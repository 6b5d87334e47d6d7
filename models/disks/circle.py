"""The edge of a disk followed along spokes, and a circle laid through it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SPOKES = 48  # directions in which the edge is looked for
STEP = 0.25  # px along a spoke


class Circle(NamedTuple):
    """A disk found: centre and radius in px, levels inside and outside."""

    x: float
    y: float
    radius: float
    inside: float
    outside: float


def edge_points(values: Floats, good: Bools, circle: Circle) -> Floats:
    """(K, 2) x, y px where each spoke passes half its height; none through bad pixels."""
    angle = np.arange(SPOKES) * (2 * np.pi / SPOKES)
    reach = max(2.5, 0.45 * circle.radius)
    radii = np.arange(max(circle.radius - reach, 0.0), circle.radius + reach + STEP / 2, STEP)
    x = circle.x + radii * np.cos(angle)[:, None]
    y = circle.y + radii * np.sin(angle)[:, None]
    line = ndimage.map_coordinates(values, (y, x), order=1, mode="nearest")
    sure = ndimage.map_coordinates(good.astype(np.float64), (y, x), order=1, cval=0.0).min(1) > 0.999
    width = max(2, int(0.35 * len(radii)))
    inside, outside = np.median(line[:, :width], 1), np.median(line[:, -width:], 1)
    share = inside - outside > 0.2 * (circle.inside - circle.outside)
    half = 0.5 * (inside + outside)
    below = line < half[:, None]
    last = len(radii) - 1 - np.argmax(~below[:, ::-1], axis=1)  # the outermost sample over half height
    use = sure & share & (last < len(radii) - 1) & ~below.all(1)
    rows = np.flatnonzero(use)
    before, after = line[rows, last[rows]], line[rows, last[rows] + 1]
    at = radii[last[rows]] + STEP * (before - half[rows]) / np.maximum(before - after, 1e-12)
    return np.column_stack((circle.x + at * np.cos(angle[rows]), circle.y + at * np.sin(angle[rows])))


def fit_circle(points: Floats) -> tuple[float, float, float]:
    """Centre and radius: algebraic start (Kasa), then bisquare-weighted Gauss-Newton."""
    x, y = points.T
    rows = np.column_stack((x, y, np.ones_like(x)))
    solution = np.linalg.lstsq(rows, x**2 + y**2, rcond=None)[0]
    cx, cy = solution[:2] / 2
    radius = float(np.sqrt(max(solution[2] + cx**2 + cy**2, 1e-6)))
    for _ in range(8):
        dx, dy = x - cx, y - cy
        distance = np.maximum(np.hypot(dx, dy), 1e-9)
        off = distance - radius
        scale = 4.685 * max(1.4826 * float(np.median(np.abs(off - np.median(off)))), 0.02)
        weight = np.clip(1 - (off / scale) ** 2, 0, None) ** 2
        if (weight > 0).sum() < 4:
            weight = np.ones_like(off)
        jacobian = np.column_stack((dx / distance, dy / distance, np.ones_like(off)))
        step = np.linalg.lstsq(jacobian * weight[:, None], off * weight, rcond=None)[0]
        cx, cy, radius = cx + step[0], cy + step[1], radius + step[2]
    return float(cx), float(cy), float(radius)
