"""Opening disk networks: shipped weights by name, a user's by path."""

from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.resources.loader import WeightsError, load_weights

if TYPE_CHECKING:
    from braggscope.models.disks.network.infer import DiskNetwork


def open_disk_network(name: str | Path, device: str = "cpu") -> "DiskNetwork":
    """A disk network ready for use. Importing torch for the first time takes seconds.

    Raises WeightsError if the file is unusable or holds another network.
    """
    import torch

    from braggscope.models.disks.network.infer import DiskNetwork

    torch.set_num_threads(1)  # threads run over patterns; inside one they would only wait for each other
    state, provenance = load_weights(name)
    try:
        return DiskNetwork.from_state(state, provenance.metadata, device)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
