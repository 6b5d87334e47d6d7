"""Zero-dimensional persistence of a frame: every local maximum, and the saddle at which it ends.

Pixels are ranked by (value, flat index); neighbours are the 8 around; where two maxima meet the higher
one lives on (elder rule; Edelsbrunner and Harer, Computational Topology, 2010). A maximum that meets no
older one among the pixels that take part dies at 0. This is the topology method of findpeaks 2.7.5 on
counts (``scale=False, denoise=None, togray=False, whitelist="peak", limit=-1``) with two differences:
births and deaths are exact pixel values, where findpeaks adds 2.2e-16 times the flat index to each to
break ties (so ties are ties here, and values that differ by less than that keep their order), and the
entry of score 0 that it may invent at a bottom right corner without counts is left out. ``limit`` must be
negative: its default None means min(frame) - 1, the same in frames that contain a zero, but in frames
without one it silently drops scores up to that value.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from braggscope.models.peaks.mergetree import Buffers, allocate, merge_tree
from braggscope.models.peaks.radix import order_falling
from braggscope.models.results import Candidates

_NO_MASK = np.zeros((0, 0), np.bool_)
_NATIVE = ("uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


class Workspace:
    """Buffers of :func:`find_candidates`, kept from frame to frame. Use one per thread.

    Reserves 66 bytes per pixel of a frame (82 for 64-bit values) and writes to about 22 of them where the
    whole frame takes part, to about 4 at the start and few more where little rises above the floor.
    Frames of another shape or another width of values make it start anew.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._buffers: Buffers | None = None

    def buffers(self, shape: tuple[int, int], wide: bool) -> Buffers:
        """Buffers for frames of a shape, with 64-bit levels if ``wide``; all levels are 0."""
        if self._buffers is None or self._key != (shape, wide):
            self._buffers, self._key = allocate(*shape, np.uint64 if wide else np.uint32), (shape, wide)
        return self._buffers


def find_candidates(
    image: ArrayLike,
    mask: NDArray[np.bool_] | None = None,
    floor: float = 0.0,
    workspace: Workspace | None = None,
) -> Candidates:
    """Merge tree of a frame down to ``floor``, flattened.

    ``image`` (H, W) any real dtype, counts; ``mask`` (H, W) bool, True = bad. Pixels that are bad, not
    finite, not positive or below ``floor`` count as 0. See the module for the exact meaning. Raises
    ValueError for a wrong shape, a complex image or a floor that is not a finite number.
    """
    frame = _native(image)
    bad = _NO_MASK if mask is None else np.ascontiguousarray(mask, np.bool_)
    if mask is not None and bad.shape != frame.shape:
        raise ValueError(f"the mask has shape {bad.shape}, the frame {frame.shape}: they must be equal")
    if not np.isfinite(floor):
        raise ValueError(f"the floor of a detection must be a finite number, not {floor}")
    levels, lowest, highest = _levels(frame, float(floor))
    if frame.size == 0 or lowest > highest:
        nothing = np.zeros(0)
        return Candidates(frame.shape, float(floor), np.zeros(0, np.int64), nothing, nothing.copy())
    buffers = (workspace or Workspace()).buffers(frame.shape, frame.dtype.itemsize == 8)
    kind = levels.dtype.type
    index, saddle = merge_tree(
        levels, bad, kind(lowest), kind(highest), buffers.words.view(np.uint8), buffers
    )
    counts = frame.reshape(-1)
    birth = counts[index].astype(np.float64)
    death = np.where(saddle >= 0, counts[saddle], 0).astype(np.float64)
    order = order_falling((birth - death).view(np.uint64))
    return Candidates(frame.shape, float(floor), index[order], birth[order], death[order])


def _native(image: ArrayLike) -> NDArray:
    """Contiguous frame in one of the dtypes for which there is a kernel."""
    frame = np.asarray(image)
    if frame.ndim != 2 or frame.dtype.kind not in "buif":
        raise ValueError(
            f"a frame is a two-dimensional array of real numbers, not {frame.dtype} {frame.shape}"
        )
    name = frame.dtype.name
    if name not in _NATIVE:
        name = "float32" if name == "float16" else "float64" if frame.dtype.kind == "f" else "int32"
    return np.ascontiguousarray(frame, name)


def _levels(frame: NDArray, floor: float) -> tuple[NDArray, int, int]:
    """Integers that order the positive pixels as their values do, and the range that takes part."""
    if frame.dtype.kind != "f":
        highest = int(np.iinfo(frame.dtype).max)
        return frame, max(1, int(np.ceil(floor))), highest
    # The bits of positive floats rise with their values; negative ones are negative, NaN is above all.
    kind, bits = frame.dtype.type, np.dtype(f"int{8 * frame.dtype.itemsize}")
    highest = np.finfo(kind).max
    if floor > float(highest):
        return frame.view(bits), 1, 0
    edge = kind(max(floor, 0.0))
    if float(edge) < floor:
        edge = np.nextafter(edge, kind(np.inf))
    lowest, top = (int(np.array(value, kind).view(bits)) for value in (edge, highest))
    return frame.view(bits), max(1, lowest), top
