"""The command that links a peak table into tracks."""

import argparse
import contextlib
import sys
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import ValidationError

from braggscope.app.engine.axis import Axis, read_axis
from braggscope.app.export.provenance import CONVENTION
from braggscope.app.export.tables import read_peaks
from braggscope.app.export.track_tables import TrackedTable, output_paths, read_provenance, write_tracks
from braggscope.app.files import check_not_input
from braggscope.app.options import CommandError
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.version import VERSION
from braggscope.app.wording import count_rows, counted
from braggscope.models.geometry import Instrument
from braggscope.models.peak_directions import with_directions
from braggscope.models.results import PeakTable
from braggscope.models.tracks.quantities import spacings
from braggscope.models.tracks.table import Tracks, TrackSettings


def tracks(options: argparse.Namespace) -> int:
    """Link the peaks of a table and write them with their tracks."""
    from braggscope.models.tracks.link import link  # late: compiled kernels

    settings = _settings(options)
    for path in output_paths(options.output):
        check_not_input(path, [str(options.peaks), options.poni, options.axis and str(options.axis)])
    table = read_peaks(options.peaks)
    provenance = read_provenance(options.peaks)
    source = _source(provenance)
    instrument = _instrument(options, provenance, source)
    axes = _axes(options, table, provenance, source)
    found = link(table, settings)
    spacing = None
    if instrument is not None:
        table = with_directions(table, instrument)
        spacing = spacings(table, found, instrument, options.d0)
    elif options.d0 is not None:
        raise CommandError("--d0 needs the geometry of the detector; give it with --poni.")
    tracked = TrackedTable(
        table, found, spacing, axes, _provenance(options, provenance, settings, instrument)
    )
    for path in write_tracks(options.output, tracked):
        print(path, file=sys.stderr)
    print(_sentence(table, found), file=sys.stderr)
    return 0


def _settings(options: argparse.Namespace) -> TrackSettings:
    if options.gap < 0:
        raise CommandError(f"--gap {options.gap} is not possible; use 0 or more frames.")
    if not (np.isfinite(options.gate) and options.gate > 0):
        raise CommandError(f"--gate {options.gate:g} is not possible; use a number of pixels above 0.")
    if options.d0 is not None and not (np.isfinite(options.d0) and options.d0 > 0):
        raise CommandError(f"--d0 {options.d0:g} is not possible; use a spacing in angstrom above 0.")
    return TrackSettings(gate_px=options.gate, gap=options.gap)


def _source(provenance: dict[str, Any]) -> SourceInfo | None:
    """The series from which the peaks come, if it is still where it was and what it was."""
    location = provenance.get("source")
    if not isinstance(location, str) or not location:
        return None
    from braggscope.app.sources.reader import Reader

    try:
        with Reader() as reader:
            found = reader.open(location)
    except SourceError:
        return None
    return found if found.identity == provenance.get("identity") else None


def _instrument(
    options: argparse.Namespace, provenance: dict[str, Any], source: SourceInfo | None
) -> Instrument | None:
    """The instrument of a file, or of the peak table, or of the series."""
    if options.poni is not None:
        from braggscope.app.sources.instruments import read_instrument

        wavelength = None if source is None else source.quantities.get("wavelength_angstrom")
        return read_instrument(options.poni, None if source is None else source.shape, wavelength)
    if isinstance(provenance.get("instrument"), dict):
        with contextlib.suppress(ValidationError):
            return Instrument.model_validate(provenance["instrument"])
    return None if source is None else Instrument.from_quantities(source.quantities)


def _axes(
    options: argparse.Namespace, table: PeakTable, provenance: dict[str, Any], source: SourceInfo | None
) -> tuple[Axis, ...]:
    """The axis of a file, or those of the series."""
    if options.axis is not None:
        return (read_axis(options.axis, _frames(table, provenance, source)),)
    if source is None:
        return ()
    return tuple(Axis(name, values) for name, values in source.axes.items() if len(values) == source.frames)


def _frames(table: PeakTable, provenance: dict[str, Any], source: SourceInfo | None) -> int:
    """Frames of the series: as the series says, or the range that was analysed, or the last peak."""
    if source is not None:
        return source.frames
    last = int(table["frame"].max(initial=-1)) + 1
    parts = str(provenance.get("frames", "")).split(":")
    if len(parts) == 3 and all(part.isdigit() for part in parts):
        return max(last, int(parts[1]))
    return last


def _provenance(
    options: argparse.Namespace,
    peaks: dict[str, Any],
    settings: TrackSettings,
    instrument: Instrument | None,
) -> dict[str, Any]:
    return {
        "program": "Braggscope",
        "version": VERSION,
        "convention": CONVENTION,
        **peaks,
        "instrument": None if instrument is None else instrument.model_dump(mode="json"),
        "tracks": {
            "peaks": str(options.peaks),
            "settings": asdict(settings),
            "d0_angstrom": options.d0,
            "axis": None if options.axis is None else str(options.axis),
        },
    }


def _sentence(table: PeakTable, found: Tracks) -> str:
    splits, merges, again = (
        int(np.count_nonzero(x >= 0)) for x in (found.split_from, found.merged_into, found.continues)
    )
    alone = int(np.count_nonzero(found.track < 0))
    left = f", {alone:,} of them in no track" if alone else ""
    return (
        f"{counted(len(found), 'track')} of {count_rows(table)}{left}; {counted(splits, 'split')}, "
        f"{counted(merges, 'merge')}, {again:,} seen again"
    )
