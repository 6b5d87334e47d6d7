"""How the network of coherent imaging is trained from nothing, or further, on simulated crystals."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from braggscope.app.engine.checkpoint import TrainingError, write_whole
from braggscope.resources.loader import load_weights

if TYPE_CHECKING:
    from torch import nn

    from braggscope.models.cdi.dataset import Samples
    from braggscope.models.cdi.network.network import CdiNet
    from braggscope.models.trainer import AveragedTrainer

HELD_OUT_BLOCKS = 3  # of crystals that training never sees
GO_ON_RATE = 3e-4


class CdiRecipe:
    """The network that improves rough objects. ``data``: folder that keeps simulated samples."""

    def __init__(self, data: Path | None, base: Path | None, seed: int) -> None:
        from braggscope.models.cdi.dataset import Samples, block
        from braggscope.models.cdi.network.train import HELD_OUT_SEED

        if data is not None and data.exists() and not data.is_dir():
            raise TrainingError(
                f"{data} is a file, but coherent imaging keeps its simulated samples in a folder;"
                " give a folder after --data, or leave it away."
            )
        self.metadata: Mapping[str, str] = MappingProxyType({"network": "CdiNet", "axis_order": ""})
        self.base: CdiNet | None = None
        self.history: Mapping[str, Any] = {}
        if base is not None:
            self.base, self.history = open_base(base)
        self._data, self._seed = data, seed
        self._truth = Samples.joined([block(HELD_OUT_SEED + k) for k in range(HELD_OUT_BLOCKS)])
        self.held_out = len(self._truth.guess)

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        from braggscope.models.cdi.network.train import CdiSettings, CdiTrainer, Pool

        settings = CdiSettings(steps, self._seed)
        if self.base is not None:
            settings = CdiSettings(steps, self._seed, self.base.config, rate=GO_ON_RATE)
        return CdiTrainer(settings, self.base, Pool(self._block))

    def settings(self, trainer: "AveragedTrainer[Any]") -> Any:
        """The dataclass that decides the weights."""
        from braggscope.models.cdi.network.train import CdiTrainer

        assert isinstance(trainer, CdiTrainer)
        return trainer.settings

    def measure(self, network: "nn.Module") -> tuple[float, float]:
        """Median and 95th percentile of the share of held-out objects that is not explained."""
        from braggscope.models.cdi.network.evaluate import unexplained
        from braggscope.models.cdi.network.network import CdiNet

        assert isinstance(network, CdiNet)
        found = unexplained(network, self._truth)
        return float(np.median(found)), float(np.quantile(found, 0.95))

    def finish(self, network: "nn.Module", samples: int) -> None:
        """Nothing is left to do."""

    def _block(self, seed: int) -> "Samples":
        """Simulated samples, from the folder where they are there already."""
        from braggscope.models.cdi.dataset import block

        return block(seed) if self._data is None else kept_block(self._data, seed)


def kept_block(folder: Path, seed: int) -> "Samples":
    """The samples of a seed, simulated once and then kept in ``folder``. Raises TrainingError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save

    from braggscope.models.cdi.dataset import SIMULATION_VERSION, Samples, block

    path = folder / f"crystals_{SIMULATION_VERSION}_{seed:06d}.safetensors"
    if not path.exists():
        write_whole(path, lambda place: place.write_bytes(save(block(seed)._asdict())))
    try:
        return Samples(**load_file(path))
    except (OSError, TypeError, SafetensorError) as error:
        raise TrainingError(f"{path} holds no simulated samples; delete it and train again.") from error


def open_base(name: str | Path) -> "tuple[CdiNet, dict[str, Any]]":
    """A network to start from, and where it comes from. Raises TrainingError, WeightsError."""
    from braggscope.app.engine.recipes import history_of
    from braggscope.models.cdi.network.build import build_cdi

    state, provenance = load_weights(str(name))
    try:
        return build_cdi(state), history_of(provenance)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
