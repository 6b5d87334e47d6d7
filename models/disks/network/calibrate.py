"""The last step of training: making the stated errors of disks right in every regime."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from braggscope.models.disks.network.build import DiskNet
from braggscope.models.disks.network.evaluate import find, match
from braggscope.models.disks.network.peaks import Found
from braggscope.models.disks.network.pool import Draw
from braggscope.models.disks.network.scenes import drawing
from braggscope.models.disks.network.signs import signs_of

CALIBRATION_SEED = 2**39  # training draws its seeds far below
PART = 64
STEPS, BATCH, RATE = 1500, 1024, 5e-3
SHARE = 0.683
FEWEST = 100  # disks


def errors_of(network: DiskNet, found: Found, radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) px: half-width of the 68 % interval in x and y. ``radius`` (B,) of the probe, by pattern."""
    with torch.inference_mode():
        factor = network.calibration(signs_of(found, radius))
    return found.scale * np.exp(factor.double().numpy())


def calibrate(
    network: DiskNet, count: int, draw: Draw | None = None, *, check: Callable[[], None] = lambda: None
) -> None:
    """Train ``network.calibration`` so that 68 % of the errors lie within what is stated, in every regime.

    By quantile regression (Koenker and Bassett, Econometrica 46, 33 (1978)) of log |error| on at least
    ``count`` simulated patterns that training has not seen, in groups that ``draw`` gives by number; all
    else in the network stays as it is. ``check`` is called now and then and raises to stop.
    """
    beyond, signs = _errors(network, count, draw or drawing(CALIBRATION_SEED, PART), check)
    if len(signs) < FEWEST:
        return  # a network that finds nothing has no errors
    layers, generator = network.calibration, torch.Generator().manual_seed(0)
    layers.reset(signs, generator)
    layers.requires_grad_(True)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        check()
        rows = torch.randint(len(signs), (BATCH,), generator=generator)
        left = beyond[rows] - layers(signs[rows])
        loss = torch.maximum(SHARE * left, (SHARE - 1) * left).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    layers.requires_grad_(False)


def _errors(network: DiskNet, count: int, draw: Draw, check: Callable[[], None]) -> tuple[Tensor, Tensor]:
    """(N, 2) log of |error| / scale, not calibrated, and (N, 2, F) what the calibration goes by."""
    beyond, signs, number, group = [], [], 0, 0
    while number < count:
        check()
        scenes = draw(group)
        found = find(network, scenes)
        pairs = match(found, scenes)
        scale = torch.from_numpy(found.scale[pairs.rows])
        beyond.append((torch.log(torch.from_numpy(np.abs(pairs.error)) + 1e-4) - torch.log(scale)).float())
        signs.append(signs_of(found, scenes.radius.double().numpy())[pairs.rows])
        number, group = number + len(scenes.counts), group + 1
    return torch.cat(beyond), torch.cat(signs)
