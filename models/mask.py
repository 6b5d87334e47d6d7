"""Which pixels are bad, and why: limits of the data type, mask files, drawn shapes, hot pixels.

Masks are (H, W) bool, True = bad. Row first, pixel centre = integer.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from braggscope.models.frame_kernels import Limits, fill_polygon, has_run, hot, load_codes
from braggscope.models.regions import Region

Mask = NDArray[np.bool_]

NO_CODES = np.zeros((0, 0), np.uint8)


class MaskReason(IntEnum):
    """Why a pixel takes no part. The code of a pixel is the first reason that applies, in this order."""

    GOOD = 0
    NOT_FINITE = 1
    DTYPE_LIMIT = 2
    THRESHOLD = 3
    PIXEL_MASK = 4
    MASK_FILE = 5
    CALIBRATION = 6  # no dark, or no flat, value
    HOT = 7
    BINNED = 8  # too many bad pixels in the cell
    DRAWN = 9
    OUTSIDE = 10  # outside the regions of detection; shown and fitted, but not searched

    @property
    def label(self) -> str:
        """What a reader of the status bar is told; empty for a good pixel."""
        return _LABELS[self]


_LABELS = {
    MaskReason.GOOD: "",
    MaskReason.NOT_FINITE: "not a number",
    MaskReason.DTYPE_LIMIT: "code for a bad pixel",
    MaskReason.THRESHOLD: "outside the thresholds",
    MaskReason.PIXEL_MASK: "pixel mask of the file",
    MaskReason.MASK_FILE: "mask file",
    MaskReason.CALIBRATION: "no dark or flat value",
    MaskReason.HOT: "hot pixel",
    MaskReason.BINNED: "bad pixels in the bin",
    MaskReason.DRAWN: "masked by hand",
    MaskReason.OUTSIDE: "outside the regions",
}


def native(raw: NDArray) -> NDArray:
    """(H, W) C-ordered array in a dtype the kernels know, values unchanged. ValueError if there is none."""
    if raw.ndim != 2:
        raise ValueError(f"A frame has 2 dimensions, this one has shape {raw.shape}; choose its frame axis.")
    kind = raw.dtype.kind
    if kind not in "buif":
        raise ValueError(f"Frames of type {raw.dtype} hold no real intensities; choose another dataset.")
    if kind == "b":
        raw = raw.astype(np.uint8)
    elif kind == "f" and raw.dtype.itemsize not in (4, 8):
        raw = raw.astype(np.float32 if raw.dtype.itemsize == 2 else np.float64)
    elif not raw.dtype.isnative:
        raw = raw.astype(raw.dtype.newbyteorder("="))
    return np.ascontiguousarray(raw)


def value_range(dtype: np.dtype, *, limits: bool, low: float | None, high: float | None) -> tuple[Any, Any]:
    """Smallest and largest good value, as scalars of ``dtype``: everything else is bad.

    ``limits`` excludes negative values of signed integers (-1, -2 … are codes) and the all-ones value
    of unsigned 32 and 64 bit integers. All-ones of 16 bit is :func:`uses_gap_code`'s decision.
    Not-finite values are always outside.
    """
    kind = dtype
    scalar: Any = kind.type
    if kind.kind == "f":
        info = np.finfo(kind)
        first, last = float(info.min), float(info.max)
        return scalar(first if low is None else max(low, first)), scalar(
            last if high is None else min(high, last)
        )
    bounds = np.iinfo(kind)
    smallest, largest = int(bounds.min), int(bounds.max)
    if limits:
        smallest = max(smallest, 0)
        largest -= kind.kind == "u" and kind.itemsize >= 4
    if low is not None:
        smallest = max(smallest, int(np.ceil(low)))
    if high is not None:
        largest = min(largest, int(np.floor(high)))
    if smallest > largest or smallest > int(bounds.max) or largest < int(bounds.min):
        return scalar(1), scalar(0)  # nothing is good
    return scalar(smallest), scalar(largest)


def raw_mask(
    raw: NDArray, *, dtype_limits: bool, low: float | None = None, high: float | None = None
) -> Mask:
    """(H, W) bool: bad by value alone. NaN, infinity, codes of the data type, outside [low, high].

    65535 of a 16 bit frame is bad only where the detector uses it as its code for gaps, which shows in
    the frame itself: see :func:`uses_gap_code`. Elsewhere it is a saturated pixel, and good.
    """
    return raw_reasons(raw, dtype_limits=dtype_limits, low=low, high=high) != MaskReason.GOOD


def raw_reasons(
    raw: NDArray, *, dtype_limits: bool, low: float | None = None, high: float | None = None
) -> NDArray[np.uint8]:
    """(H, W) uint8 codes of :class:`MaskReason`, as :func:`raw_mask`."""
    raw = native(raw)
    codes = np.empty(raw.shape, np.uint8)
    load_codes(raw, value_limits(raw, dtype_limits=dtype_limits, low=low, high=high), codes)
    return codes


def value_limits(raw: NDArray, *, dtype_limits: bool, low: float | None, high: float | None) -> Limits:
    """By what the values of a frame are judged, for the kernels."""
    first, last = value_range(raw.dtype, limits=dtype_limits, low=None, high=None)
    if dtype_limits and uses_gap_code(raw):
        last -= last.dtype.type(1)
    code = MaskReason.NOT_FINITE if raw.dtype.kind == "f" else MaskReason.DTYPE_LIMIT
    thresholds = value_range(raw.dtype, limits=False, low=low, high=high)
    return Limits(first, last, np.uint8(code), *thresholds)


def uses_gap_code(raw: NDArray) -> bool:
    """Whether a frame marks bad pixels with 65535: uint16 with a straight run of >= 32 such pixels.

    Gaps between modules are such runs; saturated spots are not, and stay good (and saturated). Where the
    code is in use, single pixels that carry it are bad too.
    """
    return raw.dtype == np.uint16 and (has_run(raw) or has_run(raw.T))


def saturated_mask(raw: NDArray, saturation: float | None, *, dtype_limits: bool = True) -> Mask | None:
    """(H, W) bool: counts at or above ``saturation``, and 65535 in 16 bit frames where it is no gap code.

    None if no pixel is. Gap pixels are bad, not saturated: combine with the mask.
    """
    raw = native(raw)
    limit = None if saturation is None else value_range(raw.dtype, limits=False, low=saturation, high=None)[0]
    if saturation is not None and raw.dtype.kind in "iu" and saturation > np.iinfo(raw.dtype).max:
        limit = None
    if dtype_limits and raw.dtype == np.uint16:
        limit = raw.dtype.type(65535) if limit is None else limit
    if limit is None:
        return None
    found: Mask = raw >= limit
    if dtype_limits and raw.dtype == np.uint16 and found.any() and uses_gap_code(raw):
        found &= raw != 65535
    return found if found.any() else None


def hot_pixels(image: NDArray, mask: Mask | None, z: float) -> Mask:
    """(H, W) bool: lone pixels more than ``z`` robust standard deviations above their 5 x 5 surroundings.

    ``image`` in counts. The deviation is the larger of 1.4826 MAD of the surroundings and the counting
    noise of their median (at least 1 count). Lone: none of the 8 neighbours rises by more than three
    deviations or a fifth of the pixel's own height, so the core of a real spot is spared.
    """
    image = native(image)
    bad = np.zeros(image.shape, np.bool_) if mask is None else np.ascontiguousarray(mask)
    found: Mask = hot(image, bad, float(z))
    return found


def rasterise(region: Region, shape: tuple[int, int]) -> Mask:
    """(H, W) bool, True inside: a pixel belongs to a region when its centre does (edges included)."""
    inside = np.zeros(shape, np.bool_)
    points = np.array(region.points, dtype=np.float64)
    if region.kind == "polygon":
        fill_polygon(points, inside)
        return inside
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    rows = slice(*_span(y0, y1, shape[0]))
    cols = slice(*_span(x0, x1, shape[1]))
    if region.kind == "rectangle":
        inside[rows, cols] = True
        return inside
    x = (np.arange(shape[1])[cols] - (x0 + x1) / 2) / max((x1 - x0) / 2, 1e-12)
    y = (np.arange(shape[0])[rows] - (y0 + y1) / 2) / max((y1 - y0) / 2, 1e-12)
    inside[rows, cols] = x[None, :] ** 2 + y[:, None] ** 2 <= 1.0
    return inside


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Half-open range of the integers in [low, high] that lie on the frame."""
    return int(np.clip(np.ceil(low), 0, size)), int(np.clip(np.floor(high) + 1, 0, size))


def rasterise_all(regions: tuple[Region, ...], shape: tuple[int, int]) -> Mask | None:
    """(H, W) bool, True inside any of the regions; None if there are none."""
    return combine(*(rasterise(region, shape) for region in regions))


def combine(*masks: Mask | None) -> Mask | None:
    """Union of those masks that are not None; None if all are. ValueError where their shapes differ."""
    given = [mask for mask in masks if mask is not None]
    for mask in given[1:]:
        if mask.shape != given[0].shape:
            raise ValueError(f"The masks differ in shape: {given[0].shape} and {mask.shape}.")
    if not given:
        return None
    result: Mask = np.logical_or.reduce(given)
    return result
