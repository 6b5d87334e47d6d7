"""From numbers to colours: levels, histogram, colour tables, rendered frames.

Colours are uint32 0xFFRRGGBB, what a screen takes without conversion.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from braggscope.models.mask import Mask, native

Scale = Literal["linear", "sqrt", "log"]
COLORMAPS = (
    "inferno", "viridis", "magma", "plasma", "cividis", "turbo", "gray",
    "inferno_r", "viridis_r", "magma_r", "plasma_r", "cividis_r", "turbo_r", "gray_r",
)  # fmt: skip
BAD = 0xFF2A2F36  # masked pixels: a neutral dark grey that no colour map holds
TINT_LIGHT, TINT_DENSE = 0x5A2A3A50, 0x8E3A526F  # over masked pixels, premultiplied 0xAARRGGBB: slate
STRIPE, PERIOD = 3, 8  # px along a row: dense, and from one dense stripe to the next
SAMPLES = 16_384  # pixels that settle percentiles and histogram
SPARSE_HIGH = 90.0  # percentile of the pixels that are not empty
LOG_SPAN = 1000.0  # log scale: log(1 + 1000 u) / log(1001), as DS9 does


def percentile_levels(
    image: NDArray, mask: Mask | None = None, low: float = 1.0, high: float = 99.9
) -> tuple[float, float]:
    """(lower, upper) level: percentiles of about 16,000 evenly spaced good pixels; always lower < upper.

    Where both coincide (sparse frames), the upper is a percentile of what lies above; (0, 1) if all is bad.
    """
    values = _sample(image, mask)
    if not len(values):
        values = _good(image, mask)
    if not len(values):
        return 0.0, 1.0
    lower, upper = (float(v) for v in np.percentile(values, (low, high)))
    if upper <= lower:
        above = _good(image, mask)
        above = above[above > lower]
        upper = float(np.percentile(above, SPARSE_HIGH)) if len(above) else lower
    return (lower, upper) if upper > lower else (lower, lower + max(1.0, abs(lower) * 1e-6))


def histogram(
    image: NDArray, mask: Mask | None = None, bins: int = 256, log: bool = True
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(counts (bins,), edges (bins + 1,)) float64 of about 16,000 evenly spaced good pixels.

    ``log``: edges evenly spaced in asinh(value), logarithmic for large and linear through zero, so that
    background and spots both show. Without it they are evenly spaced.
    """
    values = _sample(image, mask)
    if not len(values):
        return np.zeros(bins), np.linspace(0.0, 1.0, bins + 1)
    lower, upper = float(values.min()), float(values.max())
    if upper <= lower:
        upper = lower + max(1.0, abs(lower) * 1e-6)
    if not log:
        counts, edges = np.histogram(values, bins, (lower, upper))
        return counts.astype(np.float64), edges.astype(np.float64)
    low, high = np.arcsinh(lower), np.arcsinh(upper)
    counts, edges = np.histogram(np.arcsinh(values), bins, (low, high))
    return counts.astype(np.float64), np.sinh(edges)


def hatched(mask: Mask) -> NDArray[np.uint32] | None:
    """(H, W) uint32 premultiplied 0xAARRGGBB: a diagonally hatched tint over bad pixels, 0 elsewhere.

    ``mask`` (H, W) bool, True = bad; None if no pixel is.
    """
    if not mask.any():
        return None
    rows, columns = mask.shape
    along = np.arange(min(rows, PERIOD) + columns) % PERIOD < STRIPE
    ink = np.where(along, np.uint32(TINT_DENSE), np.uint32(TINT_LIGHT))
    pixels = np.empty((rows, columns), np.uint32)
    for k in range(min(rows, PERIOD)):  # rows one period apart look alike
        np.multiply(mask[k::PERIOD], ink[k : k + columns], out=pixels[k::PERIOD])
    return pixels


def _sample(image: NDArray, mask: Mask | None) -> NDArray[np.float64]:
    """Good, finite values on an even grid of pixels."""
    step = max(1, int(np.sqrt(image.size / SAMPLES)))
    return _good(image[::step, ::step], None if mask is None else mask[::step, ::step])


def _good(image: NDArray, mask: Mask | None) -> NDArray[np.float64]:
    values = np.asarray(image if mask is None else image[~mask], np.float64).ravel()
    return values[np.isfinite(values)]


