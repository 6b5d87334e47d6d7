"""What the disk networks see of a pattern and of its probe. Torch only; any size, any number at once."""

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

CHANNELS = 6
GRID = 16  # patterns are padded to a multiple of this, px
RINGS = 10  # of the probe's profile
CONDITION = RINGS + 1
RADIUS_PX = 5.0  # in the middle of the range that is trained
WINDOW = 2.5  # radii: sigma of the window that brightness is taken from


class Inputs(NamedTuple):
    """Of B patterns, padded to H x W, multiples of :data:`GRID`.

    ``maps`` (B, CHANNELS, H, W): root and logarithm of the counts, three correlations with the probe, what
    is valid. ``spectrum`` (B, H / 2, W / 2) complex: middle of the normalised cross spectrum of pattern and
    probe, frequency 0 at (H / 4, W / 4), in the frame whose origin is the pixel corner (0.5, 0.5).
    ``condition`` (B, CONDITION): profile and size of the probe.
    """

    maps: Tensor
    spectrum: Tensor
    condition: Tensor


class Kernel(NamedTuple):
    """Probes ready for use: ``image`` (B or 1, K, K) of sum 1, K odd, ``radius`` (B or 1,) px."""

    image: Tensor
    radius: Tensor

    def to(self, device: str) -> "Kernel":
        """The same on a device."""
        return Kernel(self.image.to(device), self.radius.to(device))


def kernel_of(image: NDArray[np.float32] | Tensor, radius: NDArray[np.float64] | Tensor | float) -> Kernel:
    """Kernel for probes (S, S) or (B, S, S) centred on the pixel (S // 2, S // 2) and their radii in px.

    Raises ValueError for probes without intensity.
    """
    images = torch.as_tensor(image, dtype=torch.float32)
    images = images[None] if images.ndim == 2 else images
    radii = torch.as_tensor(radius, dtype=torch.float32).reshape(-1)
    side = images.shape[-1]
    middle, half = side // 2, kernel_half(float(radii.max()), side)
    images = images[:, middle - half : middle + half + 1, middle - half : middle + half + 1].clamp(min=0)
    total = images.sum((1, 2), keepdim=True)
    if not bool((torch.isfinite(total) & (total > 0)).all()):
        raise ValueError("The probe holds no intensity; measure it again, in vacuum or in thin support.")
    return Kernel(images / total, radii)


