"""Tracks on disk: the peak table with more columns, and a table of the tracks beside or inside it."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.axis import Axis
from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.tables import ROWS, TEXT, ExportError, Words, check_folder, write_csv
from braggscope.app.files import atomic_path, check_room
from braggscope.models.results import COLUMNS, Column, PeakTable
from braggscope.models.tracks.quantities import (
    GEOMETRY_COLUMNS,
    SUMMARY_COLUMNS,
    TRACK_COLUMNS,
    Spacings,
    summary,
    track_columns,
)
from braggscope.models.tracks.table import Tracks

SUFFIXES = (".csv", ".parquet", ".h5")


@dataclass(frozen=True, slots=True)
class TrackedTable:
    """What is written: peaks in pixels of the whole frame, their tracks, and what else is known.

    ``provenance``: plain JSON values that say where all of it comes from.
    """

    table: PeakTable
    tracks: Tracks
    spacings: Spacings | None = None
    axes: tuple[Axis, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def columns(self) -> list[tuple[Column, NDArray]]:
        """All columns of the table of peaks, words as text."""
        table = self.table
        peaks = [(c, table.labels(c.name) if c.name in Words else table[c.name]) for c in COLUMNS]
        tracked = track_columns(self.tracks)
        peaks += [(column, tracked[column.name]) for column in TRACK_COLUMNS]
        if self.spacings is not None:
            peaks += [(column, self.spacings.columns[column.name]) for column in GEOMETRY_COLUMNS]
        taken = {column.name for column, _ in peaks}
        for axis in self.axes:
            name = _free(axis.name, taken)
            values = np.append(axis.values, np.nan)
            at = np.minimum(table["frame"], len(axis.values))
            peaks.append((Column(name, "float64", "", "external axis at the frame"), values[at]))
        return peaks

    def summary(self) -> list[tuple[Column, NDArray]]:
        """All columns of the table of tracks."""
        values = summary(self.table, self.tracks, self.spacings)
        return [(column, values[column.name]) for column in SUMMARY_COLUMNS]


def _free(name: str, taken: set[str]) -> str:
    """A column name like ``name`` that is not taken yet; it becomes taken."""
    clean = "".join(c if c.isalnum() or c in "_-" else "_" for c in name) or "axis"
    while clean in taken:
        clean = f"axis_{clean}"
    taken.add(clean)
    return clean


def output_paths(path: Path) -> tuple[Path, ...]:
    """Every file that :func:`write_tracks` writes for ``path``. Raises ExportError for unknown suffixes."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ExportError(f"{path.name} has no known suffix for tracks; use one of {', '.join(SUFFIXES)}.")
    check_folder(path)
    if suffix == ".h5":
        return (path,)
    beside = path.with_name(f"{path.stem}_tracks{path.suffix}")
    if beside.is_dir():
        raise ExportError(f"{beside} is a folder; choose another name.")
    return (path, beside, path.with_name(path.name + ".json")) if suffix == ".csv" else (path, beside)


def write_tracks(path: Path, tracked: TrackedTable, context: Context = UNWATCHED) -> tuple[Path, ...]:
    """Write; the suffix decides the format. Returns the files written.

    HDF5 holds ``/entry/peaks`` and ``/entry/tracks``; CSV and Parquet get the tracks as ``OUT_tracks``
    beside, and CSV its provenance as ``OUT.csv.json``. Nothing appears under its name before all is written.
    Raises ExportError, DiskFullError, Cancelled.
    """
    paths = output_paths(path)
    writer: dict[str, Callable[..., None]] = {".csv": _csv, ".parquet": _parquet, ".h5": _hdf5}
    with contextlib.ExitStack() as stack:
        temporary = [stack.enter_context(atomic_path(final, context.commit)) for final in paths]
        writer[path.suffix.lower()](tracked, context, *temporary)
    return paths


def _named(columns: list[tuple[Column, NDArray]]) -> dict[str, NDArray]:
    return {column.name: values for column, values in columns}


def _csv(tracked: TrackedTable, context: Context, peaks: Path, tracks: Path, beside: Path) -> None:
    write_csv(peaks, _named(tracked.columns()), context)
    write_csv(tracks, _named(tracked.summary()), context)
    beside.write_text(json.dumps(tracked.provenance, indent=1), "utf-8")


def _parquet(tracked: TrackedTable, context: Context, peaks: Path, tracks: Path) -> None:
    import pyarrow
    import pyarrow.parquet as parquet

    note = {"braggscope": json.dumps(tracked.provenance)}
    for path, columns in ((peaks, tracked.columns()), (tracks, tracked.summary())):
        table = pyarrow.table(_named(columns)).replace_schema_metadata(note)
        with parquet.ParquetWriter(path, table.schema) as writer:
            for part in table.to_batches(max_chunksize=ROWS):
                context.check()
                writer.write_batch(part)


def _hdf5(tracked: TrackedTable, context: Context, path: Path) -> None:
    import h5py

    parts = (
        ("peaks", tracked.columns(), "score", "frame"),
        ("tracks", tracked.summary(), "length", "track"),
    )
    check_room(path, 2 * sum(values.nbytes for _, columns, *_ in parts for _, values in columns))
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry"
        entry = file.create_group("entry")
        entry.attrs.update(NX_class="NXentry", default="tracks")
        process = entry.create_group("process")
        process.attrs["NX_class"] = "NXprocess"
        for name in ("program", "version"):
            process[name] = str(tracked.provenance.get(name, ""))
        process["provenance"] = json.dumps(tracked.provenance)
        for name, columns, signal, axis in parts:
            group = entry.create_group(name)
            group.attrs.update(NX_class="NXdata", signal=signal, axes=[axis])
            for column, values in columns:
                context.check()
                _dataset(group, column, values)


def _dataset(group: Any, column: Column, values: NDArray) -> None:
    import h5py

    if column.name in Words:
        values = values.astype(TEXT)
    elif values.dtype.kind == "U":
        data = group.create_dataset(column.name, data=values.astype(object), dtype=h5py.string_dtype())
        data.attrs["long_name"] = column.meaning
        return
    options = {"compression": "gzip", "shuffle": True} if len(values) else {}
    data = group.create_dataset(column.name, data=values, **options)
    data.attrs["long_name"] = column.meaning
    if column.unit:
        data.attrs["units"] = column.unit


def read_provenance(path: Path) -> dict[str, Any]:
    """What a peak table says of where it comes from; empty where it says nothing."""
    suffix = path.suffix.lower()
    text: str | bytes | None = None
    try:
        if suffix == ".h5":
            import h5py

            with h5py.File(path, "r") as file:
                text = file["entry/process/provenance"][()]
        elif suffix == ".parquet":
            import pyarrow.parquet as parquet

            text = (parquet.read_schema(path).metadata or {}).get(b"braggscope")
        else:
            text = path.with_name(path.name + ".json").read_text("utf-8")
        values = json.loads(text or "{}")
    except (OSError, KeyError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
