"""How the disk networks are trained: from nothing on all that is simulated, or towards one scan."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from braggscope.app.engine.checkpoint import TrainingError
from braggscope.resources.loader import load_weights

if TYPE_CHECKING:
    from torch import nn

    from braggscope.app.engine.recipes import Start
    from braggscope.models.disks.network.build import Config, DiskNet
    from braggscope.models.disks.network.pool import Draw
    from braggscope.models.disks.simulation.conditions import Split
    from braggscope.models.trainer import AveragedTrainer

TITLES = {"disks": "DiskUNet", "disks-fcunet": "FCUNet"}  # what a weight file says it holds
HELD_OUT = 96  # simulated patterns of crystals that training never sees
CALIBRATED = 1500  # simulated patterns, at most
GO_ON_RATE = 1e-3
ADAPT_RATE = 4e-4
ADAPT_GROUPS = 60
GROUPS, GROUP = 400, 64  # simulated groups, and patterns in each


class DisksRecipe:
    """The real-valued U-Net (``disks``) or the complex FCU-Net (``disks-fcunet``)."""

    def __init__(self, what: str, start: "Start") -> None:
        from braggscope.models.disks.network.scenes import HELD_OUT_SEED

        if start.data is not None:
            raise TrainingError(
                f"Disk networks learn from simulation, or from a scan and weights that exist, not from"
                f" {start.data}; give both --data and --base."
            )
        if start.lesson is not None and start.base is None:
            raise TrainingError("A disk network adapts to a scan from weights that exist; give --base disks.")
        self._what, self._seed, self._lesson = what, start.seed, start.lesson
        self.base: DiskNet | None = None
        self.history: Mapping[str, Any] = {}
        if start.base is not None:
            self.base, self.history = open_base(start.base)
        self._truth = self._draw(HELD_OUT_SEED, HELD_OUT, "held_out")(0)
        self.held_out = HELD_OUT
        title = type(self.base).__name__ if self.base is not None else TITLES[what]
        self.metadata: Mapping[str, str] = {"network": title, "axis_order": "xy"}

    def _draw(self, seed: int, count: int, crystals: "Split" = "train") -> "Draw":
        from braggscope.models.disks.network import scenes
        from braggscope.models.disks.network.adapt import drawing_like

        if self._lesson is None:
            return scenes.drawing(seed, count, crystals=crystals)
        return drawing_like(self._lesson.probe, self._lesson.statistics, seed, count, crystals)

    def _config(self) -> "Config":
        from braggscope.models.disks.network.fcunet import FCUNetConfig
        from braggscope.models.disks.network.unet import UNetConfig

        if self.base is not None:
            return self.base.config
        return FCUNetConfig() if self._what == "disks-fcunet" else UNetConfig()

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        from braggscope.models.disks.network.train import DiskSettings, DiskTrainer

        settings = DiskSettings(steps, self._seed, self._config(), groups=GROUPS, group=GROUP)
        if self._lesson is not None:
            settings = replace(settings, rate=ADAPT_RATE, groups=ADAPT_GROUPS, group=16)
        elif self.base is not None:
            settings = replace(settings, rate=GO_ON_RATE)
        return DiskTrainer(settings, self._draw(self._seed, settings.group), self.base)

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
        """Calibrate the stated errors, on what training has seen none of."""
        from braggscope.models.disks.network.build import as_disk_net
        from braggscope.models.disks.network.calibrate import CALIBRATION_SEED, PART, calibrate

        number = min(CALIBRATED, max(PART, samples // 10))
        calibrate(as_disk_net(network), number, self._draw(CALIBRATION_SEED, PART))


def open_base(name: str | Path) -> "tuple[DiskNet, dict[str, Any]]":
    """A disk network to start from, and where it comes from. Raises TrainingError, WeightsError."""
    from braggscope.app.engine.recipes import history_of
    from braggscope.models.disks.network.build import build_network

    state, provenance = load_weights(str(name))
    try:
        return build_network(state), history_of(provenance)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
