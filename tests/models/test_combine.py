import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.combine import TRUST, WEAK_PX, combine, fit_weight, in_this_frame
from braggscope.models.results import Source, Status

NAN = np.nan


def one(overlap=0.0, **given):
    """The combined answer of one peak."""
    columns = {"status": Status.OK, "n_components": 1, **given}
    columns = {name: np.array([value]) for name, value in columns.items()}
    found = combine(columns, np.array([overlap]))
    return {name: values[0] for name, values in found.items()}


def fit(x=5.0, y=6.0, err=0.02, n=1):
    return {"x_fit": x, "y_fit": y, "x_fit_err": err, "y_fit_err": err, "n_components": n}


def net(x=5.1, y=6.1, err=0.1, quality=0.99):
    return {"x_net": x, "y_net": y, "x_net_err": err, "y_net_err": err, "quality": quality}


def braggnn(x=5.3, y=6.2):
    return {"x_braggnn": x, "y_braggnn": y}


def test_a_lone_fit_stands_whatever_the_network_says():
    found = one(**fit(), **net(err=0.001), **braggnn())
    assert (found["x"], found["y"], found["x_err"], found["method"]) == (5.0, 6.0, 0.02, Source.FIT)
    assert found["distance"] == pytest.approx(np.hypot(0.3, 0.2))


def test_a_joint_fit_and_the_network_are_averaged():
    found = one(**fit(err=0.05, n=2), **net(err=0.05))
    assert found["method"] == Source.COMBINED
    assert found["x"] == pytest.approx(5.05)
    assert found["x_err"] == pytest.approx(0.05 * np.sqrt(0.5 + 0.5 * 0.35))


def test_a_weak_joint_fit_far_from_the_network_counts_little():
    near = one(**fit(x=5.0, y=6.0, err=0.1, n=2), **net(x=5.01, y=6.0, err=0.1))
    far = one(**fit(x=5.0, y=6.0, err=0.1, n=2), **net(x=6.0, y=6.0, err=0.1))
    assert near["x"] == pytest.approx(5.005, abs=1e-3)
    assert far["x"] > 5.98


def test_a_weak_fit_is_averaged_even_where_it_is_alone():
    near = one(**fit(err=0.1), **net(x=5.1, y=6.0, err=0.1))
    assert near["method"] == Source.COMBINED
    assert 5.04 < near["x"] < 5.07
    crowded = one(**fit(err=0.1, n=2), **net(x=5.1, y=6.0, err=0.1))
    assert near["x"] < crowded["x"] < 5.1


def test_a_good_fit_of_one_peak_where_two_are_seen_is_averaged():
    found = one(overlap=0.999, **fit(x=5.02, err=0.02), **net(x=5.0, y=6.0, err=0.04))
    assert found["method"] == Source.COMBINED
    assert found["x"] == pytest.approx(5.016)


def test_a_lone_fit_stands_where_only_the_training_speaks_for_two():
    found = one(overlap=0.6, **fit(x=5.0, err=0.1), **net(x=5.9, y=6.0, err=0.1))
    assert (found["method"], found["x"]) == (Source.FIT, 5.0)


@pytest.mark.parametrize("status", [Status.EDGE, Status.MASKED])
def test_a_peak_that_is_cut_off_has_no_combined_position(status):
    found = one(**net(), **braggnn(), status=status)
    assert found["method"] == Source.NONE
    assert np.isnan([found["x"], found["y"], found["x_err"], found["y_err"]]).all()
    assert one(**net(), status=Status.SATURATED)["method"] == Source.NET


def test_the_share_of_pairs_in_a_frame_is_found():
    rng = np.random.default_rng(0)

    def frame(share, n=4000):
        """Probabilities as a calibrated network trained on 45 % pairs would give them."""
        signs = rng.normal(np.where(rng.random(n) < share, 1.0, -1.0), 1.0)
        return 1 / (1 + 0.55 / 0.45 * np.exp(-2 * signs))

    for share in (0.05, 0.45, 0.95):
        assert in_this_frame(frame(share)).mean() == pytest.approx(share, abs=0.03)
    assert in_this_frame(np.array([0.6]))[0] < 0.3  # one peak says little
    assert in_this_frame(np.zeros(0)).shape == (0,)
    np.testing.assert_allclose(in_this_frame(np.array([0.0, 1.0])), [0, 1], atol=1e-6)


def test_without_a_fit_the_network_then_braggnn_then_nothing():
    missing = fit(x=NAN, y=NAN, err=NAN, n=0)
    assert one(**missing, **net(), **braggnn())["method"] == Source.NET
    distrusted = one(**missing, **net(quality=TRUST - 0.01), **braggnn())
    assert (distrusted["method"], distrusted["x"]) == (Source.BRAGGNN, 5.3)
    assert np.isnan(distrusted["x_err"])
    nothing = one(**missing, **net(quality=0.0))
    assert nothing["method"] == Source.NONE
    assert np.isnan(nothing["x"])


def test_only_what_is_there_is_needed():
    alone = combine({"status": np.zeros(2, np.uint8), "x_braggnn": np.ones(2), "y_braggnn": np.ones(2)})
    assert (alone["method"] == Source.BRAGGNN).all()
    empty = combine({"status": np.zeros(0, np.uint8)})
    assert all(len(values) == 0 for values in empty.values())
    unaided = one(**fit(n=2))
    assert unaided["method"] == Source.FIT


numbers = st.floats(-3, 3)
errors = st.floats(1e-3, 2.0)


@given(numbers, numbers, errors, errors, st.integers(1, 3), st.floats(0, 1))
def test_the_answer_lies_between_fit_and_network(dx, dy, fit_err, net_err, n, overlap):
    found = one(overlap, **fit(0.0, 0.0, fit_err, n), **net(dx, dy, net_err))
    for value, end in ((found["x"], dx), (found["y"], dy)):
        assert min(0, end) - 1e-9 <= value <= max(0, end) + 1e-9
    assert 0 < found["x_err"] <= np.hypot(max(fit_err, net_err), abs(dx)) + 1e-9
    if n == 1 and overlap < 0.5 and fit_err <= WEAK_PX:
        assert found["method"] == Source.FIT


@given(numbers, errors, errors, st.booleans())
def test_the_fit_weighs_less_the_worse_it_is(apart, fit_err, net_err, crowded):
    def weight(err, away):
        rows = [np.full((1, 2), value) for value in (away, 0.0, err, net_err)]
        return fit_weight(*rows, np.array([crowded]))[0]

    here = weight(fit_err, apart)
    assert 0 <= here <= 1
    assert weight(1.5 * fit_err, apart) <= here + 1e-9
    assert weight(fit_err, 1.5 * apart) <= here + 1e-9
    if fit_err < WEAK_PX:
        assert here == pytest.approx(1 / (1 + (fit_err / net_err) ** 2))
