"""Runs a disk network over patterns of counts."""

import copy
import logging
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.disks.network.build import DiskNet, build_network, channels_last
from braggscope.models.disks.network.calibrate import errors_of
from braggscope.models.disks.network.evaluate import APART, CUT
from braggscope.models.disks.network.fcunet import FCUNet
from braggscope.models.disks.network.inputs import Kernel, kernel_of, prepare
from braggscope.models.disks.network.peaks import find_peaks
from braggscope.models.disks.network.photometry import disk_counts, is_empty
from braggscope.models.disks.results import Disks, Probe
from braggscope.models.threads import use_one_thread

log = logging.getLogger(__name__)

CHUNK = 16  # patterns at 128 x 128 whose features stay in the processor's cache
DEVICE_CHUNK = 512
TRAINED_PX = (2.3, 7.0)  # radii that the networks know
USUAL_THRESHOLD = 0.05  # the score that the best visibility to cut at is given
LEAST_VISIBILITY = 0.02


class DiskNetwork:
    """A disk network ready for use. May be called from several threads at once.

    ``title`` says which network it is, ``parameters`` how many numbers it has.
    """

    def __init__(
        self, network: DiskNet, metadata: Mapping[str, Any] | None = None, device: str = "cpu"
    ) -> None:
        network = copy.deepcopy(network).float().eval().requires_grad_(False)
        self.title = type(network).__name__
        self.parameters = sum(p.numel() for p in network.parameters())
        self.device = device
        self._network = channels_last(network.to(device))
        self._judge = network if device == "cpu" else copy.deepcopy(network).cpu()
        self._cut = float((metadata or {}).get("cut", CUT))
        self._power = math.log(USUAL_THRESHOLD) / math.log(self._cut)

    @classmethod
    def from_state(
        cls, state: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None, device: str = "cpu"
    ) -> Self:
        """Network for its arrays. Raises ValueError, one sentence, for arrays of something else."""
        return cls(build_network(state), metadata, device)

    def find(
        self,
        patterns: NDArray[np.float32],
        mask: NDArray[np.bool_] | None,
        probe: Probe,
        threshold: float = USUAL_THRESHOLD,
        most: int = 200,
        spacing: float | None = None,
        edge: float = 0.0,
    ) -> Disks:
        """Disks of patterns (B, H, W) of counts; ``pattern`` counts from 0 in this batch.

        ``mask`` (H, W), True = bad; what is not finite is bad too. Any size: where the probe's radius is
        outside 2.3-7 px the patterns are resampled to bring it inside, and answers are in px of the original.
        ``score``: visibility 0-1, raised to the power that makes 0.05 its best threshold. Of disks nearer
        than ``spacing`` px (None: 1.5 radii) the better is kept, at most ``most`` a pattern; disks nearer
        than ``edge`` px to the frame's edge are left out, and so are those at places with nothing but noise,
        which a network expects where a lattice goes on. Errors are calibrated on simulated patterns.
        When the device runs out of memory the batch is halved, and after that the CPU does it.
        Raises ValueError, one sentence, for other shapes and for a probe larger than the pattern.
        """
        try:
            return self._find(patterns, mask, probe, threshold, most, spacing, edge)
        except torch.OutOfMemoryError:
            if self.device == "cpu":
                raise
        log.warning("The device %s ran out of memory; the disk network now runs on the CPU.", self.device)
        twin = type(self)(self._judge, {"cut": self._cut})
        return twin.find(patterns, mask, probe, threshold, most, spacing, edge)

    def _find(
        self, patterns: NDArray[np.float32], mask: NDArray[np.bool_] | None, probe: Probe,
        threshold: float, most: int, spacing: float | None, edge: float,
    ) -> Disks:  # fmt: skip
        use_one_thread()
        values, valid = self._checked(patterns, mask, probe)
        scale = resampling(probe.radius)
        kernel = kernel_of(_resampled_probe(probe, scale), probe.radius * scale)
        area = values.shape[1] * values.shape[2] * scale**2
        most_at_once = CHUNK if self.device == "cpu" else DEVICE_CHUNK
        per_pass = min(max(1, int(most_at_once * 128**2 / area)), max(1, len(values)))
        parts = []
        apart = spacing if spacing is not None else APART * probe.radius
        start = 0
        while start < len(values):
            part = slice(start, start + per_pass)
            good = valid if len(valid) == 1 else valid[part]
            try:
                found = self._disks(
                    values[part], good, kernel, probe, scale, threshold, most, apart, edge, start
                )
            except torch.OutOfMemoryError:
                if per_pass == 1:
                    raise
                per_pass //= 2
                continue
            parts.append(found)
            start += per_pass
        return Disks.join(parts)

    def _checked(
        self, patterns: NDArray[np.float32], mask: NDArray[np.bool_] | None, probe: Probe
    ) -> tuple[Tensor, Tensor]:
        if patterns.ndim != 3 or (mask is not None and mask.shape != patterns.shape[1:]):
            shape = None if mask is None else mask.shape
            raise ValueError(
                f"The disk network was given patterns {patterns.shape} and a mask {shape};"
                " it needs (B, H, W) and (H, W)."
            )
        if 2 * probe.radius >= min(patterns.shape[1:]):
            raise ValueError(
                f"The probe is {2 * probe.radius:.0f} px wide, larger than a pattern of {patterns.shape[2]} x"
                f" {patterns.shape[1]} px; give the probe of these patterns."
            )
        values = torch.from_numpy(np.ascontiguousarray(patterns, np.float32))
        finite = torch.isfinite(values)
        valid = torch.ones(1, *values.shape[1:], dtype=torch.bool)
        if mask is not None:
            valid = ~torch.from_numpy(np.ascontiguousarray(mask, np.bool_))[None]
        if not bool(finite.all()):
            values, valid = torch.where(finite, values, 0.0), valid & finite
        return values.to(self.device), valid.to(self.device)

    def _disks(
        self, counts: Tensor, valid: Tensor, kernel: Kernel, probe: Probe, scale: float, threshold: float,
        most: int, spacing: float, edge: float, first: int,
    ) -> Disks:  # fmt: skip
        height, width = counts.shape[1:]
        seen, good, factor = _resampled(counts, valid, scale)
        cut = max(threshold ** (1 / self._power), LEAST_VISIBILITY) if threshold > 0 else LEAST_VISIBILITY
        spectrum = isinstance(self._network, FCUNet)
        with torch.inference_mode(), torch.autocast(torch.device(self.device).type, torch.bfloat16):
            output = self._network(prepare(seen, good, kernel.to(self.device), spectrum=spectrum))
        found = find_peaks(output, cut, most, spacing * scale)
        error = errors_of(self._judge, found, np.full(len(counts), probe.radius * scale)) / factor
        xy = (found.xy + 0.5) / factor - 0.5
        inside = ((xy >= edge) & (xy <= np.array([width, height]) - 1 - edge)).all(1)
        pattern, place = (torch.from_numpy(values).to(self.device) for values in (found.pattern, xy))
        empty = is_empty(counts, valid, pattern, place, probe.radius, probe.edge)
        kept = np.flatnonzero(inside & ~empty.cpu().numpy())
        found, xy, error = found.take(kept), xy[kept], error[kept]
        pattern, place = pattern[kept], place[kept]
        intensity = disk_counts(counts, valid, pattern, place, probe.radius, probe.edge)
        return Disks(
            found.pattern + first, xy[:, 0], xy[:, 1], error[:, 0], error[:, 1],
            intensity.double().cpu().numpy(), found.visibility**self._power,
        )  # fmt: skip


