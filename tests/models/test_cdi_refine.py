import numpy as np
import pytest

from braggscope.models.cdi.coherence import Coherence, Lags, blur
from braggscope.models.cdi.fourier import forward, to_corner
from braggscope.models.cdi.lbfgs import minimise
from braggscope.models.cdi.metrics import compare_amplitudes
from braggscope.models.cdi.refine import Learned, Model, refine

SHAPE = (16, 16, 18)


@pytest.fixture(scope="module")
def scene():
    """(truth, support, counts behind a blur and over a background), origin at index 0."""
    rng = np.random.default_rng(0)
    support = np.zeros(SHAPE, np.bool_)
    support[5:11, 4:11, 6:12] = True
    support = to_corner(support)
    turn = np.exp(1j * rng.normal(scale=0.5, size=SHAPE))
    truth = (np.where(support, 30 * turn, 0)).astype(np.complex64)
    factor = Lags(SHAPE).factor(Coherence((0.5, 0.3, 0.4)))
    intensity = np.maximum(blur(np.abs(forward(truth)) ** 2, factor), 0) + 2.0
    return truth, support, intensity.astype(np.float32)


@pytest.mark.parametrize("coherence", ["none", "gaussian", "pseudovoigt"])
@pytest.mark.parametrize("background", [False, True])
def test_gradients_are_those_of_finite_differences(scene, coherence, background):
    truth, support, intensity = scene
    target = np.sqrt(intensity)
    target[2:4, 5, :] = -1  # not measured
    model = Model(target, support, coherence, background)
    learned = Learned(Coherence((0.4, 0.2, 0.6), 0.3 if coherence == "pseudovoigt" else 0.0), 1.0)
    rng = np.random.default_rng(1)
    start = truth * (1 + 0.2 * rng.normal(size=SHAPE))
    vector = model.pack(start.astype(np.complex64), learned)
    gradient = model(vector)[1]
    count = 2 * np.count_nonzero(support)
    directions = [np.r_[rng.normal(size=count), np.zeros(len(vector) - count)]]
    directions += [10 * row for row in np.eye(len(vector))[count:]]
    for direction in directions:
        step = 0.03
        rise = model(vector + step * direction)[0] - model(vector - step * direction)[0]
        assert rise / (2 * step) == pytest.approx(float(gradient @ direction), rel=0.02, abs=2e-8)


def test_vectors_hold_object_and_numbers(scene):
    truth, support, intensity = scene
    model = Model(np.sqrt(intensity), support, "pseudovoigt")
    learned = Learned(Coherence((0.4, 0.2, 0.6), 0.3), 1.5)
    obj, back = model.unpack(model.pack(truth, learned))
    np.testing.assert_allclose(obj, truth, rtol=1e-6)
    np.testing.assert_allclose(back.coherence.width, learned.coherence.width, rtol=1e-6)
    assert back.coherence.eta == pytest.approx(0.3)
    assert back.background == pytest.approx(1.5)


def test_blur_and_background_are_found_again(scene):
    truth, support, intensity = scene
    model = Model(np.sqrt(intensity), support)
    *_, last = refine(model, truth * np.complex64(0.97), 150)
    np.testing.assert_allclose(last.learned.coherence.width, (0.5, 0.3, 0.4), atol=0.03)
    assert last.learned.background == pytest.approx(2.0, abs=0.2)
    fit = compare_amplitudes(model.amplitude(model.pack(last.obj, last.learned)), np.sqrt(intensity))
    assert fit.chi < 2e-3
    blind = compare_amplitudes(np.abs(forward(truth)), np.sqrt(intensity))
    assert fit.chi < blind.chi / 20


def test_lbfgs_finds_the_valley_of_rosenbrock():
    def rosenbrock(v):
        x, y = v
        return (1 - x) ** 2 + 100 * (y - x * x) ** 2, np.array(
            [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]
        )

    values = [value for _, value in minimise(rosenbrock, np.array([-1.2, 1.0]), 100)]
    assert values[-1] < 1e-12
    assert np.all(np.diff(values) <= 0)
    assert len(values) < 80


def test_lbfgs_ends_at_a_minimum():
    assert list(minimise(lambda v: (float(v @ v), 2 * v), np.zeros(3), 10)) == []
