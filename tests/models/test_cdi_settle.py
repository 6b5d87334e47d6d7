"""Place within a voxel, support without empty voxels, and the falling feedback."""

from dataclasses import replace

import numpy as np
import pytest

from braggscope.models.cdi.alignment import shifted
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.fourier import to_corner
from braggscope.models.cdi.metrics import against_truth
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.phasing import Phaser, Settings, run
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.models.cdi.refine import Model
from braggscope.models.cdi.sequence import parse
from braggscope.models.cdi.settle import COOLING, Settler, Sparse, compacting_move, work
from braggscope.models.cdi.support import grow_to_margin, significant

SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e7)
CRYSTAL = grow(SPEC)
TRUTH = to_corner(CRYSTAL.obj)
TARGET = to_corner(np.sqrt(measure(CRYSTAL, SPEC).counts))
SCALE = np.linalg.norm(TARGET) / np.linalg.norm(TRUTH)


def displaced(move):
    obj = np.ascontiguousarray(shifted(TRUTH * np.float32(SCALE), move), np.complex64)
    return obj, significant(obj, np.abs(TRUTH) > 0, 0.0, 0.12)


@pytest.mark.parametrize("move", [(0.2, -0.1, 0.05), (-0.15, 0.2, 0.2), (0.0, 0.0, 0.0)])
def test_the_tails_beyond_the_surface_tell_the_place(move):
    back = compacting_move(displaced(move)[0], np.ones(TRUTH.shape, bool), steps=8)
    np.testing.assert_allclose(back, -np.array(move), atol=0.02)


@pytest.mark.parametrize("move", [(0.3, -0.2, 0.1), (0.5, 0.0, 0.5)])
def test_place_and_support_are_found(move):
    obj, support = displaced(move)
    before = against_truth(np.fft.fftshift(np.where(support, obj, 0)), CRYSTAL.obj)
    settler = Settler(TARGET, obj, support)
    notes = [note for note, *_ in settler.iterate(20)]
    after = against_truth(np.fft.fftshift(settler.obj), CRYSTAL.obj)
    assert after.phase_rms < 0.04
    assert after.iou > 0.98
    assert 1 - after.iou < 0.5 * (1 - before.iou)
    wrong = settler.support ^ (np.abs(aligned_truth(settler.obj)) > 0.05)
    assert np.count_nonzero(wrong) < 0.05 * np.count_nonzero(settler.support)
    assert len(notes) <= work(20) + 2 * 20
    assert set(notes) == {f"place and support, {how}" for how in ("ER", "RAAR", "L-BFGS")}


def aligned_truth(obj):
    """Truth at the whole voxel where ``obj`` lies."""
    product = np.abs(np.fft.ifftn(np.fft.fftn(obj) * np.conj(np.fft.fftn(TRUTH))))
    place = np.unravel_index(int(product.argmax()), product.shape)
    return np.roll(TRUTH, place, axis=(0, 1, 2))


def test_the_price_of_a_voxel_has_the_gradient_that_it_says():
    obj, support = displaced((0.1, 0, 0))
    args = (TARGET, grow_to_margin(support), "none", True, 1.0)
    model, plain = Sparse(*args), Model(*args)
    vector = model.pack(obj)
    loss, gradient = model(vector)
    bare, slope = plain(vector)
    assert loss > bare

    def price(v):
        half = len(model.places)
        return 0.5 / model.norm * np.log1p(v[:half] ** 2 + v[half : 2 * half] ** 2).sum()

    assert loss - bare == pytest.approx(price(vector))
    rng = np.random.default_rng(1)
    way = rng.normal(size=vector.shape)
    way[2 * len(model.places) :] = 0
    numeric = (price(vector + 1e-4 * way) - price(vector - 1e-4 * way)) / 2e-4
    assert (gradient - slope) @ way == pytest.approx(numeric, rel=1e-4)


def test_chi_is_that_of_the_object_that_is_shown():
    obj, support = displaced((0.1, 0, 0))
    settler = Settler(TARGET, obj, support)
    plain = Model(TARGET, grow_to_margin(support), "none", False)
    for _, chi, _ in settler._emptied(4):
        assert chi == pytest.approx(np.sqrt(plain(plain.pack(settler.obj))[0]), rel=2e-3)


def test_what_cannot_be_compared_stays_where_it_is(monkeypatch):
    obj, support = displaced((0.2, 0, 0))
    settler = Settler(TARGET, obj, support)
    monkeypatch.setattr(settler, "_misfit", lambda: np.nan)
    assert len(list(settler._best_half())) == 80
    assert settler.obj is obj
    assert settler.support is support


def test_the_feedback_falls_within_a_step():
    obj, support = displaced((0.2, 0, 0))
    steps = parse("10*RAAR")

    def ended(settings):
        return run(Phaser(TARGET, obj, support, settings), steps)

    fixed = Settings(beta=0.9, every=0)
    np.testing.assert_array_equal(ended(fixed), ended(replace(fixed, cooled=0.9)))
    by_hand = Phaser(TARGET, obj, support, fixed)
    for k in range(10):
        by_hand.settings = replace(fixed, beta=0.9 - 0.04 * k)
        run(by_hand, parse("1*RAAR"))
    np.testing.assert_allclose(ended(replace(fixed, cooled=0.5)), by_hand.result(), atol=1e-3)
    assert COOLING.cooled is not None
    assert COOLING.cooled < COOLING.beta


def test_a_support_that_may_not_move_stays():
    amplitude = np.sqrt(measure(CRYSTAL, SPEC).counts)
    brief = Phasing(coarse_iterations="20*RAAR", iterations="5*RAAR", starts=1, refinement=6)
    work_of = Reconstructor(amplitude, None, brief.model_copy(update={"support_every": 0}))
    notes = {step.note for step in work_of.iterate()}
    found = work_of.outcome
    np.testing.assert_array_equal(found.refined.support, found.best.support)
    assert not any("place" in note for note in notes)


def test_it_can_be_left():
    class Left(Exception):
        pass

    def calls_until(stop):
        """How often the check is called, and the notes until the end."""
        calls, notes = [], []

        def check():
            calls.append(1)
            if len(calls) == stop:
                raise Left

        settler = Settler(TARGET, *displaced((0.2, 0, 0)), check=check)
        try:
            notes.extend(note for note, *_ in settler.iterate(1))
        except Left:
            assert stop is not None
        return len(calls), notes

    every, whole = calls_until(None)
    assert every > 60
    for stop in (1, every // 2, every):
        calls, notes = calls_until(stop)
        assert calls == stop
        assert len(notes) < len(whole)
