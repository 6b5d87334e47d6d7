"""Opening BraggNN: shipped weights by name, a user's by path."""

import logging

from braggscope.app.engine.peaks import PatchLocalizer
from braggscope.resources.loader import WeightsError, load_weights, weights_hash

__all__ = ["open_localizer", "weights_hash"]

log = logging.getLogger(__name__)


def open_localizer(name: str, device: str = "cpu") -> PatchLocalizer:
    """A localiser ready for use. Importing torch for the first time takes seconds.

    The order of its outputs is the one the file states, else the one that simulated peaks show.
    Raises WeightsError if the file is unusable or holds another network.
    """
    import torch

    from braggscope.models.braggnn.infer import AxisOrder, Localizer
    from braggscope.models.weights import build_braggnn, detect_axis_order

    torch.set_num_threads(1)  # threads run over frames; inside one they would only wait for each other
    state, provenance = load_weights(name)
    try:
        network = build_braggnn(state)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
    stated = provenance.axis_order
    order: AxisOrder = "yx" if stated == "yx" else "xy" if stated == "xy" else detect_axis_order(network)
    return Localizer(network, order, device, on_warning=log.warning)
