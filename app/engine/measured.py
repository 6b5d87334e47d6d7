"""Reads measured peaks for training: HDF5 files as published with BraggNN (Liu et al. 2022)."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.checkpoint import TrainingError

if TYPE_CHECKING:
    from braggscope.models.braggnn.measured import Measured

PEAKS = ("peak_fidx", "peak_row", "peak_col")
FEWEST = 20


def is_published(location: str) -> bool:
    """Whether a location is a file that lists peaks as published with BraggNN, and not a series."""
    import h5py

    path = Path(location)
    if "::" in location or not path.is_file() or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r", locking=False) as file:
            return any(name in file for name in PEAKS)
    except OSError:
        return False


def read_measured(path: Path, window: int) -> tuple["Measured", "Measured"]:
    """Training and held-out patches of a file.

    It holds ``frames`` (F, H, W), ``peak_fidx`` (N,) 0-based, ``peak_row`` and ``peak_col`` (N,) px (pixel
    centre = integer), and optionally ``npeaks`` and ``deviations``: then only peaks with npeaks == 1 and
    0 <= deviations < 1 are used. ``frames`` may also be in a file beside it whose name begins with "frames".
    A fifth of the frames is held out. Raises TrainingError.
    """
    import h5py

    from braggscope.app.sources.hdf5_checks import refuse_raw_storage

    try:
        with h5py.File(path, "r", locking=False) as file:
            refuse_raw_storage(file)
            peaks = _peaks(path, file)
            if "frames" in file:
                return _cut(path, file["frames"], peaks, window)
        beside = [
            p for p in sorted(path.parent.glob("frames*")) if p.suffix in (".h5", ".hdf5") and p != path
        ]
        for other in beside:
            with h5py.File(other, "r", locking=False) as file:
                refuse_raw_storage(file)
                if "frames" in file:
                    return _cut(other, file["frames"], peaks, window)
    except OSError as error:
        raise TrainingError(f"{path} is not a readable HDF5 file; check the path given to --data.") from error
    raise TrainingError(
        f"{path} has no dataset 'frames', and no file frames*.h5 beside it has one; add the frames the peaks"
        " were found in."
    )


def _peaks(path: Path, file: Any) -> NDArray[np.float64]:
    """(N, 3): frame, row, column of the usable peaks."""
    from braggscope.app.sources.hdf5_checks import table_values

    missing = [name for name in PEAKS if name not in file]
    if missing:
        raise TrainingError(
            f"{path} lacks the dataset{'s' if len(missing) > 1 else ''} {', '.join(missing)}; measured peaks"
            f" need {', '.join(PEAKS)}."
        )
    names = [*PEAKS, *(name for name in ("npeaks", "deviations") if name in file)]
    columns = {name: np.asarray(table_values(file[name])) for name in names}
    if any(column.ndim != 1 for column in columns.values()) or len({len(c) for c in columns.values()}) != 1:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in columns.items())
        raise TrainingError(f"The peak datasets of {path} must be lists of one length, not {shapes}.")
    table = np.stack([columns[name].astype(np.float64) for name in PEAKS], axis=1)
    usable = np.isfinite(table).all(axis=1)
    if "npeaks" in columns:
        usable &= columns["npeaks"] == 1
    if "deviations" in columns:
        usable &= (columns["deviations"] >= 0) & (columns["deviations"] < 1)
    return table[usable]


def _cut(path: Path, frames: Any, peaks: NDArray[np.float64], window: int) -> tuple["Measured", "Measured"]:
    from braggscope.app.sources.hdf5_checks import refuse_broken
    from braggscope.models.braggnn.measured import MARGIN, Measured
    from braggscope.models.peaks.patches import cut_patches

    refuse_broken(frames)
    if frames.ndim != 3 or frames.dtype.kind not in "uif":
        raise TrainingError(
            f"'frames' in {path} must be a stack (frame, row, column) of numbers, not {frames.dtype} of shape"
            f" {frames.shape}."
        )
    count, height, width = frames.shape
    limits = np.array([count - 1, height - 0.5, width - 0.5])
    outside = ((peaks < [0, -0.5, -0.5]) | (peaks > limits)).any(axis=1)
    if outside.any():
        frame, row, col = peaks[outside][0]
        raise TrainingError(
            f"A peak of the data lies outside 'frames' {frames.shape} in {path}: frame {frame:g},"
            f" row {row:.1f}, column {col:.1f}; frames count from 0, and so do rows and columns."
        )
    size = window + 2 * MARGIN
    counts = np.zeros((len(peaks), size, size), np.float32)
    valid = np.zeros(counts.shape, np.bool_)
    corner = np.rint(peaks[:, 1:]).astype(np.int64)
    for frame in np.unique(peaks[:, 0]):
        rows = np.flatnonzero(peaks[:, 0] == frame)
        image = np.asarray(frames[int(frame)])
        counts[rows], valid[rows] = cut_patches(image, None, corner[rows, 0], corner[rows, 1], size)
    varied = counts.max(axis=(1, 2)) > counts.min(axis=(1, 2)) if len(counts) else np.zeros(0, np.bool_)
    if varied.sum() < FEWEST:
        raise TrainingError(
            f"{path} gives {int(varied.sum())} usable peaks (npeaks 1, deviations from 0 to 1, not constant);"
            f" training needs at least {FEWEST}."
        )
    centre = (peaks[:, 1:] - corner + size // 2)[:, ::-1].copy()  # (x, y)
    everything = Measured.from_arrays(counts, valid, centre).take(np.flatnonzero(varied))
    held = _held_out(peaks[varied, 0])
    return everything.take(np.flatnonzero(~held)), everything.take(np.flatnonzero(held))


def _held_out(frame: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Every fifth frame, so that no test peak shares its frame with training; peaks, if frames are few."""
    frames, group = np.unique(frame, return_inverse=True)
    if len(frames) < 5:
        group = np.arange(len(frame))
    return group % 5 == 4
