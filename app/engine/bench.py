"""The methods of the simulation bench, as the program itself uses them."""

import numpy as np

from braggscope.app.engine.networks import Networks
from braggscope.models.parameters import Localization
from braggscope.models.peaks.patches import normalise
from braggscope.models.simbench import Answers, Draws, Method, centre_of_mass, fitted


def methods(settings: Localization, networks: Networks) -> list[Method]:
    """Every method with the noise, background and patches of ``settings``; both models are compared.

    The window is that of the simulation, networks keep theirs.
    """
    noise, background = settings.noise, settings.background
    braggnn, net = networks.braggnn, networks.net

    def gaussian(draws: Draws) -> Answers:
        return fitted(draws, "gaussian", noise, background)

    def voigt(draws: Draws) -> Answers:
        return fitted(draws, "pseudovoigt", noise, background)

    def by_braggnn(draws: Draws) -> Answers:
        assert braggnn is not None
        threshold = draws.settings.threshold if settings.patch == "thresholded" else None
        found = braggnn.locate(normalise(*draws.patches(braggnn.window), threshold)) - braggnn.window // 2
        nothing = np.full(len(draws), np.nan)
        return Answers(found[:, 0], found[:, 1], nothing, nothing)

    def by_net(draws: Draws) -> Answers:
        assert net is not None
        found = net.locate(*draws.patches(net.window))
        half = net.window // 2
        return Answers(found.x - half, found.y - half, found.x_err, found.y_err)

    result = [
        Method("mass", "Centre of mass", centre_of_mass),
        Method("fit", "Gaussian fit", gaussian),
        Method("voigt", "Pseudo-Voigt fit", voigt),
    ]
    if braggnn is not None:
        result.append(Method("braggnn", "BraggNN", by_braggnn))
    if net is not None:
        result.append(Method("net", "Network", by_net))
    return result
