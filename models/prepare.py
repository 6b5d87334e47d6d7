"""From raw frames to the image in which peaks are sought.

Order: bad values -> sum of frames -> dark -> flat -> hot pixels -> binning -> drawn masks -> background.
Mask files, dark and flat are in pixels of the raw frame; everything from the binning on, drawn shapes,
regions and the centre included, is in pixels of the prepared image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from braggscope.models.background import median_background, radial_background
from braggscope.models.frame_kernels import Image, add, bin_pixels, copy, correct, load
from braggscope.models.mask import (
    NO_CODES,
    Mask,
    MaskReason,
    combine,
    hot_pixels,
    native,
    rasterise_all,
    saturated_mask,
    value_limits,
)
from braggscope.models.parameters import Preparation

GOOD_SHARE = 7 / 8  # of a bin; with less, the slope of a spot would bias the scaled sum by more than 2 %


@dataclass(frozen=True, slots=True)
class Prepared:
    """One prepared image.

    ``image`` (h, w) float32, float64 only where a value reaches 2^24; finite everywhere, 0 where masked.
    ``mask`` (h, w) bool, True = bad. ``excluded`` (h, w) bool: where no peak is sought, ``mask`` and all
    outside the regions. ``saturated`` (h, w) bool, or None if no pixel is. ``codes`` (h, w) uint8: reasons
    as in MaskReason. ``background`` (h, w) float32: what was subtracted, or None. Arrays are read-only.
    """

    image: Image
    mask: Mask
    excluded: Mask
    saturated: Mask | None
    codes: NDArray[np.uint8]
    background: NDArray[np.float32] | None = None

    def reason(self, row: int, col: int) -> str:
        """Why a pixel is masked or not searched, in words; ``"saturated"`` or empty for a good one."""
        label = MaskReason(int(self.codes[row, col])).label
        if not label and self.saturated is not None and self.saturated[row, col]:
            return "saturated"
        return label


class Preparer:
    """Prepares the frames of one source. Built once per source and parameters; safe to share by threads.

    ``shape`` (H, W) of the raw frames. ``file_mask`` (H, W) bool: the source's own mask. ``user_mask``
    bool, (H, W) or the shape of the prepared image: from a mask file. ``dark`` (H, W) counts per frame.
    ``flat`` (H, W) response, used relative to its mean; a pixel without positive response is masked.
    Raises ValueError if a shape does not fit.
    """

    def __init__(
        self, parameters: Preparation, *, shape: tuple[int, int], file_mask: Mask | None = None,
        user_mask: Mask | None = None, dark: NDArray | None = None, flat: NDArray | None = None,
    ) -> None:  # fmt: skip
        self.parameters = parameters
        self.raw_shape = (int(shape[0]), int(shape[1]))
        bins = parameters.binning
        self.shape = (self.raw_shape[0] // bins, self.raw_shape[1] // bins)
        if min(self.shape) < 1:
            raise ValueError(f"Frames of shape {self.raw_shape} are too small for binning {bins}.")
        for name, array in (("mask of the file", file_mask), ("dark frame", dark), ("flat field", flat)):
            self._check(name, array, self.raw_shape)
        binned_mask = user_mask is not None and bins > 1 and user_mask.shape == self.shape
        self._check("mask file", user_mask, self.shape if binned_mask else self.raw_shape)
        self._dark, self._gain, uncalibrated = _calibration(dark, flat)
        self._static = _layers(
            self.raw_shape,
            (MaskReason.CALIBRATION, uncalibrated),
            (MaskReason.MASK_FILE, None if binned_mask else user_mask),
            (MaskReason.PIXEL_MASK, file_mask),
        )
        inside = rasterise_all(parameters.regions, self.shape)
        self._late = _layers(
            self.shape,
            (MaskReason.OUTSIDE, None if inside is None else ~inside),
            (MaskReason.DRAWN, rasterise_all(parameters.masked, self.shape)),
            (MaskReason.MASK_FILE, user_mask if binned_mask else None),
        )

    @staticmethod
    def _check(name: str, array: NDArray | None, shape: tuple[int, int]) -> None:
        if array is not None and array.shape != shape:
            raise ValueError(
                f"The {name} has shape {array.shape}, the frames have {shape}; choose another file."
            )

    def apply(self, frames: Sequence[NDArray]) -> Prepared:
        """Prepare one image from the (H, W) raw frames that it sums; a pixel bad in one frame is bad.

        Raises ValueError if there is no frame, or one has another shape.
        """
        raws = [self._native(frame) for frame in frames]
        if not raws:
            raise ValueError("There is no frame to prepare; give at least one.")
        codes = np.empty(self.raw_shape, np.uint8)
        image = self._load(raws, codes)
        if self._dark.size or self._gain.size:
            raw_sum, scene = image, (self._dark, self._gain, len(raws))
            image = _narrow(image.shape, lambda out: correct(raw_sum, codes, *scene, out))
        if self.parameters.hot_pixels is not None:
            hot = hot_pixels(image, codes != 0, self.parameters.hot_pixels)
            codes[hot] = MaskReason.HOT
            image[hot] = 0
        saturated = combine(*(self._saturated(raw) for raw in raws))
        return self._finish(*self._bin(image, codes, saturated))

    def reasons(self, frames: Sequence[NDArray]) -> NDArray[np.uint8]:
        """(h, w) uint8 codes of MaskReason, as ``apply(frames).codes``."""
        return self.apply(frames).codes

    def _native(self, frame: NDArray) -> NDArray:
        if frame.shape != self.raw_shape:
            raise ValueError(
                f"A frame has shape {frame.shape} where {self.raw_shape} was expected; open it again."
            )
        return native(frame)

    def _load(self, raws: list[NDArray], codes: NDArray[np.uint8]) -> Image:
        p = self.parameters
        limits = [
            value_limits(r, dtype_limits=p.dtype_limits, low=p.threshold_low, high=p.threshold_high)
            for r in raws
        ]
        if len(raws) == 1:
            return _narrow(self.raw_shape, lambda out: load(raws[0], limits[0], self._static, codes, out))
        codes[...] = self._static if self._static.size else 0
        total = np.zeros(self.raw_shape)
        for raw, limit in zip(raws, limits, strict=True):
            add(raw, limit, codes, total)
        return _narrow(self.raw_shape, lambda out: copy(total, codes, out))

    def _saturated(self, raw: NDArray) -> Mask | None:
        return saturated_mask(raw, self.parameters.saturation, dtype_limits=self.parameters.dtype_limits)

    def _bin(
        self, image: Image, codes: NDArray[np.uint8], saturated: Mask | None
    ) -> tuple[Image, NDArray[np.uint8], Mask | None]:
        bins = self.parameters.binning
        if bins == 1:
            return image, codes, saturated
        cells = np.empty(self.shape, np.uint8)
        needed = int(np.ceil(GOOD_SHARE * bins * bins))
        binned = _narrow(self.shape, lambda out: bin_pixels(image, codes, bins, needed, cells, out))
        if saturated is not None:
            h, w = self.shape
            blocks = saturated[: h * bins, : w * bins].reshape(h, bins, w, bins)
            saturated = np.asarray(blocks.any(axis=(1, 3)))
        return binned, cells, saturated

    def _finish(self, image: Image, codes: NDArray[np.uint8], saturated: Mask | None) -> Prepared:
        if self._late.size:
            np.copyto(codes, self._late, where=codes == 0)
        excluded: Mask = codes != 0
        mask = excluded
        if self.parameters.regions:
            mask = excluded & (codes != MaskReason.OUTSIDE)
        if self._late.size:
            image[mask] = 0
        if saturated is not None:
            saturated = saturated & ~mask
        image, background = self._subtract(image, mask)
        found = Prepared(image, mask, excluded, saturated, codes, background)
        for array in (image, mask, excluded, saturated, codes, background):
            if array is not None:
                array.flags.writeable = False
        return found

    def _subtract(self, image: Image, mask: Mask) -> tuple[Image, NDArray[np.float32] | None]:
        p = self.parameters
        if p.background == "none":
            return image, None
        if p.background == "radial":
            background = radial_background(image, mask, p.centre)
        else:
            background = median_background(image, mask, p.background_window)
        image -= background
        image[mask] = 0
        return image, background


def _layers(shape: tuple[int, int], *layers: tuple[MaskReason, Mask | None]) -> NDArray[np.uint8]:
    """(H, W) uint8 codes, later layers over earlier ones; empty if nothing is masked."""
    codes = np.zeros(shape, np.uint8)
    for reason, mask in layers:
        if mask is not None:
            codes[mask.astype(np.bool_)] = reason
    return codes if codes.any() else NO_CODES


def _calibration(
    dark: NDArray | None, flat: NDArray | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], Mask | None]:
    """(dark, gain, bad pixels); an array not given is empty."""
    dark_counts, gain = np.zeros((0, 0)), np.zeros((0, 0))
    bad: list[Mask] = []
    if dark is not None:
        bad.append(~np.isfinite(dark))
        dark_counts = np.where(bad[-1], 0.0, dark).astype(np.float64)
    if flat is not None:
        good = np.isfinite(flat) & (flat > 0)
        if not good.any():
            raise ValueError("The flat field has no positive value; choose another file.")
        bad.append(~good)
        gain = flat[good].mean(dtype=np.float64) / np.where(good, flat, 1.0).astype(np.float64)
        gain[~good] = 0.0
    return dark_counts, gain, combine(*bad)


def _narrow(shape: tuple[int, ...], fill: Callable[[Image], bool]) -> Image:
    """What ``fill`` writes, as float32, or as float64 if it reports values from 2^24 on."""
    out = np.empty(shape, np.float32)
    if not fill(out):
        return out
    wide = np.empty(shape, np.float64)
    fill(wide)
    return wide
