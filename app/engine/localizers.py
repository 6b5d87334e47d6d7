"""Opening networks: shipped weights by name, a user's by path."""

import logging

from braggscope.app.engine.networks import CountsLocalizer, Networks, PatchLocalizer
from braggscope.models.parameters import Localization
from braggscope.resources.loader import WeightsError, load_weights, weights_hash

__all__ = [
    "NETWORK_TITLES",
    "open_localizer",
    "open_net",
    "open_networks",
    "weights_hash",
    "weights_in_use",
    "weights_record",
]

NETWORK_TITLES = {"braggnn": "BraggNN", "net": "network"}

log = logging.getLogger(__name__)


def weights_in_use(settings: Localization) -> dict[str, str]:
    """The networks among the methods, each with the name of its weights."""
    names = {"braggnn": settings.braggnn, "net": settings.net}
    return {method: name for method, name in names.items() if method in settings.methods}


def weights_record(settings: Localization) -> tuple[str, str]:
    """Names and hashes of the weights in use, each joined by commas. Raises WeightsError."""
    names = list(weights_in_use(settings).values())
    return ", ".join(names), ", ".join(weights_hash(name) for name in names)


def open_networks(settings: Localization, device: str = "cpu") -> Networks:
    """The networks among the methods, ready for use. Raises WeightsError."""
    wanted = weights_in_use(settings)
    return Networks(
        open_localizer(wanted["braggnn"], device) if "braggnn" in wanted else None,
        open_net(wanted["net"], device) if "net" in wanted else None,
    )


def open_localizer(name: str, device: str = "cpu") -> PatchLocalizer:
    """BraggNN ready for use. Importing torch for the first time takes seconds.

    The order of its outputs is the one the file states, else the one that simulated peaks show.
    Raises WeightsError if the file is unusable or holds another network.
    """
    from braggscope.models.braggnn.infer import AxisOrder, Localizer
    from braggscope.models.weights import build_braggnn, detect_axis_order

    state, provenance = load_weights(name)
    try:
        network = build_braggnn(state)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
    stated = provenance.axis_order
    order: AxisOrder = "yx" if stated == "yx" else "xy" if stated == "xy" else detect_axis_order(network)
    return Localizer(network, order, device, on_warning=log.warning)


def open_net(name: str, device: str = "cpu") -> CountsLocalizer:
    """The localiser network ready for use. Raises WeightsError as :func:`open_localizer` does."""
    from braggscope.models.localizer.infer import NetLocalizer
    from braggscope.models.weights import build_localizer

    state, _ = load_weights(name)
    try:
        network = build_localizer(state)
    except ValueError as error:
        raise WeightsError(f"{name}: {error}") from error
    return NetLocalizer(network, device, on_warning=log.warning)
