"""Peak tables on disk: CSV, Parquet, NeXus HDF5, CXI, ImageD11. Written frame by frame, in bounded memory."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.export.cxi import write_cxi
from braggscope.app.export.flt import write_flt
from braggscope.app.export.provenance import Provenance
from braggscope.app.files import atomic_path, check_room
from braggscope.models.peak_directions import with_directions
from braggscope.models.results import COLUMNS, WORDS, PeakTable, in_frame_pixels

ROWS = 20_000  # that are written at a time: under 0.2 s, between which a job can be cancelled
SUFFIXES = (".csv", ".parquet", ".h5", ".cxi", ".flt")
Words = {name: [member.label for member in kind] for name, kind in WORDS.items()}
TEXT = f"S{max(len(word) for words in Words.values() for word in words)}"  # of HDF5


class ExportError(Exception):
    """Something cannot be written or read back. One sentence says what and why."""

    expected = True


def write_peaks(
    path: Path,
    tables: Iterable[PeakTable],
    provenance: Provenance,
    frames: Iterable[int] | None = None,
    axes: Mapping[str, NDArray[np.float64]] | None = None,
    *,
    whole_frame: bool = False,
    context: Context = UNWATCHED,
) -> int:
    """Write tables (by rising frame) to ``path``; the suffix decides the format. Returns the rows written.

    ``tables`` are in pixels of the prepared image unless ``whole_frame``, the file is in pixels of the
    whole frame; where the provenance has an instrument, q, d, two_theta and azimuth are filled in.
    ``frames``: all frames analysed, those without peaks included; CXI has a row for each (default: frames
    with peaks).
    ``axes``: per-frame quantities of the series; ImageD11's list takes ``omega_deg``. CSV and ``.flt`` get
    their provenance as ``NAME.csv.json`` beside them; the others hold it themselves.
    Nothing half-written ever stands under the final name. Raises ExportError for unknown suffixes,
    Cancelled.
    """
    check_suffix(path)
    writer: dict[str, Callable[[Path, Iterable[PeakTable], Provenance], int]] = {
        ".csv": _write_csv, ".parquet": _write_parquet, ".h5": _write_hdf5,
        ".cxi": partial(write_cxi, frames=frames),
        ".flt": partial(write_flt, omega=(axes or {}).get("omega_deg")),
    }  # fmt: skip
    binning = 1 if whole_frame else provenance.parameters.prepare.binning
    whole = (in_frame_pixels(table, binning) for table in _gathered(tables, context))
    if (instrument := provenance.instrument) is not None:
        whole = (with_directions(table, instrument) for table in whole)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(path, context.commit))
        rows = writer[path.suffix.lower()](temporary, whole, provenance)
        if path.suffix.lower() in (".csv", ".flt"):
            notes = path.with_name(path.name + ".json")
            beside = stack.enter_context(atomic_path(notes, context.commit))
            beside.write_text(provenance.json(), "utf-8")
    return rows


def check_suffix(path: Path) -> None:
    """Raise ExportError unless the suffix names a format and the folder is there."""
    if path.suffix.lower() not in SUFFIXES:
        raise ExportError(
            f"{path.name} has no known suffix for a peak table; use one of {', '.join(SUFFIXES)}."
        )
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise ExportError unless the folder of ``path`` is there and ``path`` is no folder itself."""
    if path.is_dir():
        raise ExportError(f"{path} is a folder; choose another name.")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise ExportError(f"The folder {folder} does not exist; make it, or choose another.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ExportError(f"Nothing can be written into the folder {folder}; choose another.")


def read_peaks(path: Path) -> PeakTable:
    """Read a table back from CSV, Parquet or HDF5. Raises ExportError."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise ExportError(f"There is no file {path}; check its name.")
    try:
        if suffix == ".h5":
            return _read_hdf5(path)
        if suffix == ".parquet":
            import pyarrow.parquet as parquet

            return _from_arrow(parquet.read_table(path))
        if suffix == ".csv":
            from pyarrow import csv

            return _from_arrow(csv.read_csv(path))
    except KeyError as error:  # a column, or the group of the table: another file altogether
        raise ExportError(
            f"{path.name} is no peak table; choose one that Braggscope wrote (braggscope peaks, or Export)."
        ) from error
    except (OSError, ValueError) as error:
        raise ExportError(f"{path.name} could not be read as a peak table: {error}.") from error
    raise ExportError(f"{path.name} cannot be read as a peak table; use .csv, .parquet or .h5.")


def _gathered(tables: Iterable[PeakTable], context: Context) -> Iterator[PeakTable]:
    """The same rows in fewer, larger tables."""
    waiting: list[PeakTable] = []
    rows = 0
    for table in tables:
        context.check()
        waiting.append(table)
        rows += len(table)
        if rows >= ROWS:
            yield PeakTable.concatenate(waiting)
            waiting, rows = [], 0
    yield PeakTable.concatenate(waiting)


def _arrow(table: PeakTable) -> Any:
    import pyarrow

    columns = {c.name: table.labels(c.name) if c.name in Words else table[c.name] for c in COLUMNS}
    return pyarrow.table(columns)


def _from_arrow(data: Any) -> PeakTable:
    columns: dict[str, NDArray] = {}
    for column in COLUMNS:
        values = data.column(column.name)
        if column.name in Words:
            codes = {word: i for i, word in enumerate(Words[column.name])}
            columns[column.name] = np.array([codes[w or ""] for w in values.to_pylist()], column.dtype)
        else:
            columns[column.name] = np.asarray(values.to_numpy(), dtype=column.dtype)
    return PeakTable(columns)


def _write_rows(tables: Iterable[PeakTable], write: Callable[[Any], object]) -> int:
    rows = 0
    for table in tables:
        write(_arrow(table))
        rows += len(table)
    return rows


def _write_csv(path: Path, tables: Iterable[PeakTable], _: Provenance) -> int:
    with _csv_writer(path, _arrow(PeakTable.blank(0)).schema) as writer:
        return _write_rows(tables, writer.write)


def write_csv(path: Path, columns: Mapping[str, NDArray], context: Context) -> None:
    """Write whole columns of one length as CSV under their names. Raises Cancelled."""
    import pyarrow

    table = pyarrow.table(columns)
    with _csv_writer(path, table.schema) as writer:
        for part in table.to_batches(max_chunksize=ROWS):
            context.check()
            writer.write(part)


def _csv_writer(path: Path, schema: Any) -> Any:
    from pyarrow import csv

    return csv.CSVWriter(path, schema, write_options=csv.WriteOptions(quoting_style="needed"))


def _write_parquet(path: Path, tables: Iterable[PeakTable], provenance: Provenance) -> int:
    import pyarrow.parquet as parquet

    schema = _arrow(PeakTable.blank(0)).schema.with_metadata({"braggscope": provenance.json()})
    with parquet.ParquetWriter(path, schema) as writer:
        return _write_rows(tables, lambda part: writer.write_table(part.cast(schema)))


def _write_hdf5(path: Path, tables: Iterable[PeakTable], provenance: Provenance) -> int:
    import h5py

    check_room(path, 0)
    with h5py.File(path, "w") as file:
        group = _nexus_skeleton(file, provenance)
        for column in COLUMNS:
            dtype = TEXT if column.name in Words else column.dtype
            data = group.create_dataset(
                column.name, (0,), dtype, maxshape=(None,), chunks=(8192,), compression="gzip", shuffle=True
            )
            data.attrs["long_name"] = column.meaning
            if column.unit:
                data.attrs["units"] = column.unit
        rows = 0
        for table in tables:
            file.flush()
            check_room(path, _size(table))
            total = rows + len(table)
            for column in COLUMNS:
                group[column.name].resize((total,))
                values = table[column.name]
                if column.name in Words:
                    values = table.labels(column.name).astype(TEXT)
                group[column.name][rows:total] = values
            rows = total
        return rows


def _size(table: PeakTable) -> int:
    """Bytes of a table on disk, at most."""
    return 2 * sum(values.nbytes for values in table.columns.values())


def _nexus_skeleton(file: Any, provenance: Provenance) -> Any:
    file.attrs["default"] = "entry"
    entry = file.create_group("entry")
    entry.attrs["NX_class"] = "NXentry"
    entry.attrs["default"] = "peaks"
    process = entry.create_group("process")
    process.attrs["NX_class"] = "NXprocess"
    process["program"] = "Braggscope"
    process["version"] = str(provenance.as_dict()["version"])
    process["date"] = str(provenance.as_dict()["written"])
    process["parameters"] = provenance.parameters.model_dump_json()
    process["weights_sha256"] = provenance.weights_sha256
    process["source"] = provenance.source
    process["provenance"] = provenance.json()
    group = entry.create_group("peaks")
    group.attrs["NX_class"] = "NXdata"
    group.attrs["signal"] = "score"
    group.attrs["axes"] = ["frame"]
    group.attrs["convention"] = str(provenance.as_dict()["convention"])
    return group


def _read_hdf5(path: Path) -> PeakTable:
    import h5py

    from braggscope.app.sources.hdf5_checks import refuse_raw_storage, table_values

    with h5py.File(path, "r") as file:
        refuse_raw_storage(file)
        group = file["entry/peaks"]
        columns: dict[str, NDArray] = {}
        for column in COLUMNS:
            values = table_values(group[column.name])
            if column.name in Words:
                codes = {word.encode(): i for i, word in enumerate(Words[column.name])}
                values = np.array([codes[word] for word in values.tolist()], column.dtype)
            columns[column.name] = values.astype(column.dtype)
        return PeakTable(columns)
