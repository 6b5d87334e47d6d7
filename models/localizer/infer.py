"""Runs the localiser network over patches of counts."""

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from braggscope.models.localizer.network import LocalizerNet, lay_out, prepare
from braggscope.models.threads import use_one_thread
from braggscope.models.usual import usual_size

CHUNK = 128  # patches whose features stay in the processor's cache
DEVICE_BATCH = 16_384
SMALLEST_BATCH = 256


class Answer(NamedTuple):
    """What the network says of N patches, float64.

    ``x``, ``y`` (N,) px in the patch, the centre of whose first pixel is (0, 0); ``x_err``, ``y_err``
    (N,) half-width of the 68 % interval, px. ``overlap``: probability of a second peak in the window,
    and ``second`` (N, 2) its (x, y) in the patch, px. ``quality``: probability that the position is less
    than 0.5 px from the truth.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x_err: NDArray[np.float64]
    y_err: NDArray[np.float64]
    overlap: NDArray[np.float64]
    quality: NDArray[np.float64]
    second: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: list[Self]) -> Self:
        """One answer from several."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class NetLocalizer:
    """The localiser network ready for use. May be called from several threads at once.

    ``device``: "cpu" or a CUDA device. When the device runs out of memory the batch is halved, and after
    that the CPU takes over for good: ``warning`` then says so, and ``on_warning`` is called with it once.
    """

    def __init__(
        self,
        network: LocalizerNet,
        device: str = "cpu",
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.window = network.config.window
        self.device = device
        self.warning = ""
        self._on_warning = on_warning
        self._batch = DEVICE_BATCH
        self._network = lay_out(network.cpu().float().eval().requires_grad_(False))
        self._remote: LocalizerNet | None = None
        if device != "cpu":
            self._remote = LocalizerNet(network.config)
            self._remote.load_state_dict(network.state_dict())
            self._remote.to(device).eval().requires_grad_(False)

    def locate(self, counts: NDArray[np.float32], valid: NDArray[np.bool_]) -> Answer:
        """Answer for patches (N, S, S) of raw counts and their valid pixels (N, S, S) bool.

        What is not valid, and what is not finite, has no influence. Raises ValueError for other shapes.
        """
        if counts.ndim != 3 or counts.shape[1:] != (self.window, self.window) or counts.shape != valid.shape:
            raise ValueError(
                f"The localiser was given patches {counts.shape} and valid pixels {valid.shape}, but these"
                f" weights need (N, {self.window}, {self.window}) for both."
            )
        use_one_thread()
        values = torch.from_numpy(np.ascontiguousarray(counts, np.float32))
        good = torch.from_numpy(np.ascontiguousarray(valid, np.bool_)) & torch.isfinite(values)
        found = self._on_device(values, good) if self._remote is not None else None
        if found is None:
            found = _run(self._network, values, good, CHUNK)
        columns = found.double().numpy().T
        middle = self.window // 2
        return Answer(
            columns[0] + middle, columns[1] + middle, columns[2], columns[3],
            columns[4], columns[5], columns[6:8].T + middle,
        )  # fmt: skip

    def _on_device(self, counts: Tensor, valid: Tensor) -> Tensor | None:
        """In large batches, or None once even a small one does not fit."""
        while True:
            try:
                return self._remote_run(counts, valid, self._batch)
            except torch.OutOfMemoryError:
                if self._batch <= SMALLEST_BATCH:
                    self._give_up()
                    return None
                self._batch //= 2
                torch.cuda.empty_cache()

    def _remote_run(self, counts: Tensor, valid: Tensor, batch: int) -> Tensor:
        assert self._remote is not None
        device = str(next(self._remote.parameters()).device)
        return _run(self._remote, counts, valid, batch, device).cpu()

    def _give_up(self) -> None:
        self._remote = None
        self.warning = f"The device {self.device} ran out of memory; the localiser now runs on the CPU."
        self.device = "cpu"
        if self._on_warning is not None:
            self._on_warning(self.warning)


def _run(network: LocalizerNet, counts: Tensor, valid: Tensor, batch: int, device: str = "cpu") -> Tensor:
    """(N, 8): offset, scale, overlap, quality, second."""
    result = torch.empty(len(counts), 8, device=device)
    with torch.inference_mode():
        for start in range(0, len(counts), batch):
            part = slice(start, start + batch)
            inputs = prepare(counts[part].to(device), valid[part].to(device))
            n = len(inputs)
            inputs = F.pad(inputs, (0, 0, 0, 0, 0, 0, 0, usual_size(n) - n))
            output = network.calibrated(inputs.contiguous(memory_format=torch.channels_last))
            result[part, :2] = output.offset[:n]
            result[part, 2:4] = torch.exp(output.log_scale[:n])
            result[part, 4] = torch.sigmoid(output.overlap[:n])
            result[part, 5] = torch.sigmoid(output.quality[:n])
            result[part, 6:8] = output.second[:n]
    return result
