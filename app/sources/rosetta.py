"""What RosettaSciIO reads: DM3, DM4, TVIPS, TIA, EMPAD, Ripple; lazily, block by block."""

import importlib
import os
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.base import (
    Beat,
    Layout,
    Location,
    Source,
    Stamp,
    describe,
    identity,
    image_dtype,
    reason,
    silent,
)
from braggscope.app.sources.images import quiet
from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.quantities import convert, electron_quantities, shown

READERS = {
    ".dm3": ("digitalmicrograph", "Digital Micrograph"), ".dm4": ("digitalmicrograph", "Digital Micrograph"),
    ".tvips": ("tvips", "TVIPS"), ".ser": ("tia", "TIA"), ".emi": ("tia", "TIA"), ".xml": ("empad", "EMPAD"),
    ".rpl": ("ripple", "Ripple"),
}  # fmt: skip
_LONGEST = 1 << 22  # bytes of a description that are looked through
_VOLTS = ("voltage", "beam_energy", "high tension")  # keys that end in these, lower case


def is_rosetta(path: str) -> bool:
    """Whether the name is one that this reader takes."""
    return os.path.splitext(path.lower())[1] in READERS


class RosettaSource(Source):
    """The largest image data of a file. Blocks of it are mapped, and one block row is kept."""

    def __init__(self, location: Location, frame_axis: int | None, beat: Beat = silent) -> None:
        super().__init__(location, frame_axis, beat)
        path = location.path
        self._stamps = tuple(Stamp.of(part) for part in (path, *_data_files(path)))
        module, name = READERS[os.path.splitext(path.lower())[1]]
        signal = _largest(_read(path, module), path)
        data, axes = _scan_first(signal["data"], signal.get("axes") or [])
        layout = Layout.of(tuple(data.shape), frame_axis, path)
        self._data = data.transpose(layout.lead + layout.image)
        self._ends = [np.cumsum(sizes) for sizes in self._data.chunks]
        self._held: tuple[tuple[int, ...], list] = ((), [])
        quantities, notes = _calibration(axes, signal)
        self._info = describe(
            location, name, layout, image_dtype(data.dtype, path),
            identity=identity([*(s.key for s in self._stamps), layout.lead]),
            quantities=quantities, metadata=_texts(signal) | shown(quantities), warnings=notes,
        )  # fmt: skip

    def _read_into(self, index: int, out: NDArray) -> None:
        lead = np.unravel_index(index, self._info.stack_shape) if self._info.stack_shape else ()
        block = tuple(
            int(np.searchsorted(ends, k, "right")) for ends, k in zip(self._ends, lead, strict=False)
        )
        inner = tuple(
            int(k - (ends[b - 1] if b else 0)) for ends, k, b in zip(self._ends, lead, block, strict=False)
        )
        if self._held[0] != block or not self._held[1]:
            self._held = (block, [])  # first let go of what is mapped
            self._held = (block, list(self._blocks(block)))
        for rows, columns, values in self._held[1]:
            out[rows, columns] = values[inner]

    def _blocks(self, lead: tuple[int, ...]) -> Iterator[tuple[slice, slice, NDArray]]:
        """The parts of an image in one block of the scan."""
        for i, rows in enumerate(_slices(self._ends[-2])):
            for j, columns in enumerate(_slices(self._ends[-1])):
                self._beat()
                with quiet():
                    part = self._data.blocks[(*lead, i, j)].compute(scheduler="synchronous")
                yield rows, columns, part

    def close(self) -> None:
        """Release the file. May be called twice."""
        self._held = ((), [])


def _slices(ends: NDArray) -> list[slice]:
    starts = [0, *ends[:-1].tolist()]
    return [slice(a, b) for a, b in zip(starts, ends.tolist(), strict=True)]


