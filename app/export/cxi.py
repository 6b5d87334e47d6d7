"""CXI peak lists, as Cheetah writes and CrystFEL reads them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from braggscope.app.export.provenance import Provenance
from braggscope.app.files import check_room
from braggscope.models.results import PeakTable, Status

LISTS = (
    ("peakXPosRaw", "x"),
    ("peakYPosRaw", "y"),
    ("peakTotalIntensity", "intensity"),
    ("peakSNR", "snr"),
)
NOTE = "pixel centre = integer; programs with pixel corners at integers (CrystFEL) add 0.5 on reading"


def write_cxi(
    path: Path, tables: Iterable[PeakTable], provenance: Provenance, frames: Iterable[int] | None = None
) -> int:
    """Write ``/entry_1/result_1`` with nPeaks (frames,) and the lists (frames, most peaks), 0 where unused.

    Row i belongs to frame ``frame[i]``: each of ``frames`` (default: those with rows in a table), by rising
    frame as the tables are. Peaks rejected by hand and peaks without any position are left out. The
    intensity is the volume of the fitted Gaussian, 2 pi sigma sigma amplitude, in counts.
    """
    import h5py

    check_room(path, 0)
    with h5py.File(path, "w") as file:
        file.create_dataset("cxi_version", data=160)
        group = file.create_group("entry_1/result_1")
        group.attrs["convention"] = NOTE
        group.attrs["provenance"] = replace(provenance, files=()).json()  # an attribute holds 64 kB
        if provenance.files:
            names, firsts = zip(*provenance.files, strict=True)
            group["file"], group["file_first_frame"] = list(names), np.array(firsts)
        _growing(group, "nPeaks", (0,), "int32")
        _growing(group, "frame", (0,), "int64")
        for name, key in LISTS:
            _growing(group, name, (0, 0), "float64" if key in "xy" else "float32")
        rows = 0
        empty = PeakTable.blank(0)
        waiting = sorted(set(() if frames is None else frames), reverse=True)
        for table in tables:
            file.flush()
            check_room(path, 2 * sum(values.nbytes for values in table.columns.values()))
            kept = table.take((table["status"] != Status.REJECTED) & np.isfinite(table["x"]))
            for frame in np.unique(table["frame"]).tolist():
                while waiting and waiting[-1] <= frame:
                    before = waiting.pop()
                    if before < frame:
                        _append(group, before, empty)
                part = kept.take(kept["frame"] == frame)
                _append(group, frame, part)
                rows += len(part)
        for frame in reversed(waiting):
            _append(group, frame, empty)
        return rows


def _growing(group: Any, name: str, shape: tuple[int, ...], dtype: str) -> Any:
    chunks = (1024,) if len(shape) == 1 else (64, 64)
    return group.create_dataset(name, shape, dtype, maxshape=(None,) * len(shape), chunks=chunks, fillvalue=0)


def _append(group: Any, frame: int, part: PeakTable) -> None:
    """One row more, with the peaks of a frame."""
    at = len(group["frame"])
    for name, value in (("frame", frame), ("nPeaks", len(part))):
        group[name].resize((at + 1,))
        group[name][at] = value
    values = _values(part)
    for name, key in LISTS:
        data = group[name]
        data.resize((at + 1, max(data.shape[1], len(part))))
        data[at, : len(part)] = values[key]


def _values(part: PeakTable) -> dict[str, np.ndarray]:
    to_sigma = 1 / (2 * np.sqrt(2 * np.log(2)))
    volume = 2 * np.pi * part["amplitude"] * part["fwhm_major"] * part["fwhm_minor"] * to_sigma**2
    noise = np.sqrt(np.maximum(part["background"], 1.0))
    return {
        "x": part["x"],
        "y": part["y"],
        "intensity": np.where(np.isfinite(volume), volume, part["score"]),
        "snr": np.where(np.isfinite(noise), part["amplitude"] / noise, 0.0),
    }
