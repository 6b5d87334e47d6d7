"""The shipped weights of coherent imaging on crystals that their training never saw."""

import numpy as np
import pytest

from braggscope.app.engine.cdi_network import open_improver
from braggscope.models.cdi.dataset import block
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.network.build import build_cdi
from braggscope.models.cdi.network.evaluate import unexplained
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.resources.loader import load_weights


def test_they_improve_rough_objects():
    network = build_cdi(load_weights("cdi")[0])
    samples = block(10**6 + 900, crystals=4, views=4)
    assert unexplained(network, samples).mean() < 0.9 * unexplained(None, samples).mean()


@pytest.mark.parametrize("seed", [1000, 1001])
def test_they_beat_a_random_start(seed):
    spec = CoherentSpec(seed=seed, shape=(32, 32, 32))
    amplitude = np.sqrt(measure(grow(spec), spec).counts)
    chi = {}
    for name, changes in {"network": {"method": "network"}, "random": {"start": "random"}}.items():
        settings = Phasing(
            iterations="20*ER", starts=1, refinement=0, support_threshold=0.1, free_share=0.0, **changes
        )
        work = Reconstructor(amplitude, None, settings, improve=open_improver("cdi"))
        for _ in work.iterate():
            pass
        chi[name] = work.outcome.best.agreement.chi
    assert chi["network"] < 0.5 * chi["random"]
