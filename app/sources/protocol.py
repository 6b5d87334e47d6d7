"""What every source of frames looks like to the rest of the program."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SourceError(Exception):
    """Bad input. The message is one sentence: what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One dataset of a file's tree. ``problem`` says in words why it cannot be shown as frames, or is empty."""

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
    (``voltage_V``). ``warnings``: sentences about what is odd but usable.
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
