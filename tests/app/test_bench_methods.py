"""The methods of the simulation bench, with networks that know where the brightest pixel is."""

import numpy as np
import pytest

from braggscope.app.engine.bench import methods
from braggscope.app.engine.networks import Networks
from braggscope.models.bench_settings import BenchSettings
from braggscope.models.localizer.infer import Answer
from braggscope.models.parameters import Localization
from braggscope.models.simbench import bench, draw


class Brightest:
    """Answers with the brightest pixel of patches of its own size."""

    def __init__(self, window):
        self.window = window
        self.seen = None

    def locate(self, patches):
        self.seen = patches
        at = patches.reshape(len(patches), -1).argmax(axis=1)
        return np.stack((at % self.window, at // self.window), axis=1).astype(float)


class Sure(Brightest):
    """As the localiser network: from counts and valid pixels, with errors."""

    def locate(self, counts, valid):
        x, y = super().locate(np.where(valid, counts, -np.inf)).T
        half = np.full(len(x), 0.5)
        return Answer(x, y, half, half, half, half, np.zeros((len(x), 2)))


@pytest.mark.parametrize("window", [11, 15])
def test_networks_keep_their_window_and_answer_from_the_middle(window):
    networks = Networks(Brightest(window), Sure(window))
    chosen = {m.key: m for m in methods(Localization(), networks)}
    assert list(chosen) == ["mass", "fit", "voigt", "braggnn", "net"]
    draws = draw(BenchSettings(sigma=0.8, snr=200.0, missing=2), 40)
    truth = draws.peaks[:, 0, 1:3]
    for key in ("braggnn", "net"):
        found = chosen[key].locate(draws)
        assert (abs(np.stack((found.x, found.y), axis=1) - truth) <= 0.51).all()
    assert np.isnan(chosen["braggnn"].locate(draws).x_err).all()
    assert (chosen["net"].locate(draws).x_err == 0.5).all()


def test_braggnn_is_given_thresholded_patches_where_they_are_chosen():
    network = Brightest(11)
    settings = BenchSettings(background=200.0, snr=60.0)
    for patch, dark in (("raw", False), ("thresholded", True)):
        locate = methods(Localization(patch=patch), Networks(network))[-1].locate
        locate(draw(settings, 5))
        assert bool(np.mean(network.seen == 0) > 0.3) is dark


def test_without_networks_there_are_the_fits():
    outcomes = list(bench(BenchSettings(), methods(Localization(), Networks()), 20))
    assert [outcome.key for outcome in outcomes] == ["bound", "mass", "fit", "voigt"]
