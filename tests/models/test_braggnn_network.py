import pytest
import torch

from braggscope.models.braggnn.attention import channels
from braggscope.models.braggnn.network import SLOPE, BraggNN, BraggNNConfig, fold, folded_forward

torch.set_num_threads(1)
NARROW, WIDE = (16, 8, 4, 2), (32, 16, 8, 4)
VARIANTS = [BraggNNConfig(window, hidden) for window in (11, 15) for hidden in (NARROW, WIDE)]


def random_network(config: BraggNNConfig, seed: int = 0) -> BraggNN:
    """Weights large enough that attention is far from uniform."""
    torch.manual_seed(seed)
    network = BraggNN(config).eval()
    with torch.no_grad():
        for parameter in network.nlb.parameters():
            parameter.mul_(3.0)
        network.cnn_layers[0].weight.mul_(3.0)
    return network


@pytest.mark.parametrize(("window", "count"), [(11, 33_172), (15, 40_340)])
def test_it_has_as_many_parameters_as_published(window, count):
    assert sum(p.numel() for p in BraggNN(BraggNNConfig(window)).parameters()) == count


def test_its_arrays_are_named_as_in_public_checkpoints():
    names = set(BraggNN().state_dict())
    layers = ["cnn_layers.0", "cnn_layers.2", "cnn_layers.4"]
    layers += [f"nlb.{name}" for name in ("theta_layer", "phi_layer", "g_layer", "out_cnn")]
    layers += [f"dense_layers.{index}" for index in (0, 2, 4, 6, 8)]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_attention_by_hand():
    network = random_network(BraggNNConfig(7))
    x = torch.rand(1, 64, 2, 3)
    flat = x[0].flatten(1).double()  # (64, 6)
    block = network.nlb.double()

    def project(layer):
        return layer.weight[:, :, 0, 0] @ flat + layer.bias[:, None]

    scores = project(block.theta_layer).T @ project(block.phi_layer)
    weights = torch.exp(scores) / torch.exp(scores).sum(1, keepdim=True)
    mixed = project(block.g_layer) @ weights.T
    expected = flat + block.out_cnn.weight[:, :, 0, 0] @ mixed + block.out_cnn.bias[:, None]
    torch.testing.assert_close(block(x.double())[0].flatten(1), expected)


@pytest.mark.parametrize("config", VARIANTS, ids=str)
def test_folded_equals_plain(config):
    network = random_network(config)
    patches = torch.rand(70, config.window, config.window)
    with torch.no_grad():
        plain = network(patches[:, None])
        folded = folded_forward(network, fold(network), patches)
    assert plain.std() > 1e-3
    assert (plain - folded).abs().max() * config.window < 1e-5


def test_folded_gradients_equal_plain_ones():
    network = random_network(BraggNNConfig()).double()
    patches = torch.rand(9, 11, 11, dtype=torch.float64)
    network(patches[:, None]).square().sum().backward()
    plain = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    folded_forward(network, fold(network), patches).square().sum().backward()
    for name, parameter in network.named_parameters():
        if name == "nlb.phi_layer.bias":  # cancels in the softmax
            assert plain[name].abs().max() < 1e-10
        else:
            torch.testing.assert_close(parameter.grad, plain[name], rtol=1e-7, atol=1e-12)


def test_the_fused_front_equals_the_plain_layers():
    network = random_network(BraggNNConfig())
    patches = torch.rand(5, 11, 11)
    patches[0] = 0
    with torch.no_grad():
        folded = fold(network)
        plain = network.cnn_layers[1](network.nlb(network.cnn_layers[0](patches[:, None])))
    out = torch.zeros(5, 81, 64)
    parts = (folded.query, folded.query_bias, folded.mix.T.contiguous(), folded.mix_bias)
    channels(patches.numpy(), *(part.numpy() for part in parts), torch.tensor(SLOPE).numpy()[()], out.numpy())
    torch.testing.assert_close(out, plain.flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-4)


def test_a_window_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="at least 7 px"):
        BraggNN(BraggNNConfig(5))
