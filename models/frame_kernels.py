"""Loops over the pixels of raw frames, compiled: bad values, sums, corrections, bins, hot pixels, polygons.

Codes are those of :class:`braggscope.models.mask.MaskReason`; 0 is good. Masks are bool, True = bad.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

EXACT = 2.0**24  # integers below are exact in float32
GAP_RUN = 32  # px: no spot saturates in a straight line this long, every module gap is longer
_STRIDE = GAP_RUN // 2
_THRESHOLD, _BINNED = np.uint8(3), np.uint8(8)

Codes = NDArray[np.uint8]
Image = NDArray[np.float32] | NDArray[np.float64]


class Limits(NamedTuple):
    """By what a raw value is judged, in the frame's own type.

    Outside [first, last] it gets ``code``, outside [low, high] it is beyond the thresholds.
    """

    first: Any
    last: Any
    code: np.uint8
    low: Any
    high: Any


@njit(inline="always")
def _code_of(value: Any, limits: Any, code: Any) -> Any:
    """Reason of one pixel: its value's, or else ``code``. NaN fails every comparison, so it is bad."""
    if not (limits.low <= value <= limits.high):
        code = _THRESHOLD
    if not (limits.first <= value <= limits.last):
        code = limits.code
    return code


@njit(cache=True, nogil=True)
def load_codes(raw: NDArray, limits: Limits, codes: Codes) -> None:
    """Write the reason of every pixel into ``codes``."""
    for row in range(raw.shape[0]):
        for col in range(raw.shape[1]):
            codes[row, col] = _code_of(raw[row, col], limits, np.uint8(0))


@njit(cache=True, nogil=True)
def load(raw: NDArray, limits: Limits, static: Codes, codes: Codes, out: Image) -> bool:
    """Raw values and reasons in one pass, 0 where bad. Returns whether a value reaches 2^24."""
    big = False
    for row in range(raw.shape[0]):
        for col in range(raw.shape[1]):
            value = raw[row, col]
            known = static[row, col] if static.size else np.uint8(0)
            code = _code_of(value, limits, known)
            number: Any = out.dtype.type(value) if code == 0 else out.dtype.type(0)
            codes[row, col] = code
            out[row, col] = number
            big |= abs(number) >= EXACT
    return big


@njit(cache=True, nogil=True)
def add(raw: NDArray, limits: Limits, codes: Codes, total: NDArray[np.float64]) -> None:
    """Add a frame to ``total`` where it and all before are good."""
    for row in range(raw.shape[0]):
        for col in range(raw.shape[1]):
            value = raw[row, col]
            code = _code_of(value, limits, codes[row, col])
            codes[row, col] = code
            if code == 0:
                total[row, col] += value


@njit(cache=True, nogil=True)
def copy(total: NDArray[np.float64], codes: Codes, out: Image) -> bool:
    """Sums, 0 where bad. Returns whether a value reaches 2^24."""
    big = False
    for row in range(total.shape[0]):
        for col in range(total.shape[1]):
            value = total[row, col] if codes[row, col] == 0 else 0.0
            out[row, col] = value
            big |= abs(value) >= EXACT
    return big


@njit(cache=True, nogil=True)
def correct(
    image: Image,
    codes: Codes,
    dark: NDArray[np.float64],
    gain: NDArray[np.float64],
    n: int,
    out: Image,
) -> bool:
    """(sum - n dark) gain, 0 where bad. Returns whether a value reaches 2^24."""
    big = False
    for row in range(image.shape[0]):
        for col in range(image.shape[1]):
            value = 0.0
            if codes[row, col] == 0:
                value = float(image[row, col])
                if dark.size:
                    value -= n * dark[row, col]
                if gain.size:
                    value *= gain[row, col]
            out[row, col] = value
            big |= abs(value) >= EXACT
    return big


