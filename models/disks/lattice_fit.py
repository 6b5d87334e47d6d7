"""Six lattice parameters per pattern, compiled: indexing of rising order and weighted least squares."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.disks.results import Floats

MODES = ("uniform", "variance", "robust")
ORDERS = (1.5, 2.5, 4.5, 1e9, 1e9)  # largest |h|, |k| taken in, step by step
BISQUARE = 4.685  # robust standard deviations at which a disk weighs nothing
ROUNDS = 8  # of reweighting
THIN = 0.05  # least variance of the indices across their line: below they are collinear
CHANGE = 0.5  # largest relative change of a lattice vector


class Found(NamedTuple):
    """Fits of N patterns with M disks: see :class:`braggscope.models.disks.results.LatticeMap`."""

    values: Floats
    covariance: Floats  # (N, 6, 6), of the weights as they are
    residual: Floats
    chi2: Floats  # (N,) reduced
    used: NDArray[np.int64]
    valid: NDArray[np.bool_]
    residuals: Floats  # (2, M) along x and y, for the freedom the fit took; NaN where not used


def fit_scan(order, x, y, var_x, var_y, start, begin, tolerance, fewest, mode) -> Found:
    """Fit every pattern: disks ``order[n]`` to ``order[n + 1]`` are of pattern n."""
    n = len(order) - 1
    out = Found(
        np.full((n, 6), np.nan), np.full((n, 6, 6), np.nan), np.full(n, np.nan), np.full(n, np.nan),
        np.zeros(n, np.int64), np.zeros(n, np.bool_), np.full((2, len(x)), np.nan),
    )  # fmt: skip
    _fit_all(order, x, y, var_x, var_y, start, begin, tolerance, fewest, mode, *out)
    return out


@njit(cache=True, nogil=True)
def _origin(x, y, start, order):
    """Start moved by less than half a cell: the mean phase of the disks of low order."""
    det = start[2] * start[5] - start[4] * start[3]
    sums = np.zeros(4)
    for k in range(len(x)):
        dx, dy = x[k] - start[0], y[k] - start[1]
        u, v = (start[5] * dx - start[4] * dy) / det, (start[2] * dy - start[3] * dx) / det
        if abs(u) < order and abs(v) < order:
            sums[0] += np.cos(2 * np.pi * u)
            sums[1] += np.sin(2 * np.pi * u)
            sums[2] += np.cos(2 * np.pi * v)
            sums[3] += np.sin(2 * np.pi * v)
    u, v = np.arctan2(sums[1], sums[0]) / (2 * np.pi), np.arctan2(sums[3], sums[2]) / (2 * np.pi)
    return start[0] + u * start[2] + v * start[4], start[1] + u * start[3] + v * start[5]


@njit(cache=True, nogil=True)
def _number(x, y, now, tolerance, order, h, k, use):
    """Index disks by a lattice; of several with the same indices the nearest is used. Returns how many."""
    det = now[2] * now[5] - now[4] * now[3]
    count = 0
    distance = np.empty(len(x))
    for i in range(len(x)):
        dx, dy = x[i] - now[0], y[i] - now[1]
        u, v = (now[5] * dx - now[4] * dy) / det, (now[2] * dy - now[3] * dx) / det
        h[i], k[i] = np.round(u), np.round(v)
        distance[i] = max(abs(u - h[i]), abs(v - k[i]))
        use[i] = distance[i] < tolerance and abs(h[i]) <= order and abs(k[i]) <= order
        if use[i]:
            for j in range(i):
                if use[j] and h[j] == h[i] and k[j] == k[i]:
                    use[j if distance[j] > distance[i] else i] = False
                    count -= 1
                    break
            count += 1
    return count


@njit(cache=True, nogil=True)
def _spread(h, k, use):
    """Least variance of the indices in any direction."""
    n = mh = mk = hh = kk = hk = 0.0
    for i in range(len(h)):
        if use[i]:
            n += 1
            mh += h[i]
            mk += k[i]
            hh += h[i] * h[i]
            kk += k[i] * k[i]
            hk += h[i] * k[i]
    if n < 3:
        return 0.0
    a, b, c = hh / n - (mh / n) ** 2, kk / n - (mk / n) ** 2, hk / n - mh * mk / n**2
    return 0.5 * (a + b) - np.sqrt(0.25 * (a - b) ** 2 + c * c)


@njit(cache=True, nogil=True)
def _axis(values, h, k, weight):
    """Least squares of values = p0 + h p1 + k p2; the inverse of the normal matrix too."""
    normal, right = np.zeros((3, 3)), np.zeros(3)
    row = np.ones(3)
    for i in range(len(values)):
        w = weight[i]
        if w > 0:
            row[1], row[2] = h[i], k[i]
            for a in range(3):
                right[a] += w * row[a] * values[i]
                for b in range(3):
                    normal[a, b] += w * row[a] * row[b]
    a, b, c, d, e, f = normal[0, 0], normal[0, 1], normal[0, 2], normal[1, 1], normal[1, 2], normal[2, 2]
    inverse = np.empty((3, 3))
    inverse[0, 0], inverse[1, 1], inverse[2, 2] = d * f - e * e, a * f - c * c, a * d - b * b
    inverse[0, 1] = inverse[1, 0] = c * e - b * f
    inverse[0, 2] = inverse[2, 0] = b * e - c * d
    inverse[1, 2] = inverse[2, 1] = b * c - a * e
    det = a * inverse[0, 0] + b * inverse[0, 1] + c * inverse[0, 2]
    if not det > 0:
        return np.full(3, np.nan), inverse
    inverse /= det
    return inverse @ right, inverse


@njit(cache=True, nogil=True)
def _solve(x, y, h, k, wx, wy, now, cov):
    """Both axes; writes the six parameters and their covariance for weights 1 / variance."""
    px, cx = _axis(x, h, k, wx)
    py, cy = _axis(y, h, k, wy)
    cov[:] = 0.0
    for a in range(3):
        now[2 * a], now[2 * a + 1] = px[a], py[a]
        for b in range(3):
            cov[2 * a, 2 * b], cov[2 * a + 1, 2 * b + 1] = cx[a, b], cy[a, b]
    return not (np.isnan(px[0]) or np.isnan(py[0]))


@njit(cache=True, nogil=True)
def _reweight(x, y, h, k, use, now, var_x, var_y, scale, wx, wy):
    """Bisquare weights of the distances in standard deviations, over their robust spread; returns that."""
    size = np.full(len(x), np.nan)
    for i in range(len(x)):
        if use[i]:
            dx = x[i] - now[0] - h[i] * now[2] - k[i] * now[4]
            dy = y[i] - now[1] - h[i] * now[3] - k[i] * now[5]
            size[i] = np.sqrt((dx * dx / var_x[i] + dy * dy / var_y[i]) / 2)
    known = size[use]
    spread = max(scale, np.median(known) / 0.8326 * np.sqrt(len(known) / max(len(known) - 3.0, 1.0)))
    for i in range(len(x)):
        if use[i]:
            share = max(1.0 - (size[i] / (BISQUARE * spread)) ** 2, 0.0) ** 2
            wx[i], wy[i] = share / var_x[i], share / var_y[i]
    return spread


@njit(cache=True, nogil=True)
def _fit_one(x, y, var_x, var_y, now, cov, tolerance, fewest, mode, left):
    """Fit one pattern from the start in ``now``: disks used, reduced chi-square, rms distance."""
    n = len(x)
    h, k, use = np.zeros(n), np.zeros(n), np.zeros(n, np.bool_)
    wx, wy = np.zeros(n), np.zeros(n)
    trial = now.copy()
    count = 0
    for order in ORDERS:
        count = _number(x, y, now, tolerance, order, h, k, use)
        if count < max(fewest, 3) or _spread(h, k, use) < THIN:
            continue
        for i in range(n):
            wx[i] = use[i] / var_x[i]
            wy[i] = use[i] / var_y[i]
        if not _solve(x, y, h, k, wx, wy, trial, cov):
            return 0, np.nan, np.nan
        if mode == 2:
            for _ in range(2):
                _reweight(x, y, h, k, use, trial, var_x, var_y, 0.0, wx, wy)
                _solve(x, y, h, k, wx, wy, trial, cov)
        now[:] = trial
    if count < fewest or _spread(h, k, use) < THIN:
        return count, np.nan, np.nan
    for _ in range(ROUNDS if mode == 2 else 0):
        _reweight(x, y, h, k, use, now, var_x, var_y, 1e-6, wx, wy)
        if not _solve(x, y, h, k, wx, wy, now, cov):
            return count, np.nan, np.nan
    total = square = weight = 0.0
    for i in range(n):
        if use[i]:
            dx = x[i] - now[0] - h[i] * now[2] - k[i] * now[4]
            dy = y[i] - now[1] - h[i] * now[3] - k[i] * now[5]
            free = np.sqrt(count / max(count - 3.0, 1.0))
            left[0, i], left[1, i] = dx * free, dy * free
            share = wx[i] * var_x[i]
            total += dx * dx * wx[i] + dy * dy * wy[i]
            square += share * (dx * dx + dy * dy)
            weight += share
    return count, total / max(2 * weight - 6.0, 1.0), np.sqrt(square / max(weight, 1e-12))


@njit(cache=True, nogil=True)
def _fit_all(
    order, x, y, var_x, var_y, start, begin, tolerance, fewest, mode,
    values, covariance, residual, chi2, count, valid, residuals,
):  # fmt: skip
    first = np.hypot(start[2], start[3]), np.hypot(start[4], start[5])
    for n in range(len(order) - 1):
        some = slice(order[n], order[n + 1])
        if order[n + 1] - order[n] < fewest:
            count[n] = order[n + 1] - order[n]
            continue
        now = start.copy()
        if np.isnan(begin[n, 0]) or np.isnan(begin[n, 1]):
            now[0], now[1] = _origin(x[some], y[some], start, ORDERS[1])
        else:
            now[0], now[1] = begin[n]
        cov = np.empty((6, 6))
        count[n], chi2[n], residual[n] = _fit_one(
            x[some], y[some], var_x[some], var_y[some], now, cov, tolerance, fewest, mode, residuals[:, some]
        )
        off = max(
            np.hypot(now[2] - start[2], now[3] - start[3]) / first[0],
            np.hypot(now[4] - start[4], now[5] - start[5]) / first[1],
        )
        if np.isnan(chi2[n]) or off > CHANGE:
            residuals[:, some] = np.nan
            chi2[n] = np.nan
            continue
        values[n], covariance[n], valid[n] = now, cov, True
