"""From intensities over the cone of the probe to disks in a pattern. Lengths in px, pixel centre = integer.

A disk is what the cone carries times the aperture, on a fine raster, and then integrated over pixels that are
blurred by a Gaussian. Disks add up as intensities: no interference where they overlap.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
FINE_PX = 0.5  # raster on which a disk is made before pixels integrate it
NODE_PX = 0.7  # raster of tilts for which scattering is calculated
FAINTEST = 1e-8  # share of the beam below which a disk is not drawn
Kind = Literal["round", "bullseye"]


@dataclass(frozen=True, slots=True)
class Optics:
    """``radius`` px of the largest disk; ``edge`` sigma of its soft rim; ``blur`` sigma of the detector.

    ``shape`` (2, 2): from true to seen offsets, determinant 1 (ellipse). ``bars`` of a bullseye: number of
    rings, share of the light that they let through, turn of its cross in rad.
    """

    radius: float
    edge: float = 0.3
    blur: float = 0.35
    kind: Kind = "round"
    shape: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    bars: tuple[int, float, float] = (2, 0.2, 0.0)

    @property
    def matrix(self) -> Floats:
        """(2, 2) ``shape``."""
        return np.array(self.shape).reshape(2, 2)

    @property
    def reach(self) -> float:
        """Px from the centre of a disk, beyond which nothing of it is left on the fine raster."""
        stretch = float(np.linalg.norm(self.matrix, 2))
        return stretch * self.radius + 3 * self.edge + 0.5

    @property
    def patch(self) -> int:
        """Side in px of the square into which a disk is drawn."""
        return 2 * ceil(self.reach + 3.2 * self.blur + 1)

    def fine(self) -> Tensor:
        """(F,) px: the fine raster along one axis."""
        half = ceil(self.reach / FINE_PX)
        return torch.arange(-half, half + 1, dtype=torch.float32) * FINE_PX

    def nodes(self) -> Tensor:
        """(G,) px: the raster of tilts along one axis, two nodes beyond the disk."""
        half = ceil(self.reach / NODE_PX) + 1
        return torch.arange(-half, half + 1, dtype=torch.float32) * NODE_PX


class Cone(NamedTuple):
    """Tilts to be calculated.

    ``inside`` (T, 2) px: true offsets in the disk; ``source`` (G, G) int64: which of them stands at every
    node of the square raster, the nearest where the cone does not reach.
    """

    inside: Floats
    source: Tensor


def cone(optics: Optics) -> Cone:
    """Nodes of the square raster that the disk covers."""
    axis = optics.nodes()
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    seen = torch.stack([x, y], dim=-1).reshape(-1, 2).double()
    true = seen @ torch.from_numpy(np.linalg.inv(optics.matrix)).T
    needed = optics.radius + 2 * optics.edge + 2.2 * NODE_PX
    within = torch.linalg.norm(true, dim=1) <= needed
    nearest = torch.cdist(seen, seen[within]).argmin(dim=1)
    return Cone(true[within].numpy(), nearest.reshape(len(axis), len(axis)))


def aperture(optics: Optics, radius: Tensor) -> Tensor:
    """(B, F, F) transmission for the radii (B,), each of sum 1."""
    axis = optics.fine().to(radius.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    inverse = np.linalg.inv(optics.matrix)
    tx, ty = inverse[0, 0] * x + inverse[0, 1] * y, inverse[1, 0] * x + inverse[1, 1] * y
    distance = torch.sqrt(tx**2 + ty**2)
    size = radius[:, None, None]
    out = _below(distance - size, optics.edge)
    if optics.kind == "bullseye":
        out = out * _bars(optics, tx, ty, distance, size)
    return out / out.sum(dim=(1, 2), keepdim=True)


def _below(value: Tensor, sigma: float) -> Tensor:
    """1 below 0, 0 above, with a soft step."""
    return 0.5 * torch.erfc(value / (sqrt(2) * sigma))


def _bars(optics: Optics, x: Tensor, y: Tensor, distance: Tensor, size: Tensor) -> Tensor:
    """Rings and a cross that let only a share of the light through."""
    rings, share, turn = optics.bars
    width = size / (4 * rings + 2)  # half of a ring's
    closed = torch.zeros_like(distance + size)
    for ring in range(1, rings + 1):
        closed = torch.maximum(closed, _below((distance - 4 * ring * width).abs() - width, optics.edge))
    across = torch.minimum((x * np.cos(turn) + y * np.sin(turn)).abs(),
                           (y * np.cos(turn) - x * np.sin(turn)).abs())  # fmt: skip
    closed = torch.maximum(closed, _below(across - width * 0.7, optics.edge))
    return 1 - (1 - share) * closed


def refine(optics: Optics, scale: Tensor) -> Tensor:
    """(B, F, G) weights of cubic convolution (Keys, 1981) from nodes to the fine raster.

    ``scale`` (B,): px of this pattern per px of ``optics``; 1 unless the camera length differs.
    """
    fine, nodes = optics.fine().to(scale.device), optics.nodes().to(scale.device)
    away = (fine[None, :, None] / scale[:, None, None] - nodes) / NODE_PX
    d = away.abs()
    near = ((1.5 * d - 2.5) * d) * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


class Drawn(NamedTuple):
    """Disks in patches. ``images`` (K, P, P), ``corner`` (K, 2) int64: (x, y) of the first pixel of each."""

    images: Tensor
    corner: Tensor


def integrate(optics: Optics, fine: Tensor, centre: Tensor) -> Drawn:
    """Put disks (K, F, F) at ``centre`` (K, 2), (x, y) px; what the raster holds is kept in sum."""
    corner = torch.round(centre).long() - optics.patch // 2
    offset = corner - centre
    across, down = (_pixels(optics, offset[:, axis]) for axis in (0, 1))
    return Drawn(down @ fine @ across.mT, corner)


def _pixels(optics: Optics, offset: Tensor) -> Tensor:
    """(K, P, F): share of a point of the fine raster that each pixel gets."""
    rims = torch.arange(optics.patch + 1, device=offset.device) - 0.5
    reach = offset[:, None, None] + rims[:, None] - optics.fine().to(offset.device)
    return torch.diff(torch.special.ndtr(reach / optics.blur), dim=1)


def insert(drawn: Drawn, pattern: Tensor, count: int, size: int) -> Tensor:
    """(count, size, size): patches added to the patterns of number ``pattern`` (K,)."""
    side = drawn.images.shape[-1]
    wide = size + 2 * side
    canvas = torch.zeros(count * wide * wide, device=drawn.images.device)
    start = (drawn.corner + side).clamp(0, wide - side)
    steps = torch.arange(side, device=canvas.device)
    rows = (pattern[:, None] * wide + start[:, 1:] + steps) * wide + start[:, :1]
    canvas.index_add_(0, (rows[:, :, None] + steps).reshape(-1), drawn.images.reshape(-1))
    return canvas.reshape(count, wide, wide)[:, side:-side, side:-side]


def probe_image(optics: Optics, fine: Tensor, size: int) -> Tensor:
    """(B, size, size) of apertures (B, F, F): the probe in vacuum on the pixel (size // 2, size // 2)."""
    count = len(fine)
    centre = torch.full((count, 2), float(size // 2), device=fine.device)
    return insert(integrate(optics, fine, centre), torch.arange(count, device=fine.device), count, size)


class Scattered(NamedTuple):
    """``patterns`` (B, S, S) for one electron; ``share`` (B, M) of it in each disk, in the frame or not."""

    patterns: Tensor
    share: Tensor


def render(
    optics: Optics, nodes: Tensor, transmission: Tensor, weights: Tensor, xy: Tensor, size: int
) -> Scattered:
    """Patterns of disks at ``xy`` (B, M, 2) px whose intensity over the nodes is (B, M, G, G), 0 to 1.

    ``transmission`` (B, F, F) of :func:`aperture`, ``weights`` (B, F, G) of :func:`refine`.
    """
    share = nodes.mean(dim=(2, 3))
    margin = optics.patch / 2
    near = ((xy > -margin) & (xy < size - 1 + margin)).all(dim=2)
    pattern, disk = torch.nonzero(near & (share > FAINTEST), as_tuple=True)
    matrix = weights[pattern]
    fine = (matrix @ nodes[pattern, disk] @ matrix.mT).clamp_(min=0) * transmission[pattern]
    share = share.index_put((pattern, disk), fine.sum(dim=(1, 2)))
    drawn = integrate(optics, fine, xy[pattern, disk])
    return Scattered(insert(drawn, pattern, len(xy), size), share)
