"""Opening BraggNN: shipped weights by name, a user's by path."""

from braggscope.app.engine.peaks import PatchLocalizer
from braggscope.resources.loader import load_weights, weights_hash

__all__ = ["open_localizer", "weights_hash"]


def open_localizer(name: str, device: str = "cpu") -> PatchLocalizer:
    """A localiser ready for use. Importing torch for the first time takes seconds.

    Raises WeightsError if the file is unusable, ValueError if it holds another network.
    """
    from braggscope.models.braggnn.infer import Localizer
    from braggscope.models.weights import build_braggnn, detect_axis_order

    state, _ = load_weights(name)
    network = build_braggnn(state)
    return Localizer(network, detect_axis_order(network), device)
