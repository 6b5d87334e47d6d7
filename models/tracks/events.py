"""What happens to tracks: they split, merge, and come back. A second assignment, over whole tracks.

After the frame-to-frame step come events between tracks, as in Jaqaman et al., Nature Methods 5, 695
(2008), with evidence of diffraction: two phases of one grain start at one place and move apart, and share
what intensity there was. A merge is a split seen backwards.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggscope.models.tracks.assignment import match
from braggscope.models.tracks.kinship import common, exchanged, related
from braggscope.models.tracks.motion import P_VV, P_XV, P_XX, POSITION, SPEED
from braggscope.models.tracks.onset import EARLY, WINDOW, emerged, lag, seen

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
APART = 2.5  # sigma: from here on two peaks count as told apart
REACH = 5.5  # sigma: a new phase is first seen this near at the latest
FAR = 9.0  # sigma: the same where both prove to be of one grain
PEAKS = 8  # of a track that is to be called a new phase
TOGETHER = 5  # steps in which both must be seen: what takes the place of another is no new phase
PATIENCE = 100.0  # steps in which the separation, at its first speed, must have come from nothing
DROP, KEPT = 0.2, 0.25  # share of its intensity that a parent loses at once, and what the sum may be off


class Lines(NamedTuple):
    """All tracks, row after row: track k holds rows ``start[k]`` to ``start[k + 1]``, by rising step.

    ``along``, ``down`` (N, 5): smoothed states of x and y. ``sigma`` (N,) px, ``flux`` (N,) counts px^2 and
    ``snr`` (N,), height / sqrt(background): NaN where a peak has no fit.
    """

    start: Integers
    step: Integers
    along: Floats
    down: Floats
    sigma: Floats
    flux: Floats
    snr: Floats

    def reversed(self) -> "Lines":
        """Time runs backwards, and so do the numbers of the tracks."""
        start, step = len(self.step) - self.start[::-1], -self.step[::-1]
        columns = (np.ascontiguousarray(column[::-1]) for column in self[2:])
        return Lines(start, np.ascontiguousarray(step), *columns)


def splits(lines: Lines, kin: bool = True) -> tuple[Integers, Floats]:
    """(K,) parent of every track, -1 for none, and the step at which both are seen apart (NaN).

    ``kin``: also where nothing is seen of the parting, but both are of one grain (:mod:`.kinship`).
    """
    n = len(lines.start) - 1
    parent, when = np.full(n, -1, np.int64), np.full(n, np.nan)
    child, other = _neighbours(lines)
    if not len(child):
        return parent, when
    onset, cost = _judge(child, other, kin, *lines)
    for e in np.argsort(-cost, kind="stable"):  # the cheapest comes last and stays
        if np.isfinite(cost[e]):
            parent[child[e]], when[child[e]] = other[e], onset[e]
    return parent, when


def _neighbours(lines: Lines) -> tuple[Integers, Integers]:
    """Pairs (new track, track that was there before) that are near each other when the first begins."""
    begins, counts = lines.start[:-1], np.diff(lines.start)
    born = np.flatnonzero((lines.step[begins] > lines.step.min(initial=0)) & (counts >= PEAKS))
    if not len(born) or np.isnan(lines.sigma).all():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    reach = FAR * float(np.nanquantile(lines.sigma, 0.9))
    places = np.column_stack((lines.along[:, POSITION], lines.down[:, POSITION], lines.step * (reach / 2.5)))
    owner = np.repeat(np.arange(len(counts)), counts)
    found = cKDTree(places).query_ball_point(places[begins[born]], reach)
    child = np.repeat(born, [len(rows) for rows in found])
    other = owner[np.concatenate([np.asarray(rows, np.int64) for rows in found])]
    older = lines.step[begins[other]] < lines.step[begins[child]]
    pairs = np.unique(np.column_stack((child, other))[older], axis=0)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


@njit(cache=True, nogil=True)
def _judge(
    child: Integers, other: Integers, kin: bool, start: Integers, step: Integers, along: Floats, down: Floats,
    sigma: Floats, flux: Floats, snr: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    """(E,) step of the split and cost of every pair, infinite where there was none."""
    onset, cost = np.full(len(child), np.nan), np.full(len(child), np.inf)
    for e in range(len(child)):
        a, b = start[child[e]], start[child[e] + 1]
        pa, pb = start[other[e]], start[other[e] + 1]
        when, apart = _separation(a, b, pa, pb, step, along, down)
        if len(when) < 3 or _together(a, b, pa, pb, step) < TOGETHER:
            continue
        width = _mean(sigma, step, pa, pb, step[a] - EARLY, step[a] + EARLY) ** 2
        size = np.sqrt((width + _mean(sigma, step, a, b, step[a], step[a] + EARLY) ** 2) / 2)
        first, rate = _line(when, apart)
        if not first <= FAR * size:  # or one of them has no width: too little is known of it
            continue
        error = np.sqrt(along[a, P_XX] + down[a, P_XX])
        moves = rate * min(when[-1], EARLY) > max(2.0 * error, 0.3)
        near = first <= REACH * size
        if near and moves and first - APART * size < PATIENCE * rate:
            onset[e] = max(step[a] - lag(when, apart, APART * size), seen(a, b, step, snr))
        elif near and _shares(a, b, pa, pb, step, flux):
            onset[e] = step[a]
        elif kin and (
            related(*common(a, b, pa, pb, step, flux), flux, sigma)
            or exchanged(*common(a, b, pa, pb, step, flux), pa, step, flux, sigma)
        ):
            onset[e] = emerged(*common(a, b, pa, pb, step, flux), pa, step, flux, snr)
        else:
            continue
        cost[e] = first / size
    return onset, cost


@njit(cache=True, nogil=True)
def _together(a: int, b: int, pa: int, pb: int, step: Integers) -> int:
    """Steps in which both tracks have a peak."""
    n, p = 0, pa
    for row in range(a, b):
        while p < pb and step[p] < step[row]:
            p += 1
        n += p < pb and step[p] == step[row]
    return n


@njit(cache=True, nogil=True)
def _separation(
    a: int, b: int, pa: int, pb: int, step: Integers, along: Floats, down: Floats
) -> tuple[Floats, Floats]:
    """Steps since the child began, and px between it and its parent, while both are there."""
    when, apart = np.empty(b - a), np.empty(b - a)
    n, p = 0, pa
    for row in range(a, b):
        if step[row] > min(step[a] + WINDOW, step[pb - 1]):
            break
        while p + 1 < pb - 1 and step[p + 1] < step[row]:
            p += 1
        q = min(p + 1, pb - 1)
        span = step[q] - step[p]
        share = (step[row] - step[p]) / span if span > 0 else 0.0
        x = along[p, POSITION] + share * (along[q, POSITION] - along[p, POSITION])
        y = down[p, POSITION] + share * (down[q, POSITION] - down[p, POSITION])
        when[n] = step[row] - step[a]
        apart[n] = np.hypot(along[row, POSITION] - x, down[row, POSITION] - y)
        n += 1
    return when[:n], apart[:n]


@njit(cache=True, nogil=True)
def _line(when: Floats, apart: Floats) -> tuple[float, float]:
    """Separation at the birth and its growth per step, from a straight line through the first steps."""
    n = np.searchsorted(when, EARLY + 0.5)
    t, d = when[:n], apart[:n]
    spread = ((t - t.mean()) ** 2).sum()
    rate = ((t - t.mean()) * (d - d.mean())).sum() / spread if spread > 0 else 0.0
    return d.mean() - rate * t.mean(), rate


@njit(cache=True, nogil=True)
def _mean(values: Floats, step: Integers, a: int, b: int, low: int, high: int) -> float:
    """Mean of what is known in the rows of a track with low <= step < high; NaN where nothing is."""
    total, n = 0.0, 0
    for row in range(a, b):
        if low <= step[row] < high and not np.isnan(values[row]):
            total += values[row]
            n += 1
    return total / n if n else np.nan


@njit(cache=True, nogil=True)
def _shares(a: int, b: int, pa: int, pb: int, step: Integers, flux: Floats) -> bool:
    """Whether the parent lost at once what the child has: a split that is over within a frame."""
    born = step[a]
    if step[pa] > born - 3 or step[pb - 1] < born + 2:
        return False
    before = _mean(flux, step, pa, pb, born - 5, born)
    after, new = _mean(flux, step, pa, pb, born, born + 5), _mean(flux, step, a, b, born, born + 5)
    return after < (1 - DROP) * before and abs(after + new - before) < KEPT * before


def returns(lines: Lines, q: Floats, parent: Integers, gap: int, again: int, gate: float) -> Integers:
    """(K,) the track that every track continues, -1 for none: the same spot, seen again after a long gap.

    The rule: it ended more than ``gap`` and at most ``again`` steps before; moving on as it did, it would be
    within three sigma and five gates of where the new one begins, which is no split. One old track for one
    new, at the least total cost.
    """
    begins, ends = lines.start[:-1], lines.start[1:] - 1
    continues = np.full(len(begins), -1, np.int64)
    if not len(begins):
        return continues
    reach = 5.0 * gate
    old, new = _candidates(lines, reach, again)
    wait = (lines.step[begins[new]] - lines.step[ends[old]]).astype(np.float64)
    square, variance = np.zeros(len(old)), np.ones(len(old))
    far = np.zeros(len(old))
    for axis, restless in ((lines.along, q[old, 0]), (lines.down, q[old, 1])):
        end, begin = axis[ends[old]], axis[begins[new]]
        spread = end[:, P_XX] + 2 * wait * end[:, P_XV] + wait**2 * end[:, P_VV] + restless * wait**3 / 3
        spread = spread + begin[:, P_XX]
        miss = begin[:, POSITION] - end[:, POSITION] - wait * end[:, SPEED]
        square, variance, far = square + miss**2 / spread, variance * spread, far + miss**2
    fits = (wait > gap + 1) & (wait <= again) & (square < 9) & (far < reach**2) & (parent[new] < 0)
    cost = 0.5 * (square + np.log(variance)) - 30.0  # any link is better than none
    partner = match(new[fits], old[fits], cost[fits], len(begins), len(begins), 0.0)
    return np.where(partner >= 0, partner, continues)


def _candidates(lines: Lines, reach: float, again: int) -> tuple[Integers, Integers]:
    """(old, new) tracks of which the second begins near the end of the first, soon after it."""
    begins, ends = lines.start[:-1], lines.start[1:] - 1
    scale = reach / max(again, 1)

    def places(rows: Integers) -> Floats:
        return np.column_stack(
            (lines.along[rows, POSITION], lines.down[rows, POSITION], lines.step[rows] * scale)
        )

    reachable = cKDTree(places(begins)).query_ball_point(places(ends), 2.0 * reach)
    old = np.repeat(np.arange(len(ends)), [len(found) for found in reachable])
    new = np.concatenate([np.asarray(found, np.int64) for found in reachable])
    later = lines.step[begins[new]] > lines.step[ends[old]]
    return old[later], new[later]
