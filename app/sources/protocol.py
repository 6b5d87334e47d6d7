"""What every source of frames looks like to the rest of the program."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class SourceError(Exception):
    """Bad input. The message is one sentence: what is wrong, where, and what to do.

    What cannot be printed, as in the names of a damaged file, is written as Python would.
    """

    def __init__(self, text: str) -> None:
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One dataset of a file's tree. ``problem`` says why it cannot be shown as frames, or is empty."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source is. ``location`` is what a user types to open it again: ``file.h5::/entry/data/data``.

    ``frames`` frames of ``shape`` (rows, columns), ``dtype`` as stored. ``identity`` changes when the
    content does (size, time stamps, dataset path). ``metadata``: display name to text with unit, such as
    ``"energy": "9.00 keV"``. ``axes``: per-frame quantities by name, (frames,) float64, unit in the name
    (``voltage_V``). ``warnings``: sentences about what is odd but usable. ``quantities``: the numbers among
    the metadata, unit in the name: ``energy_keV wavelength_angstrom distance_m pixel_size_x_m pixel_size_y_m
    beam_x_px beam_y_px exposure_s saturation``. ``masked_pixels``: bad pixels in the source's own mask, None
    without one. ``frame_axis`` is the axis of the stored array that varies slowest in the order of frames;
    ``stack_shape`` are the lengths of all axes that are not the image's, in the order of frames. ``parts``:
    where the frames lie in several files, the location of each and the index of its first frame.
    """

    location: str
    format: str
    frames: int
    shape: tuple[int, int]
    dtype: str
    identity: str
    metadata: dict[str, str] = field(default_factory=dict)
    axes: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    datasets: tuple[DatasetEntry, ...] = ()
    frame_axis: int = 0
    stack_shape: tuple[int, ...] = ()
    can_grow: bool = False
    quantities: dict[str, float] = field(default_factory=dict)
    masked_pixels: int | None = None
    parts: tuple[tuple[str, int], ...] = ()

    @property
    def frame_bytes(self) -> int:
        """Size of one frame in memory."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; of every axis its first, last, smallest and largest value."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["frame_bytes"] = self.frame_bytes
        plain["axes"] = {name: _summary(values) for name, values in self.axes.items()}
        plain["datasets"] = [
            {"path": d.path, "shape": d.shape, "dtype": d.dtype, "problem": d.problem} for d in self.datasets
        ]
        return plain


def _summary(values: NDArray[np.float64]) -> dict[str, float | None]:
    good = values[np.isfinite(values)]
    ends = {"first": values[0], "last": values[-1]} if len(values) else {}
    ends |= {"min": good.min(), "max": good.max()} if len(good) else {}
    return {name: float(value) if np.isfinite(value) else None for name, value in ends.items()}


class FrameSource(Protocol):
    """Frames in order. Not thread-safe; lives in a reader process, never in the window's."""

    @property
    def info(self) -> SourceInfo:
        """Frozen description; may change only in :meth:`refresh`."""
        ...

    def mask(self) -> NDArray[np.bool_] | None:
        """(H, W) bool, True = bad: the file's own pixel mask, or None."""
        ...

    def read(self, index: int) -> NDArray:
        """Frame ``index`` as stored, (H, W). Raises SourceError."""
        ...

    def refresh(self) -> SourceInfo:
        """Look again at a source that may have grown."""
        ...

    def close(self) -> None:
        """Release the file. May be called twice."""
        ...
