"""From named arrays to networks: which one a state dict holds, and how BraggNN orders its outputs."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor, nn

    from braggscope.models.braggnn.infer import AxisOrder
    from braggscope.models.braggnn.network import BraggNN, BraggNNConfig
    from braggscope.models.localizer.network import LocalizerNet

_PREFIXES = ("module.", "_orig_mod.")  # left by data-parallel and compiled training


def build_braggnn(state: Mapping[str, "Tensor"]) -> "BraggNN":
    """Network for a state dict with the keys of public checkpoints, any window and dense layers.

    Raises ValueError, one sentence, if the arrays are not a BraggNN's. Some public checkpoints were trained
    by code that used one projection for query, key and value; these are recognised by a simulated
    trial and made equivalent.
    """
    from braggscope.models.braggnn.network import BraggNN

    arrays = {_plain(name): array for name, array in state.items()}
    network = BraggNN(_config(arrays))
    _fill(network, arrays, "BraggNN")
    return _settle_projections(network.eval())


def build_localizer(state: Mapping[str, "Tensor"]) -> "LocalizerNet":
    """Localiser network for its state dict, any window. Raises ValueError, one sentence."""
    from braggscope.models.localizer.network import LocalizerConfig, LocalizerNet

    arrays = {_plain(name): array for name, array in state.items()}
    layers = [arrays.get(f"features.{2 * k}.weight") for k in range(4)]
    dense = [arrays.get(f"head.{2 * k}.weight") for k in range(3)]
    if any(a is None or a.ndim != 4 for a in layers) or any(a is None or a.ndim != 2 for a in dense):
        raise ValueError(
            "The file holds no localiser network: it has no layers called features and head;"
            " choose a file of its weights."
        )
    channels = tuple(len(a) for a in layers if a is not None)
    sizes = [(a.shape[1], len(a)) for a in dense if a is not None]
    window = 2 * math.isqrt(sizes[0][0] // channels[-1]) + 5
    try:
        network = LocalizerNet(LocalizerConfig(window, channels, (sizes[0][1], sizes[1][1])))
    except ValueError as error:
        raise ValueError(f"The weights are not a localiser's: {error}.") from error
    _fill(network, arrays, "localiser")
    return network.eval()


def _fill(network: "nn.Module", arrays: Mapping[str, "Tensor"], title: str) -> None:
    """Load the arrays, which must be exactly the network's."""
    import torch

    expected = network.state_dict()
    for name, wanted in expected.items():
        array = arrays.get(name)
        if array is None or array.shape != wanted.shape:
            have = "is missing" if array is None else f"has the shape {tuple(array.shape)}"
            raise ValueError(
                f"The weights are not a {title}'s: {name} {have} instead of {tuple(wanted.shape)};"
                f" choose a file of {title} weights."
            )
        if not torch.isfinite(array).all():
            raise ValueError(
                f"The weights hold numbers that are not finite in {name}; train or fetch them anew."
            )
    extra = sorted(set(arrays) - set(expected))
    if extra:
        raise ValueError(
            f"The weights are not a {title}'s: there is no place for {extra[0]}; choose another file."
        )
    network.load_state_dict({name: arrays[name].float() for name in expected})


def detect_axis_order(network: "BraggNN") -> "AxisOrder":
    """Whether the network gives (x, y) or (y, x), from its answers to simulated peaks; "xy" if undecided."""
    return "yx" if _trial(network, swap=True) < _trial(network, swap=False) else "xy"


def swap_axes(network: "BraggNN") -> "BraggNN":
    """The same network with its two outputs exchanged, exactly."""
    import copy

    swapped = copy.deepcopy(network)
    last = swapped.dense_layers[-1]
    last.load_state_dict({name: array.flip(0) for name, array in last.state_dict().items()})
    return swapped


def _plain(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _config(arrays: Mapping[str, "Tensor"]) -> "BraggNNConfig":
    from braggscope.models.braggnn.network import CHANNELS, BraggNNConfig

    sizes: list[tuple[int, int]] = []
    while (layer := arrays.get(f"dense_layers.{2 * len(sizes)}.weight")) is not None and layer.ndim == 2:
        sizes.append((layer.shape[1], layer.shape[0]))
    if not sizes or "cnn_layers.0.weight" not in arrays:
        raise ValueError(
            "The file holds no BraggNN: it has no layers called cnn_layers and dense_layers;"
            " choose a file of BraggNN weights."
        )
    side = math.isqrt(sizes[0][0] // CHANNELS[-1])
    window = side + 2 * len(CHANNELS)
    if side * side * CHANNELS[-1] != sizes[0][0] or window % 2 == 0 or sizes[-1][1] != 2:
        raise ValueError(
            f"The weights fit no square window: {sizes[0][0]} inputs and {sizes[-1][1]} outputs of the dense"
            " layers; choose weights for 11 or 15 px."
        )
    return BraggNNConfig(window, tuple(out for _, out in sizes[:-1]))


def _trial(network: "BraggNN", *, swap: bool) -> float:
    """Median error in px on clean simulated peaks, as the published network was trained to see them."""
    from braggscope.models.braggnn.evaluate import errors, predict
    from braggscope.models.braggnn.simulate import benchmark_scenes, simulate

    scene = benchmark_scenes(network.config.window)["round, SNR 100"]
    drawn = simulate(256, 1, replace(scene, threshold_share=1.0, offset=1.0))
    found = predict(network, drawn.image)
    return errors(found.flip(1) if swap else found, drawn.centre).median_px


def _settle_projections(network: "BraggNN") -> "BraggNN":
    """Use the query's projection for key and value too, if the network only works that way."""
    import copy

    shared = copy.deepcopy(network)
    for layer in (shared.nlb.phi_layer, shared.nlb.g_layer):
        layer.load_state_dict(shared.nlb.theta_layer.state_dict())
    separate = min(_trial(network, swap=swap) for swap in (False, True))
    together = min(_trial(shared, swap=swap) for swap in (False, True))
    return shared if together < 0.5 * separate and together < 0.6 else network
