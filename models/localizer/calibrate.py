"""The last step of training: making the stated uncertainty right in every regime."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from braggscope.models.localizer.network import LocalizerNet, Output, initialise_calibration, prepare
from braggscope.models.localizer.simulate import REGIMES, Mixture, Samples, simulate_mixture

CALIBRATION_SEED = 2**41  # training draws its seeds far below
CHUNK = 256
PART = 20_000  # patches simulated at a time
BATCH, EPOCHS, RATE = 1024, 14, 3e-3
HOLDS = 0.677  # of all errors; plain peaks, of which most frames consist, are held 2-3 % more often


def run(network: LocalizerNet, counts: Tensor, valid: Tensor) -> Output:
    """The calibrated network over many patches, without gradients."""
    with torch.inference_mode():
        parts = [network.calibrated(inputs) for inputs in _inputs(counts, valid)]
    return Output(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def coverage(network: LocalizerNet, truth: Samples) -> float:
    """Share of x and y within the stated scale."""
    output = run(network, truth.counts, truth.valid)
    inside = (output.offset - truth.centre).abs() < torch.exp(output.log_scale)
    return float(inside.to(torch.float64).mean())


def calibrate(
    network: LocalizerNet,
    count: int = 600_000,
    mixture: Mixture = REGIMES,
    seed: int = CALIBRATION_SEED,
    *,
    part: int = PART,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Train ``network.calibration`` so that 68 % of the errors lie within the scale in every regime.

    By quantile regression (Koenker and Bassett, Econometrica 46, 33 (1978)) of log |error|, on patches
    that training has not seen; all else in the network stays as it is. ``part`` patches are simulated at a
    time; ``check`` is called after each and raises to stop.
    """
    beyond, signs = _errors(network, count, mixture, seed, part, check)
    layers, generator = network.calibration, torch.Generator().manual_seed(seed)
    network.sign_mean.copy_(signs.mean(0))
    network.sign_deviation.copy_(signs.std(0) + 1e-3)
    signs = (signs - network.sign_mean) / network.sign_deviation
    initialise_calibration(network, generator)
    layers.requires_grad_(True)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=RATE)
    steps = max(1, EPOCHS * count // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        check()
        rows = torch.randint(len(signs), (min(BATCH, count),), generator=generator)
        left = beyond[rows] - layers(signs[rows])
        loss = torch.maximum(HOLDS * left, (HOLDS - 1) * left).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    layers.requires_grad_(False)


def _errors(
    network: LocalizerNet, count: int, mixture: Mixture, seed: int, part: int, check: Callable[[], None]
) -> tuple[Tensor, Tensor]:
    """(N, 2) log of |error| / scale, not calibrated, and (N, F) what the calibration goes by."""
    beyond, signs = [], []
    for k in range(0, count, part):
        check()
        truth = simulate_mixture(min(part, count - k), seed + k, mixture)
        with torch.no_grad():
            parts = [network.with_signs(inputs) for inputs in _inputs(truth.counts, truth.valid)]
        offset, scale = (torch.cat([getattr(p[0], name) for p in parts]) for name in ("offset", "log_scale"))
        beyond.append(torch.log((offset - truth.centre).abs() + 1e-4) - scale)
        signs += [part[1] for part in parts]
    return torch.cat(beyond), torch.cat(signs)


def _inputs(counts: Tensor, valid: Tensor) -> list[Tensor]:
    return [
        prepare(c, v).contiguous(memory_format=torch.channels_last)
        for c, v in zip(torch.split(counts, CHUNK), torch.split(valid, CHUNK), strict=True)
    ]
