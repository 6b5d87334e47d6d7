"""The shipped weights against the published network's figures, on patches that no training has seen."""

import pytest
import torch

from braggscope.models.braggnn.evaluate import HELD_OUT_SEED, errors
from braggscope.models.braggnn.infer import Localizer
from braggscope.models.braggnn.simulate import benchmark_scenes, simulate
from braggscope.models.weights import build_braggnn
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)

PUBLISHED = {  # median, 95th percentile, px: the official weights on min-max normalised patches
    "round, SNR 100": (0.29, 1.26),
    "round, SNR 10": (1.07, 1.39),
    "round, SNR 5": (0.87, 1.39),
    "elongated 2-3x, SNR 100": (0.87, 1.42),
    "broad sigma 3-4, SNR 100": (0.76, 1.09),
    "sloping background, SNR 100": (1.06, 1.43),
    "second peak 2.5-5 px, SNR 100": (0.30, 0.89),
}


@pytest.fixture(scope="module")
def localizer():
    return Localizer(build_braggnn(load_weights("braggnn")[0]))


@pytest.mark.parametrize("case", PUBLISHED)
def test_errors_are_at_most_half_the_published_networks(localizer, case):
    drawn = simulate(4000, HELD_OUT_SEED + 999_000, benchmark_scenes()[case])
    found = errors(torch.from_numpy(localizer.locate(drawn.image.numpy())), drawn.centre)
    median, p95 = PUBLISHED[case]
    assert found.median_px <= median / 2
    assert found.p95_px <= p95 / 2
