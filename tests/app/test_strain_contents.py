"""From results to maps: what scales are chosen by the data."""

from types import SimpleNamespace

import numpy as np
import pytest

from braggscope.app.presenters.strain_contents import limits, nice
from braggscope.app.state.strain import StrainView


def result(strain, theta):
    values = np.linspace(-strain, strain, 400).reshape(20, 20)
    values[0, 0] = np.nan
    angle = np.linspace(0, theta, 400).reshape(20, 20)
    names = ("exx", "eyy", "exy")
    maps = dict.fromkeys((*names, *(f"{name}_err" for name in names)), values)
    return SimpleNamespace(strain=SimpleNamespace(**maps, theta=angle, theta_err=angle))


@pytest.mark.parametrize(
    ("strain", "degrees", "ends"),
    [(0.02, 0.3, (2.0, 0.3)), (0.0007, 4.1, (0.08, 5.0)), (0.3, 0.0, (30.0, 1.0))],
)
def test_scales_hold_nearly_all_values(strain, degrees, ends):
    assert limits(result(strain, np.radians(degrees)), StrainView()) == pytest.approx(ends)


def test_a_scale_that_was_chosen_stays():
    view = StrainView(limit=7.0)
    assert limits(result(0.02, np.radians(0.3)), view) == pytest.approx((7.0, 0.3))


@pytest.mark.parametrize(("value", "end"), [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (0.021, 0.05), (600, 1000)])
def test_round_numbers(value, end):
    assert nice(value) == pytest.approx(end)