def resampling(radius: float) -> float:
    """By what patterns are magnified so that a probe of this radius, px, has one that the networks know."""
    return float(np.clip(radius, *TRAINED_PX) / radius)


def _resampled(counts: Tensor, valid: Tensor, scale: float) -> tuple[Tensor, Tensor, NDArray[np.float64]]:
    """Patterns magnified by about ``scale``, their valid pixels, and the exact factors of x and y."""
    height, width = counts.shape[1:]
    if scale == 1:
        return counts, valid, np.ones(2)
    size = (max(16, round(height * scale)), max(16, round(width * scale)))
    weight = valid.float().expand(len(counts), -1, -1) if len(valid) > 1 else valid.float()

    def magnified(image: Tensor) -> Tensor:
        return F.interpolate(image[:, None], size, mode="bilinear", antialias=True, align_corners=False)[:, 0]

    share = magnified(weight)
    seen = magnified(torch.where(valid, counts, 0.0)) / share.clamp(min=1e-3)
    return seen, share > 0.5, np.array([size[1] / width, size[0] / height])


def _resampled_probe(probe: Probe, scale: float) -> Tensor:
    """The probe's image magnified about its centre, odd."""
    image = torch.from_numpy(np.ascontiguousarray(probe.image, np.float32))
    side = image.shape[-1]
    half = (side - 1) // 2
    image = image[side // 2 - half : side // 2 + half + 1, side // 2 - half : side // 2 + half + 1]
    if scale == 1:
        return image
    new = max(2, math.ceil(half * scale))
    if scale < 1:
        blur = 0.5 * math.sqrt(1 / scale**2 - 1)
        image = _smoothed(image, blur)
    axis = torch.arange(-new, new + 1, dtype=torch.float32) / (scale * max(half, 1))
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    grid = torch.stack([x, y], dim=-1)[None]
    return F.grid_sample(image[None, None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[
        0, 0
    ]


def _smoothed(image: Tensor, sigma: float) -> Tensor:
    """Blurred by a Gaussian, as pixels that become larger blur."""
    reach = math.ceil(3 * sigma)
    line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    line = line / line.sum()
    wide = F.conv2d(image[None, None], line[None, None, None], padding=(0, reach))
    return F.conv2d(wide, line[None, None, :, None], padding=(reach, 0))[0, 0]
