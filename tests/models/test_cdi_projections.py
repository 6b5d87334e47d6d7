import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models.cdi.coherence import Coherence, Lags, blur
from braggscope.models.cdi.fourier import (
    backward,
    diffract,
    fit_centre,
    forward,
    good_length,
    pyramid,
    resample,
    smooth,
    to_centre,
    to_corner,
)
from braggscope.models.cdi.phasing import Phaser, Settings, run
from braggscope.models.cdi.sequence import Step, parse
from braggscope.models.cdi.support import autocorrelation_support, shrink_wrap

SHAPE = (16, 18, 20)


def volume(seed, shape=SHAPE):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def box(shape=SHAPE, half=3):
    support = np.zeros(shape, np.bool_)
    support[tuple(slice(n // 2 - half, n // 2 + half) for n in shape)] = True
    return to_corner(support)


def phaser(algorithm_beta=0.9, hidden=0.0, **settings):
    rng = np.random.default_rng(3)
    target = np.abs(forward(volume(1)))
    target[rng.random(SHAPE) < hidden] = -1
    return Phaser(target, volume(2), box(), Settings(beta=algorithm_beta, every=0, **settings))


def test_transform_is_unitary_and_centred():
    obj = volume(0)
    assert np.linalg.norm(forward(obj)) == pytest.approx(np.linalg.norm(obj), rel=1e-5)
    expected = np.fft.fftshift(np.fft.fftn(np.fft.ifftshift(obj), norm="ortho"))
    np.testing.assert_allclose(diffract(obj), expected, atol=1e-4)


def test_projection_on_the_modulus_is_idempotent():
    work = phaser()
    once, change = work.project()
    np.testing.assert_allclose(np.abs(forward(once)), work.target, atol=2e-4)
    work.obj = once
    twice, again = work.project()
    np.testing.assert_allclose(twice, once, atol=2e-4)
    assert change > 0.1
    assert again < 1e-4


@given(
    seed=st.integers(0, 1000), hidden=st.floats(0, 0.5), angle=st.floats(-3, 3), twin=st.booleans(),
    shift=st.tuples(*(st.integers(-9, 9) for _ in SHAPE)),
)  # fmt: skip
def test_projections_know_no_phase_no_place_and_no_twin(seed, hidden, angle, twin, shift):
    def moved(values):
        """Voxels at r go to shift + r, or to shift - r with the other sign of the phase."""
        values = np.roll(np.conj(values[::-1, ::-1, ::-1]), 1, (0, 1, 2)) if twin else values
        return np.roll(values, shift, (0, 1, 2))

    rng = np.random.default_rng(seed)
    target = np.abs(forward(volume(seed)))
    target[rng.random(SHAPE) < hidden] = -1
    start, turn = volume(seed + 1), np.complex64(np.exp(1j * angle))
    one, change = Phaser(target, start, box(), Settings(every=0)).project()
    other, same = Phaser(target, moved(start) * turn, moved(box()), Settings(every=0)).project()
    np.testing.assert_allclose(other, moved(one) * turn, atol=1e-4)
    assert same == pytest.approx(change, rel=1e-4)


def test_unmeasured_voxels_keep_what_the_object_says():
    work = phaser(hidden=0.3)
    before = forward(work.obj)
    after = forward(work.project()[0])
    hidden = work.target < 0
    np.testing.assert_allclose(after[hidden], before[hidden], atol=2e-4)
    np.testing.assert_allclose(np.abs(after[~hidden]), work.target[~hidden], atol=2e-4)


@pytest.mark.parametrize("beta", [0.5, 0.9, 1.0])
def test_every_algorithm_is_its_formula(beta):
    for algorithm in ("ER", "HIO", "RAAR", "SF"):
        work = phaser(beta)
        x, (p, _), inside = work.obj.copy(), work.project(), work.support
        reflected_support = 2 * np.where(inside, 2 * p - x, 0) - (2 * p - x)  # R_S R_M x
        expected = {
            "ER": np.where(inside, p, 0),
            "HIO": np.where(inside, p, x - beta * p),
            # beta / 2 (R_S R_M + 1) x + (1 - beta) P_M x, Luke's definition
            "RAAR": beta / 2 * (reflected_support + x) + (1 - beta) * p,
            "SF": np.where(inside, p, -p),
        }[algorithm]
        next(work.iterate((Step(1, algorithm),)))
        np.testing.assert_allclose(work.obj, expected, atol=1e-4, err_msg=algorithm)


def test_er_never_raises_the_residual():
    work = phaser()
    residuals = [state.residual for state in work.iterate(parse("40*ER"))]
    assert np.all(np.diff(residuals[1:]) <= 1e-6)


def test_a_known_object_is_a_fixed_point_of_all():
    truth = np.where(box(), volume(5), 0)
    for algorithm in ("ER", "HIO", "RAAR"):
        work = Phaser(np.abs(forward(truth)), truth, box(), Settings(every=0))
        found = run(work, (Step(5, algorithm),))
        np.testing.assert_allclose(found, truth, atol=1e-3)


def test_partial_coherence_in_the_projection():
    truth = np.where(box(), volume(5), 0)
    coherence = Coherence((0.6, 0.4, 0.5))
    seen = blur(np.abs(forward(truth)) ** 2, Lags(SHAPE).factor(coherence))
    amplitude = np.sqrt(np.maximum(seen, 0))
    aware = Phaser(amplitude, truth, box(), Settings(every=0), coherence)
    blind = Phaser(amplitude, truth, box(), Settings(every=0))
    assert aware.project()[1] < 1e-3 < blind.project()[1]


def test_twin_breaking_empties_a_quarter_of_space_or_more():
    work = phaser(twin_at=1)
    list(work.iterate(parse("ER")))
    inside = work.obj[work.support]
    assert 0.5 < np.mean(inside == 0) < 0.95


def test_the_support_follows_the_object():
    truth = np.where(box(half=3), 5 + volume(5), 0)
    loose = box(half=6)
    work = Phaser(np.abs(forward(truth)), truth, loose, Settings(every=1, sigma=0.5, threshold=0.2))
    run(work, parse("ER"))
    assert 0.8 < work.support.sum() / box(half=3).sum() < 1.3


def test_shrink_wrap_keeps_between_floor_and_ceiling():
    obj = volume(4)
    for threshold, share in ((1e-6, 0.3), (0.999999, 0.01)):
        support = shrink_wrap(obj, 0.0, threshold, floor=0.01, ceiling=0.3)
        assert support.mean() == pytest.approx(share, rel=0.05)


def test_autocorrelation_support_holds_the_autocorrelation():
    truth = to_corner(fit_centre(np.ones((4, 5, 6), np.complex64), SHAPE))
    extent = np.ptp(np.argwhere(to_centre(autocorrelation_support(np.abs(forward(truth)), 1e-3))), axis=0) + 1
    np.testing.assert_array_equal(extent, (7, 9, 11))


def test_smoothing_is_a_gaussian():
    spike = np.zeros((24, 24, 24), np.float32)
    spike[0, 0, 0] = 1
    blurred = smooth(spike, 2.0)
    assert blurred.sum() == pytest.approx(1, rel=1e-4)
    profile = to_centre(blurred).sum(axis=(1, 2))
    place = np.arange(24) - 12
    assert np.sqrt((profile * place**2).sum()) == pytest.approx(2.0, rel=1e-3)


def test_resampling_keeps_the_pattern():
    obj = volume(6, (16, 16, 16))
    finer = resample(obj, (24, 24, 24))
    np.testing.assert_allclose(
        fit_centre(to_centre(forward(finer)), (16,) * 3), to_centre(forward(obj)), atol=1e-4
    )
    np.testing.assert_allclose(resample(finer, (16,) * 3), obj, atol=1e-4)
    np.testing.assert_allclose(backward(forward(obj)), obj, atol=1e-4)


def test_lengths_and_levels():
    assert [good_length(n) for n in (64, 65, 67, 97, 31)] == [64, 64, 64, 96, 30]
    assert pyramid((128, 128, 128)) == [(32,) * 3, (64,) * 3, (128,) * 3]
    assert pyramid((40, 64, 96)) == [(40, 32, 48), (40, 64, 96)]
    assert pyramid((48, 32, 32)) == [(48, 32, 32)]
