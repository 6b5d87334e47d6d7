"""Which peaks of two lists are the same, and how well the positions of the same peaks agree."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggscope.models import profiles
from braggscope.models.results import PeakTable

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

GATE_PX = 3.0  # two positions further apart are not of the same peak
POSITIONS = {  # method: its columns in a peak table
    "fit": ("x_fit", "y_fit"),
    "braggnn": ("x_braggnn", "y_braggnn"),
    "net": ("x_net", "y_net"),
    "combined": ("x", "y"),
}
QUANTITIES = ("sigma", "snr", "elongation", "frame")  # against which differences are looked at


class Positions(NamedTuple):
    """Positions of N peaks: ``frame`` (N,) int64; ``x``, ``y`` (N,) float64 px, NaN where there is none."""

    frame: Indices
    x: Floats
    y: Floats

    def take(self, rows: NDArray) -> "Positions":
        """Some of them, by index or mask."""
        return Positions(self.frame[rows], self.x[rows], self.y[rows])

    @classmethod
    def concatenate(cls, parts: Iterable["Positions"]) -> "Positions":
        """All of several lists."""
        every = [(np.zeros(0, np.int64), np.zeros(0), np.zeros(0)), *parts]
        frame, x, y = (np.concatenate(column) for column in zip(*every, strict=True))
        return cls(frame, x, y)


class Pairing(NamedTuple):
    """Peaks that are the same in two lists, as indices into them, and those that are in one alone."""

    first: Indices  # (M,) rising
    second: Indices  # (M,)
    distance: Floats  # (M,) px
    only_first: Indices
    only_second: Indices


class Agreement(NamedTuple):
    """How M pairs agree, px. ``dx dy``: mean difference without outliers; ``*_err``: its 1 sigma error."""

    pairs: int
    median: float
    p95: float
    dx: float
    dy: float
    dx_err: float
    dy_err: float


class Differences(NamedTuple):
    """First minus second position of peaks that both methods found, and what became of the others.

    ``dx dy`` (M,) px; ``frame peak`` (M,) int64; ``against``: (M,) each, by the names of
    :data:`QUANTITIES`. Counts of the whole, of which these may be a sample: ``pairs``; ``silent``: one
    method alone has an answer; ``far``: both have, but further apart than the gate; ``only_second``: peaks
    of another list that ours does not hold.
    """

    dx: Floats
    dy: Floats
    frame: Indices
    peak: Indices
    against: Mapping[str, Floats]
    pairs: int
    silent: int
    far: int
    only_second: int = 0


class Trend(NamedTuple):
    """Running quantiles, (K,) each: the middle of the quantity, then 16 %, 50 % and 84 % of the values."""

    at: Floats
    low: Floats
    median: Floats
    high: Floats


def match(first: Positions, second: Positions, gate: float = GATE_PX) -> Pairing:
    """One-to-one pairs of peaks of one frame that are at most ``gate`` px apart.

    Of all ways to pair them the one with the least sum of d² over the pairs and gate²/2 over the peaks
    left alone: the assignment of the GOSPA metric with p = 2, alpha = 2 (Rahmathullah, Garcia-Fernandez
    and Svensson 2017). Peaks without a position stay alone. Raises ValueError for a gate that is not > 0.
    """
    if not gate > 0:
        raise ValueError(f"the gate must be a distance over 0 px, not {gate:g}")
    edges = _edges(first, second, gate)
    kept = _assign(*edges, gate)
    one, other = edges[0][kept], edges[1][kept]
    order = np.argsort(one, kind="stable")
    one, other = one[order], other[order]
    alone = np.setdiff1d(np.arange(len(first.x)), one), np.setdiff1d(np.arange(len(second.x)), other)
    return Pairing(one, other, edges[2][kept][order], *alone)


def _edges(first: Positions, second: Positions, gate: float) -> tuple[Indices, Indices, Floats]:
    """All pairs within the gate: indices into both lists, distances px."""
    from scipy.spatial import KDTree  # a tenth of a second, that of no window that starts

    known = [np.flatnonzero(np.isfinite(p.x) & np.isfinite(p.y)) for p in (first, second)]
    if not all(map(len, known)):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    places = [  # frames lie further apart than the gate
        np.column_stack((p.x[k], p.y[k], p.frame[k] * 4.0 * gate))
        for p, k in zip((first, second), known, strict=True)
    ]
    trees = [KDTree(place) for place in places]
    found = trees[0].sparse_distance_matrix(trees[1], gate * (1 + 1e-9), output_type="ndarray")
    one, other = known[0][found["i"]], known[1][found["j"]]
    distance = np.hypot(first.x[one] - second.x[other], first.y[one] - second.y[other])
    near = distance <= gate
    return one[near], other[near], distance[near]


def _assign(one: Indices, other: Indices, distance: Floats, gate: float) -> NDArray[np.bool_]:
    """Which of the edges are pairs. Groups of peaks that share no edge are independent."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(one):
        return np.zeros(0, np.bool_)
    _, left = np.unique(one, return_inverse=True)
    _, right = np.unique(other, return_inverse=True)
    m, n = int(left.max()) + 1, int(right.max()) + 1
    graph = coo_array((np.ones(len(one), np.int8), (left, right + m)), shape=(m + n, m + n))
    group = connected_components(graph, directed=False)[1][left]
    lone = np.bincount(group)[group] == 1  # nobody else is near: most peaks
    kept = lone.copy()
    hard = np.flatnonzero(~lone)
    if len(hard):
        _, rows = np.unique(left[hard], return_inverse=True)
        _, columns = np.unique(right[hard], return_inverse=True)
        kept[hard] = _cheapest(rows, columns, distance[hard] ** 2, gate**2)
    return kept