@njit(cache=True, nogil=True)
def bin_pixels(image: Image, codes: Codes, bins: int, needed: int, cells: Codes, out: Image) -> bool:
    """Sums of bins x bins pixels: with some bad, scaled to a full cell; with too many, bad.

    Returns whether a value reaches 2^24.
    """
    big = False
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            total = 0.0
            good = 0
            code = np.uint8(0)
            for r in range(row * bins, (row + 1) * bins):
                for c in range(col * bins, (col + 1) * bins):
                    if codes[r, c] == 0:
                        total += image[r, c]
                        good += 1
                    else:
                        code = codes[r, c]
            if good >= needed:
                value = total * (bins * bins / good)
                cells[row, col] = 0
            else:
                value = 0.0
                cells[row, col] = code if good == 0 else _BINNED
            out[row, col] = value
            big |= abs(value) >= EXACT
    return big


@njit(cache=True, nogil=True)
def has_run(raw: NDArray) -> bool:
    """Whether some column holds a run of GAP_RUN all-ones: only every 16th row needs a look."""
    height, width = raw.shape
    for row in range(0, height - _STRIDE, _STRIDE):
        for col in range(width):
            if raw[row, col] == 65535 and raw[row + _STRIDE, col] == 65535:
                first = row
                while first > 0 and raw[first - 1, col] == 65535:
                    first -= 1
                last = row
                while last < height - 1 and raw[last + 1, col] == 65535:
                    last += 1
                if last - first + 1 >= GAP_RUN:
                    return True
    return False


@njit(cache=True, nogil=True)
def hot(image: NDArray, mask: NDArray[np.bool_], z: float) -> NDArray[np.bool_]:
    """Lone pixels above their surroundings, as :func:`braggscope.models.mask.hot_pixels` says."""
    height, width = image.shape
    found = np.zeros((height, width), np.bool_)
    around = np.empty(24)
    margin = min(z - 3.0, 0.8 * z)  # what the two conditions demand over the neighbours, in deviations
    for row in range(height):
        for col in range(width):
            value = float(image[row, col])
            if mask[row, col] or not np.isfinite(value):
                continue
            n = 0
            nearest, lowest = -np.inf, np.inf
            for r in range(max(row - 2, 0), min(row + 3, height)):
                for c in range(max(col - 2, 0), min(col + 3, width)):
                    if mask[r, c] or (r == row and c == col):
                        continue
                    other = float(image[r, c])
                    if abs(r - row) <= 1 and abs(c - col) <= 1 and other > nearest:
                        nearest = other
                    lowest = min(lowest, other)
                    around[n] = other
                    n += 1
                if nearest >= value:
                    break
            if n < 6 or nearest >= value or value - nearest < margin * np.sqrt(max(lowest, 1.0)):
                continue
            centre = np.median(around[:n])
            spread = 1.4826 * np.median(np.abs(around[:n] - centre))
            sigma = max(spread, np.sqrt(max(centre, 1.0)))
            height_above = value - centre
            if height_above > z * sigma and nearest - centre <= max(3.0 * sigma, 0.2 * height_above):
                found[row, col] = True
    return found


@njit(cache=True, nogil=True)
def fill_polygon(points: NDArray[np.float64], inside: NDArray[np.bool_]) -> None:
    """Scan lines, even-odd rule: cost grows with rows x vertices, not with pixels x vertices."""
    height, width = inside.shape
    n = len(points)
    crossings = np.empty(n)
    first = max(0, int(np.ceil(points[:, 1].min())))
    last = min(height - 1, int(np.floor(points[:, 1].max())))
    for row in range(first, last + 1):
        count = 0
        for i in range(n):
            xa, ya = points[i]
            xb, yb = points[(i + 1) % n]
            if (ya <= row) != (yb <= row):
                crossings[count] = xa + (row - ya) / (yb - ya) * (xb - xa)
                count += 1
        ordered = np.sort(crossings[:count])
        for k in range(0, count - 1, 2):
            start = max(0, int(np.ceil(ordered[k])))
            stop = min(width - 1, int(np.floor(ordered[k + 1])))
            for col in range(start, stop + 1):
                inside[row, col] = True
