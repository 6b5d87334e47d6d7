"""The lattice of disks: proposed from the data, indexed, and fitted at every scan position."""

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.lattice_fit import MODES, fit_scan
from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.propose import propose as propose
from braggscope.models.disks.results import Disks, Floats, Lattice, LatticeMap

Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

PRIOR = 10.0  # degrees of freedom that the whole scan lends to a position's scatter
SHARED = 0.05  # correlation of the errors of a network's disks, as measured on foils and films
MEDIAN_CHI2 = 0.4549364231195724  # of one degree of freedom


def index(disks: Disks, lattice: Lattice, tolerance: float) -> tuple[Integers, Integers, Bools]:
    """Indices h, k (N,) int64 of disks, and which lie within ``tolerance`` of whole numbers in both.

    The lattice is taken as it stands: one origin for all.
    """
    if not len(disks):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_)
    place = np.stack((disks.x, disks.y)) - np.array(lattice.origin)[:, None]
    exact = np.linalg.solve(lattice.matrix, place)
    whole = np.round(exact)
    used = (np.abs(exact - whole) < tolerance).all(axis=0)
    h, k = np.nan_to_num(whole).astype(np.int64)
    return h, k, np.asarray(used, np.bool_)


def fit_lattices(
    disks: Disks,
    n_patterns: int,
    lattice: Lattice,
    parameters: Strain,
    origins: Floats | None = None,
    shared: float = 0.0,
) -> LatticeMap:
    """A lattice for each of ``n_patterns`` scan positions by weighted linear least squares, six parameters.

    Starts from ``lattice``, its origin moved by less than half a cell to where the disks of the pattern
    want it (or ``origins`` (N, 2) x, y px), and takes in disks of rising order, each by the lattice fitted
    to the lower ones. Weights: "uniform"; "variance": 1 / (err² + s²) with s px, one for the scan, what the
    disks scatter beyond their stated errors; "robust": these, times Tukey's bisquare of the residuals
    (iterated). The covariance is scaled by the chi-square of the position, to which the median of the scan
    lends ``PRIOR`` degrees of freedom, and by 1 + (n - 1) ``shared`` for n disks whose errors are correlated
    by that much (design effect; Kish, Survey Sampling (1965)): such errors move or stretch the lattice as a
    whole, and the disks' scatter about it does not tell of them. A position with fewer than
    ``parameters.fewest`` disks, or with disks on one line only, is not valid.
    """
    order = np.searchsorted(disks.pattern, np.arange(n_patterns + 1))
    sigma = [_known(err) for err in (disks.x_err, disks.y_err)]
    start = np.array([*lattice.origin, *lattice.a, *lattice.b], np.float64)
    begin = np.full((n_patterns, 2), np.nan) if origins is None else np.asarray(origins, np.float64)
    limits = parameters.tolerance, parameters.fewest
    data = order, np.ascontiguousarray(disks.x), np.ascontiguousarray(disks.y)
    mode = MODES.index(parameters.weights)
    ones = np.ones(len(disks))
    variance = ones, ones
    if mode:  # what the disks scatter beyond their errors shows in a fit that trusts all alike
        first = fit_scan(*data, *variance, start, begin, *limits, 0)
        extra = [_excess(r, s) for r, s in zip(first.residuals, sigma, strict=True)]
        variance = sigma[0] ** 2 + extra[0], sigma[1] ** 2 + extra[1]
    found = fit_scan(*data, *variance, start, begin, *limits, mode)
    freedom = np.maximum(2.0 * found.used - 6, 0)
    valid = found.valid & np.isfinite(found.values).all(axis=1)
    typical = float(np.median(found.chi2[valid])) if valid.any() else 1.0
    scale = (PRIOR * typical + freedom * found.chi2) / (PRIOR + freedom)
    scale *= 1 + shared * np.maximum(found.used - 1, 0)
    values = np.where(valid[:, None], found.values, np.nan)
    covariance = np.where(valid[:, None, None], found.covariance * scale[:, None, None], np.nan)
    return LatticeMap(values, covariance, np.where(valid, found.residual, np.nan), found.used, valid)


def _known(err: Floats) -> Floats:
    """Errors, with their median where one is missing and 1 px where all are."""
    good = np.isfinite(err) & (err > 0)
    return np.where(good, err, np.median(err[good]) if good.any() else 1.0)


def _excess(residual: Floats, sigma: Floats) -> float:
    """Variance px² that, added to sigma², makes the median of residual² / variance that of chi-square."""
    known = np.isfinite(residual)
    if known.sum() < 8:
        return 0.0
    square, own = residual[known] ** 2, sigma[known] ** 2
    low, high = 0.0, float(np.median(square)) / MEDIAN_CHI2
    for _ in range(30):
        middle = 0.5 * (low + high)
        if np.median(square / (own + middle)) > MEDIAN_CHI2:
            low = middle
        else:
            high = middle
    return high
