"""Opening the network of coherent imaging: shipped weights by name, a user's by path."""

from pathlib import Path
from typing import TYPE_CHECKING

from braggscope.resources.loader import WeightsError, load_weights, weights_hash

if TYPE_CHECKING:
    from braggscope.models.cdi.network.improve import Improver
    from braggscope.models.cdi.parameters import Phasing


def open_improver(name: str | Path) -> "Improver":
    """The network ready for use. Importing torch for the first time takes seconds.

    Raises WeightsError if the file is unusable or holds another network.
    """
    from braggscope.models.cdi.network.build import build_cdi
    from braggscope.models.cdi.network.improve import Improver

    state, _ = load_weights(name)
    try:
        return Improver(build_cdi(state))
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error


def improver_of(parameters: "Phasing") -> "Improver | None":
    """The network where the method needs it. Raises WeightsError."""
    return None if parameters.method == "iterative" else open_improver(parameters.network)


def weights_record(parameters: "Phasing") -> tuple[str, str]:
    """Name and hash of the weights in use, empty without. Raises WeightsError."""
    if parameters.method == "iterative":
        return "", ""
    return parameters.network, weights_hash(parameters.network)
