"""Saving masks in formats that the field reads."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask, 1 = bad, as .tif, .npy, .edf or .h5 (``/entry/mask``). Raises ExportError."""
    values = mask.astype(np.uint8)
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff", ".npy", ".edf", ".h5"):
        raise ExportError(f"{path.name} has no known suffix for a mask; use .tif, .npy, .edf or .h5.")
    with atomic_path(path) as temporary:
        if suffix == ".npy":
            np.save(temporary, values)
        elif suffix == ".edf":
            from fabio.edfimage import EdfImage

            EdfImage(data=values).write(str(temporary))
        elif suffix == ".h5":
            import h5py

            with h5py.File(temporary, "w") as file:
                file.attrs["default"] = "entry"
                entry = file.create_group("entry")
                entry.attrs["NX_class"] = "NXentry"
                entry.create_dataset("mask", data=values).attrs["long_name"] = "1 = bad"
        else:
            import tifffile

            tifffile.imwrite(temporary, values)
