"""Blockfiles (BLO) of precession diffraction: 8 bit patterns behind a header of fixed places."""

import struct

import numpy as np

from braggscope.app.sources.base import Beat, Location, silent
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.quantities import electron_wavelength_angstrom, shown
from braggscope.app.sources.strided import StridedSource

MAGIC = b"IMGBLO"
MARK = 6  # bytes before every pattern: a mark and its number
_HEADER = struct.Struct("<6sHIII HHHHH ddIHI")


class BlockfileSource(StridedSource):
    """Patterns of a scan, (rows, columns) as the header says."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        path, size = self._path, self._stamps[0].size
        with open(path, "rb") as file:
            head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise SourceError(f"{path} is cut short within its header; copy it again.")
        (_, _, _, offset, _, side, _, columns, rows, _, step_x, step_y, volts, density, length) = (
            _HEADER.unpack(head)
        )
        step = side * side + MARK
        frames = min((size - offset) // step if side else 0, rows * columns)
        if frames < 1:
            raise SourceError(f"{path} holds no complete pattern; copy it again.")
        scan: tuple[int, ...] = (rows, columns)
        notes = []
        if frames < rows * columns:
            scan = (frames,)
            notes.append(f"{path} is cut short: {frames} of {rows * columns} patterns are there.")
        known = {"voltage_kV": volts / 1e3} if volts else {}
        if step_x > 0:
            known["scan_step_nm"] = step_x
        if volts and density and length:  # pixels per cm x 100, camera length in mm x 10
            angle = (1000 / density) / (length / 10)
            known["pixel_inv_angstrom"] = angle / electron_wavelength_angstrom(volts / 1e3)
        if step_y != step_x:
            notes.append(f"The steps of the scan differ: {step_x:g} nm along columns, {step_y:g} along rows.")
        self._lay(
            "Blockfile", (*scan, side, side), np.dtype(np.uint8), offset + MARK, MARK,
            warnings=tuple(notes), quantities=known, metadata=shown(known),
        )  # fmt: skip
