"""Networks see batches of few sizes, whatever the number of peaks, and answer the same."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.braggnn.infer import Localizer
from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
from braggscope.models.localizer.infer import NetLocalizer
from braggscope.models.localizer.network import LocalizerConfig, LocalizerNet, initialise
from braggscope.models.usual import SMALL, STEP, usual_size

MOST, SIZES = 128, 20


@given(st.integers(1, 10_000))
def test_the_usual_size_holds_the_batch_and_little_more(n):
    size = usual_size(n)
    assert n <= size < max(2 * n, 2) if n <= SMALL else n <= size < n + STEP
    assert usual_size(size) == size


@pytest.fixture(params=["braggnn", "net"])
def ready(request):
    """A layer of a network, and what answers with it."""
    torch.manual_seed(3)
    network = LocalizerNet(LocalizerConfig())
    initialise(network, 3)
    if request.param == "braggnn":
        plain = Localizer(BraggNN(BraggNNConfig(11)))
        return plain._network.cnn_layers[2], plain.locate
    net = NetLocalizer(network)
    return net._network.features, lambda patches: net.locate(patches, np.ones(patches.shape, np.bool_)).x


def test_networks_see_few_sizes_and_answer_the_same(ready):
    (layer, locate), seen = ready, set()
    hook = layer.register_forward_hook(lambda _, inputs, output: seen.add(len(inputs[0])))
    patches = np.random.default_rng(1).random((MOST, 11, 11), np.float32)
    whole = locate(patches)
    for n in range(1, MOST, 3):
        np.testing.assert_allclose(locate(patches[:n]), whole[:n], rtol=0, atol=2e-4)
    hook.remove()
    assert len(seen) <= SIZES
