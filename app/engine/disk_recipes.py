"""How the disk networks are trained from nothing, or further, on the simulator of patterns."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError
from braggscope.resources.loader import load_weights

if TYPE_CHECKING:
    from torch import nn

    from braggscope.models.disks.network.build import Config, DiskNet
    from braggscope.models.trainer import AveragedTrainer

TITLES = {"disks": "DiskUNet", "disks-fcunet": "FCUNet"}  # what a weight file says it holds
HELD_OUT = 96  # simulated patterns of crystals that training never sees
CALIBRATED = 1500
GO_ON_RATE = 1e-3


class DisksRecipe:
    """The real-valued U-Net (``disks``) or the complex FCU-Net (``disks-fcunet``)."""

    def __init__(self, what: str, data: Path | None, base: Path | None, seed: int) -> None:
        from braggscope.models.disks.network.scenes import HELD_OUT_SEED, drawing

        if data is not None:
            raise TrainingError(
                f"Disk networks adapt to a scan from weights that exist, so {data} needs them;"
                " give --base disks."
            )
        self._what, self._seed = what, seed
        self.metadata: Mapping[str, str] = {"network": TITLES[what], "axis_order": "xy"}
        self.base: DiskNet | None = None
        self.history: Mapping[str, Any] = {}
        if base is not None:
            self.base, self.history = open_base(base)
            self.metadata = {"network": type(self.base).__name__, "axis_order": "xy"}
        self._truth = drawing(HELD_OUT_SEED, HELD_OUT, crystals="held_out")(0)
        self.held_out = HELD_OUT

    def _config(self) -> "Config":
        from braggscope.models.disks.network.fcunet import FCUNetConfig
        from braggscope.models.disks.network.unet import UNetConfig

        if self.base is not None:
            return self.base.config
        return FCUNetConfig() if self._what == "disks-fcunet" else UNetConfig()

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        from braggscope.models.disks.network.scenes import drawing
        from braggscope.models.disks.network.train import DiskSettings, DiskTrainer

        settings = DiskSettings(steps, self._seed, self._config())
        if self.base is not None:
            settings = DiskSettings(steps, self._seed, self._config(), rate=GO_ON_RATE)
        return DiskTrainer(settings, drawing(self._seed, settings.group), self.base)

    def settings(self, trainer: "AveragedTrainer[Any]") -> Any:
        """The dataclass that decides the weights."""
        from braggscope.models.disks.network.train import DiskTrainer

        assert isinstance(trainer, DiskTrainer)
        return trainer.settings

    def measure(self, network: "nn.Module") -> tuple[float, float]:
        """Median and 95th percentile of the error on held-out patterns, px."""
        from braggscope.models.disks.network.build import as_disk_net
        from braggscope.models.disks.network.evaluate import find, score

        found = score(find(as_disk_net(network), self._truth), self._truth)
        return found.median, found.p95

    def finish(self, network: "nn.Module", samples: int) -> None:
        """Calibrate the stated errors."""
        from braggscope.models.disks.network.build import as_disk_net
        from braggscope.models.disks.network.calibrate import calibrate

        calibrate(as_disk_net(network), min(CALIBRATED, max(64, samples // 10)))


def open_base(name: str | Path) -> "tuple[DiskNet, dict[str, Any]]":
    """A disk network to start from, and where it comes from. Raises TrainingError, WeightsError."""
    from braggscope.app.engine.recipes import history_of
    from braggscope.models.disks.network.build import build_network

    state, provenance = load_weights(str(name))
    try:
        return build_network(state), history_of(provenance)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
