"""Rows of peaks that were not detected, but are fitted jointly with one that was."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from braggscope.models.fitting.fits import Fits
from braggscope.models.fitting.hidden import Hidden
from braggscope.models.fitting.solution import GROUND, MAX_COMPONENTS, STRIDE
from braggscope.models.results import PeakTable, Source, Status

SAME_PX = 0.75  # two fits nearer than this are of one peak
_OF_OWNER = ("frame", "peak", "col", "row", "birth", "death", "score")


class Further(NamedTuple):
    """M further peaks, by rising owner, then by falling amplitude, beside N detected ones."""

    own: NDArray[np.int64]  # (N,) index of each detected peak in the fits
    owner: NDArray[np.int64]  # (M,) index of the detected peak
    component: NDArray[np.int64]  # (M,) 1, 2 … for each owner
    entry: NDArray[np.int64]  # (M,) index in the fits


def none_beside(n: int) -> Further:
    """Only detected peaks."""
    return Further(np.arange(n), *(np.zeros(0, np.int64),) * 3)


def further_peaks(found: Hidden, n: int) -> Further:
    """Those fits that belong to further peaks, each once. ``found.fits``: of ``n`` detected peaks, then of
    peaks that only the localiser network sees, then of those of ``found.owner``.

    Both fits must be ok; one that the network sees counts only where the joint fit of the nearest detected
    peak holds it. What lies where a peak was detected is none. Where fits have changed places, the one nearer
    to the detected pixel is that of the detected peak.
    """
    fits = found.fits
    seen = np.arange(n, len(fits) - len(found.owner))
    entry = np.arange(n, len(fits))
    if not n or not len(entry):
        return none_beside(n)
    pixels = np.column_stack((fits.col, fits.row))
    nearest = cKDTree(pixels[:n]).query(pixels[seen])[1]
    owner = np.concatenate((nearest, found.owner)).astype(np.int64)
    good = (owner < n) & (fits.status[entry] == Status.OK)
    good &= fits.status[np.minimum(owner, n - 1)] == Status.OK
    good[: len(seen)] &= _held(fits, nearest, seen)
    owner, entry = owner[good], entry[good]
    own = _own(fits, n, owner, entry)
    order = np.lexsort((-fits.amplitude[entry], owner))
    owner, entry = owner[order], entry[order]
    kept = _distinct(fits, own, entry)
    owner, entry = owner[kept], entry[kept]
    first = np.searchsorted(owner, owner)
    return Further(own, owner, np.arange(len(owner)) - first + 1, entry)


def with_further(table: PeakTable, further: Further, columns: Mapping[str, NDArray]) -> PeakTable:
    """Table with a row for each further peak right behind that of its owner; ``columns``: of its fit."""
    if not len(further.owner):
        return table
    answer = {name: columns[f"{name[0]}_fit{name[1:]}"] for name in ("x", "y", "x_err", "y_err")}
    rows = PeakTable.blank(
        len(further.owner), **{name: table[name][further.owner] for name in _OF_OWNER}, **columns, **answer,
        component=further.component, method=int(Source.FIT),
    )  # fmt: skip
    place = np.concatenate((np.arange(len(table)), further.owner))
    return PeakTable.concatenate((table, rows)).take(np.argsort(place, kind="stable"))


def _held(fits: Fits, owner: NDArray, entry: NDArray) -> NDArray[np.bool_]:
    """(M,) bool: one of the further components of the owner's fit lies where the entry's centre does."""
    parts = fits.parameters[owner, :GROUND].reshape(len(owner), MAX_COMPONENTS, STRIDE)[:, 1:]
    used = np.arange(1, parts.shape[1] + 1) < fits.n_components[owner, None]
    apart = np.hypot(
        parts[..., 1] + (fits.col[owner] - fits.x[entry])[:, None],
        parts[..., 2] + (fits.row[owner] - fits.y[entry])[:, None],
    )
    return np.asarray((used & (apart < SAME_PX)).any(axis=1))


def _own(fits: Fits, n: int, owner: NDArray[np.int64], entry: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) index of the fit of each detected peak; exchanges it with an ``entry`` nearer to its pixel."""
    own = np.arange(n)

    def away(fit: NDArray) -> NDArray[np.float64]:
        return np.asarray(np.hypot(fits.x[fit] - fits.col[owner], fits.y[fit] - fits.row[owner]))

    for k in np.flatnonzero(away(entry) < away(own[owner])):
        at = owner[k]
        if away(entry)[k] < away(own[owner])[k]:  # not exchanged already
            own[at], entry[k] = entry[k], own[at]
    return own


def _distinct(fits: Fits, own: NDArray[np.int64], entry: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(M,) bool: not where a detected peak is, nor where an earlier one of them is."""
    x, y = fits.x[own], fits.y[own]
    detected = np.where(np.isfinite(x), (x, y), (fits.col[own], fits.row[own])).T
    places = np.column_stack((fits.x[entry], fits.y[entry]))
    kept = cKDTree(detected).query(places)[0] >= SAME_PX
    if len(places):
        pairs = cKDTree(places).query_pairs(SAME_PX, output_type="ndarray")
        kept[pairs.max(axis=1)] = False
    return np.asarray(kept)
