"""Known peaks on a pixel grid, and the least error that any method can have on them (Cramér-Rao)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from braggscope.models import profiles

Floats = NDArray[np.float64]

CORE = 2  # px around a neighbour that the joint fit uses beyond the window
PIECE = 500  # peaks whose Jacobians are in memory at a time


def peak_counts(peaks: Floats, dx: Floats, dy: Floats) -> Floats:
    """Counts of K peaks together: (N, K, 6 or 7) and offsets in px that broadcast to (N, …) -> (N, …).

    A peak is amplitude (counts), x, y (px from the middle pixel), a, b, c (px^-2, see
    :mod:`braggscope.models.profiles`) and, for pseudo-Voigts, eta.
    """
    shape = (len(peaks), *(1,) * (np.broadcast(dx, dy).ndim - 1))
    total = np.zeros(1)
    for k in range(peaks.shape[1]):
        amplitude, x, y, a, b, c, *eta = (column.reshape(shape) for column in peaks[:, k].T)
        q = profiles.quadratic(dx - x, dy - y, a, b, c)
        total = total + amplitude * profiles.profile(q, eta[0] if eta else 0.0)
    return total


def used_pixels(peaks: Floats, window: int, missing: int = 0) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Pixels that a joint fit of each window uses: dx (1, P), dy (1, P) px, and (N, P) bool.

    They are the window and the cores of the neighbours within reach, without the first ``missing`` columns
    of the window, which lie outside the frame.
    """
    half = window // 2
    reach = half + 1 + CORE
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, 1, -1).astype(np.float64)
    used = np.broadcast_to(np.maximum(abs(dx), abs(dy)) <= half, (len(peaks), dx.size)).copy()
    for k in range(1, peaks.shape[1]):
        x, y = np.rint(peaks[:, k, 1:3]).T[..., None]
        near = np.maximum(abs(x), abs(y)) <= half + 1
        used |= near & (abs(dx - x) <= CORE) & (abs(dy - y) <= CORE)
    return dx, dy, used & (dx >= missing - half) if missing else used


def position_bound(
    peaks: Floats,
    window: int,
    variance: float | Callable[[Floats, Floats], Floats],
    *,
    plane: bool = False,
    missing: int = 0,
) -> Floats:
    """(N, 2, 2) px²: least covariance of x and y of the first peaks, all parameters being unknown.

    Inverse of the Fisher information (Rao 1945; Cramér 1946) of the true model: the peaks as in
    :func:`peak_counts` over a constant or a ``plane``, on :func:`used_pixels`. ``variance`` of a pixel in
    counts²: one for all, or from the counts (N, P) of the peaks alone and dx (1, P) px; exact for Gaussian
    noise of known variance, and for counting statistics. NaN where the data do not determine the position.
    """
    parts = np.array_split(peaks, max(1, -(-len(peaks) // PIECE)))
    return np.concatenate([_bound(part, window, variance, plane, missing) for part in parts])


def _bound(
    peaks: Floats,
    window: int,
    variance: float | Callable[[Floats, Floats], Floats],
    plane: bool,
    missing: int,
) -> Floats:
    dx, dy, used = used_pixels(peaks, window, missing)
    rows: list[Floats] = []
    for k in range(peaks.shape[1]):
        rows += _derivatives(peaks[:, k, :, None], dx, dy)
    rows += [np.broadcast_to(d, used.shape) for d in (np.ones_like(dx), *((dx, dy) if plane else ()))]
    weight = used / (variance(peak_counts(peaks, dx, dy), dx) if callable(variance) else variance)
    jacobian = np.stack(rows, axis=1) * np.sqrt(weight)[:, None]
    size = np.linalg.norm(jacobian, axis=2, keepdims=True)  # one scale for all parameters
    jacobian /= np.where(size > 0, size, 1.0)
    fisher = jacobian @ jacobian.transpose(0, 2, 1)
    known = np.linalg.matrix_rank(fisher, hermitian=True) == fisher.shape[1]
    covariance = np.full((len(peaks), 2, 2), np.nan)
    inverse = np.linalg.inv(fisher[known])[:, 1:3, 1:3]
    covariance[known] = inverse / (size[known, 1:3] * size[known, 1:3].transpose(0, 2, 1))
    return covariance


def _derivatives(peak: Floats, dx: Floats, dy: Floats) -> list[Floats]:
    """Of one peak's counts with respect to amplitude, x, y, a, b, c and, if given, eta: (N, P) each."""
    amplitude, x, y, a, b, c, *eta = peak.transpose(1, 0, 2)
    u, v = dx - x, dy - y
    q = profiles.quadratic(u, v, a, b, c)
    share = eta[0] if eta else np.zeros(1)
    gauss, lorentz = profiles.profile(q), profiles.profile(q, 1.0)
    slope = -amplitude * (0.5 * (1.0 - share) * gauss + share * lorentz**2 / profiles.HALF_MAXIMUM)  # by q
    along_x, along_y = -2.0 * slope * (a * u + b * v), -2.0 * slope * (b * u + c * v)
    rows = [profiles.profile(q, share), along_x, along_y, slope * u * u, 2.0 * slope * u * v, slope * v * v]
    return [*rows, amplitude * (lorentz - gauss)] if eta else rows


def ideal_errors(covariance: Floats, repeats: int = 20, seed: int = 0) -> Floats:
    """(N · repeats,) px: errors of an unbiased Gaussian estimator with these (N, 2, 2) covariances."""
    factor = np.linalg.cholesky(covariance)
    normal = np.random.default_rng(seed).normal(size=(repeats, *factor.shape[:2], 1))
    return np.hypot(*(factor @ normal)[..., 0].reshape(-1, 2).T)