def _cheapest(rows: Indices, columns: Indices, cost: Floats, alone: float) -> NDArray[np.bool_]:
    """Which edges are in the cheapest matching in which each row may stay alone for a price.

    Every row has a column of its own that stands for staying alone, so that a full matching exists.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    m, n = int(rows.max()) + 1, int(columns.max()) + 1
    own = np.arange(m)
    price = np.concatenate((cost, np.full(m, alone))) + max(alone, 1e-300)  # a stored 0 would be no edge
    place = np.concatenate((rows, own)), np.concatenate((columns, n + own))
    partner = np.empty(m, np.int64)
    matched, to = min_weight_full_bipartite_matching(csr_array((price, place), shape=(m, n + m)))
    partner[matched] = to
    return np.asarray(partner[rows] == columns)


def agreement(dx: ArrayLike, dy: ArrayLike) -> Agreement:
    """Statistics of differences (M,) px, all finite; NaN where there are too few."""
    distance = np.hypot(np.asarray(dx, np.float64), np.asarray(dy, np.float64))
    if not len(distance):
        return Agreement(0, *(math.nan,) * 6)
    median, p95 = np.percentile(distance, [50, 95])
    (mean_x, error_x), (mean_y, error_y) = robust_mean(dx), robust_mean(dy)
    return Agreement(len(distance), float(median), float(p95), mean_x, mean_y, error_x, error_y)


def robust_mean(values: ArrayLike) -> tuple[float, float]:
    """Mean of what lies within 3 robust sigma of the median, and its 1 sigma error (NaN under 2 values).

    The robust sigma is 1.4826 times the median absolute deviation (Hampel 1974).
    """
    every = np.asarray(values, np.float64)
    if not len(every):
        return math.nan, math.nan
    away = np.abs(every - np.median(every))
    inner = every[away <= 3.0 * 1.4826 * np.median(away)]
    error = float(inner.std(ddof=1) / math.sqrt(len(inner))) if len(inner) > 1 else math.nan
    return float(inner.mean()), error


NO_DIFFERENCES = Differences(
    np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64),
    dict.fromkeys(QUANTITIES, np.zeros(0)), 0, 0, 0,
)  # fmt: skip


def trend(against: ArrayLike, values: ArrayLike, groups: int = 24, least: int = 50) -> Trend:
    """Running median and 16-84 % band of ``values`` (N,) along ``against`` (N,), both where finite.

    Up to ``groups`` groups of equally many neighbours, at least ``least`` each, or one of all there are.
    """
    pairs = np.stack((np.asarray(against, np.float64), np.asarray(values, np.float64)), axis=1)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if not len(pairs):
        return Trend(*(np.zeros(0),) * 4)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    parts = np.array_split(pairs, max(1, min(groups, len(pairs) // least)))
    quantiles = np.array([np.percentile(part[:, 1], [16, 50, 84]) for part in parts])
    return Trend(np.array([np.median(part[:, 0]) for part in parts]), *quantiles.T)


def quantities(table: PeakTable) -> dict[str, Floats]:
    """What disagreement may depend on, (N,) each, by the names of :data:`QUANTITIES`; NaN without a fit.

    ``sigma`` px: geometric mean over both axes. ``elongation``: long over short axis. ``snr``: amplitude
    over the noise of a pixel, from the errors of the fit (a lone Gaussian in white noise s has
    det cov = (2 s² / (pi A²))²); where these are missing, over the square root of the background.
    """
    amplitude, background = table["amplitude"], table["background"]
    variance = (table["x_fit_err"] * table["y_fit_err"]) ** 2 - np.nan_to_num(table["cov_xy"]) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        from_errors = math.sqrt(2.0 / math.pi) * np.where(variance > 0, variance, np.nan) ** -0.25
        from_counts = amplitude / np.sqrt(np.maximum(background, 1.0))
        elongation = table["fwhm_major"] / table["fwhm_minor"]
    sigma = profiles.sigma_from_fwhm(np.sqrt(table["fwhm_major"] * table["fwhm_minor"]))
    snr = np.where(np.isfinite(from_errors), from_errors, from_counts)
    return {"sigma": sigma, "snr": snr, "elongation": elongation, "frame": table["frame"].astype(np.float64)}


def places(table: PeakTable) -> Positions:
    """Where each peak of a table is: its combined answer, without one its pixel."""
    known = np.isfinite(table["x"]) & np.isfinite(table["y"])
    return Positions(
        table["frame"],
        np.where(known, table["x"], table["col"]),
        np.where(known, table["y"], table["row"]),
    )
