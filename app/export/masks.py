"""Saving masks in formats that the field reads."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from braggscope.app.export.tables import ExportError
from braggscope.app.files import atomic_path, check_room


def write_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask, 1 = bad, as .tif, .npy, .edf or .h5 (``/entry/mask``). Raises ExportError."""
    values = mask.astype(np.uint8)
    suffix = path.suffix.lower()
    if suffix not in (".tif", ".tiff", ".npy", ".edf", ".h5"):
        raise ExportError(f"{path.name} has no known suffix for a mask; use .tif, .npy, .edf or .h5.")
    content = io.BytesIO()  # NumPy's and tifffile's own writers do not say that a disk is full
    with atomic_path(path) as temporary:
        if suffix == ".npy":
            np.save(content, values)
            temporary.write_bytes(content.getbuffer())
        elif suffix == ".edf":
            from fabio.edfimage import EdfImage

            EdfImage(data=values).write(str(temporary))
        elif suffix == ".h5":
            import h5py

            check_room(path, 2 * values.nbytes)
            with h5py.File(temporary, "w") as file:
                file.attrs["default"] = "entry"
                entry = file.create_group("entry")
                entry.attrs["NX_class"] = "NXentry"
                entry.create_dataset("mask", data=values).attrs["long_name"] = "1 = bad"
        else:
            import tifffile

            tifffile.imwrite(content, values)
            temporary.write_bytes(content.getbuffer())
