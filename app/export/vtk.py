"""Volumes for ParaView: VTK's XML image data, values as base64 behind the description."""

import base64
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from braggscope.app.engine.jobs import UNWATCHED, Context
from braggscope.app.files import atomic_path

TYPES = {"f4": "Float32", "f8": "Float64", "u1": "UInt8", "i4": "Int32"}


def write_vti(
    path: Path,
    volumes: Mapping[str, NDArray],
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    notes: Mapping[str, str] | None = None,
    context: Context = UNWATCHED,
) -> None:
    """Write volumes (Z, Y, X) of one shape as point data, voxel n // 2 at the origin.

    ``spacing`` (z, y, x) of the voxels, in any unit of length. ``notes``: texts that are kept in the file
    (FieldData). VTK's x is our x: the axis that varies fastest. Raises Cancelled.
    """
    shape = next(iter(volumes.values())).shape
    extent = " ".join(f"0 {n - 1}" for n in reversed(shape))
    step = " ".join(f"{s!r}" for s in reversed(spacing))
    origin = " ".join(f"{-(n // 2) * s!r}" for n, s in zip(reversed(shape), reversed(spacing), strict=True))
    appended, place, arrays = [], 0, []
    for name, values in volumes.items():
        context.check()
        if values.shape != shape:
            raise ValueError(f"{name} is {values.shape}, the other volumes are {shape}")
        kind = np.dtype(values.dtype).str[1:]
        block = _block(np.ascontiguousarray(values, f"<{kind}"))
        arrays.append(
            f'        <DataArray type="{TYPES[kind]}" Name={quoteattr(name)} format="appended"'
            f' offset="{place}"/>\n'
        )
        appended.append(block)
        place += len(block)
    with (
        atomic_path(path, context.commit) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write(
            '<?xml version="1.0"?>\n<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian"'
            f' header_type="UInt64">\n  <ImageData WholeExtent="{extent}" Origin="{origin}"'
            f' Spacing="{step}">\n{_field_data(notes or {})}    <Piece Extent="{extent}">\n'
            f"      <PointData Scalars={quoteattr(next(iter(volumes)))}>\n{''.join(arrays)}"
            '      </PointData>\n    </Piece>\n  </ImageData>\n  <AppendedData encoding="base64">\n    _'
        )
        for block in appended:
            context.check()
            file.write(block)
        file.write("\n  </AppendedData>\n</VTKFile>\n")


def _block(values: NDArray) -> str:
    """One block of appended data: the number of bytes, then the bytes, encoded together."""
    size = np.array([values.nbytes], "<u8").tobytes()
    return base64.b64encode(size + values.tobytes()).decode("ascii")


def _field_data(notes: Mapping[str, str]) -> str:
    if not notes:
        return ""
    rows = []
    for name, text in notes.items():
        codes = " ".join(str(byte) for byte in (*text.encode("utf-8"), 0))
        rows.append(
            f'      <Array type="String" Name={quoteattr(name)} NumberOfTuples="1" format="ascii">{codes}'
            "</Array>\n"
        )
    return f"    <FieldData>\n{''.join(rows)}    </FieldData>\n"
