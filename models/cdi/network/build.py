"""From named arrays to the network of coherent imaging."""

from collections.abc import Mapping

import torch
from torch import Tensor

from braggscope.models.cdi.network.network import CdiConfig, CdiNet

_STAGES = (("stem", "fine_in."), ("down_mid", "mid_in."), ("down_coarse", "coarse."))


def build_cdi(state: Mapping[str, Tensor]) -> CdiNet:
    """The network of a state dict, of any widths and depths, in float32.

    Raises ValueError, one sentence, if the arrays are not exactly such a network's.
    """
    first = [state.get(f"{name}.weight") for name, _ in _STAGES]
    if any(array is None or array.ndim != 5 for array in first):
        raise ValueError(
            "The file holds no network of coherent imaging: it has no layers called stem, down_mid and"
            " down_coarse; choose a file of its weights."
        )
    fine, mid, coarse = (len(array) for array in first if array is not None)
    depths = [_count(state, prefix) for _, prefix in _STAGES]
    try:
        network = CdiNet(CdiConfig((fine, mid, coarse), (depths[0], depths[1], depths[2])))
    except ValueError as error:
        raise ValueError(f"The weights are not of coherent imaging: {error}.") from error
    for name, wanted in network.state_dict().items():
        array = state.get(name)
        if array is None or array.shape != wanted.shape:
            have = "is missing" if array is None else f"has the shape {tuple(array.shape)}"
            raise ValueError(
                f"The weights are not of coherent imaging: {name} {have} instead of {tuple(wanted.shape)};"
                " choose another file."
            )
        if not torch.isfinite(array).all():
            raise ValueError(
                f"The weights hold numbers that are not finite in {name}; train or fetch them anew."
            )
    network.load_state_dict({name: state[name].float() for name in network.state_dict()})
    return network.eval()


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """Residual blocks of a stage; the mixing layers of the coarsest have no convolution."""
    return len({name.split(".")[1] for name in state if name.startswith(prefix) and ".first.weight" in name})