@lru_cache(maxsize=64)
def lut(name: str) -> NDArray[np.uint32]:
    """(256,) uint32 0xFFRRGGBB of a colour map by its name in matplotlib, ``_r`` reversed; read-only.

    Raises ValueError for an unknown name.
    """
    from cmap import Colormap  # late: 0.1 s

    try:
        rgba = np.asarray(Colormap(name).lut(256))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"There is no colour map {name!r}; choose one such as inferno or gray.") from error
    rgb = np.rint(rgba[:, :3] * 255).astype(np.uint32)
    table: NDArray[np.uint32] = 0xFF000000 | rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
    table.flags.writeable = False
    return table


@lru_cache(maxsize=3)
def _curve(scale: Scale) -> NDArray[np.intp]:
    """Position in a colour table for each of many even steps between the levels."""
    if scale == "linear":
        return np.arange(256)
    u = np.linspace(0.0, 1.0, 65_536)
    if scale == "sqrt":
        v = np.sqrt(u)
    elif scale == "log":
        v = np.log1p(LOG_SPAN * u) / np.log1p(LOG_SPAN)
    else:
        raise ValueError(f"There is no scale {scale!r}; choose linear, sqrt or log.")
    return np.minimum((v * 256).astype(np.intp), 255)


def render_rgb(
    image: NDArray, mask: Mask | None, levels: tuple[float, float], lut: NDArray[np.uint32], *,
    scale: Scale = "linear", step: int = 1, bad: int = BAD, out: NDArray[np.uint32] | None = None,
) -> NDArray[np.uint32]:  # fmt: skip
    """(ceil(H / step), ceil(W / step)) uint32 0xFFRRGGBB of an image (H, W), in its own orientation.

    ``levels``: values of the first and last colour. ``step``: blocks of step x step pixels show their
    maximum, so that small spots never vanish. Masked and NaN pixels take no part; a block of nothing else
    gets the colour ``bad``. ``out`` is filled and returned if given. Raises ValueError for a wrong ``out``.
    """
    if step < 1:
        raise ValueError(f"The step of a rendered image is at least 1, not {step}.")
    shape = (-(-image.shape[0] // step), -(-image.shape[1] // step))
    if out is None:
        out = np.empty(shape, np.uint32)
    elif out.shape != shape or out.dtype != np.uint32:
        raise ValueError(
            f"The picture has shape {shape} of uint32, the array given {out.shape} of {out.dtype}."
        )
    curve = _curve(scale)
    table = lut[curve * len(lut) // 256]
    lower, upper = levels
    gain = len(table) / (upper - lower) if upper > lower else 1e300
    hidden = np.zeros((0, 0), np.bool_) if mask is None else mask
    kernel = _render if step == 1 else _render_pooled
    kernel(native(image), hidden, float(lower), gain, table, np.uint32(bad), step, out)
    return out


@njit(cache=True, nogil=True)
def _colour(value: float, lower: float, gain: float, table: NDArray[np.uint32]) -> np.uint32:
    """Clipped in floating point, before the conversion could overflow."""
    place = (value - lower) * gain
    return table[int(min(max(place, 0.0), len(table) - 1.0))]


@njit(cache=True, nogil=True)
def _render(
    image: NDArray, mask: Mask, lower: float, gain: float, table: NDArray[np.uint32],
    bad: np.uint32, step: int, out: NDArray[np.uint32],
) -> None:  # fmt: skip
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            value = float(image[row, col])
            colour = bad
            if value == value and not (mask.size > 0 and mask[row, col]):
                colour = _colour(value, lower, gain, table)
            out[row, col] = colour


@njit(cache=True, nogil=True)
def _render_pooled(
    image: NDArray, mask: Mask, lower: float, gain: float, table: NDArray[np.uint32],
    bad: np.uint32, step: int, out: NDArray[np.uint32],
) -> None:  # fmt: skip
    height, width = image.shape
    for row in range(out.shape[0]):
        for col in range(out.shape[1]):
            highest = -np.inf
            found = False
            for r in range(row * step, min((row + 1) * step, height)):
                for c in range(col * step, min((col + 1) * step, width)):
                    value = float(image[r, c])
                    if value == value and not (mask.size > 0 and mask[r, c]):
                        highest = max(highest, value)
                        found = True
            out[row, col] = _colour(highest, lower, gain, table) if found else bad
