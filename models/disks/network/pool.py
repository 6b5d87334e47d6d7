"""Simulated patterns in groups that are drawn when first wanted, and batches of them for training."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from braggscope.models.disks.network.inputs import Inputs, kernel_of, prepare
from braggscope.models.disks.network.targets import Truth

TURNS = 8  # mirrored and rotated views of a pattern


class Scenes(NamedTuple):
    """B simulated patterns. ``counts`` (B, S, S) float32, ``valid`` (B, S, S) bool, ``probe`` (B, P, P)
    float32, P odd, its centre in the middle, ``radius`` (B,) px; ``truth``: the disks.
    """

    counts: Tensor
    valid: Tensor
    probe: Tensor
    radius: Tensor
    truth: Truth

    def rows(self, rows: Tensor | slice) -> Self:
        """Some of the patterns."""
        truth = Truth(*(values[rows] for values in self.truth))
        return type(self)(self.counts[rows], self.valid[rows], self.probe[rows], self.radius[rows], truth)

    def turned(self, way: int) -> Self:
        """Mirrored at the diagonal (1), left to right (2), top to bottom (4), or in several ways (sums)."""
        counts, valid, probe, xy = self.counts, self.valid, self.probe, self.truth.xy
        last = counts.shape[-1] - 1
        if way & 1:
            counts, valid, probe, xy = counts.mT, valid.mT, probe.mT, xy.flip(2)
        for bit, axis, column in ((2, 2, 0), (4, 1, 1)):
            if way & bit:
                counts, valid, probe = (values.flip(axis) for values in (counts, valid, probe))
                mirrored = [last - xy[:, :, k] if k == column else xy[:, :, k] for k in (0, 1)]
                xy = torch.stack(mirrored, dim=2)
        return type(self)(counts, valid, probe, self.radius, self.truth._replace(xy=xy))

    def inputs(self, *, spectrum: bool) -> Inputs:
        """As the networks want them."""
        kernel = kernel_of(self.probe, self.radius)
        return prepare(self.counts.float(), self.valid, kernel, spectrum=spectrum)

    @classmethod
    def join(cls, parts: list[Self]) -> Self:
        """Several one after the other, their probes on canvases of one size."""
        side = max(part.probe.shape[-1] for part in parts)
        margins = [(side - part.probe.shape[-1]) // 2 for part in parts]
        probes = [F.pad(part.probe, (m, m, m, m)) for part, m in zip(parts, margins, strict=True)]
        return cls(
            torch.cat([part.counts for part in parts]),
            torch.cat([part.valid for part in parts]),
            torch.cat(probes),
            torch.cat([part.radius for part in parts]),
            Truth(*(torch.cat(columns) for columns in zip(*(part.truth for part in parts), strict=True))),
        )


Draw = Callable[[int], Scenes]


class Pool:
    """Groups of scenes by number; each is drawn once, when first wanted, by ``draw(number)``."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._groups: dict[int, Scenes] = {}

    def batch(self, size: int, groups: int, rng: np.random.Generator, parts: int = 8) -> Scenes:
        """``size`` scenes out of the first ``groups`` groups, in ``parts`` views of equal number."""
        chosen: list[Scenes] = []
        for share in np.array_split(np.arange(size), parts):
            if len(share):
                group = self.group(int(rng.integers(groups)))
                rows = torch.from_numpy(rng.integers(len(group.counts), size=len(share)))
                chosen.append(group.rows(rows).turned(int(rng.integers(TURNS))))
        return Scenes.join(chosen)

    def group(self, number: int) -> Scenes:
        """One group."""
        if number not in self._groups:
            self._groups[number] = self._draw(number)
        return self._groups[number]
