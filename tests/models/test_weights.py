import copy

import pytest
import torch

from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
from braggscope.models.weights import build_braggnn, detect_axis_order, swap_axes
from braggscope.resources.loader import load_weights

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained():
    return build_braggnn(load_weights("braggnn")[0])


@pytest.mark.parametrize("hidden", [(16, 8, 4, 2), (32, 16, 8, 4)])
@pytest.mark.parametrize("window", [11, 15])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_every_public_variant_is_recognised(window, hidden, prefix):
    torch.manual_seed(0)
    original = BraggNN(BraggNNConfig(window, hidden)).eval()
    built = build_braggnn({prefix + name: array for name, array in original.state_dict().items()})
    assert built.config == BraggNNConfig(window, hidden)
    assert not built.training
    patches = torch.rand(3, 1, window, window)
    with torch.no_grad():
        assert torch.equal(built(patches), original(patches))


def test_half_precision_weights_are_used_in_single(trained):
    built = build_braggnn({name: array.half() for name, array in trained.state_dict().items()})
    assert all(parameter.dtype == torch.float32 for parameter in built.parameters())


def test_both_axis_orders_are_detected(trained):
    assert detect_axis_order(trained) == "xy"
    swapped = swap_axes(trained)
    assert detect_axis_order(swapped) == "yx"
    patches = torch.rand(4, 1, 11, 11)
    with torch.no_grad():
        torch.testing.assert_close(swapped(patches), trained(patches).flip(1))


def test_a_checkpoint_trained_with_one_projection_for_all_is_made_equivalent(trained):
    """Networks of that code behave as if key and value used the query's weights, whatever theirs are."""
    torch.manual_seed(0)
    shared = copy.deepcopy(trained)
    for layer in (shared.nlb.phi_layer, shared.nlb.g_layer):
        layer.load_state_dict(shared.nlb.theta_layer.state_dict())
    shared = _adapt(shared)
    stored = copy.deepcopy(shared.state_dict())
    for name in ("phi_layer", "g_layer"):
        stored[f"nlb.{name}.weight"] = torch.randn_like(stored[f"nlb.{name}.weight"])
    built = build_braggnn(stored)
    patches = torch.rand(4, 1, 11, 11)
    with torch.no_grad():
        torch.testing.assert_close(built(patches), shared(patches))


def _adapt(network):
    """Train the layers behind a changed front for a moment, so that it locates peaks again."""
    from braggscope.models.braggnn.simulate import simulate
    from braggscope.models.braggnn.train import position_loss

    behind = [*network.nlb.out_cnn.parameters(), *network.cnn_layers.parameters()]
    behind += network.dense_layers.parameters()
    optimizer = torch.optim.Adam(behind, lr=1e-3)
    for step in range(60):
        drawn = simulate(64, step)
        loss = position_loss(network(drawn.image[:, None]), drawn.centre, drawn.bound, 11)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval().requires_grad_(False)


def _without(state):
    del state["nlb.g_layer.bias"]


def _reshaped(state):
    state["cnn_layers.2.weight"] = state["cnn_layers.2.weight"][:, :60]


def _not_finite(state):
    state["cnn_layers.0.bias"] = torch.full((64,), float("nan"))


def _extra(state):
    state["decoder.weight"] = torch.zeros(3)


def _not_square(state):
    state["dense_layers.0.weight"] = torch.zeros(16, 210)


def _something_else(state):
    state.clear()
    state["encoder.weight"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_without, "nlb.g_layer.bias is missing"),
        (_reshaped, "cnn_layers.2.weight has the shape"),
        (_not_finite, "not finite in cnn_layers.0.bias"),
        (_extra, "no place for decoder.weight"),
        (_not_square, "no square window: 210 inputs"),
        (_something_else, "holds no BraggNN"),
    ],
)
def test_other_weights_are_refused_in_one_sentence(spoil, says):
    state = BraggNN().state_dict()
    spoil(state)
    with pytest.raises(ValueError, match=says) as caught:
        build_braggnn(state)
    assert "\n" not in str(caught.value)
