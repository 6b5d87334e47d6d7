"""Measured patches for training: cut a little too large, then shifted and turned as they are drawn."""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.braggnn.simulate import normalise

MARGIN = 1  # px on every side, for shifts


class Measured(NamedTuple):
    """Patches of S + 2 pixels, for windows of S.

    ``counts`` (N, S+2, S+2) float32; ``valid`` of the same shape, bool; ``centre`` (N, 2) (x, y) px in the
    larger patch, pixel centre = integer.
    """

    counts: Tensor
    valid: Tensor
    centre: Tensor

    @classmethod
    def from_arrays(
        cls, counts: NDArray[np.float32], valid: NDArray[np.bool_], centre: NDArray[np.float64]
    ) -> Self:
        """From numpy arrays of the same meaning."""
        return cls(torch.from_numpy(counts), torch.from_numpy(valid), torch.from_numpy(centre).float())

    @property
    def window(self) -> int:
        """Side of the patches that are drawn, px."""
        return self.counts.shape[1] - 2 * MARGIN

    def take(self, rows: NDArray | Tensor) -> Self:
        """The chosen patches."""
        return type(self)(*(part[torch.as_tensor(rows)] for part in self))

    def middle(self) -> tuple[Tensor, Tensor]:
        """All patches, neither shifted nor turned: image (N, S, S) in 0-1 and centre (N, 2) px."""
        counts, valid, centre = self.middle_counts()
        return normalise(counts, ~valid), centre

    def draw(self, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Random patches, shifted by up to 1 px and turned by one of the 8 symmetries of the square."""
        counts, valid, centre = self.draw_counts(count, seed)
        return normalise(counts, ~valid), centre

    def middle_counts(self) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`middle`, but counts and validity (N, S, S), and centre."""
        inner = slice(MARGIN, MARGIN + self.window)
        return self.counts[:, inner, inner], self.valid[:, inner, inner], self.centre - MARGIN

    def draw_counts(self, count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`draw`, but counts and validity (N, S, S), and centre."""
        generator = torch.Generator().manual_seed(seed)
        pick = torch.randint(len(self.counts), (count,), generator=generator)
        shift = torch.randint(0, 2 * MARGIN + 1, (count, 2), generator=generator)
        turn = torch.rand(count, 3, generator=generator) < 0.5
        across = shift[:, :1] + torch.arange(self.window)  # (N, S)
        down = shift[:, 1:] + torch.arange(self.window)
        window = (pick[:, None, None], down[:, :, None], across[:, None, :])
        counts, valid = (_turned(images[window], turn) for images in (self.counts, self.valid))
        return counts, valid, _turned_points(self.centre[pick] - shift, turn, self.window - 1)


def _turned(image: Tensor, turn: Tensor) -> Tensor:
    """Mirror columns, mirror rows and transpose where ``turn`` (N, 3) bool says so."""
    image = torch.where(turn[:, 0, None, None], image.flip(2), image)
    image = torch.where(turn[:, 1, None, None], image.flip(1), image)
    return torch.where(turn[:, 2, None, None], image.transpose(1, 2), image).contiguous()


def _turned_points(centre: Tensor, turn: Tensor, last: int) -> Tensor:
    """Points (N, 2) x, y after :func:`_turned`; ``last``: index of the last pixel."""
    x = torch.where(turn[:, 0], last - centre[:, 0], centre[:, 0])
    y = torch.where(turn[:, 1], last - centre[:, 1], centre[:, 1])
    return torch.stack([torch.where(turn[:, 2], y, x), torch.where(turn[:, 2], x, y)], dim=1)
