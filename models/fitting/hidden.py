"""Peaks that were not detected but that a fit shows: a second spot within the first one's window."""

# ruff: noqa: ANN001, ANN202
# mypy: disable-error-code="no-untyped-def"

from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.fitting.fits import Fits
from braggscope.models.fitting.kernels import exp_negative
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.fitting.solution import GROUND, STRIDE
from braggscope.models.fitting.windows import Pixels, cut_windows, taken_off
from braggscope.models.profiles import FWHM_PER_SIGMA, HALF_MAXIMUM
from braggscope.models.results import Status

STRUCTURED = 0.1  # correlation of the residuals of adjacent pixels; noise alone stays within 0.07
NEAREST = 2.0  # px from a peak's pixel to the next peak that is looked for
APART = 1.5  # sigma of the fitted peak between two distinct peaks
FAINTEST = 0.15  # of the height of the fitted peak
UNLIKE = 2.0  # largest ratio of widths of two peaks
FURTHER_PARAMETERS = 6  # of one more Gaussian


class Hidden(NamedTuple):
    """M undetected peaks, each beside a detected one."""

    owner: NDArray[np.int64]  # (M,) index of the detected peak in whose window it was found
    fits: Fits  # (N + M) the given ones, refitted where an undetected peak was found; these come last


class _Signs(NamedTuple):
    """What the residuals of N windows show."""

    misfit: NDArray[np.float64]  # sum of squares, weighted as the fit was
    pixels: NDArray[np.int64]  # valid ones
    correlation: NDArray[np.float64]  # of adjacent residuals
    highest: NDArray[np.int64]  # (N, 2) x, y from the middle of the highest 3 x 3 residuals


def find_hidden(
    image: NDArray,
    mask: NDArray[np.bool_] | None,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    fits: Fits,
    *,
    hints: NDArray[np.float64] | None = None,
    **options: Any,
) -> Hidden:
    """Look for one undetected peak beside each lone one that :func:`fit_peaks` fitted with ``options``;
    ``rows, cols`` are all peaks of the frame, ``fits`` those of the first of them.

    It is tried where the residuals of adjacent pixels go together, at their highest place on the side to
    which the fit has moved away from the peak's pixel, or at ``hints`` (N, 2), x and y in px of the frame,
    NaN where there is none. It is kept where a fit of both lowers the
    Bayesian information criterion (Schwarz, 1978) and both are spots of one kind: their centres at least 1.5
    sigma apart, the second at least 15 % as high, their widths within a factor of two. What a profile of the
    wrong shape leaves over under the peak itself is no second peak.
    """
    known = (options.get(name) for name in ("saturation", "saturated", "subtracted"))
    pixels = Pixels(_floats(image), mask, *known)
    poisson = options.get("noise") == "poisson"
    before = _signs(pixels, fits, poisson)
    place, owner = _candidates(fits, before, hints)
    if not len(owner):
        return Hidden(owner, fits)
    m = len(owner)
    order = np.concatenate((owner, np.setdiff1d(np.arange(len(rows)), owner)))
    all_rows, all_cols = (
        np.concatenate((all_[owner], place[owner, axis], all_[order[m:]]))
        for all_, axis in ((np.asarray(rows), 1), (np.asarray(cols), 0))
    )
    both = fit_peaks(image, mask, all_rows, all_cols, only=2 * m, **options)
    after, n = _signs(pixels, both, poisson), before.pixels[owner]
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = n * np.log(before.misfit[owner] / after.misfit[:m]) - FURTHER_PARAMETERS * np.log(n)
    kept = (both.window[:m] == fits.window[owner]) & (gain > 0.0) & _distinct(both, m)
    return Hidden(owner[kept], _merged(fits, both, owner, np.flatnonzero(kept)))


