"""Merlin files (MIB) of Medipix detectors: every frame behind a text header of its own."""

import os
import re
from typing import IO

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import Beat, Location, reason, silent
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.quantities import shown
from braggscope.app.sources.strided import StridedSource

MAGIC = b"MQ1,"
_DTYPES = {"U08": ">u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}
_LINES = ("Chip Type", "Counter Depth", "Gain", "Thresholds", "Acquisition Type", "Sensor Bias")


class MerlinSource(StridedSource):
    """Frames of one MIB file; what its HDR file says of triggers gives the scan where it can."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        path, size = self._path, self._stamps[0].size
        with open(path, "rb") as file:
            fields = _header(file, path)
        try:
            head, columns, rows = (int(fields[k]) for k in (2, 4, 5))
            kind = fields[6]
        except (ValueError, IndexError) as error:
            raise SourceError(
                f"{path} has a Merlin header that cannot be read ({reason(error)}); copy it again."
            ) from error
        if kind not in _DTYPES:
            raise SourceError(
                f"{path} holds raw counters ({kind}), not images; save it as processed frames in the Merlin"
                " software."
            )
        stored = np.dtype(_DTYPES[kind])
        step = head + rows * columns * stored.itemsize
        frames = size // step
        if frames < 1:
            raise SourceError(f"{path} is cut short within its first frame; copy it again.")
        notes = (f"The last frame of {path} is incomplete and left out.",) if size % step else ()
        lines = _hdr(path)
        exposure = _exposure(fields)
        self._lay(
            "Merlin (MIB)", (*_scan(frames, lines), rows, columns), stored, head, head,
            warnings=notes, quantities=exposure,
            metadata=shown(exposure) | {k: v for k, v in lines.items() if k.startswith(_LINES)},
        )  # fmt: skip

    def _read_into(self, index: int, out: NDArray) -> None:
        super()._read_into(index, out)
        if self._layout.contiguous:  # the detector counts its rows from below; ours go down
            out[:] = out[::-1].copy()


def _header(file: IO[bytes], path: str) -> list[str]:
    """Fields of the first frame's header."""
    start = file.read(16)
    length = start.split(b",")[2] if start.count(b",") >= 2 else b""
    if not start.startswith(MAGIC) or not length.isdigit():
        raise SourceError(f"{path} does not begin as a Merlin file does; copy it again.")
    text = start + file.read(int(length) - 16)
    return text.rstrip(b"\0").decode("ascii", "replace").split(",")


def _exposure(fields: list[str]) -> dict[str, float]:
    try:
        seconds = float(fields[10])
    except (ValueError, IndexError):
        return {}
    return {"exposure_s": seconds} if seconds > 0 else {}


def _hdr(path: str) -> dict[str, str]:
    """Lines of the text file beside a MIB file, empty where there is none."""
    name = f"{os.path.splitext(path)[0]}.hdr"
    try:
        with open(name, encoding="latin-1") as file:
            text = file.read(1 << 16)
    except OSError:
        return {}
    found = (line.partition(":\t") for line in text.splitlines())
    return {re.sub(r"\s*\(.*", "", key): value.strip()[:120] for key, _, value in found if value.strip()}


def _scan(frames: int, lines: dict[str, str]) -> tuple[int, ...]:
    """(rows, columns) of a scan with one trigger a row, else (frames,)."""
    try:
        columns = int(lines["Frames per Trigger"])
    except (KeyError, ValueError):
        return (frames,)
    return (frames // columns, columns) if columns > 1 and frames % columns == 0 else (frames,)
