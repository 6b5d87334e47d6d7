"""The networks that can be fine-tuned, behind one face."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from braggscope.app.engine.checkpoint import TrainingError
from braggscope.resources.loader import Provenance, load_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from braggscope.models.braggnn.measured import Measured
    from braggscope.models.braggnn.network import BraggNN
    from braggscope.models.finetune import Distribution
    from braggscope.models.trainer import AveragedTrainer

RATE = 3e-4
AVERAGE = 0.998
SHARE = 0.5  # of a batch that is measured


class Exam(NamedTuple):
    """Patches to be located. ``image`` as the network wants it, ``centre`` (N, 2) (x, y) px in the patch.

    ``bound`` (N,) px: how well each can be known.
    """

    image: "Tensor"
    centre: "Tensor"
    bound: "Tensor"

    def part(self, rows: slice) -> "Exam":
        """Some of the patches."""
        return Exam(*(values[rows] for values in self))


class Trainable(Protocol):
    """A network with weights to start from. ``window``: px, side of its patches.

    ``metadata``: what a weight file says of itself.
    """

    window: int
    provenance: Provenance
    metadata: dict[str, str]

    @property
    def base(self) -> "nn.Module":
        """The network as it is now."""
        ...

    def trainer(
        self, steps: int, seed: int, like: "Distribution", measured: "Measured", bound_px: float
    ) -> "AveragedTrainer[Any]":
        """Training from the present weights on simulation and measured patches, half and half."""
        ...

    def simulated(self, count: int, seed: int, like: "Distribution") -> Exam:
        """Simulated patches with their true centres."""
        ...

    def measured(self, patches: "Measured", bound_px: float) -> Exam:
        """Measured patches with the centres of their fits."""
        ...

    def locate(self, network: "nn.Module", exam: Exam) -> "Tensor":
        """(N, 2) (x, y) px in the patch."""
        ...

    def loss(self, found: "Tensor", exam: Exam) -> float:
        """Mean loss of these answers."""
        ...

    def finish(self, network: "nn.Module") -> None:
        """Last touch to trained weights."""
        ...


def open_trainable(network: str, weights: str | Path) -> Trainable:
    """The network of a kind with its weights. Raises TrainingError, WeightsError."""
    if network != "braggnn":
        raise TrainingError(f"There is no network called {network}; use braggnn.")
    return TrainableBraggNN(weights)


def open_braggnn(name: str | Path) -> "tuple[BraggNN, Provenance]":
    """BraggNN with its outputs in the order (x, y). Raises TrainingError, WeightsError."""
    from braggscope.models.weights import build_braggnn, detect_axis_order, swap_axes

    state, provenance = load_weights(name)
    try:
        network = build_braggnn(state)
    except ValueError as error:
        raise TrainingError(f"{provenance.path.name}: {error}") from error
    order = provenance.axis_order or detect_axis_order(network)
    return (swap_axes(network) if order == "yx" else network), provenance


class TrainableBraggNN:
    """See :class:`Trainable`."""

    metadata = {"network": "BraggNN", "axis_order": "xy"}  # noqa: RUF012

    def __init__(self, weights: str | Path) -> None:
        self._network, self.provenance = open_braggnn(weights)
        self.window = self._network.config.window

    @property
    def base(self) -> "BraggNN":
        """The network as it is now."""
        return self._network

    def trainer(
        self, steps: int, seed: int, like: "Distribution", measured: "Measured", bound_px: float
    ) -> "AveragedTrainer[Any]":
        """Training from the present weights."""
        from braggscope.models.braggnn.train import Trainer, TrainSettings

        settings = TrainSettings(
            steps, seed, self._network.config, rate=RATE, average=AVERAGE,
            measured_share=SHARE, measured_bound=bound_px, scene=like.scene(self.window),
        )  # fmt: skip
        return Trainer(settings, self._network, measured)

    def simulated(self, count: int, seed: int, like: "Distribution") -> Exam:
        """Simulated patches with their true centres."""
        from braggscope.models.braggnn.simulate import simulate

        return Exam(*simulate(count, seed, like.scene(self.window)))

    def measured(self, patches: "Measured", bound_px: float) -> Exam:
        """Measured patches with the centres of their fits."""
        import torch

        image, centre = patches.middle()
        return Exam(image, centre, torch.full((len(image),), bound_px))

    def locate(self, network: "nn.Module", exam: Exam) -> "Tensor":
        """(N, 2) (x, y) px in the patch."""
        from braggscope.models.braggnn.evaluate import predict
        from braggscope.models.braggnn.network import BraggNN

        assert isinstance(network, BraggNN)
        return predict(network, exam.image)

    def loss(self, found: "Tensor", exam: Exam) -> float:
        """Mean loss of these answers."""
        from braggscope.models.braggnn.train import position_loss

        return float(position_loss(found / self.window, exam.centre, exam.bound, self.window))

    def finish(self, network: "nn.Module") -> None:
        """Nothing is left to do."""
