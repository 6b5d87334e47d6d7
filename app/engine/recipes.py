"""What each network that can be trained from nothing brings along: start, patches, measure, metadata."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from braggscope.app.engine.checkpoint import TrainingError
from braggscope.app.engine.measured import read_measured
from braggscope.resources.loader import Provenance, load_weights

if TYPE_CHECKING:
    from torch import nn

    from braggscope.app.engine.disk_lessons import Lesson
    from braggscope.models.braggnn.network import BraggNN
    from braggscope.models.localizer.network import LocalizerNet
    from braggscope.models.trainer import AveragedTrainer

Trained = Literal["braggnn", "net", "disks", "disks-fcunet", "cdi"]
DISKS = ("disks", "disks-fcunet")
FINE_TUNE_RATE = 3e-4
FINE_TUNE_AVERAGE = 0.998
NET_GO_ON_RATE = 1e-3  # simulation never ends: there is nothing to be kept from
SHIPPED_WINDOW = 11  # px
HELD_OUT = 2000  # simulated patches
CALIBRATED = 600_000  # simulated patches, at most


@dataclass(frozen=True, slots=True)
class Start:
    """From what a training starts."""

    data: Path | None
    base: Path | None
    seed: int
    window: int
    lesson: "Lesson | None" = None


class Recipe(Protocol):
    """A kind of network in training."""

    held_out: int
    metadata: Mapping[str, str]
    history: Mapping[str, Any]  # of the base: its hash, and its training where the file tells

    @property
    def base(self) -> "nn.Module | None":
        """What it starts from, None for nothing."""
        ...

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        ...

    def settings(self, trainer: "AveragedTrainer[Any]") -> Any:
        """The dataclass that decides the weights."""
        ...

    def measure(self, network: "nn.Module") -> tuple[float, float]:
        """Median and 95th percentile of the error on held-out patches, px."""
        ...

    def finish(self, network: "nn.Module", samples: int) -> None:
        """Last touch to weights that were trained on so many patches."""
        ...


def simulation_version(what: str) -> int:
    """Number of the simulation that a network is trained on."""
    if what in DISKS:
        from braggscope.models.disks.network.scenes import SIMULATION_VERSION

        return SIMULATION_VERSION
    if what == "cdi":
        from braggscope.models.cdi import dataset

        return dataset.SIMULATION_VERSION
    from braggscope.models.braggnn import simulate as braggnn
    from braggscope.models.localizer import simulate as localizer

    return localizer.SIMULATION_VERSION if what == "net" else braggnn.SIMULATION_VERSION


def recipe(what: Trained, start: Start) -> Recipe:
    """The recipe of a network. Raises TrainingError, and WeightsError for an unusable base."""
    if what in DISKS:
        from braggscope.app.engine.disk_recipes import DisksRecipe

        return DisksRecipe(what, start)
    if what == "cdi":
        from braggscope.app.engine.cdi_recipe import CdiRecipe

        return CdiRecipe(start.data, start.base, start.seed)
    return NetRecipe(start) if what == "net" else BraggNNRecipe(start)


class BraggNNRecipe:
    """BraggNN, on simulated patches or on these and measured ones."""

    metadata: Mapping[str, str] = MappingProxyType({"network": "BraggNN", "axis_order": "xy"})

    def __init__(self, start: Start) -> None:
        from braggscope.models.braggnn.evaluate import HELD_OUT_SEED
        from braggscope.models.braggnn.network import BraggNNConfig
        from braggscope.models.braggnn.simulate import Scene, simulate

        self._seed = start.seed
        self.base: BraggNN | None
        self.history: Mapping[str, Any]
        self.base, self.history = _braggnn_base(start)
        self._config = BraggNNConfig(start.window) if self.base is None else self.base.config
        self._scene = Scene(self._config.window)
        self._measured = None
        if start.data is not None:
            self._measured, held_out = read_measured(start.data, self._config.window)
            self._image, self._centre = held_out.middle()
        else:
            self._image, self._centre, _ = simulate(HELD_OUT, HELD_OUT_SEED - 1, self._scene)
        self.held_out = len(self._image)

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        from braggscope.models.braggnn.train import Trainer, TrainSettings

        settings = TrainSettings(steps, self._seed, self._config, scene=self._scene)
        if self.base is not None:
            settings = TrainSettings(
                steps, self._seed, self._config, scene=self._scene,
                rate=FINE_TUNE_RATE, average=FINE_TUNE_AVERAGE,
            )  # fmt: skip
        return Trainer(settings, self.base, self._measured)

    def settings(self, trainer: "AveragedTrainer[Any]") -> Any:
        """The dataclass that decides the weights."""
        from braggscope.models.braggnn.train import Trainer

        assert isinstance(trainer, Trainer)
        return trainer.settings

    def measure(self, network: "nn.Module") -> tuple[float, float]:
        """Median and 95th percentile of the error on held-out patches, px."""
        from braggscope.models.braggnn.evaluate import errors, predict
        from braggscope.models.braggnn.network import BraggNN

        assert isinstance(network, BraggNN)
        result = errors(predict(network, self._image), self._centre)
        return result.median_px, result.p95_px

    def finish(self, network: "nn.Module", samples: int) -> None:
        """Nothing is left to do."""


def history_of(provenance: Provenance) -> dict[str, Any]:
    """Where a base comes from, for the record of what is made of it."""
    training = provenance.metadata.get("training", {})
    return {
        "sha256": provenance.sha256,
        "training": json.loads(training) if isinstance(training, str) else training,
    }


def _braggnn_base(start: Start) -> "tuple[BraggNN | None, dict[str, Any]]":
    """Network to start from, with its outputs in the order (x, y); None to start from nothing."""
    from braggscope.models.weights import build_braggnn, detect_axis_order, swap_axes

    name: str | Path = start.base or "braggnn"
    if start.base is None and (start.data is None or start.window != SHIPPED_WINDOW):
        return None, {}
    state, provenance = load_weights(name)
    try:
        network = build_braggnn(state)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
    order = provenance.axis_order or detect_axis_order(network)
    return (swap_axes(network) if order == "yx" else network), history_of(provenance)


class NetRecipe:
    """The localiser network, on simulated patches."""

    metadata: Mapping[str, str] = MappingProxyType({"network": "Localizer", "axis_order": "xy"})

    def __init__(self, start: Start) -> None:
        from braggscope.models.localizer.network import LocalizerConfig
        from braggscope.models.localizer.simulate import HELD_OUT_SEED, simulate_mixture

        if start.data is not None:
            raise TrainingError(
                f"The localiser network learns from simulation or a series, not from the peaks listed in"
                f" {start.data}; leave --data away, or train braggnn."
            )
        self._seed = start.seed
        self.base: LocalizerNet | None
        self.history: Mapping[str, Any]
        self.base, self.history = _net_base(start)
        self._config = LocalizerConfig(start.window) if self.base is None else self.base.config
        self._truth = simulate_mixture(HELD_OUT, HELD_OUT_SEED)
        self.held_out = HELD_OUT

    def trainer(self, steps: int) -> "AveragedTrainer[Any]":
        """A training from the start."""
        from braggscope.models.localizer.train import LocalizerSettings, LocalizerTrainer

        settings = LocalizerSettings(steps, self._seed, self._config)
        if self.base is not None:
            settings = LocalizerSettings(
                steps, self._seed, self._config, rate=NET_GO_ON_RATE, average=FINE_TUNE_AVERAGE
            )
        return LocalizerTrainer(settings, self.base)

    def settings(self, trainer: "AveragedTrainer[Any]") -> Any:
        """The dataclass that decides the weights."""
        from braggscope.models.localizer.train import LocalizerTrainer

        assert isinstance(trainer, LocalizerTrainer)
        return trainer.settings

    def measure(self, network: "nn.Module") -> tuple[float, float]:
        """Median and 95th percentile of the error on held-out patches, px."""
        import torch

        from braggscope.models.localizer.calibrate import run
        from braggscope.models.localizer.network import LocalizerNet

        assert isinstance(network, LocalizerNet)
        found = run(network, self._truth.counts, self._truth.valid).offset
        distance = (found - self._truth.centre).norm(dim=1)
        median, p95 = torch.quantile(distance, torch.tensor([0.5, 0.95])).tolist()
        return median, p95

    def finish(self, network: "nn.Module", samples: int) -> None:
        """Calibrate the stated uncertainty."""
        from braggscope.models.localizer.calibrate import calibrate
        from braggscope.models.localizer.network import LocalizerNet

        assert isinstance(network, LocalizerNet)
        calibrate(network, int(np.clip(samples // 10, 1000, CALIBRATED)))


def _net_base(start: Start) -> "tuple[LocalizerNet | None, dict[str, Any]]":
    from braggscope.models.weights import build_localizer

    if start.base is None:
        return None, {}
    state, provenance = load_weights(start.base)
    try:
        return build_localizer(state), history_of(provenance)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