def _candidates(
    fits: Fits, signs: _Signs, hints: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N, 2) pixels, x and y, and the peaks beside which a further one shall be tried there."""
    lone = (fits.n_components == 1) & (fits.amplitude > 0)
    middle = np.column_stack((fits.col, fits.row))
    place = middle + signs.highest
    tried = lone & (signs.correlation > STRUCTURED)
    if hints is not None:
        known = lone & np.isfinite(hints).all(axis=1)
        place[known], tried = np.rint(hints[known]).astype(np.int64), tried | known
    return place, np.flatnonzero(tried & (place != middle).any(axis=1))


def _merged(fits: Fits, both: Fits, owner: NDArray[np.int64], kept: NDArray[np.int64]) -> Fits:
    """``fits`` with the owners' entries of ``both`` in place, and those of their undetected peaks behind."""
    columns = {}
    for field in fields(Fits):
        old, new = getattr(fits, field.name).copy(), getattr(both, field.name)
        old[owner[kept]] = new[kept]
        columns[field.name] = np.concatenate((old, new[len(owner) + kept]))
    return Fits(**columns)


def _floats(image: NDArray) -> NDArray:
    return image if image.dtype in (np.float32, np.float64) else image.astype(np.float64)


def _distinct(fits: Fits, m: int) -> NDArray[np.bool_]:
    """(m,) bool: the first m peaks and the next m are fitted together in pairs, apart, and alike enough."""
    first, second = slice(0, m), slice(m, 2 * m)
    apart = np.hypot(fits.x[second] - fits.x[first], fits.y[second] - fits.y[first])
    with np.errstate(invalid="ignore"):
        width = 0.5 * np.log(fits.fwhm_major * fits.fwhm_minor)
        return np.asarray(
            (fits.status[first] == Status.OK)
            & (fits.status[second] == Status.OK)
            & (fits.n_components[first] == 2)
            & (apart * FWHM_PER_SIGMA > APART * fits.fwhm_major[first])
            & (fits.amplitude[second] > FAINTEST * fits.amplitude[first])
            & (np.abs(width[second] - width[first]) < np.log(UNLIKE))
        )


def _signs(pixels: Pixels, fits: Fits, poisson: bool) -> _Signs:
    n = len(fits)
    result = _Signs(np.full(n, np.nan), np.zeros(n, np.int64), np.zeros(n), np.zeros((n, 2), np.int64))
    for side in np.unique(fits.window):
        some = np.flatnonzero((fits.window == side) & (fits.n_components > 0))
        level = taken_off(pixels, fits.row[some], fits.col[some])
        values = cut_windows(pixels, fits.row[some], fits.col[some], int(side)).values + level[:, None]
        part = tuple(array[some] for array in result)
        parameters = np.nan_to_num(fits.parameters[some])
        parameters[:, GROUND] += level
        _inspect(values, parameters, fits.n_components[some], int(side), poisson, part)
        for whole, piece in zip(result, part, strict=True):
            whole[some] = piece
    return result


@njit(cache=True, nogil=True)
def _inspect(values, parameters, components, side, poisson, out):
    misfit, pixels, correlation, highest = out
    half = side // 2
    r = np.empty((side, side))
    for k in range(values.shape[0]):
        total, number = 0.0, 0
        for i in range(side):
            for j in range(side):
                model = _model_at(parameters[k], components[k], j - half, i - half)
                left = values[k, i * side + j] - model
                r[i, j] = 0.0 if np.isnan(left) else left / (np.sqrt(max(model, 1.0)) if poisson else 1.0)
                total += r[i, j] * r[i, j]
                number += not np.isnan(left)
        misfit[k], pixels[k] = total, number
        together, best = 0.0, 0.0
        for i in range(1, side - 1):
            for j in range(1, side - 1):
                together += r[i, j] * (r[i, j + 1] + r[i + 1, j])
                y, x = i - half, j - half
                if x * x + y * y < NEAREST**2 or x * parameters[k, 1] + y * parameters[k, 2] <= 0.0:
                    continue
                around = 0.0
                for t in range(9):
                    around += r[i + t // 3 - 1, j + t % 3 - 1]
                if around > best:
                    best = around
                    highest[k, 0], highest[k, 1] = x, y
        correlation[k] = 0.5 * together / total if total > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _model_at(parameters, count, x, y):
    total = parameters[GROUND] + parameters[GROUND + 1] * x + parameters[GROUND + 2] * y
    for k in range(count):
        height, x0, y0, a, b, c, eta = parameters[k * STRIDE : (k + 1) * STRIDE]
        u, v = x - x0, y - y0
        q = u * (a * u + 2.0 * b * v) + c * v * v
        total += height * ((1.0 - eta) * exp_negative(-0.5 * q) + eta / (1.0 + q / HALF_MAXIMUM))
    return total
