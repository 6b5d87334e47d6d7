"""The networks that can be fine-tuned, behind one face."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from braggscope.app.engine.checkpoint import TrainingError
from braggscope.resources.loader import Provenance, load_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from braggscope.models.braggnn.measured import Measured
    from braggscope.models.braggnn.network import BraggNN
    from braggscope.models.finetune import Distribution
    from braggscope.models.localizer.network import LocalizerNet
    from braggscope.models.localizer.simulate import Crowd
    from braggscope.models.trainer import AveragedTrainer

RATE = 3e-4
AVERAGE = 0.998
SHARE = 0.5  # of a batch that is measured
CALIBRATION, CHUNK = 60_000, 1000  # simulated patches, and of these at a time


class Exam(NamedTuple):
    """N patches to be located: ``inputs`` as the network wants them, ``centre`` (N, 2) (x, y) px in them.

    ``more``: what else is known of each, for the loss.
    """

    inputs: "Tensor"
    centre: "Tensor"
    more: "tuple[Tensor, ...]"

    def part(self, rows: slice) -> "Exam":
        """Some of the patches."""
        return Exam(self.inputs[rows], self.centre[rows], tuple(values[rows] for values in self.more))


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

    def examine(self, network: "nn.Module", exam: Exam) -> "tuple[Tensor, float]":
        """Answers (N, 2) (x, y) px in the patch, and their mean loss."""
        ...

    def finish(self, network: "nn.Module", like: "Distribution", check: Callable[[], None]) -> None:
        """Last touch to trained weights; ``check`` raises to stop."""
        ...


def open_trainable(network: str, weights: str | Path) -> Trainable:
    """The network of a kind with its weights. Raises TrainingError, WeightsError."""
    if network == "net":
        return TrainableNet(weights)
    if network != "braggnn":
        raise TrainingError(f"There is no network called {network}; use braggnn or net.")
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

        image, centre, bound = simulate(count, seed, like.scene(self.window))
        return Exam(image, centre, (bound,))

    def measured(self, patches: "Measured", bound_px: float) -> Exam:
        """Measured patches with the centres of their fits."""
        import torch

        image, centre = patches.middle()
        return Exam(image, centre, (torch.full((len(image),), bound_px),))

    def examine(self, network: "nn.Module", exam: Exam) -> "tuple[Tensor, float]":
        """Answers and their loss."""
        from braggscope.models.braggnn.evaluate import predict
        from braggscope.models.braggnn.network import BraggNN
        from braggscope.models.braggnn.train import position_loss

        assert isinstance(network, BraggNN)
        found = predict(network, exam.inputs)
        return found, float(position_loss(found / self.window, exam.centre, exam.more[0], self.window))

    def finish(self, network: "nn.Module", like: "Distribution", check: Callable[[], None]) -> None:
        """Nothing is left to do."""


class TrainableNet:
    """The localiser network. See :class:`Trainable`."""

    metadata = {"network": "Localizer", "axis_order": "xy"}  # noqa: RUF012

    def __init__(self, weights: str | Path) -> None:
        from braggscope.models.weights import build_localizer

        state, self.provenance = load_weights(weights)
        try:
            self._network = build_localizer(state)
        except ValueError as error:
            raise TrainingError(f"{self.provenance.path.name}: {error}") from error
        self.window = self._network.config.window

    @property
    def base(self) -> "LocalizerNet":
        """The network as it is now."""
        return self._network

    def trainer(
        self, steps: int, seed: int, like: "Distribution", measured: "Measured", bound_px: float
    ) -> "AveragedTrainer[Any]":
        """Training from the present weights; the network itself says how well each can be known."""
        from braggscope.models.localizer.train import LocalizerSettings
        from braggscope.models.localizer.tune import LocalizerTuner

        settings = LocalizerSettings(
            steps, seed, self._network.config, rate=RATE, average=AVERAGE, mixture=self._mixture(like)
        )
        return LocalizerTuner(settings, self._network, measured, SHARE)

    def simulated(self, count: int, seed: int, like: "Distribution") -> Exam:
        """Simulated patches with their true centres."""
        from braggscope.models.localizer.network import prepare
        from braggscope.models.localizer.simulate import simulate_mixture

        truth = simulate_mixture(count, seed, self._mixture(like))
        return Exam(
            prepare(truth.counts, truth.valid), truth.centre + self.window // 2, (truth.second, truth.paired)
        )

    def measured(self, patches: "Measured", bound_px: float) -> Exam:
        """Measured patches with the centres of their fits."""
        from braggscope.models.localizer.network import prepare

        counts, valid, centre = patches.middle_counts()
        return Exam(prepare(counts, valid), centre, ())

    def examine(self, network: "nn.Module", exam: Exam) -> "tuple[Tensor, float]":
        """Answers and their loss."""
        import torch

        from braggscope.models.localizer.simulate import Samples
        from braggscope.models.localizer.train import loss_of, position_loss

        middle = self.window // 2
        with torch.no_grad():
            output = network(exam.inputs.contiguous(memory_format=torch.channels_last))
            if exam.more:
                counts, valid = exam.inputs[:, 0], exam.inputs[:, 1] > 0
                loss = loss_of(output, Samples(counts, valid, exam.centre - middle, *exam.more))
            else:
                loss = position_loss(output, exam.centre - middle)
        return output.offset + middle, float(loss)

    def finish(self, network: "nn.Module", like: "Distribution", check: Callable[[], None]) -> None:
        """Calibrate the stated uncertainty on simulated peaks of the user's kind."""
        from braggscope.models.localizer.calibrate import calibrate
        from braggscope.models.localizer.network import LocalizerNet

        assert isinstance(network, LocalizerNet)
        calibrate(network, CALIBRATION, self._mixture(like), part=CHUNK, check=check)

    def _mixture(self, like: "Distribution") -> "tuple[tuple[float, Crowd], ...]":
        from braggscope.models.localizer.tune import crowd_like

        return ((1.0, crowd_like(like.scene(self.window))),)
