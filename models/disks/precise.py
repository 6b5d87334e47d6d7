"""The precise path: six lattice parameters per pattern from all disks together, their insides projected out.

Variable projection (Golub and Pereyra, 1973): every disk is the edge that all disks share, times an inside
of its own that is a smooth random field, plus a constant. Insides and constants are linear and are solved
for in every step; what the edges say about the places is left, and of that what a lattice explains.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks import edge as edges
from braggscope.models.disks.edge import Edge
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.precise_noise import measure_noise
from braggscope.models.disks.precise_pattern import fit_pattern, misfit
from braggscope.models.disks.precise_place import candidates as candidates_of
from braggscope.models.disks.precise_place import farthest, near
from braggscope.models.disks.precise_start import approach
from braggscope.models.disks.probe import check_setting
from braggscope.models.disks.results import Disks, Lattice, LatticeMap, Probe

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Windows = tuple[tuple[NDArray[np.float32], ...], Floats, Floats]  # (counts, use, variance), places, states

OUTSIDE = 3.5  # px around a disk that tell its background
NEAR = 1.3  # px around a neighbour that are left to it
LEAST = 0.05  # electrons^2: smallest variance of a pixel
FLOOR = 0.02  # and as a share of the disk's mean
STEPS = 12
PASSES, FAR = 3, 1.0  # disks are chosen anew where one moved this far / px
SAMPLE = 8  # patterns from which noise and edge are learned
TRIALS = (0.1, 0.06, 0.3, 0.01, 0.01)  # steps of radius / px, sigma / px, blur, stretch
TRUST, DISTRUST = 0.001, 0.3  # px: of radius and width of a probe in vacuum, and of another
TAUGHT = 40  # of each of them, the brightest, from which the edge is learned
LOWEST, HIGHEST = (0.5, 0.3, 0.0, -0.1, -0.1), (np.inf, np.inf, 1.0, 0.1, 0.1)  # and what is possible
ROUNDS = 6


class _Fitted(NamedTuple):
    """One pattern: lattice (6,), covariance (6, 6), indices (n, 2), disks (n, 9), rest of ``fit_pattern``."""

    lattice: Floats
    covariance: Floats
    indices: NDArray[np.int64]
    disks: Floats
    rest: Windows


class LatticeFit:
    """Fits lattices to patterns of one shape with one probe.

    The edge of the disks is that of the probe until patterns were seen: radius, width and stretch are then
    refined on the first of them, unless the probe has a pattern inside, which is taken as it is. Units per
    electron and readout noise are measured on the same patterns. :meth:`prepare` does so ahead of time.
    ``mask`` (H, W) bool, True = bad. ``parameters``: ``edge``, ``most`` and ``fewest`` are used. Raises
    ValueError for a probe that is larger than the pattern, or a mask of another shape.
    """

    def __init__(
        self, probe: Probe, shape: tuple[int, int], parameters: Strain, mask: Bools | None = None
    ) -> None:
        check_setting(probe, shape, mask)
        self._shape = int(shape[0]), int(shape[1])
        self._parameters = parameters
        self._good = np.ones(self._shape, np.bool_) if mask is None else ~mask
        self._noise: tuple[float, float] | None = None
        self._radius = float(probe.radius)  # as first known: the pixels that take part do not change
        half = int(np.ceil(probe.radius + OUTSIDE))
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        near = np.hypot(x, y) <= probe.radius + OUTSIDE
        self._pixels = np.stack([x[near], y[near]], 1).astype(np.int64)
        self._trust = TRUST if probe.source == "vacuum" else DISTRUST
        self.edge = Edge.of(probe)
        self._learn(self.edge)

    def fit(self, patterns: NDArray, start: Lattice | NDArray) -> LatticeMap:
        """Lattices of patterns (B, H, W), counts or multiples of them.

        ``start``: one lattice for all, to be within half a spacing for the disks next to the direct one; or
        (B, 6) x0 y0 ax ay bx by px, good to about 1 px at every disk. Patterns without a lattice are not
        valid. Raises ValueError for another shape.
        """
        return self._map(self._fit(patterns, start))

    def measure(self, patterns: NDArray, start: Lattice | NDArray) -> tuple[LatticeMap, Disks]:
        """What :meth:`fit` and :meth:`disks` give, of one fit."""
        fitted = self._fit(patterns, start)
        return self._map(fitted), self._listed(fitted)

    def _map(self, fitted: list[_Fitted]) -> LatticeMap:
        values, covariance = np.full((len(fitted), 6), np.nan), np.full((len(fitted), 6, 6), np.nan)
        residual, count = np.full(len(fitted), np.nan), np.zeros(len(fitted), np.int64)
        valid = np.zeros(len(fitted), np.bool_)
        for i, one in enumerate(fitted):
            valid[i] = self._is_sound(one)
            if valid[i]:
                values[i], covariance[i], count[i] = one.lattice, one.covariance, len(one.indices)
                residual[i] = _residual(one.disks)
        return LatticeMap(values, covariance, residual, count, valid)

    def disks(self, patterns: NDArray, start: Lattice | NDArray) -> Disks:
        """Disks of patterns, each where it would lie alone: less the lattice of :meth:`fit`, its residual.

        ``intensity`` without background; ``score``: weight in the lattice, 1.5 for a disk that agrees with
        it, less for one that does not; ``pattern`` is the index in the batch.
        """
        return self._listed(self._fit(patterns, start))

    def _listed(self, fitted: list[_Fitted]) -> Disks:
        parts = []
        for i, one in enumerate(fitted):
            if not self._is_sound(one):
                continue
            order = np.argsort(-one.disks[:, 7], kind="stable")
            offset, error = _alone(one.disks[order])
            place = one.lattice[:2] + one.indices[order] @ one.lattice[2:].reshape(2, 2)
            x, y = (place + offset).T
            number = np.full(len(x), i, np.int64)
            parts.append(
                Disks(number, x, y, error[:, 0], error[:, 1], one.disks[order, 0], one.disks[order, 7])
            )
        return Disks.join(parts)

    def prepare(self, patterns: NDArray, start: Lattice | NDArray) -> None:
        """Learn noise and edge from some of these patterns; arguments as of :meth:`fit`."""
        values, good, starts = self._checked(patterns, start)
        some = np.linspace(0, len(values) - 1, min(len(values), SAMPLE)).astype(np.int64)
        if not len(some):
            return
        self._noise = measure_noise(values[some], good[some])
        common = isinstance(start, Lattice)
        first = [self._one(values[i], good[i], starts[i], common) for i in some]
        known = [(i, one.lattice) for i, one in zip(some, first, strict=True) if self._is_sound(one)]
        apart = [(values[i], good[i], lattice) for i, lattice in known if not self._overlap(lattice)]
        if apart and self.edge.image is None:
            self._refine(apart)

    def _overlap(self, lattice: Floats) -> bool:
        """Whether neighbours hide edges of each other, so that they tell little of their radius."""
        return bool(len(near(lattice, 2 * (self._radius + NEAR))))

    def _fit(self, patterns: NDArray, start: Lattice | NDArray) -> list[_Fitted]:
        if self._noise is None:
            self.prepare(patterns, start)
        values, good, starts = self._checked(patterns, start)
        common = isinstance(start, Lattice)
        return [self._one(*row, common) for row in zip(values, good, starts, strict=True)]

    def _checked(self, patterns: NDArray, start: Lattice | NDArray) -> tuple[NDArray, Bools, Floats]:
        """Patterns float32 without NaN, which pixels are good, (B, 6) starts."""
        if patterns.ndim != 3 or patterns.shape[1:] != self._shape:
            raise ValueError(f"the patterns are {patterns.shape[1:]} pixels, not {self._shape} as set up")
        values = np.ascontiguousarray(patterns, np.float32)
        finite = np.isfinite(values)
        good = finite & self._good
        if not finite.all():
            values = np.where(finite, values, np.float32(0))
        if isinstance(start, Lattice):
            row = np.array([*start.origin, *start.a, *start.b], np.float64)
            return values, good, np.tile(row, (len(values), 1))
        starts = np.array(start, np.float64)
        if starts.shape != (len(values), 6):
            raise ValueError(f"the start has the shape {starts.shape}; it must be {(len(values), 6)}")
        return values, good, starts

    def _one(self, image: NDArray, good: Bools, start: Floats, common: bool) -> _Fitted:
        lattice = start.copy()
        if not np.isfinite(lattice).all() or not self._is_possible(lattice):
            none, unknown = np.empty((0, 2)), np.full((6, 6), np.nan)
            return _Fitted(lattice, unknown, none.astype(np.int64), np.empty((0, 9)), ((), none, none))
        candidates = candidates_of(lattice, self._shape)
        if common:
            approach(image, good, lattice, candidates, self.edge.radius)
        for _ in range(PASSES):
            candidates = candidates_of(lattice, self._shape)
            before = lattice.copy()
            covariance, kept, disks, rest = self._descend(image, good, lattice, candidates)
            if farthest(lattice - before, candidates[kept]) < FAR:
                break
        return _Fitted(lattice, covariance, candidates[kept], disks, rest)

    def _descend(
        self, image: NDArray, good: Bools, lattice: Floats, candidates: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.int64], Floats, Windows]:
        """:func:`fit_pattern` from ``lattice``, in place: what it gives."""
        radius, settings = self.edge.radius, self._parameters
        reach, margin = self._radius + OUTSIDE, max(settings.edge, radius / 2)
        noise = self._levels()
        return fit_pattern(
            image, good, lattice, candidates, (radius, reach, noise[0], margin, settings.most),
            self._pixels, (self._radius + NEAR, near(lattice, reach + self._radius + NEAR)), self._model,
            noise, STEPS, settings.fewest,
        )  # fmt: skip

    def _levels(self) -> tuple[float, float, float]:
        """Gain, least variance of a pixel, and the share of a disk's mean that it has at least."""
        gain, readout = self._noise or (1.0, 0.0)
        return gain, readout + LEAST * gain**2, FLOOR

    def _is_possible(self, lattice: Floats) -> bool:
        """Whether a and b span a lattice whose disks do not lie upon each other."""
        a, b = lattice[2:4], lattice[4:6]
        area, longest = abs(a[0] * b[1] - a[1] * b[0]), max(np.hypot(*a), np.hypot(*b))
        return bool(longest < 2 * max(self._shape) and area > self.edge.radius * longest)

    def _is_sound(self, one: _Fitted) -> bool:
        variance = np.diag(one.covariance)
        known = np.isfinite(one.covariance).all() and (variance > 0).all()
        return bool(known and self._is_possible(one.lattice))

    def _learn(self, edge: Edge) -> None:
        """Take over an edge: its table, and what goes with its radius."""
        self.edge = edge
        self._model = self._tabled(edge), edges.FINE, edges.priors(edge.radius, edges.DEGREE)

    def _tabled(self, edge: Edge) -> NDArray[np.float32]:
        return edge.table(self._pixels, edges.DEGREE)

    def _refine(self, rows: list[tuple[NDArray, Bools, Floats]]) -> None:
        """Radius, width, blur and stretch of the edge by parabolas through the evidence.

        In every round lattices are fitted anew; while the edge is tried, places, variances and priors stay.
        """
        first = np.array([self.edge.radius, self.edge.sigma])
        now = last = np.array([self.edge.radius, self.edge.sigma, self.edge.blur, *self.edge.stretch])
        for _ in range(ROUNDS):
            self._learn(_edge(now))
            fitted = [one for one in (self._one(*row, False) for row in rows) if len(one.indices)]
            if not fitted:  # no lattice is possible with disks like these
                now = last
                break
            last, seen = now, _brightest(fitted)
            now = _lowest(partial(self._evidence, seen, first), last)
            if (np.abs(now - last) < 0.5 * np.array(TRIALS)).all():
                break
        self._learn(_edge(now))

    def _evidence(self, seen: Windows, first: Floats, values: Floats) -> float:
        """Minus twice the log evidence of an edge, given radius and sigma at first."""
        model = self._tabled(_edge(np.clip(values, LOWEST, HIGHEST))), *self._model[1:]
        away = (values[:2] - first) / self._trust
        return float(misfit(*seen, model, self._levels()) + (away**2).sum())


