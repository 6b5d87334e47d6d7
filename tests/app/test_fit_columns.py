"""What the fit says of its model reaches the peak table."""

import numpy as np
import pytest

from braggscope.app.engine.peaks import analyse
from braggscope.models import profiles
from braggscope.models.parameters import Parameters
from braggscope.models.prepare import Preparer
from braggscope.models.results import Background, Model

SHAPE = (60, 60)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Two peaks: one on a flat ground, one on a steep ramp; and one too near the corner to be fitted."""
    x = np.indices(SHAPE)[1]
    image = 40.0 + 6.0 * np.maximum(x - 30.0, 0.0)
    for place in ((14.3, 30.2), (45.8, 29.7), (0.0, 0.0)):
        image += profiles.peak(SHAPE, *place, 300.0, 4.0)
    return image + np.random.default_rng(0).normal(0.0, 1.0, SHAPE)


@pytest.mark.parametrize("model", ["gaussian", "pseudovoigt"])
def test_profile_background_and_slopes(frame: np.ndarray, model: str) -> None:
    parameters = Parameters().with_detect(minval=150, minscore=150)
    parameters = parameters.with_localize(methods=("fit",), model=model)
    prepared = Preparer(parameters.prepare, shape=SHAPE).apply([frame])
    assert parameters.localize.background == "auto"
    table = analyse(prepared, 0, parameters, None).table
    flat, steep, corner = (int(np.flatnonzero(table["col"] == col)[0]) for col in (14, 46, 0))
    assert table.labels("model")[[flat, steep, corner]].tolist() == [model, model, ""]
    assert table["background_model"][[flat, steep, corner]].tolist() == [
        Background.CONSTANT, Background.PLANE, Background.NONE,
    ]  # fmt: skip
    assert table["model"].dtype == table["background_model"].dtype == np.uint8
    assert table["slope_x"][steep] == pytest.approx(6.0, abs=0.3)
    assert table["slope_y"][steep] == pytest.approx(0.0, abs=0.3)
    assert np.isnan(table["slope_x"][[flat, corner]]).all()
    assert table["background"][steep] == pytest.approx(40 + 6 * 15.8, abs=3.0)
    assert table["x"][[flat, steep]] == pytest.approx([14.3, 45.8], abs=0.03)


def test_the_background_is_a_parameter_of_the_fit(frame: np.ndarray) -> None:
    auto = Parameters().with_detect(minval=150, minscore=150).with_localize(methods=("fit",))
    constant = auto.with_localize(background="constant")
    assert constant.fingerprint("localize") != auto.fingerprint("localize")
    prepared = Preparer(auto.prepare, shape=SHAPE).apply([frame])
    table = analyse(prepared, 0, constant, None).table
    assert set(table["background_model"].tolist()) <= {Background.NONE, Background.CONSTANT}
    assert set(table["model"].tolist()) <= {Model.NONE, Model.GAUSSIAN}
