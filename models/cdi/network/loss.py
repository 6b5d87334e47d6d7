"""How wrong an object is, whatever its twin, its phase offset and its scale."""

import torch
from torch import Tensor

from braggscope.models.cdi.network.inputs import BOX, SIDE, forward
from braggscope.models.cdi.network.network import Output

FORWARD_WEIGHT, SHAPE_WEIGHT = 0.5, 0.1


def overlap(obj: Tensor, truth: Tensor) -> Tensor:
    """(N,) share of ``truth`` that ``obj`` explains, |<obj, truth>|^2 / |obj|^2 / |truth|^2, 0 to 1.

    (N, Z, Y, X) complex64 both, on one place; blind for scale and phase offset.
    """
    inner = (obj.conj() * truth).sum((1, 2, 3)).abs().square()
    power = obj.abs().square().sum((1, 2, 3)) * truth.abs().square().sum((1, 2, 3))
    return inner / power.clamp(min=1e-20)


def twin_overlap(obj: Tensor, truth: Tensor) -> Tensor:
    """(N,) the larger overlap with the object and with its twin: ``truth`` (N, 2, Z, Y, X) holds both."""
    return torch.maximum(overlap(obj, truth[:, 0]), overlap(obj, truth[:, 1]))


def forward_misfit(obj: Tensor, amplitude: Tensor) -> Tensor:
    """(N,) squared chi at the best scale: share of the measured modulus that |F obj| leaves unexplained.

    ``obj`` (N, 24, 24, 24) complex64; ``amplitude`` (N, 32, 32, 32), negative where not measured.
    """
    edge = (SIDE - BOX) // 2
    power = forward(torch.nn.functional.pad(obj, (edge,) * 6)).abs().square()
    seen = torch.where(amplitude < 0, 0.0, (power + 1e-8).sqrt())
    known = amplitude.clamp(min=0)
    both = (seen * known).sum((1, 2, 3)).square()
    return 1 - both / (seen.square().sum((1, 2, 3)) * known.square().sum((1, 2, 3))).clamp(min=1e-20)


def loss_of(output: Output, truth: Tensor, amplitude: Tensor) -> Tensor:
    """Mean of 1 - overlap with the nearer twin, misfit of the modulus, cross entropy of that twin's shape."""
    near = torch.stack([overlap(output.obj, truth[:, k]) for k in (0, 1)], 1)
    wrong = 1 - near.amax(1)
    shape = truth.abs()[torch.arange(len(truth)), near.argmax(1)] > 0.5
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(output.shape, shape.float())
    misfit = forward_misfit(output.obj, amplitude).mean()
    return wrong.mean() + FORWARD_WEIGHT * misfit + SHAPE_WEIGHT * entropy
