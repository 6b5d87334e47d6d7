"""What the fit says of its model reaches the peak table."""

from functools import partial

import numpy as np
import pytest

from braggscope.app.engine import peaks
from braggscope.app.engine.networks import Networks
from braggscope.app.engine.peaks import analyse
from braggscope.app.engine.summary import summarise
from braggscope.models import profiles
from braggscope.models.fitting.peaks import fit_peaks_torch
from braggscope.models.parameters import Parameters
from braggscope.models.prepare import Preparer
from braggscope.models.results import Background, Model, Status

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


def crowd() -> tuple[np.ndarray, Parameters]:
    """Pairs that overlap, the weaker of each after all the stronger ones in the order of scores."""
    image = np.full(SHAPE, 20.0)
    for k, (x, y) in enumerate([(12.2, 12.4), (30.7, 14.1), (15.3, 40.2), (42.6, 42.9)]):
        image += profiles.peak(SHAPE, x, y, 900.0 - 20.0 * k, 3.0)
        image += profiles.peak(SHAPE, x + 4.0, y + 1.0, 500.0 - 20.0 * k, 3.0)
    return image, Parameters().with_detect(minval=60, minscore=40).with_localize(methods=("fit",))


@pytest.mark.parametrize("torch", [False, True])
def test_peaks_beyond_the_limit_are_neighbours_all_the_same(torch, monkeypatch) -> None:
    image, parameters = crowd()
    if torch:
        on_cpu = partial(fit_peaks_torch, device="cpu")
        monkeypatch.setattr(peaks, "fit_peaks", lambda *given, device, **options: on_cpu(*given, **options))
    prepared = Preparer(parameters.prepare, shape=SHAPE).apply([image])
    whole = peaks.analyse(prepared, 0, parameters, None)
    assert len(whole.table) == 8
    assert whole.table["n_components"].min() == 2
    blank = peaks.blank_table(whole.candidates, whole.selection, 0)
    first = peaks.localize(prepared, blank, parameters, None, limit=4)[0]
    for name in ("status", "x_fit", "y_fit", "amplitude", "n_components"):
        assert np.array_equal(first[name][:4], whole.table[name][:4]), name
    assert (first["status"][4:] == Status.PENDING).all()


class Middle:
    """A network that finds every peak in the middle."""

    window = 11

    def locate(self, patches: np.ndarray) -> np.ndarray:
        return np.full((len(patches), 2), 5.0)


def test_without_fits_none_is_counted_and_saturation_is_still_said() -> None:
    image, parameters = crowd()
    parameters = parameters.with_localize(methods=("braggnn",)).with_prepare(saturation=700.0)
    prepared = Preparer(parameters.prepare, shape=SHAPE).apply([image])
    table = peaks.analyse(prepared, 3, parameters, Networks(Middle())).table
    assert np.isfinite(table["x_braggnn"]).all()
    assert summarise(3, table).fitted == 0
    assert summarise(3, table).count == len(table)
    assert set(table["status"].tolist()) == {Status.OK, Status.SATURATED}


def test_a_second_spot_that_was_not_detected_is_fitted_with_the_first() -> None:
    image = np.full(SHAPE, 20.0)
    for x, height in ((30.2, 9000.0), (33.0, 5000.0)):
        image += profiles.peak(SHAPE, x, 30.1, height, 3.4)
    image = np.random.default_rng(0).poisson(image).astype(np.float32)
    parameters = Parameters().with_detect(minval=3000, minscore=3000).with_localize(methods=("fit",))
    prepared = Preparer(parameters.prepare, shape=SHAPE).apply([image])
    table = peaks.analyse(prepared, 0, parameters, None).table
    assert table["component"].tolist() == [0, 1]
    assert table["n_components"][0] == 2
    assert (table["x"][0], table["y"][0]) == pytest.approx((30.2, 30.1), abs=0.1)


def test_a_background_that_was_subtracted_is_noisy_all_the_same() -> None:
    """400 counts and their noise: without the counts, the noise is still there."""
    tile, n = 24, 12
    rng = np.random.default_rng(3)
    x, y = (np.arange(n) * tile + tile // 2 + rng.uniform(-0.5, 0.5, (n, n)) for _ in range(2))
    y = y.T
    image = np.full((n * tile, n * tile), 400.0)
    for place in zip(x.ravel(), y.ravel(), strict=True):
        image += profiles.peak(image.shape, *place, 600.0, 3.5)
    frame = rng.poisson(image)
    prepare = Parameters().with_localize(methods=("fit",))
    plain = prepare.with_detect(minval=700, minscore=300)
    flat = prepare.with_prepare(background="median").with_detect(minval=300, minscore=300)
    errors, within = [], []
    for parameters in (plain, flat):
        prepared = Preparer(parameters.prepare, shape=image.shape).apply([frame])
        table = analyse(prepared, 0, parameters, None).table
        assert (len(table), (table["status"] == Status.OK).sum()) == (n * n, n * n)
        row, col = table["row"] // tile, table["col"] // tile
        apart = np.stack([table["x_fit"] - x[row, col], table["y_fit"] - y[row, col]])
        errors.append(np.median(np.hypot(*apart)))
        within.append(np.mean(abs(apart) < np.stack([table["x_fit_err"], table["y_fit_err"]])))
        assert np.median(table["chi2"]) == pytest.approx(1.0, abs=0.08)
    assert np.median(table["background"]) == pytest.approx(0.0, abs=15.0)
    assert errors[1] < 1.1 * errors[0]
    assert within == pytest.approx([0.68, 0.68], abs=0.06)