def _brightest(fitted: list[_Fitted]) -> Windows:
    """Windows, places and states of the brightest disks of patterns."""
    rows = [np.argsort(-one.disks[:, 0])[:TAUGHT] for one in fitted]
    windows = tuple(
        np.concatenate([one.rest[0][k][some] for one, some in zip(fitted, rows, strict=True)])
        for k in range(3)
    )
    offsets, states = (
        np.concatenate([one.rest[k][some] for one, some in zip(fitted, rows, strict=True)]) for k in (1, 2)
    )
    return windows, offsets, states


def _lowest(evidence: Callable[[Floats], float], now: Floats) -> Floats:
    """One step to the least of a function, coordinate by coordinate, by parabolas."""
    here = evidence(now)
    for trial in np.diag(TRIALS):
        before, after = evidence(now - trial), evidence(now + trial)
        bend = before + after - 2 * here
        move = 0.5 * (before - after) / bend if bend > 0 else np.sign(before - after)
        moved = np.clip(now + np.clip(move, -2, 2) * trial, LOWEST, HIGHEST)
        now, here = moved, evidence(moved)
    return now


def _edge(values: Floats) -> Edge:
    """From radius, sigma, blur and stretch."""
    radius, sigma, blur, p, q = values.tolist()
    return Edge(radius, sigma, (p, q), blur)


def _alone(disks: Floats) -> tuple[Floats, Floats]:
    """Offsets from the lattice (n, 2) px and their errors, of disks each for itself; at most about 1 px."""
    information = np.empty((len(disks), 2, 2))
    information[:, 0, 0], information[:, 1, 1] = disks[:, 1] + 1.0, disks[:, 3] + 1.0
    information[:, 0, 1] = information[:, 1, 0] = disks[:, 2]
    inverse = np.linalg.inv(information)
    return np.einsum("nij,nj->ni", inverse, disks[:, 4:6]), np.sqrt(inverse[:, [0, 1], [0, 1]])


def _residual(disks: Floats) -> float:
    """Rms distance in px of disks from the lattice, those that are known better weighing more."""
    offset, error = _alone(disks)
    weight = 1 / (error**2).sum(1)
    return float(np.sqrt((weight * (offset**2).sum(1)).sum() / weight.sum()))
