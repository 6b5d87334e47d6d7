"""How far the localiser network is from the truth, and how often it says so."""

from collections.abc import Iterator
from dataclasses import fields
from typing import NamedTuple

import torch

from braggscope.models.braggnn.simulate import benchmark_scenes
from braggscope.models.localizer.calibrate import run
from braggscope.models.localizer.network import LocalizerNet
from braggscope.models.localizer.simulate import HELD_OUT_SEED, Crowd, Samples, simulate
from braggscope.models.patchsim import Scene


class Accuracy(NamedTuple):
    """Median and 95th percentile of the distance, px; share of x and y within the stated 68 % interval."""

    median_px: float
    p95_px: float
    coverage: float


def accuracy(network: LocalizerNet, truth: Samples) -> Accuracy:
    """Accuracy on these patches."""
    output = run(network, truth.counts, truth.valid)
    error = output.offset - truth.centre
    ends = torch.quantile(error.double().norm(dim=1), torch.tensor([0.5, 0.95], dtype=torch.float64))
    inside = (error.abs() < torch.exp(output.log_scale)).double().mean()
    median, p95 = ends.tolist()
    return Accuracy(median, p95, float(inside))


def accuracy_table(
    network: LocalizerNet, *, count: int = 10_000, seed: int = 0
) -> Iterator[tuple[str, str, Accuracy]]:
    """Rows (case, "raw" or "thresholded", accuracy) on the scenes by which BraggNN is measured."""
    for number, (case, scene) in enumerate(benchmark_scenes(network.config.window).items()):
        for kind, share in (("raw", 0.0), ("thresholded", 1.0)):
            drawn = simulate(count, HELD_OUT_SEED + 1000 * seed + number, plain_crowd(scene, share))
            yield case, kind, accuracy(network, drawn)


def plain_crowd(scene: Scene, threshold_share: float) -> Crowd:
    """The scene with nothing added to it."""
    given = {entry.name: getattr(scene, entry.name) for entry in fields(Scene)}
    nothing = dict.fromkeys(
        ("stranger_share", "gap_share", "saturated_share", "ridge_share", "found_share"), 0.0
    )
    return Crowd(**{**given, **nothing, "threshold_share": threshold_share})
