"""Quantities of tracks as curves, and tracks as the rows of their table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.axis import Axis
from braggscope.models.geometry import Instrument
from braggscope.widgets.theme import SERIES_COLOURS
from braggscope.widgets.track_model import TrackRows
from braggscope.widgets.tracks_plot import TrackCurve

if TYPE_CHECKING:
    from braggscope.app.engine.tracks import Linked

Floats = NDArray[np.float64]
PLAIN: dict[str, tuple[str, str]] = {  # key: choice, axis
    "x": ("position x", "x / px"),
    "y": ("position y", "y / px"),
    "width": ("width (FWHM)", "FWHM / px"),
    "intensity": ("intensity", "volume of the peak / counts"),
    "amplitude": ("amplitude", "amplitude / counts"),
    "orientation": ("orientation", "angle of the long axis / °"),
    "score": ("score", "score / counts"),
}
PLACED: dict[str, tuple[str, str]] = {  # these need an instrument
    "strain": ("strain", "strain / %"),
    "d": ("lattice spacing d", "d / Å"),
    "radius": ("radius from the beam", "radius / px"),
    "two_theta": ("scattering angle 2θ", "2θ / °"),
    "azimuth": ("azimuth", "azimuth / °"),
}
LABELS = PLAIN | PLACED
_GAUSS_VOLUME = 2 * np.pi / (8 * np.log(2))  # of a Gaussian: amplitude x FWHM x FWHM x this


def choices(placed: bool) -> list[tuple[str, str]]:
    """Quantities that can be drawn, key and text."""
    return [(key, text) for key, (text, _) in ((PLACED if placed else {}) | PLAIN).items()]


def colours(tracks: Sequence[int]) -> dict[int, str]:
    """A colour for each of the tracks, in their order."""
    return {track: SERIES_COLOURS[k % len(SERIES_COLOURS)] for k, track in enumerate(tracks)}


def curves(
    linked: Linked, tracks: Sequence[int], quantity: str, axis: Axis | None, instrument: Instrument | None
) -> list[TrackCurve]:
    """One curve per track, by rising frame."""
    inks, found = colours(tracks), []
    for track in tracks:
        rows = linked.tracks.rows(track)
        rows = rows[np.argsort(linked.table["frame"][rows], kind="stable")]
        frames = linked.table["frame"][rows]
        values, errors, smooth = _values(linked, rows, quantity, instrument)
        name = linked.tracks.name[track]
        x = along(axis, frames)
        found.append(TrackCurve(track, name, inks[track], frames, x, values, errors, smooth))
    return found


def along(axis: Axis | None, frames: NDArray[np.int64]) -> Floats:
    """Places of frames on an axis, NaN beyond its end."""
    if axis is None:
        return frames.astype(np.float64)
    return np.append(axis.values, np.nan)[np.clip(frames, -1, len(axis.values))]


def _values(
    linked: Linked, rows: NDArray[np.int64], quantity: str, instrument: Instrument | None
) -> tuple[Floats, Floats, Floats]:
    """Values, 1 sigma and smoothed values of some peaks."""
    table, tracks = linked.table, linked.tracks
    nothing = np.full(len(rows), np.nan)
    if quantity in ("x", "y"):
        return table[quantity][rows], table[f"{quantity}_err"][rows], getattr(tracks, quantity)[rows]
    if quantity in PLACED and (linked.spacings is None or instrument is None):
        return nothing, nothing, nothing
    if quantity in PLACED:
        assert linked.spacings is not None
        assert instrument is not None
        columns = {name: values[rows] for name, values in linked.spacings.columns.items()}
        if quantity == "strain":
            return 100 * columns["strain"], 100 * columns["strain_err"], 100 * columns["strain_smooth"]
        if quantity == "d":
            smooth = instrument.d_angstrom(tracks.x[rows], tracks.y[rows])
            return table["d"][rows], columns["d_err"], smooth
        if quantity == "radius":
            return _radius(linked, rows, columns["two_theta_err"], instrument)
        smooth = getattr(instrument, quantity)(tracks.x[rows], tracks.y[rows])
        degrees = (table[quantity][rows], columns[f"{quantity}_err"], smooth)
        return np.degrees(degrees[0]), np.degrees(degrees[1]), np.degrees(degrees[2])
    area = table["fwhm_major"][rows] * table["fwhm_minor"][rows]
    if quantity == "width":
        return np.sqrt(area), nothing, nothing
    if quantity == "intensity":
        return table["amplitude"][rows] * area * _GAUSS_VOLUME, nothing, nothing
    if quantity == "orientation":
        return np.degrees(table["angle"][rows]), nothing, nothing
    return table[quantity][rows], nothing, nothing


def _radius(
    linked: Linked, rows: NDArray[np.int64], error: Floats, instrument: Instrument
) -> tuple[Floats, Floats, Floats]:
    beam = instrument.beam
    x, y = (float("nan"),) * 2 if beam is None else beam.centre_px
    table, tracks = linked.table, linked.tracks
    values = np.hypot(table["x"][rows] - x, table["y"][rows] - y)
    slope, _ = instrument.jacobians(table["x"][rows], table["y"][rows])  # rad per px along x, y
    steepness = np.hypot(slope[..., 0], slope[..., 1])
    return values, error / steepness, np.hypot(tracks.x[rows] - x, tracks.y[rows] - y)


def track_rows(linked: Linked) -> TrackRows:
    """Tracks as the table shows them."""
    tracks, short = linked.tracks, linked.summary
    words = tuple(_history(linked, k) for k in range(len(tracks)))
    return TrackRows(
        tracks.name,
        tracks.first,
        tracks.last,
        tracks.length,
        short["snr_mean"],
        short["strain_change"],
        words,
    )


def _history(linked: Linked, k: int) -> str:
    tracks, words = linked.tracks, []
    if tracks.split_from[k] >= 0:
        words.append(f"from {tracks.name[tracks.split_from[k]]} at {tracks.split_frame[k]:.0f}")
    if tracks.continues[k] >= 0:
        words.append(f"{tracks.name[tracks.continues[k]]} again")
    if tracks.merged_into[k] >= 0:
        words.append(f"into {tracks.name[tracks.merged_into[k]]} at {tracks.merge_frame[k]:.0f}")
    return ", ".join(words)
