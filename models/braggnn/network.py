"""BraggNN as published: Liu et al., IUCrJ 9, 104 (2022). State-dict keys are those of public checkpoints."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.01  # of every LeakyReLU
CHANNELS = (64, 32, 8)


@dataclass(frozen=True, slots=True)
class BraggNNConfig:
    """``window``: side of the square patch, px. ``hidden``: sizes of the fully connected layers."""

    window: int = 11
    hidden: tuple[int, ...] = (16, 8, 4, 2)


class NonLocalBlock(nn.Module):
    """Every position attends to every other: unscaled dot products, softmax, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta_layer = nn.Conv2d(channels, inner, 1)
        self.phi_layer = nn.Conv2d(channels, inner, 1)
        self.g_layer = nn.Conv2d(channels, inner, 1)
        self.out_cnn = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        n, _, h, w = x.shape
        query = self.theta_layer(x).flatten(2).transpose(1, 2)  # (N, HW, C/2)
        key = self.phi_layer(x).flatten(2)  # (N, C/2, HW)
        value = self.g_layer(x).flatten(2).transpose(1, 2)  # (N, HW, C/2)
        mixed = torch.softmax(query @ key, dim=-1) @ value  # (N, HW, C/2)
        return x + self.out_cnn(mixed.transpose(1, 2).reshape(n, -1, h, w))


class BraggNN(nn.Module):
    """Patch in, centre out. 33,172 parameters at 11 px with (16, 8, 4, 2), 40,340 at 15 px."""

    def __init__(self, config: BraggNNConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or BraggNNConfig()
        side = config.window - 2 * len(CHANNELS)  # three valid 3 x 3 convolutions
        if side < 1:
            raise ValueError(f"BraggNN needs a window of at least 7 px, got {config.window}")
        convolutions: list[nn.Module] = []
        for before, after in pairwise((1, *CHANNELS)):
            convolutions += [nn.Conv2d(before, after, 3), nn.LeakyReLU(SLOPE)]
        self.cnn_layers = nn.Sequential(*convolutions)
        self.nlb = NonLocalBlock(CHANNELS[0])
        sizes = (side * side * CHANNELS[-1], *config.hidden)
        dense: list[nn.Module] = []
        for before, after in pairwise(sizes):
            dense += [nn.Linear(before, after), nn.LeakyReLU(SLOPE)]
        self.dense_layers = nn.Sequential(*dense, nn.Linear(sizes[-1], 2))

    def forward(self, patches: Tensor) -> Tensor:
        """(N, 1, S, S) float32, in 0-1, to (N, 2): centre / S, (column, row) as trained here."""
        x = self.cnn_layers[0](patches)  # (N, 64, S-2, S-2)
        x = self.nlb(x)  # attention comes before the first activation
        x = self.cnn_layers[1:](x)  # (N, 8, S-6, S-6)
        return self.dense_layers(x.flatten(1))


class Folded(NamedTuple):
    """BraggNN with all before the first activation folded into one attention over 3 x 3 neighbourhoods.

    With u_i the 9 pixels around position i, convolution, queries, keys and values are affine in u. Terms of
    the scores that do not depend on the key cancel in the softmax, and its rows sum to one, so
    ``score_ij = (u_i Q + q) . u_j`` and the 64 channels are ``M [u_i, sum_j a_ij u_j] + m``: the same
    function in 9 dimensions instead of 32, for any weights.
    """

    query: Tensor  # (9, 9)
    query_bias: Tensor  # (9,)
    mix: Tensor  # (64, 18)
    mix_bias: Tensor  # (64,)


def fold(network: BraggNN) -> Folded:
    """Fold a network; differentiable, computed in float64 unless gradients are wanted."""
    wanted = torch.is_grad_enabled()

    def matrix(layer: nn.Module) -> tuple[Tensor, Tensor]:
        assert isinstance(layer, nn.Conv2d)
        assert layer.bias is not None
        weight, bias = layer.weight.flatten(1), layer.bias
        return (weight, bias) if wanted else (weight.double(), bias.double())

    first, first_bias = matrix(network.cnn_layers[0])
    theta, theta_bias = matrix(network.nlb.theta_layer)
    phi, _ = matrix(network.nlb.phi_layer)
    g, g_bias = matrix(network.nlb.g_layer)
    out, out_bias = matrix(network.nlb.out_cnn)
    keys = phi @ first  # (32, 9)
    mix_bias = first_bias + out_bias + out @ (g @ first_bias + g_bias)
    parts = (
        (theta @ first).T @ keys,
        (theta @ first_bias + theta_bias) @ keys,
        torch.cat([first, out @ g @ first], dim=1),
        mix_bias,
    )
    return Folded(*(part.to(network.nlb.g_layer.weight.dtype) for part in parts))


def neighbourhoods(patches: Tensor) -> Tensor:
    """(N, S, S) to (N, (S-2)^2, 9): the 3 x 3 pixels around every inner position, contiguous."""
    windows = patches.unfold(1, 3, 1).unfold(2, 3, 1)
    return windows.reshape(len(patches), -1, 9)


def folded_forward(network: BraggNN, folded: Folded, patches: Tensor) -> Tensor:
    """What ``network(patches[:, None])`` gives, from the folded form. (N, S, S) to (N, 2)."""
    n, side, _ = patches.shape
    u = neighbourhoods(patches)  # (N, P, 9)
    query = torch.addmm(folded.query_bias, u.view(-1, 9), folded.query).view_as(u)
    attended = torch.softmax(query @ u.transpose(1, 2), dim=-1) @ u  # (N, P, 9)
    both = torch.cat([u, attended], dim=2).view(-1, 18)
    x = F.leaky_relu(torch.addmm(folded.mix_bias, both, folded.mix.T), SLOPE)  # (N P, 64)
    # positions come before channels in memory: channels_last, without a copy
    x = x.view(n, side - 2, side - 2, -1).permute(0, 3, 1, 2)
    x = network.cnn_layers[2:](x)
    return network.dense_layers(x.flatten(1))