def kernel_half(radius: float, side: int) -> int:
    """Px on either side of the centre that are kept of a probe in an image of ``side`` px."""
    return min(math.ceil(1.7 * radius) + 3, (side - 1) // 2)


def condition_of(kernel: Kernel) -> Tensor:
    """(B, CONDITION): height of the probe in rings up to 1.5 radii, relative to a flat one, and its size."""
    side = kernel.image.shape[-1]
    axis = torch.arange(side, dtype=torch.float32, device=kernel.image.device) - side // 2
    distance = torch.hypot(axis[:, None], axis[None, :])
    ring = distance / kernel.radius[:, None, None] * (RINGS / 1.5) - 0.5
    rows = []
    flat = kernel.image * (math.pi * kernel.radius.square())[:, None, None]
    for k in range(RINGS):
        share = (1 - (ring - k).abs()).clamp(min=0)
        rows.append((flat * share).sum((1, 2)) / share.sum((1, 2)).clamp(min=0.1))
    return torch.stack([*rows, 2 * torch.log(kernel.radius / RADIUS_PX)], dim=1)


def prepare(counts: Tensor, valid: Tensor, kernel: Kernel, *, spectrum: bool = True) -> Inputs:
    """Inputs for patterns (B, H, W) float32 of counts, ``valid`` (B or 1, H, W) bool.

    Invariant to gain. Brightness is that of the surroundings, a Gaussian window of :data:`WINDOW` radii, so
    that neither the direct beam nor an empty corner decides the scale. What is not valid counts as
    its surroundings. Correlations do not wrap around.
    """
    height, width = counts.shape[1:]
    size = tuple(_multiple(n) for n in (height, width))
    reach = math.ceil(1.5 * float(kernel.radius.max())) + 1
    full = tuple(_fast(n + reach) for n in size)
    device = counts.device
    kx, ky = torch.fft.rfftfreq(full[1], device=device), torch.fft.fftfreq(full[0], device=device)[:, None]
    frequency2 = kx.square() + ky.square()
    weight = F.pad(valid.to(torch.float32), (0, size[1] - width, 0, size[0] - height))
    good = torch.where(valid, counts, 0.0).clamp(min=0)
    root = F.pad(torch.sqrt(good), (0, size[1] - width, 0, size[0] - height))
    sigma2 = (WINDOW * kernel.radius).square()[:, None, None]
    window = torch.exp(-2 * math.pi**2 * sigma2 * frequency2)
    normalised = _windowed(root, weight, window, full)
    probe = _spectrum(kernel.image, full)
    cross = torch.fft.rfft2(normalised, s=full) * probe.conj()
    correlations = [_back(part, full, size) * weight for part in _filtered(cross, frequency2, kernel.radius)]
    maps = [normalised, _log(root, weight), *correlations]
    scaled = [channel / _deviation(channel, weight) for channel in maps]
    stacked = torch.stack([*scaled, weight.expand_as(root)], dim=1)
    middle = _middle(normalised, kernel, size) if spectrum else torch.zeros(0)
    return Inputs(stacked, middle, condition_of(kernel).expand(len(counts), -1))


def _windowed(root: Tensor, weight: Tensor, window: Tensor, full: tuple[int, ...]) -> Tensor:
    """Root of the counts with mean 0 and deviation about 1 in its surroundings."""
    size = root.shape[1:]
    number = _back(torch.fft.rfft2(weight, s=full) * window, full, size).clamp(min=1e-3)
    mean = _back(torch.fft.rfft2(root, s=full) * window, full, size) / number
    square = _back(torch.fft.rfft2(root.square(), s=full) * window, full, size) / number
    variance = (square - mean.square()).clamp(min=0)
    overall = (variance * weight).sum((1, 2), keepdim=True) / weight.sum((1, 2), keepdim=True).clamp(min=1)
    return (root - mean) * weight * torch.rsqrt(variance + 0.05 * overall + 1e-12)


def _log(root: Tensor, weight: Tensor) -> Tensor:
    """Logarithm of the counts, with mean 0 over the pattern; 2 % of the mean count is the floor."""
    number = weight.sum((1, 2), keepdim=True).clamp(min=1)
    counts = root.square()
    floor = 0.02 * counts.sum((1, 2), keepdim=True) / number + 1e-12
    log = torch.log(counts + floor)
    return (log - (log * weight).sum((1, 2), keepdim=True) / number) * weight


def _filtered(cross: Tensor, frequency2: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cross correlation, phase correlation without the highest frequencies, correlation of the edges."""
    size = cross.abs()
    phase = cross / (size + 1e-3 * size.mean((1, 2), keepdim=True) + 1e-12)
    soft = torch.exp(-2 * math.pi**2 * 0.6**2 * frequency2)
    edges = 1 - torch.exp(-2 * math.pi**2 * (0.7 * radius).square()[:, None, None] * frequency2)
    return (
        cross,
        phase * soft,
        cross * edges / torch.sqrt(size + 1e-3 * size.mean((1, 2), keepdim=True) + 1e-12),
    )


def _middle(normalised: Tensor, kernel: Kernel, size: tuple[int, ...]) -> Tensor:
    """Middle half of the fftshifted cross spectrum, its moduli compressed to their square root."""
    height, width = size
    cross = torch.fft.fft2(normalised) * torch.fft.fft2(_rolled(kernel.image, size)).conj()
    cross = cross / torch.sqrt(cross.abs() + 1e-12)
    half = torch.fft.fftshift(cross, dim=(1, 2))
    half = half[:, height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2]
    fy = (torch.arange(height // 2, device=cross.device) - height // 4) / height
    fx = (torch.arange(width // 2, device=cross.device) - width // 4) / width
    half = half * torch.exp(2j * math.pi * 0.5 * (fy[:, None] + fx))
    return half / half.abs().square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-6)


def _spectrum(image: Tensor, full: tuple[int, ...]) -> Tensor:
    return torch.fft.rfft2(_rolled(image, full))


def _rolled(image: Tensor, size: tuple[int, ...]) -> Tensor:
    """Images on a larger canvas, their middle on the pixel (0, 0)."""
    half = image.shape[-1] // 2
    if image.shape[-1] > min(size):
        raise ValueError("The probe is larger than the pattern; give the probe of these patterns.")
    canvas = F.pad(image, (0, size[1] - image.shape[2], 0, size[0] - image.shape[1]))
    return torch.roll(canvas, (-half, -half), (1, 2))


def _back(spectrum: Tensor, full: tuple[int, ...], size: tuple[int, ...] | torch.Size) -> Tensor:
    return torch.fft.irfft2(spectrum, s=full)[:, : size[0], : size[1]]


def _deviation(channel: Tensor, weight: Tensor) -> Tensor:
    number = weight.sum((1, 2), keepdim=True).clamp(min=1)
    return torch.sqrt(channel.square().sum((1, 2), keepdim=True) / number + 1e-12)


def _multiple(length: int) -> int:
    return -(-length // GRID) * GRID


def _fast(length: int) -> int:
    """Next even length that an FFT takes quickly."""
    from scipy.fft import next_fast_len

    return 2 * int(next_fast_len((length + 1) // 2, real=True))
