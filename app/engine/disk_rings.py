"""The ellipse of the camera from a ring of disks: which ring stands by itself, and how well it tells."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.calibrate import origins
from braggscope.models.disks.results import Disks, Floats

BIN = 0.25  # px of radius
RARE = 0.03  # of the fullest bin: fewer disks make no ring
APART = 0.05  # of its radius: what a ring must be free of on both sides, and how wide it may be
MOST = 1.05  # ratio of the axes: a ring that would need more is rather two orders in one
TURN = np.radians(5.0)  # within which directions are one
GAP = np.radians(80.0)  # between neighbouring directions, at most
FEWEST = 3  # directions, opposite ones being the same: an ellipse has three unknowns
TIGHT = 0.01  # of its radius: how far the disks of one direction may lie from those of another
PARTS = 16  # of the scan, for the error
NONE = (
    "No ring of disks stands by itself and shows three directions, so an ellipse cannot be told from the"
    " crystal's own shape; take a square or hexagonal lattice where it is one, or type the radii of a ring"
)


class Ring(NamedTuple):
    """``ratio`` of the axes (>= 1), its 1 sigma; ``angle`` of the long one / rad; radii / px; centre x, y."""

    ratio: float
    error: float
    angle: float
    inner: float
    outer: float
    centre: tuple[float, float]


def measure_ring(disks: Disks, inner: float | None = None, outer: float | None = None) -> Ring:
    """Ellipse of the ring between two radii in px, or of the innermost that stands by itself.

    The error is that of the mean of parts of the scan. Raises ValueError where there is no such ring.
    """
    places = origins(disks, (int(disks.pattern.max(initial=0)) + 1, 1), "measured")
    x, y = np.nanmedian(places, axis=0)
    centre = float(x), float(y)
    along, across = disks.x - places[disks.pattern, 0], disks.y - places[disks.pattern, 1]
    if inner is not None and outer is not None:
        return _measured(along, across, disks.pattern, centre, inner, outer)
    for low, high in single_rings(np.hypot(along, across), np.arctan2(across, along)):
        if (inner or 0.0) <= low and high <= (outer or np.inf):
            found = _measured(along, across, disks.pattern, centre, low, high)
            if found.ratio <= MOST and _of_one_order(along, across, found):
                return found
    raise ValueError(NONE)


def single_rings(radius: Floats, angle: Floats) -> list[tuple[float, float]]:
    """Radii between which disks at ``radius``, ``angle`` (N,) make one narrow ring of three directions."""
    counts = np.bincount((radius / BIN).astype(np.int64))
    full = np.flatnonzero(counts > RARE * counts.max())
    runs = np.split(full, np.flatnonzero(np.diff(full) > 1) + 1)
    edges = [(run[0] * BIN, (run[-1] + 1) * BIN) for run in runs]
    joined: list[tuple[float, float]] = []
    for low, high in edges:
        if joined and low - joined[-1][1] < APART * low:
            joined[-1] = joined[-1][0], high
        else:
            joined.append((low, high))
    found = []
    for low, high in joined:
        within = (radius >= low) & (radius <= high)
        # what lies next to it is further off than its own width, so some room can be left around it
        if low > 0 and high - low < 2 * APART * high and _directions(angle[within]):
            found.append((low * (1 - APART / 2), high * (1 + APART / 2)))
    return found


def _directions(angle: Floats) -> bool:
    """Whether angles show enough directions, none too far from the next."""
    turns = np.sort(angle % np.pi)
    steps = np.diff(np.append(turns, turns[0] + np.pi))
    return int(np.sum(steps > TURN)) >= FEWEST and bool(steps.max() < GAP)


def _measured(
    along: Floats, across: Floats, number: NDArray[np.int64], centre: tuple[float, float], inner: float,
    outer: float,
) -> Ring:  # fmt: skip
    """Ellipse of all disks in a ring, with the spread among parts of the scan. Raises ValueError."""
    distance = np.hypot(along, across)
    within = (distance >= inner) & (distance <= outer)
    along, across, number = along[within], across[within], number[within]
    if len(along) < FEWEST or not _directions(np.arctan2(across, along)):
        raise ValueError("These radii hold no ring that shows three directions; choose others")
    stretch = _stretch(along, across)
    parts = np.array_split(np.unique(number), min(PARTS, len(np.unique(number))))
    ways = []
    for part in parts:
        some = np.isin(number, part)
        if _directions(np.arctan2(across[some], along[some])):
            ways.append(_stretch(along[some], across[some]))
    error = np.nan
    if len(ways) > 1:
        error = float(np.sqrt(np.var(ways, ddof=1) / len(ways)))
    return Ring(1 + abs(stretch), error, float(np.angle(stretch)) / 2, inner, outer, centre)


def _stretch(along: Floats, across: Floats) -> complex:
    """Ratio of the axes less 1, at twice the angle of the long one: 1 / r^2 = u Q u by least squares."""
    distance, turn = np.hypot(along, across), np.arctan2(across, along)
    rows = np.column_stack((np.cos(turn) ** 2, np.sin(2 * turn), np.sin(turn) ** 2))
    xx, xy, yy = np.linalg.lstsq(rows * distance[:, None] ** 3, distance, rcond=None)[0]
    short, long = np.linalg.eigvalsh([[xx, xy], [xy, yy]])[::-1]
    if long <= 0:
        raise ValueError("These disks lie on no ellipse; choose other radii")
    return complex((np.sqrt(short / long) - 1) * np.exp(1j * np.arctan2(-2 * xy, yy - xx)))


def _of_one_order(along: Floats, across: Floats, ring: Ring) -> bool:
    """Whether the disks of every direction lie on the ellipse: two orders in one ring do not."""
    distance, turn = np.hypot(along, across), np.arctan2(across, along)
    some = (distance >= ring.inner) & (distance <= ring.outer)
    off = turn - ring.angle
    round_ = distance * np.hypot(np.cos(off) / np.sqrt(ring.ratio), np.sin(off) * np.sqrt(ring.ratio))
    order = np.argsort(turn[some])
    groups = np.split(round_[some][order], np.flatnonzero(np.diff(turn[some][order]) > TURN) + 1)
    means = np.array([np.median(group) for group in groups])
    return bool(np.ptp(means) < TIGHT * means.mean())
