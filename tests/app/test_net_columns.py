import numpy as np
import pytest

from braggscope.app.engine.localizers import open_networks
from braggscope.app.engine.networks import Networks, look
from braggscope.app.engine.patch import patch_detail
from braggscope.app.engine.peaks import analyse
from braggscope.app.presenters.views import patch_content
from braggscope.models.localizer.infer import Answer
from braggscope.models.parameters import Parameters, Preparation
from braggscope.models.prepare import Preparer

SPOTS = ((20.3, 14.6, 200.0), (52.8, 30.2, 150.0), (90.1, 60.4, 120.0))
NEIGHBOUR = (56.1, 31.4, 60.0)  # no maximum of its own score


@pytest.fixture(scope="module")
def ready():
    return open_networks(Parameters().localize)


def prepared(spots, noise=2.0):
    y, x = np.mgrid[:80, :120].astype(float)
    frame = 30 + noise * np.random.default_rng(2).normal(size=x.shape)
    for cx, cy, height in spots:
        frame += height * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 1.5**2))
    return Preparer(Preparation(), shape=frame.shape).apply([frame.astype(np.float32)])


PARAMETERS = Parameters().with_detect(minval=60.0, minscore=60.0)


def test_the_network_fills_its_columns(ready):
    table = analyse(prepared(SPOTS), 0, PARAMETERS, ready).table
    assert len(table) == 3
    truth = np.array([spot[:2] for spot in SPOTS])
    found = np.column_stack((table["x_net"], table["y_net"]))
    assert np.abs(found - truth).max() < 0.1
    assert ((table["x_net_err"] > 0) & (table["x_net_err"] < 0.2)).all()
    assert (table["quality"] > 0.9).all()
    assert list(table.labels("method")) == ["fit"] * 3


def test_without_the_method_or_the_weights_the_columns_stay_empty(ready):
    frame = prepared(SPOTS)
    for parameters, networks in (
        (PARAMETERS.with_localize(methods=("fit",)), ready),
        (PARAMETERS, None),
        (PARAMETERS, Networks(braggnn=ready.braggnn)),
    ):
        table = analyse(frame, 0, parameters, networks).table
        assert np.isnan(table["x_net"]).all()
        assert np.isfinite(table["x"]).all()


def test_a_peak_that_only_the_network_sees_mends_the_fit(ready):
    """The neighbour lies under the thresholds: detection does not know it."""
    frame = prepared((*SPOTS, NEIGHBOUR))
    parameters = PARAMETERS.with_localize(methods=("fit", "net"))
    table = analyse(frame, 0, parameters, ready).table
    table = table.take(table["component"] == 0)
    row = int(np.argmin(np.abs(table["col"] - 53)))
    assert table["n_components"][row] == 2
    assert np.hypot(table["x"][row] - 52.8, table["y"][row] - 30.2) < 0.06
    assert table.labels("method")[row] == "fit+net"
    others = np.delete(np.arange(len(table)), row)
    assert (table["n_components"][others] == 1).all()


class Fortune:
    """A network that sees a second peak 4 px to the right of every peak."""

    window = 11

    def __init__(self, overlap):
        self.overlap = overlap

    def locate(self, counts, valid):
        n = len(counts)
        five, small = np.full(n, 5.0), np.full(n, 0.1)
        second = np.tile((9.0, 5.0), (n, 1))
        return Answer(five, five, small, small, np.full(n, self.overlap), np.ones(n), second)


def test_hidden_peaks_are_new_near_and_on_the_frame():
    frame = prepared(SPOTS)
    rows, cols = np.array([40, 40, 10]), np.array([30, 34, 118])
    answer, all_rows, all_cols = look(frame, rows, cols, 3, Fortune(0.9))
    assert answer.x.tolist() == [30.0, 34.0, 118.0]
    # right of the first is the second, right of the third nothing
    assert list(zip(all_cols.tolist(), all_rows.tolist(), strict=True))[3:] == [(38, 40)]
    _, unchanged, _ = look(frame, rows, cols, 3, Fortune(0.5))
    assert len(unchanged) == 3
    assert look(frame, rows, cols, 0, Fortune(0.9))[0] is None
    assert look(frame, rows, cols, 3, None)[0] is None


def test_the_patch_view_has_a_row_for_the_network(ready):
    frame = prepared(SPOTS)
    table = analyse(frame, 0, PARAMETERS, ready).table
    detail = patch_detail(frame, table, 0, PARAMETERS, ready)
    rows = {row.name: row for row in patch_content(detail, PARAMETERS.localize).rows}
    assert set(rows) == {"fit", "braggnn", "net", "distance"}
    assert rows["net"].x == table["x_net"][0]
    assert rows["net"].x_err == table["x_net_err"][0]
    assert rows["net"].ms > 0


def test_a_patch_is_as_large_as_the_model_of_changed_parameters(ready):
    frame = prepared(SPOTS)
    small = PARAMETERS.with_localize(window=11)
    table = analyse(frame, 0, small, ready).table
    detail = patch_detail(frame, table, 0, small.with_localize(window=15), ready)
    assert detail.model.shape == detail.data.shape == detail.valid.shape == (15, 15)
    assert detail.origin == (table["col"][0] - 7, table["row"][0] - 7)
