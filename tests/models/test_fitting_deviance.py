"""The objective of fits to counts, which is computed in vector units, against the plain formula."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.fitting.kernels import deviance
from braggscope.models.fitting.logarithm import log_positive


def plain(counts: float, model: float) -> float:
    """Minus log-likelihood of a pixel without the constants of its counts; a parabola below one count."""
    reference = max(counts, 1.0)
    if model >= 1.0:
        return model - counts - counts * math.log(model / reference)
    return 0.5 * model * model - counts * model + 0.5 + counts * math.log(reference)


@given(st.floats(1e-300, 1e300))
def test_the_logarithm_is_that_of_the_library(x: float) -> None:
    assert log_positive(x) == pytest.approx(math.log(x), rel=5e-16, abs=5e-16)


@given(st.integers(-40, 40), st.floats(-1e-6, 1e-6))
def test_near_one_the_logarithm_keeps_its_digits(power: int, away: float) -> None:
    x = 1.0 + math.ldexp(away, -abs(power))
    assert log_positive(x) == pytest.approx(math.log(x), rel=5e-16, abs=0.0)


@given(st.lists(st.tuples(st.floats(0.0, 1e6), st.floats(-10.0, 1e6)), min_size=1, max_size=40))
def test_deviance_weights_and_residuals(pixels: list[tuple[float, float]]) -> None:
    n = (len(pixels) + 7) // 8 * 8
    value, model, live = np.zeros(n), np.zeros(n), np.zeros(n)
    value[: len(pixels)], model[: len(pixels)] = np.array(pixels).T
    live[: len(pixels)] = 1.0
    residual, weight = np.empty(n), np.empty(n)
    total = deviance(value, model, live, n, residual, weight)
    terms = [plain(k, m) for k, m in pixels]
    largest = sum(abs(m - k) + k * abs(math.log(max(m, 1.0) / max(k, 1.0))) + 1.0 for k, m in pixels)
    assert total == pytest.approx(sum(terms), rel=1e-13, abs=1e-14 * largest)
    assert np.array_equal(residual, (value - model) * live)
    assert np.array_equal(weight, live / np.maximum(model, 1.0))


def test_a_model_that_is_no_number_is_no_improvement() -> None:
    one, out = np.ones(8), np.empty(8)
    for wrong in (np.nan, np.inf):
        assert not deviance(one, np.full(8, wrong), one, 8, out, out.copy()) <= 1e300
