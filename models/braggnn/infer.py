"""Runs a trained BraggNN over patches, as fast as the device allows, with the plain network's results."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from braggscope.models.braggnn.attention import channels
from braggscope.models.braggnn.network import CHANNELS, SLOPE, BraggNN, fold
from braggscope.models.threads import use_one_thread
from braggscope.models.usual import usual_size

AxisOrder = Literal["xy", "yx"]
CHUNK = 128  # patches whose 64 channels stay in the processor's cache
DEVICE_BATCH = 16_384
SMALLEST_BATCH = 256


class Localizer:
    """BraggNN ready for use. May be called from several threads at once.

    ``axis_order``: whether the network's first output is the column ("xy") or the row ("yx"). ``device``:
    "cpu" or a CUDA device. When the device runs out of memory the batch is halved, and after that the CPU
    takes over for good: ``warning`` then says so, and ``on_warning`` is called with it once.
    """

    def __init__(
        self,
        network: BraggNN,
        axis_order: AxisOrder = "xy",
        device: str = "cpu",
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        self.window = network.config.window
        self.axis_order: AxisOrder = axis_order
        self.device = device
        self.warning = ""
        self._on_warning = on_warning
        self._batch = DEVICE_BATCH
        self._network = network.cpu().float().eval().requires_grad_(False)
        with torch.inference_mode():
            folded = fold(self._network)
        self._front = (
            folded.query.numpy(),
            folded.query_bias.numpy(),
            np.ascontiguousarray(folded.mix.numpy().T),
            folded.mix_bias.numpy(),
            np.float32(SLOPE),
        )
        self._remote = _copy_to(self._network, device) if device != "cpu" else None

    def locate(self, patches: NDArray[np.float32]) -> NDArray[np.float64]:
        """Centres of ``patches`` (N, S, S), min-max normalised to 0-1: (N, 2) (x, y) px in the patch.

        The centre of the patch's first pixel is (0, 0). Raises ValueError for another shape.
        """
        if patches.ndim != 3 or patches.shape[1:] != (self.window, self.window):
            raise ValueError(
                f"BraggNN was given patches of shape {patches.shape}, but these weights need"
                f" (N, {self.window}, {self.window})."
            )
        use_one_thread()
        images = np.ascontiguousarray(patches, np.float32)
        if len(images) == 0:
            return np.zeros((0, 2))
        remote = self._remote
        found = self._on_device(remote, images) if remote is not None else None
        if found is None:
            found = self._on_cpu(images)
        centres = found.astype(np.float64) * self.window
        return centres if self.axis_order == "xy" else np.ascontiguousarray(centres[:, ::-1])

    def _on_cpu(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        inner = self.window - 2
        chunk = -(-len(images) // -(-len(images) // CHUNK))  # equal parts of at most CHUNK
        buffer = np.zeros((usual_size(chunk), inner * inner, CHANNELS[0]), np.float32)
        result = np.empty((len(images), 2), np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), chunk):
                part = images[start : start + chunk]
                n, size = len(part), usual_size(len(part))
                channels(part, *self._front, buffer[:n])
                # positions before channels in memory is torch's channels_last: a view, no copy
                x = torch.from_numpy(buffer[:size]).view(size, inner, inner, -1).permute(0, 3, 1, 2)
                x = self._network.cnn_layers[2:](x)
                result[start : start + n] = self._network.dense_layers(x.flatten(1))[:n].numpy()
        return result

    def _on_device(self, network: BraggNN, images: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """The plain network in large batches, or None once even a small one does not fit."""
        start, parts = 0, []
        while start < len(images):
            batch = self._batch
            try:
                parts.append(self._forward(network, images[start : start + batch]))
                start += batch
            except torch.OutOfMemoryError:
                if batch <= SMALLEST_BATCH:
                    self._give_up()
                    return None
                self._batch = batch // 2
                torch.cuda.empty_cache()
        return np.concatenate(parts)

    def _forward(self, network: BraggNN, images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            output = network(torch.from_numpy(images).to(self.device)[:, None])
            return output.float().cpu().numpy()

    def _give_up(self) -> None:
        self._remote = None
        self.warning = f"The device {self.device} ran out of memory; BraggNN now runs on the CPU."
        self.device = "cpu"
        if self._on_warning is not None:
            self._on_warning(self.warning)


def _copy_to(network: BraggNN, device: str) -> BraggNN:
    copy = BraggNN(network.config)
    copy.load_state_dict(network.state_dict())
    return copy.to(device).eval().requires_grad_(False)
