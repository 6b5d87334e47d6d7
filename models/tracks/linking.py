"""Frame after frame: every track is predicted, and all peaks of the frame are given out at once."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.tracks.assignment import match
from braggscope.models.tracks.motion import P_VV, P_XX, POSITION, predict, update

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
CALM = 100.0  # how much more restless than most a track may become
FREEDOM = 3.0  # of Student's t: jumps are rarer than small steps, but no outlier is impossible
_X, _Y, _BRIGHT, _WIDTH, _RESTLESS, _LAST = 0, 5, 10, 11, 12, 13  # where the state of a track holds what
_STATE = 14


class Motion(NamedTuple):
    """What the spots of a series do between two frames, and what it costs to believe otherwise.

    ``q`` px^2/step^3: white acceleration. ``speed`` px/step: spread of velocities. ``bright``, ``width``:
    spread of the logarithms from frame to frame. ``alone``: cost at which a link is not believed.
    """

    q: float
    speed: float
    bright: float
    width: float
    alone: float


class Spots(NamedTuple):
    """Peaks in canonical order, by rising step: ``start`` (T + 1,) first row of every frame, ``step`` (T,)
    its time; the others (N,): position and variance px, logarithms of brightness and width, height over the
    noise of the background (NaN unknown).
    """

    start: Integers
    step: Integers
    x: Floats
    y: Floats
    var_x: Floats
    var_y: Floats
    bright: Floats
    width: Floats
    snr: Floats


@njit(cache=True, nogil=True)
def follow(spots: Spots, motion: Motion, gate: float, gap: int) -> Integers:
    """(N,) number of the track of every row; numbers rise with the first row of the track.

    ``gate`` px: farthest a peak may be from where its track is expected. ``gap``: steps that a track may
    miss. Peaks of a frame are given to tracks at the least total cost: minus the logarithm of Student's t of
    the distance in units of its expected error, and likewise of brightness and width.
    """
    n = len(spots.x)
    track = np.full(n, -1, np.int64)
    room = _room(spots.start, spots.step, gap)
    state = np.zeros((room, _STATE))
    name = np.full(room, -1, np.int64)
    active = np.empty(room, np.int64)
    free = np.arange(room)[::-1].copy()
    n_active, n_free, names = 0, room, 0
    grid = _grid(spots.x, spots.y, gate)
    heads, following = np.full(int(grid[4] * grid[5]), -1, np.int64), np.full(n, -1, np.int64)
    for t in range(len(spots.step)):
        a, b, now = spots.start[t], spots.start[t + 1], spots.step[t]
        n_active, n_free = _retire(state, active, n_active, free, n_free, now - gap - 1)
        if t > 0:
            _advance(state, active, n_active, float(now - spots.step[t - 1]), motion.q)
        _fill(heads, following, spots, a, b, grid)
        left, right, cost = _edges(state, active, n_active, heads, following, spots, a, grid, gate, motion)
        _clear(heads, spots, a, b, grid)
        partner = match(left, right, cost, n_active, b - a, motion.alone)
        for k in range(n_active):
            if partner[k] >= 0:
                row = a + partner[k]
                _absorb(state[active[k]], spots, row, now)
                track[row] = name[active[k]]
        for row in range(a, b):
            if track[row] < 0:
                n_free -= 1
                slot = free[n_free]
                _begin(state[slot], spots, row, now, motion)
                track[row] = name[slot] = names
                names += 1
                active[n_active] = slot
                n_active += 1
    return track


@njit(cache=True, nogil=True)
def _retire(
    state: Floats, active: Integers, n_active: int, free: Integers, n_free: int, oldest: int
) -> tuple[int, int]:
    """Tracks last seen before ``oldest`` give their place back; how many are active, and places free."""
    kept = 0
    for k in range(n_active):
        slot = active[k]
        if state[slot, _LAST] < oldest:
            free[n_free] = slot
            n_free += 1
        else:
            active[kept] = slot
            kept += 1
    return kept, n_free


@njit(cache=True, nogil=True)
def _room(start: Integers, step: Integers, gap: int) -> int:
    """Largest number of tracks that can be alive at once."""
    most, first = 0, 0
    for t in range(len(step)):
        while step[t] - step[first] > gap + 1:
            first += 1
        most = max(most, start[t + 1] - start[first])
    return most


@njit(cache=True, nogil=True)
def _grid(x: Floats, y: Floats, gate: float) -> Floats:
    """Corner x and y, cells per px, border, columns, rows of a grid over all peaks."""
    if not len(x):
        return np.array([0.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    wide, high = x.max() - x.min(), y.max() - y.min()
    cell = max(gate, np.sqrt(max(wide, 1.0) * max(high, 1.0) / 1e6))  # a million cells at most, about
    return np.array([x.min(), y.min(), 1 / cell, cell, np.floor(wide / cell) + 1, np.floor(high / cell) + 1])


@njit(cache=True, nogil=True)
def _cell(x: float, y: float, grid: Floats) -> int:
    return int((y - grid[1]) * grid[2]) * int(grid[4]) + int((x - grid[0]) * grid[2])


@njit(cache=True, nogil=True)
def _fill(heads: Integers, following: Integers, spots: Spots, a: int, b: int, grid: Floats) -> None:
    for row in range(b - 1, a - 1, -1):
        cell = _cell(spots.x[row], spots.y[row], grid)
        following[row] = heads[cell]
        heads[cell] = row


@njit(cache=True, nogil=True)
def _clear(heads: Integers, spots: Spots, a: int, b: int, grid: Floats) -> None:
    for row in range(a, b):
        heads[_cell(spots.x[row], spots.y[row], grid)] = -1


@njit(cache=True, nogil=True)
def _advance(state: Floats, active: Integers, n_active: int, dt: float, q: float) -> None:
    """Predict all tracks ``dt`` steps on."""
    for k in range(n_active):
        track = state[active[k]]
        predict(track[_X : _X + 5], dt, q * track[_RESTLESS])
        predict(track[_Y : _Y + 5], dt, q * track[_RESTLESS])


@njit(cache=True, nogil=True)
def _edges(
    state: Floats, active: Integers, n_active: int, heads: Integers, following: Integers, spots: Spots,
    first: int, grid: Floats, gate: float, motion: Motion,
) -> tuple[Integers, Integers, Floats]:  # fmt: skip
    """(track, row - first, cost) of all pairs within the gate that are better than no link."""
    left, right, cost = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64)
    n, columns, rows = 0, int(grid[4]), int(grid[5])
    for k in range(n_active):
        track = state[active[k]]
        column = int(np.floor((track[_X] - grid[0]) * grid[2]))
        line = int(np.floor((track[_Y] - grid[1]) * grid[2]))
        for cy in range(max(line - 1, 0), min(line + 2, rows)):
            for cx in range(max(column - 1, 0), min(column + 2, columns)):
                row = heads[cy * columns + cx]
                while row >= 0:
                    price = _price(track, spots, row, gate, motion)
                    if price < motion.alone:
                        if n == len(left):
                            left, right = np.append(left, left), np.append(right, right)
                            cost = np.append(cost, cost)
                        left[n], right[n], cost[n] = k, row - first, price
                        n += 1
                    row = following[row]
    return left[:n], right[:n], cost[:n]


@njit(cache=True, nogil=True)
def _price(track: Floats, spots: Spots, row: int, gate: float, motion: Motion) -> float:
    """Minus the logarithm of the likelihood that this peak continues that track."""
    dx, dy = spots.x[row] - track[_X + POSITION], spots.y[row] - track[_Y + POSITION]
    if dx * dx + dy * dy > gate * gate:
        return np.inf
    var_x, var_y = track[_X + P_XX] + spots.var_x[row], track[_Y + P_XX] + spots.var_y[row]
    price = 0.5 * np.log(var_x * var_y) + _surprise(dx * dx / var_x + dy * dy / var_y, 2.0)
    price += _change(track[_BRIGHT], spots.bright[row], motion.bright)
    return price + _change(track[_WIDTH], spots.width[row], motion.width)


@njit(cache=True, nogil=True)
def _surprise(square: float, dimensions: float) -> float:
    return 0.5 * (FREEDOM + dimensions) * np.log1p(square / FREEDOM)


@njit(cache=True, nogil=True)
def _change(old: float, new: float, sigma: float) -> float:
    """Weak evidence: what is not known costs nothing."""
    if np.isnan(old) or np.isnan(new):
        return 0.0
    return _surprise(((new - old) / sigma) ** 2, 1.0)


@njit(cache=True, nogil=True)
def _begin(track: Floats, spots: Spots, row: int, now: int, motion: Motion) -> None:
    track[:] = 0.0
    for axis, place, variance in ((_X, spots.x[row], spots.var_x[row]), (_Y, spots.y[row], spots.var_y[row])):
        track[axis + POSITION], track[axis + P_XX] = place, variance
        track[axis + P_VV] = motion.speed * motion.speed
    track[_BRIGHT], track[_WIDTH] = spots.bright[row], spots.width[row]
    track[_RESTLESS], track[_LAST] = 1.0, now


@njit(cache=True, nogil=True)
def _absorb(track: Floats, spots: Spots, row: int, now: int) -> None:
    """Update a track with its peak. A track that surprises becomes more restless for a while."""
    dx, dy = spots.x[row] - track[_X + POSITION], spots.y[row] - track[_Y + POSITION]
    var_x, var_y = track[_X + P_XX] + spots.var_x[row], track[_Y + P_XX] + spots.var_y[row]
    square = 0.5 * (dx * dx / var_x + dy * dy / var_y)
    track[_RESTLESS] = min(max(0.8 * track[_RESTLESS] + 0.2 * square, 1.0), CALM)
    update(track[_X : _X + 5], spots.x[row], spots.var_x[row])
    update(track[_Y : _Y + 5], spots.y[row], spots.var_y[row])
    for place, value in ((_BRIGHT, spots.bright[row]), (_WIDTH, spots.width[row])):
        if not np.isnan(value):
            track[place] = value if np.isnan(track[place]) else 0.5 * (track[place] + value)
    track[_LAST] = now
