"""What tells how far the stated scale of a disk's position is to be trusted, and the layers that judge it."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from braggscope.models.disks.network.inputs import RADIUS_PX

if TYPE_CHECKING:
    from braggscope.models.disks.network.peaks import Found

SIGNS = 5
INNER = 24


class Calibration(nn.Module):
    """From signs (N, 2, SIGNS) to what is added to the log of the scale (N, 2); at first nothing."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(SIGNS, INNER), nn.Tanh(), nn.Linear(INNER, INNER), nn.Tanh(), nn.Linear(INNER, 1)
        )
        self.register_buffer("mean", torch.zeros(SIGNS))
        self.register_buffer("deviation", torch.ones(SIGNS))
        self.reset(torch.zeros(2, SIGNS), torch.Generator().manual_seed(0))

    def reset(self, signs: Tensor, generator: torch.Generator) -> None:
        """Begin anew, for signs like these."""
        flat = signs.reshape(-1, SIGNS)
        self.mean.copy_(flat.mean(0))
        self.deviation.copy_(flat.std(0) + 1e-3)
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.xavier_normal_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(linear[-1].weight)

    def forward(self, signs: Tensor) -> Tensor:
        """(N, 2)."""
        return self.layers((signs - self.mean) / self.deviation)[..., 0]


def signs_of(found: "Found", radius: NDArray[np.float64]) -> Tensor:
    """(N, 2, SIGNS): scale along the axis and across it, visibility, amplitude, radius of the probe."""
    scale = torch.from_numpy(np.log(found.scale)).float()
    shared = np.stack(
        [
            np.log(np.clip(found.visibility, 1e-3, 1)),
            np.clip(found.amplitude, -0.5, 2.0),
            np.log(radius[found.pattern] / RADIUS_PX),
        ],
        axis=-1,
    )
    columns = torch.from_numpy(shared).float()[:, None].expand(-1, 2, -1)
    return torch.cat([scale[..., None], scale.flip(1)[..., None], columns], dim=2)
