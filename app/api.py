"""The program as a library: the same engine as the window, in a few calls.

:func:`describe` a series, get :func:`suggested` thresholds for it, :func:`analyse_series`, and
:func:`write_table` what was found; :func:`read_table` reads it back. Long series are better left to
``braggscope peaks``, which keeps a journal. :func:`map_strain` measures a 4D-STEM scan, :func:`write_strain`
and :func:`read_strain` keep its maps. Files are read in a process of their own: in a script, call
these under ``if __name__ == "__main__"``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.app.engine.batch import Outcome, SeriesJob, assemble, run_series
from braggscope.app.engine.jobs import silent_context
from braggscope.app.engine.localizers import open_networks, weights_record
from braggscope.app.engine.setup import instrument_of, with_beam
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import read_peaks as read_table
from braggscope.app.export.tables import write_peaks
from braggscope.app.options import suggested_thresholds
from braggscope.app.sources.protocol import SourceError, SourceInfo
from braggscope.app.sources.reader import Reader
from braggscope.models.geometry import Instrument
from braggscope.models.parameters import Parameters
from braggscope.models.peak_directions import with_directions
from braggscope.models.results import PeakTable, in_frame_pixels

if TYPE_CHECKING:
    from braggscope.app.engine.strain_result import StrainResult
    from braggscope.app.export.strain import StoredStrain

__all__ = [
    "analyse_series",
    "describe",
    "map_strain",
    "read_instrument",
    "read_strain",
    "read_table",
    "suggested",
    "write_strain",
    "write_table",
]


def describe(location: str, frame_axis: int | None = None) -> SourceInfo:
    """What a series is: frames, shape, metadata, per-frame axes. Raises SourceError.

    ``location``: file, ``file.h5::/dataset``, folder, glob, or ``@list.txt``. ``frame_axis``: axis of a stack
    that counts frames, where it is not the first.
    """
    with Reader() as reader:
        return reader.open(location, frame_axis)


def suggested(
    location: str, parameters: Parameters | None = None, *, frame_axis: int | None = None
) -> Parameters:
    """``parameters`` (default: all defaults) with ``minval`` and ``minscore`` from the middle frame.

    The same that the window proposes. Raises SourceError.
    """
    parameters = parameters or Parameters()
    with Reader() as reader:
        minval, minscore = suggested_thresholds(parameters, reader.open(location, frame_axis), reader)
    return parameters.with_detect(minval=minval, minscore=minscore)


def analyse_series(
    location: str,
    parameters: Parameters,
    frames: Sequence[int] | None = None,
    *,
    frame_axis: int | None = None,
    instrument: Instrument | None = None,
    device: str = "cpu",
    workers: int = 2,
) -> PeakTable:
    """Peak table of a series (default: all frames), in pixels of the whole frame.

    Raises SourceError if the source, or any frame, is not readable.

    ``frame_axis``: axis of a stack that counts frames, where it is not the first. ``instrument``: fills q, d,
    two_theta and azimuth; default: that of the metadata. ``device``: cpu or cuda.
    """
    info = describe(location, frame_axis)
    frames = range(info.frames) if frames is None else frames
    instrument = instrument or instrument_of(info)
    parameters = with_beam(parameters, instrument)
    networks = open_networks(parameters.localize, device)
    found: list[Outcome] = []
    job = SeriesJob(location, frames, parameters, frame_axis, device, workers)
    problems = run_series(job, networks, silent_context(), on_outcomes=found.extend)
    if problems:
        first = min(problems)
        raise SourceError(f"{len(problems)} frames failed; the first is {first}: {problems[first]}")
    table = assemble((o.frame, o.table) for o in found if o.table is not None)
    table = in_frame_pixels(table, parameters.prepare.binning)
    return table if instrument is None else with_directions(table, instrument)


def read_instrument(
    path: str | Path, shape: tuple[int, int] | None = None, wavelength_angstrom: float | None = None
) -> Instrument:
    """Instrument of a PONI or hexrd file, for frames of ``shape`` (rows, columns). Raises SourceError.

    ``wavelength_angstrom`` serves where the file names none.
    """
    from braggscope.app.sources import instruments

    return instruments.read_instrument(path, shape, wavelength_angstrom)


def write_table(
    path: str | Path,
    table: PeakTable,
    location: str,
    parameters: Parameters,
    *,
    frame_axis: int | None = None,
    instrument: Instrument | None = None,
) -> int:
    """Write a table of :func:`analyse_series` with where it comes from. Returns the rows written.

    The suffix decides the format: ``.csv .parquet .h5 .cxi .flt``. ``frame_axis``, ``instrument``: as they
    were given there. Raises ExportError.
    """
    info = describe(location, frame_axis)
    instrument = instrument or instrument_of(info)
    parameters = with_beam(parameters, instrument)
    weights = weights_record(parameters.localize)
    provenance = Provenance(
        info.location, info.identity, parameters, *weights, files=info.parts, instrument=instrument
    )
    frames = sorted(set(table["frame"].tolist()))
    return write_peaks(Path(path), [table], provenance, frames, info.axes, whole_frame=True)


def map_strain(
    location: str,
    parameters: Parameters | None = None,
    *,
    frame_axis: int | None = None,
    region: tuple[int, int, int, int] | None = None,
    device: str = "cpu",
    workers: int = 2,
) -> "StrainResult":
    """Strain maps of a 4D-STEM scan, with the probe, all disks and all lattices they come from.

    ``location``: a 4-D dataset, or a series of patterns with ``parameters.strain.scan_shape``. ``region``:
    positions r0, r1, c0, c1 to which the measurement is restricted. Raises SourceError where the source is no
    scan, StrainError where it shows no probe or no lattice, WeightsError.
    """
    from braggscope.app.engine.strain import run_strain
    from braggscope.app.engine.strain_key import with_calibration

    parameters = with_calibration(parameters or Parameters(), describe(location, frame_axis))
    return run_strain(
        location, parameters, None, silent_context(),
        frame_axis=frame_axis, region=region, device=device, workers=workers,
    )  # fmt: skip


def write_strain(path: str | Path, result: "StrainResult", device: str = "cpu") -> tuple[Path, ...]:
    """Write what :func:`map_strain` gave: ``.h5`` everything, ``.csv`` a row per position, ``.tif`` the maps.

    Returns the files written. Raises ExportError.
    """
    from braggscope.app.export import strain

    return strain.write_strain(Path(path), result, strain.provenance_of(result, device))


def read_strain(path: str | Path) -> "StoredStrain":
    """Read the maps of an HDF5 file back, with lattices, disks, probe and provenance. Raises ExportError."""
    from braggscope.app.export import strain

    return strain.read_strain(Path(path))
