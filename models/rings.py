"""Where a ring of constant scattering angle lies on a detector: a conic, cut to the frame."""

import numpy as np
from numpy.typing import NDArray

from braggscope.models.geometry import Instrument

TOLERANCE_PX = 0.05  # how far a line may lie from the true curve
ROUNDS = 14  # of halving steps
Curve = NDArray[np.float64]


def ring_curve(instrument: Instrument, two_theta: float, shape: tuple[int, int]) -> Curve:
    """Points (N, 2) of (x, y) px of a ring on a frame of ``shape`` (rows, columns); NaN rows break pieces.

    The polygon lies within 0.05 px of the curve and ends on the outer edges of the frame's pixels.
    Empty where the ring misses the frame.
    """
    azimuth = np.linspace(-np.pi, np.pi, 361)
    points = _points(instrument, two_theta, azimuth)
    for _ in range(ROUNDS):
        middle = (azimuth[1:] + azimuth[:-1]) / 2
        between = _points(instrument, two_theta, middle)
        rough = _may_be_seen(points, between, shape) & ~(_offset(points, between) <= TOLERANCE_PX)
        if not rough.any():
            break
        places = np.flatnonzero(rough) + 1
        azimuth = np.insert(azimuth, places, middle[rough])
        points = np.insert(points, places, between[rough], axis=0)
    return clip_curve(points, shape)


def _points(instrument: Instrument, two_theta: float, azimuth: Curve) -> Curve:
    """(N, 2) pixel positions; NaN where the ray runs away from the detector."""
    across = np.sin(two_theta)
    along = np.full_like(azimuth, np.cos(two_theta))
    rays = np.stack([across * np.cos(azimuth), across * np.sin(azimuth), along], axis=-1)
    return np.stack(instrument.pixel_of(rays), axis=-1)


def _offset(points: Curve, between: Curve) -> Curve:
    """(N - 1,) distance in px of the curve, half way in azimuth, from its chord; NaN at a loose end."""
    start, step = points[:-1], np.diff(points, axis=0)
    away = between - start
    length = np.hypot(step[:, 0], step[:, 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.abs(step[:, 0] * away[:, 1] - step[:, 1] * away[:, 0]) / length


def _may_be_seen(points: Curve, between: Curve, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(N - 1,) whether a stretch may reach the frame: its box does, or one of its ends is at infinity."""
    three = np.stack([points[:-1], between, points[1:]])
    low, high = np.fmin.reduce(three), np.fmax.reduce(three)
    reach = high - low  # a bent stretch may leave the box of its three points
    frame = np.array([shape[1], shape[0]])
    return np.all((low - reach < frame) & (high + reach > -1), axis=1)


def clip_curve(points: Curve, shape: tuple[int, int]) -> Curve:
    """The part of a polygon (N, 2) inside a frame, (M, 2), NaN between pieces (Liang and Barsky 1984)."""
    start, step = points[:-1], np.diff(points, axis=0)
    enter, leave = np.zeros(len(step)), np.ones(len(step))
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis, size in ((0, shape[1]), (1, shape[0])):
            to_low = (-0.5 - start[:, axis]) / step[:, axis]
            to_high = (size - 0.5 - start[:, axis]) / step[:, axis]
            still = step[:, axis] == 0
            inside = (start[:, axis] >= -0.5) & (start[:, axis] <= size - 0.5)
            first = np.where(still, np.where(inside, -np.inf, np.inf), np.minimum(to_low, to_high))
            last = np.where(still, np.inf, np.maximum(to_low, to_high))
            enter, leave = np.maximum(enter, first), np.minimum(leave, last)
        seen = np.flatnonzero(enter < leave)
    if not len(seen):
        return np.empty((0, 2))
    starts = start[seen] + enter[seen, None] * step[seen]
    ends = start[seen] + leave[seen, None] * step[seen]
    joined = (np.diff(seen) == 1) & (leave[seen[:-1]] == 1) & (enter[seen[1:]] == 0)
    rows = [starts[:1]]
    for i, runs_on in enumerate([*joined, True]):
        rows.append(ends[i : i + 1])
        if not runs_on:
            rows += [np.full((1, 2), np.nan), starts[i + 1 : i + 2]]
    return np.concatenate(rows)
