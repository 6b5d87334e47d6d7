"""How far a localiser is from the truth, on simulated patches of every kind."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from braggscope.models.braggnn.network import BraggNN, fold, folded_forward
from braggscope.models.braggnn.simulate import Scene, benchmark_scenes, simulate

HELD_OUT_SEED = 2**40  # training draws its seeds below this, accuracy tables above
CHUNK = 128


class Accuracy(NamedTuple):
    """Median and 95th percentile of the distance to the truth, px, over ``patches`` patches."""

    median_px: float
    p95_px: float
    patches: int


def predict(network: BraggNN, images: Tensor) -> Tensor:
    """Centres in px as the network orders them: (N, S, S) float32 to (N, 2)."""
    with torch.no_grad():
        folded = fold(network)
        parts = [folded_forward(network, folded, part) for part in torch.split(images, CHUNK)]
    return torch.cat(parts) * network.config.window


def errors(found: Tensor, truth: Tensor) -> Accuracy:
    """Accuracy of positions (N, 2) px."""
    distance = (found.double() - truth.double()).norm(dim=1)
    median, p95 = torch.quantile(distance, torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist()
    return Accuracy(median, p95, len(distance))


def accuracy_table(
    locate: Callable[[Tensor], Tensor], *, window: int = 11, count: int = 10_000, seed: int = 0
) -> Iterator[tuple[str, str, Accuracy]]:
    """Rows (case, "raw" or "thresholded", accuracy) of ``locate``: images (N, S, S) to (x, y) px."""
    scenes: Mapping[str, Scene] = benchmark_scenes(window)
    for number, (case, scene) in enumerate(scenes.items()):
        for kind, share in (("raw", 0.0), ("thresholded", 1.0)):
            drawn = simulate(
                count, HELD_OUT_SEED + 1000 * seed + number, replace(scene, threshold_share=share)
            )
            yield case, kind, errors(locate(drawn.image), drawn.centre)
