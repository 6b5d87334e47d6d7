"""Which disk network a set of arrays or a configuration stands for."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from braggscope.models.disks.network.complex import ComplexConv
from braggscope.models.disks.network.fcunet import ComplexBlock, FCUNet, FCUNetConfig
from braggscope.models.disks.network.unet import DiskUNet, UNetConfig, initialise

Config = UNetConfig | FCUNetConfig
DiskNet = DiskUNet | FCUNet


def new_network(config: Config, seed: int) -> DiskNet:
    """An untrained network."""
    if isinstance(config, UNetConfig):
        network: DiskNet = DiskUNet(config)
        initialise(network, seed)
        return network
    network = FCUNet(config)
    initialise(network, seed)
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, ComplexConv):
            layer.initialise(generator)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, ComplexBlock):
                layer.second.real.mul_(0.2)
                layer.second.imaginary.mul_(0.2)
    return network


def as_disk_net(network: nn.Module) -> DiskNet:
    """The same object, known to be a disk network."""
    assert isinstance(network, DiskUNet | FCUNet)
    return network


def channels_last(network: DiskNet) -> DiskNet:
    """The same network, its convolutions laid out in memory as processors compute them fastest. In place."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


def build_network(state: Mapping[str, Tensor]) -> DiskNet:
    """Network for its state dict, any widths. Raises ValueError, one sentence, for other arrays."""
    config = _fcunet(state) if "entry.real" in state else _unet(state)
    network = new_network(config, 0)
    expected = network.state_dict()
    wrong = sorted(set(expected) ^ set(state))
    wrong += sorted(name for name in set(expected) & set(state) if expected[name].shape != state[name].shape)
    if wrong:
        raise ValueError(
            f"The weights are not a disk network's: {wrong[0]} is missing, of another shape or too many;"
            " choose a file of its weights."
        )
    if not all(bool(torch.isfinite(array).all()) for array in state.values()):
        raise ValueError("The weights of the disk network hold numbers that are not finite; train them anew.")
    network.load_state_dict({name: array.float() for name, array in state.items()})
    return network.eval()


def _unet(state: Mapping[str, Tensor]) -> UNetConfig:
    levels = _count(state, "before.{}.0.first.weight")
    if not levels or "stem.weight" not in state:
        raise ValueError(
            "The file holds no disk network: it has no layers called stem and before;"
            " choose a file of its weights."
        )
    channels = tuple(len(state[f"before.{k}.0.first.weight"]) for k in range(levels))
    blocks = tuple(_count(state, f"before.{k}.{{}}.first.weight") for k in range(levels))
    return UNetConfig(channels, blocks)


def _fcunet(state: Mapping[str, Tensor]) -> FCUNetConfig:
    channels = tuple(
        len(state[f"before.{k}.first.real"]) for k in range(_count(state, "before.{}.first.real"))
    )
    blocks = _count(state, "spatial.{}.first.weight")
    if "stem.weight" not in state:
        raise ValueError("The file holds no whole disk network; fetch or export it again.")
    return FCUNetConfig(channels, len(state["stem.weight"]), blocks)


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    number = 0
    while pattern.format(number) in state:
        number += 1
    return number
