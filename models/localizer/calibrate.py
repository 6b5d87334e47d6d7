"""The last correction of the stated uncertainty, on held-out simulation."""

import torch
from torch import Tensor

from braggscope.models.localizer.network import (
    LOG_SCALE,
    OVERLAP_NODES,
    SCALE_NODES,
    LocalizerNet,
    Output,
    corrected,
    prepare,
)
from braggscope.models.localizer.simulate import MIXTURE, Crowd, Samples, simulate_mixture
from braggscope.models.localizer.train import SHARE

CALIBRATION_SEED = 2**41  # training draws its seeds far below
CHUNK = 256
LIMIT = 0.7  # of the correction of a log scale


def run(network: LocalizerNet, counts: Tensor, valid: Tensor) -> Output:
    """The network over many patches, without gradients and without correction."""
    with torch.inference_mode():
        parts = [
            network(prepare(c, v).contiguous(memory_format=torch.channels_last))
            for c, v in zip(torch.split(counts, CHUNK), torch.split(valid, CHUNK), strict=True)
        ]
    return Output(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def calibrate(
    network: LocalizerNet,
    count: int = 60_000,
    mixture: tuple[tuple[float, Crowd], ...] = MIXTURE,
    seed: int = CALIBRATION_SEED,
) -> None:
    """Set ``network.correction`` so that 68.3 % of the errors lie within the scale, whatever it is.

    Each node, a stated scale and an overlap probability, moves by the quantile of log(|error| / scale)
    over the patches near it, x and y alike, weighed by their bilinear share; twice, as nodes share
    patches. Nodes with few patches move less.
    """
    truth = simulate_mixture(count, seed, mixture)
    output = run(network, truth.counts, truth.valid)
    error = torch.log((output.offset - truth.centre).abs() + 1e-6)
    share = _shares(output).clone()
    network.correction.zero_()
    for _ in range(2):
        beyond = (error - corrected(network, output)).flatten()  # (2N,)
        moves = torch.stack([_quantile(beyond, weight) for weight in share.T])
        moved = network.correction.flatten() + moves
        network.correction.copy_(moved.clamp(-LIMIT, LIMIT).reshape(SCALE_NODES, OVERLAP_NODES))


def coverage(network: LocalizerNet, truth: Samples) -> float:
    """Share of x and y within the stated scale."""
    output = run(network, truth.counts, truth.valid)
    inside = (output.offset - truth.centre).abs() < torch.exp(corrected(network, output))
    return float(inside.to(torch.float64).mean())


def _shares(output: Output) -> Tensor:
    """(2N, nodes) bilinear weights of every scale, x then y of each patch."""
    low, high = LOG_SCALE
    at = ((output.log_scale - low) / (high - low) * (SCALE_NODES - 1)).flatten()
    across = (torch.sigmoid(output.overlap) * (OVERLAP_NODES - 1)).repeat_interleave(2)
    along = (1 - (at[:, None] - torch.arange(SCALE_NODES)).abs()).clamp(min=0)
    over = (1 - (across[:, None] - torch.arange(OVERLAP_NODES)).abs()).clamp(min=0)
    return (along[:, :, None] * over[:, None, :]).flatten(1)


def _quantile(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted quantile at :data:`SHARE`, shrunk towards 0 where the weights add up to little."""
    order = torch.argsort(values)
    total = torch.cumsum(weights[order].to(torch.float64), 0)
    if float(total[-1]) < 1.0:
        return torch.zeros(())
    place = torch.searchsorted(total, SHARE * total[-1]).clamp(max=len(values) - 1)
    return values[order[place]] * (total[-1] / (total[-1] + 50.0)).to(torch.float32)