def _data_files(path: str) -> list[str]:
    """Files with the patterns, where ``path`` only describes them."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() == ".rpl":
        wanted = re.compile(re.escape(stem) + r"\.(raw|RAW)")
    elif suffix.lower() == ".emi":
        wanted = re.compile(re.escape(stem) + r"_[0-9]\.ser")
    elif suffix.lower() == ".xml":
        with open(path, "rb") as file:
            text = file.read(_LONGEST)
        return [
            os.path.join(folder, part) for part in _files(folder)
            if part.lower().endswith(".raw") and os.fsencode(part) in text
        ]  # fmt: skip
    else:
        return []
    return [os.path.join(folder, part) for part in _files(folder) if wanted.fullmatch(part)]


def _files(folder: str) -> list[str]:
    return sorted(os.listdir(folder or "."))


def _read(path: str, module: str) -> list[dict[str, Any]]:
    try:
        reader = importlib.import_module(f"rsciio.{module}")
    except ImportError as error:
        raise SourceError(
            f"{path} needs RosettaSciIO ({reason(error)}); install it with pip install rosettasciio."
        ) from error
    try:
        with quiet():
            found: list[dict[str, Any]] = reader.file_reader(path, lazy=True)
    except Exception as error:
        raise SourceError(
            f"{path} cannot be read ({reason(error)}); check that the file is complete."
        ) from error
    return found


def _largest(signals: list[dict[str, Any]], path: str) -> dict[str, Any]:
    import dask.array

    images = [s for s in signals if s["data"].ndim >= 2 and s["data"].dtype.kind in "iuf"]
    if not images:
        raise SourceError(f"{path} holds no images of real numbers; open a file with diffraction patterns.")
    best = max(images, key=lambda s: (min(s["data"].ndim, 4), s["data"].size))
    if not isinstance(best["data"], dask.array.Array):
        best["data"] = dask.array.from_array(np.asarray(best["data"]))
    return best


def _scan_first(data: Any, axes: list[dict[str, Any]]) -> tuple[Any, list[dict[str, Any]]]:
    """The pattern's axes last: those in inverse lengths or angles, else those that are not of the scan."""
    if len(axes) != data.ndim:
        return data, []
    units = [str(axis.get("units", "")) for axis in axes]
    inverse = [k for k, unit in enumerate(units) if "mrad" in unit or _inverse(unit) is not None]
    signal = [k for k, axis in enumerate(axes) if axis.get("navigate") is False]
    pattern = next((found for found in (inverse, signal) if len(found) == 2), [data.ndim - 2, data.ndim - 1])
    order = [k for k in range(data.ndim) if k not in pattern] + pattern
    return data.transpose(order), [axes[k] for k in order]


def _inverse(unit: str) -> float | None:
    return convert("pixel_inv_angstrom", 1.0, unit)


def _calibration(
    axes: list[dict[str, Any]], signal: dict[str, Any]
) -> tuple[dict[str, float], tuple[str, ...]]:
    volts = _find(signal.get("original_metadata"), _VOLTS)
    found = {} if not volts else {"voltage_kV": volts / 1e3 if volts > 1e3 else volts}
    if len(axes) < 2:
        return found, ()
    pattern, scan = axes[-1], axes[-3] if len(axes) > 2 else None
    steps = {"pattern": (float(pattern.get("scale", 0)), str(pattern.get("units", "")))}
    if scan is not None:
        steps["scan"] = (float(scan.get("scale", 0)), str(scan.get("units", "")))
    return electron_quantities(steps, found)


def _find(tree: Any, endings: tuple[str, ...], depth: int = 12) -> float | None:
    """The first positive number in nested metadata whose key ends so."""
    if not hasattr(tree, "items") or depth == 0:
        return None
    for key, value in tree.items():
        if str(key).lower().endswith(endings) and isinstance(value, int | float) and value > 0:
            return float(value)
        if (inner := _find(value, endings, depth - 1)) is not None:
            return inner
    return None


def _texts(signal: dict[str, Any]) -> dict[str, str]:
    general = (signal.get("metadata") or {}).get("General", {})
    wanted = {"title": "title", "date": "date", "time": "time", "notes": "notes"}
    return {title: str(general[key])[:120] for key, title in wanted.items() if general.get(key)}
