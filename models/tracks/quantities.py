"""What a track means: lattice spacing and strain of every peak, and a summary of every track."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.geometry import Instrument, directions
from braggscope.models.results import Column, PeakTable
from braggscope.models.tracks.table import Tracks

Floats = NDArray[np.float64]

TRACK_COLUMNS: tuple[Column, ...] = (
    Column("track", "int64", "", "number of the track, -1 for none"),
    Column("split_from", "int64", "", "track from which this one split, -1 for none"),
    Column("x_smooth", "float64", "px", "column of the smoothed track"),
    Column("y_smooth", "float64", "px", "row of the smoothed track"),
    Column("x_smooth_err", "float64", "px", "1 sigma"),
    Column("y_smooth_err", "float64", "px", "1 sigma"),
)
GEOMETRY_COLUMNS: tuple[Column, ...] = (
    Column("two_theta_err", "float64", "rad", "1 sigma"),
    Column("azimuth_err", "float64", "rad", "1 sigma"),
    Column("q_err", "float64", "1/angstrom", "1 sigma"),
    Column("d_err", "float64", "angstrom", "1 sigma"),
    Column("strain", "float64", "", "d / reference - 1; tension positive"),
    Column("strain_err", "float64", "", "1 sigma, the reference taken as exact"),
    Column("strain_smooth", "float64", "", "the same of the smoothed track"),
    Column("strain_smooth_err", "float64", "", "1 sigma"),
)
SUMMARY_COLUMNS: tuple[Column, ...] = (
    Column("track", "int64", "", "number of the track"),
    Column("name", "str", "", "as shown; 4.1 split from 4, 4+ is 4 seen again"),
    Column("first", "int64", "", "first frame"),
    Column("last", "int64", "", "last frame"),
    Column("length", "int64", "", "peaks"),
    Column("split_from", "int64", "", "track from which this one split, -1 for none"),
    Column("split_frame", "float64", "", "frame in which both are seen 2.5 sigma apart"),
    Column("merged_into", "int64", "", "track into which this one went, -1 for none"),
    Column("merge_frame", "float64", "", "frame in which both are 2.5 sigma apart for the last time"),
    Column("continues", "int64", "", "track that this one is again after a long gap, -1 for none"),
    Column("x_mean", "float64", "px", "mean column"),
    Column("y_mean", "float64", "px", "mean row"),
    Column("snr_mean", "float64", "", "mean of amplitude / sqrt(background)"),
    Column("d_reference", "float64", "angstrom", "lattice spacing to which strain refers"),
    Column("strain_change", "float64", "", "smoothed strain of the last frame minus that of the first"),
)


@dataclass(frozen=True, slots=True)
class Spacings:
    """Rows of a table in reciprocal space: the columns of :data:`GEOMETRY_COLUMNS`, (N,) each, by name, and
    ``reference`` (K,) Å, the spacing to which the strain of every track refers.
    """

    columns: dict[str, Floats]
    reference: Floats


def spacings(
    table: PeakTable, tracks: Tracks, instrument: Instrument, d0_angstrom: float | None = None
) -> Spacings:
    """Strain of every peak, and the errors of its direction. Columns of strain are NaN without a track.

    Strain refers to ``d0_angstrom``; if that is None, to the smoothed spacing in the first frame of the
    track, or of the one it came from: a new phase is strained against its grain. Errors are those of the
    positions.
    """
    here = directions(
        instrument, table["x"], table["y"], table["x_err"], table["y_err"],
        np.where(table["x"] == table["x_fit"], table["cov_xy"], 0.0),
    )  # fmt: skip
    smooth = directions(instrument, tracks.x, tracks.y, tracks.x_err, tracks.y_err)
    first = _first_rows(table, tracks)
    reference = np.full(len(tracks), np.nan if d0_angstrom is None else d0_angstrom)
    if d0_angstrom is None and len(tracks):
        origin = np.array([tracks.ancestor(k) for k in range(len(tracks))])
        reference = smooth.d_angstrom[first[origin]]
    base = np.append(reference, np.nan)[tracks.track]  # row -1 has none
    columns = {
        "two_theta_err": here.two_theta_err, "azimuth_err": here.azimuth_err, "q_err": here.q_err,
        "d_err": here.d_err, "strain": here.d_angstrom / base - 1, "strain_err": here.d_err / base,
        "strain_smooth": smooth.d_angstrom / base - 1, "strain_smooth_err": smooth.d_err / base,
    }  # fmt: skip
    return Spacings(columns, reference)


def track_columns(tracks: Tracks) -> dict[str, NDArray]:
    """(N,) arrays by the names of :data:`TRACK_COLUMNS`."""
    parents = np.append(tracks.split_from, -1)[tracks.track]
    return {
        "track": tracks.track, "split_from": parents, "x_smooth": tracks.x, "y_smooth": tracks.y,
        "x_smooth_err": tracks.x_err, "y_smooth_err": tracks.y_err,
    }  # fmt: skip


def summary(table: PeakTable, tracks: Tracks, strain: Spacings | None = None) -> dict[str, NDArray]:
    """(K,) arrays by the names of :data:`SUMMARY_COLUMNS`; what is not known is NaN."""
    count, track = len(tracks), tracks.track
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = table["amplitude"] / np.sqrt(np.maximum(table["background"], 1.0))
    values: dict[str, NDArray] = {
        name: getattr(tracks, name)
        for name in ("first", "last", "length", "split_from", "split_frame", "merged_into", "merge_frame")
    }
    values |= {
        "track": np.arange(count), "name": np.array(tracks.name, dtype=np.str_),
        "continues": tracks.continues,
        "x_mean": _mean(tracks.x, track, count), "y_mean": _mean(tracks.y, track, count),
        "snr_mean": _mean(snr, track, count), "d_reference": np.full(count, np.nan),
        "strain_change": np.full(count, np.nan),
    }  # fmt: skip
    if strain is not None and count:
        smooth = strain.columns["strain_smooth"]
        first, last = _first_rows(table, tracks), _first_rows(table, tracks, backwards=True)
        values |= {"d_reference": strain.reference, "strain_change": smooth[last] - smooth[first]}
    return {column.name: values[column.name] for column in SUMMARY_COLUMNS}


def _first_rows(table: PeakTable, tracks: Tracks, backwards: bool = False) -> NDArray[np.int64]:
    """(K,) row of the first peak of every track, or of the last."""
    order = np.argsort(table["frame"], kind="stable")
    order = order[tracks.track[order] >= 0]
    rows = np.zeros(len(tracks), np.int64)
    rows[tracks.track[order if backwards else order[::-1]]] = order if backwards else order[::-1]
    return rows


def _mean(values: Floats, track: NDArray[np.int64], count: int) -> Floats:
    """(count,) mean of the finite values of every track, NaN where there are none."""
    good = (track >= 0) & np.isfinite(values)
    total = np.bincount(track[good], values[good], count)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / np.bincount(track[good], minlength=count))
