"""Positions of peaks from other programs' lists: tables with named columns, and CXI."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.export.tables import ExportError
from braggscope.models.compare import Positions

FILTER = "Peak lists (*.csv *.parquet *.h5 *.hdf5 *.nxs *.cxi);;All files (*)"
GROUPS = ("entry/peaks", "truth/peaks", "/")  # where a list is sought in HDF5
PLACES = (("x", "y"), ("x_fit", "y_fit"), ("peak_col", "peak_row"), ("col", "row"))
FRAMES = ("frame", "peak_fidx", "event")
_CXI = "entry_1/result_1"


def read_positions(path: Path) -> Positions:
    """Frames and positions, px of the whole frame, pixel centre = integer.

    Tables name their columns: the first of :data:`PLACES` that is there, and one of :data:`FRAMES` (without
    one all peaks are of frame 0); where there is a column ``visible``, what is not is left out. CXI as
    :mod:`braggscope.app.export.cxi` writes it; without ``frame`` its rows are the frames. Raises ExportError.
    """
    if not path.is_file():
        raise ExportError(f"There is no file {path}; check its name.")
    try:
        columns = _columns(path)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ExportError(f"{path.name} could not be read as a list of peaks: {error}.") from error
    names = next((pair for pair in PLACES if set(pair) <= set(columns)), None)
    if names is None:
        wanted = ", ".join(" and ".join(pair) for pair in PLACES)
        raise ExportError(f"{path.name} holds no list of peaks; columns wanted: {wanted}.")
    frame = next((columns[name] for name in FRAMES if name in columns), np.zeros(len(columns[names[0]])))
    try:
        x, y, frames = (np.asarray(c, np.float64).ravel() for c in (*(columns[n] for n in names), frame))
    except (TypeError, ValueError) as error:
        raise ExportError(f"{path.name}: the columns {' and '.join(names)} are not numbers.") from error
    seen = np.asarray(columns.get("visible", np.ones(len(x))), bool).ravel()
    if not len(x) == len(y) == len(frames) == len(seen):
        raise ExportError(f"{path.name}: the columns of the list of peaks differ in length.")
    seen &= np.isfinite(frames) & np.isfinite(x) & np.isfinite(y)
    return Positions(frames[seen].astype(np.int64), x[seen], y[seen])


def _columns(path: Path) -> Mapping[str, NDArray]:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        from pyarrow import csv

        return _from_arrow(csv.read_csv(path, csv.ReadOptions(skip_rows=_remarks(path))))
    if suffix == ".parquet":
        import pyarrow.parquet as parquet

        return _from_arrow(parquet.read_table(path))
    import h5py

    from braggscope.app.sources.hdf5_checks import refuse_raw_storage, table_values

    with h5py.File(path, "r") as file:
        refuse_raw_storage(file)
        if _CXI in file:
            return _from_cxi(file[_CXI])
        for name in GROUPS:
            group = file.get(name)
            if isinstance(group, h5py.Group) and any(set(pair) <= set(group) for pair in PLACES):
                wanted = {*sum(PLACES, ()), *FRAMES, "visible"}
                return {key: table_values(group[key]) for key in group if key in wanted}
    return {}


def _remarks(path: Path) -> int:
    """Lines of comment before the names of the columns; names may be behind a comment sign themselves."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for count, line in enumerate(file):
            if not line.startswith("#"):
                words = re.search("[a-df-z]", line, re.IGNORECASE)  # e: as in 1e-3
                return count if words else max(count - 1, 0)
    return 0


def _from_arrow(data: Any) -> Mapping[str, NDArray]:
    """Columns by lower-case names; a comment sign before the first one is forgiven."""
    names = [name.lstrip("# ").strip().lower() for name in data.column_names]
    wanted = {*sum(PLACES, ()), *FRAMES, "visible"}
    return {
        name: column.to_numpy() for name, column in zip(names, data.columns, strict=True) if name in wanted
    }


def _from_cxi(group: Any) -> Mapping[str, NDArray]:
    from braggscope.app.sources.hdf5_checks import table_values

    counts = np.asarray(table_values(group["nPeaks"]), np.int64)
    x, y = (np.asarray(table_values(group[name]), np.float64) for name in ("peakXPosRaw", "peakYPosRaw"))
    used = np.arange(x.shape[1]) < counts[:, None]
    frames = np.asarray(table_values(group["frame"])) if "frame" in group else np.arange(len(counts))
    return {"frame": np.repeat(frames, used.sum(axis=1)), "x": x[used], "y": y[used]}
