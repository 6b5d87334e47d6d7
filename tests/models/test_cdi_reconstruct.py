import os
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from braggscope.models.cdi import reconstruct, settle
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.fourier import diffract
from braggscope.models.cdi.metrics import against_truth, agreement
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.cdi.prepare import prepare
from braggscope.models.cdi.reconstruct import Reconstructor
from braggscope.models.cdi.refine import refine
from braggscope.models.parameters import Parameters


def reconstructed(amplitude, mask=None, start=None, **changes):
    work = Reconstructor(amplitude, mask, Phasing(**changes), start)
    steps = list(work.iterate())
    return work.outcome, steps


SPEC = CoherentSpec(seed=11, shape=(48, 48, 48))


@pytest.fixture(scope="module")
def crystal():
    return grow(SPEC)


@pytest.fixture(scope="module")
def amplitude(crystal):
    return np.sqrt(measure(crystal, SPEC).counts)


@pytest.fixture(scope="module")
def found(amplitude):
    return reconstructed(amplitude, runs=2, starts=3, refinement=30)


def test_a_simulated_crystal_is_found_down_to_the_noise(found, crystal, amplitude):
    outcome, _ = found
    noise = agreement(crystal.obj, amplitude).chi
    truth = against_truth(outcome.best.obj, crystal.obj)
    assert outcome.best.agreement.chi < 1.1 * noise
    assert truth.phase_rms < 0.05
    assert truth.iou > 0.97
    assert outcome.best.settings.release is not None  # sharp edges: the tight support is the more likely one


def test_the_support_of_the_refinement_is_that_of_the_crystal(found, crystal):
    outcome, _ = found
    obj, support = outcome.final
    assert support is outcome.refined.support
    assert (obj[~support] == 0).all()
    truth = against_truth(obj, crystal.obj)
    assert truth.phase_rms < 0.045
    assert truth.iou > 0.98
    filled = np.count_nonzero(np.abs(crystal.obj) > 0.02)  # also in part
    assert 0.95 < np.count_nonzero(support) / filled < 1.1
    assert np.count_nonzero(support) < np.count_nonzero(outcome.best.support)


def test_a_loose_support_is_not_the_more_likely_one(found, crystal, amplitude):
    loose = reconstructed(amplitude, support_threshold=0.05, refinement=0)[0].best
    best = found[0].best
    assert np.count_nonzero(loose.support) > 1.3 * np.count_nonzero(best.support)
    assert loose.free < best.free
    assert against_truth(loose.obj, crystal.obj).phase_rms > against_truth(best.obj, crystal.obj).phase_rms


def test_figures_can_be_computed_again_from_the_object(found, amplitude):
    best = found[0].best
    again = agreement(best.obj, amplitude)
    assert again.chi == pytest.approx(best.agreement.chi, rel=1e-4)
    assert pytest.approx(best.agreement.R, rel=1e-4) == again.R
    assert again.scale == pytest.approx(1, rel=1e-4)
    assert (best.obj[~best.support] == 0).all()


def test_progress_counts_to_the_end_and_says_what_goes_on(found):
    outcome, steps = found
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].done == steps[-1].total
    assert steps[0].note == "start 1, 48 voxels, RAAR"
    assert steps[-1].note == "refinement"
    assert steps[-1].residual < 0.1
    frees = [run.free for run in outcome.runs]
    assert len(frees) == 2
    assert frees == sorted(frees, reverse=True)


@pytest.mark.parametrize("refinement", [2, 30])
def test_the_total_is_right_where_the_loose_support_is_chosen(crystal, refinement):
    soft = gaussian_filter(np.abs(crystal.obj), 1.5)
    counts = np.random.default_rng(3).poisson(1e3 * (np.abs(diffract(soft)) / soft.sum() * 32**1.5) ** 2)
    outcome, steps = reconstructed(np.sqrt(counts), refinement=refinement, coarse_iterations="60*RAAR+10*ER")
    assert outcome.best.settings.release is None
    finished = next(k for k, step in enumerate(steps) if step.note == "refinement")
    assert steps[-1].done == steps[-1].total
    assert steps[0].total > steps[-1].total
    final = [step.total for step in steps if step.note.startswith(("run 1, all", "run 2, all"))]
    assert set(final) == {finished + refinement}  # known as soon as the support is


def test_the_total_is_right_where_refinement_ends_early(amplitude, crystal, monkeypatch):
    def few(model, obj, steps, *rest):
        return islice(refine(model, obj, steps, *rest), steps // 2)

    monkeypatch.setattr(reconstruct, "refine", few)
    monkeypatch.setattr(settle, "refine", few)
    _, steps = reconstructed(amplitude, None, crystal.obj, iterations="5*ER", refinement=12)
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].done == steps[-1].total < steps[0].total


def test_no_iteration_keeps_a_canceller_waiting(amplitude):
    work = Reconstructor(amplitude, None, Phasing(starts=1, iterations="2*RAAR", refinement=2))
    longest, before = 0.0, time.process_time()
    for _ in work.iterate():
        longest, before = max(longest, time.process_time() - before), time.process_time()
    assert longest < 0.2


def test_gaps_are_filled_by_the_support(crystal):
    counts = measure(crystal, replace(SPEC, gap_px=3)).counts
    pattern = prepare(counts, Phasing())
    outcome, _ = reconstructed(pattern.amplitude, pattern.mask, refinement=0)
    assert against_truth(outcome.best.obj, crystal.obj).iou > 0.95
    modulus = np.abs(diffract(outcome.best.obj))
    truth = np.abs(diffract(crystal.obj)) * 1e3 / np.abs(diffract(crystal.obj)).max()
    gap = pattern.mask
    assert np.linalg.norm((modulus - truth)[gap]) < 0.3 * np.linalg.norm(truth[gap])


@pytest.mark.parametrize("kind", ["autocorrelation", "random"])
def test_starts_at_full_resolution(amplitude, kind):
    settings = Phasing(start=kind, starts=1, iterations="30*RAAR+5*ER", refinement=0, support_threshold=0.1)
    work = Reconstructor(amplitude, None, settings)
    assert all(step.note.startswith("run 1") for step in work.iterate())
    assert work.outcome.best.agreement.chi < 0.5


def test_a_given_start_is_used(crystal, amplitude):
    outcome, steps = reconstructed(amplitude, None, crystal.obj, iterations="5*ER", refinement=0)
    assert against_truth(outcome.best.obj, crystal.obj).phase_rms < 0.05
    assert steps[0].note.startswith("run 1")


def test_the_same_seed_gives_the_same_object(amplitude):
    settings = {"iterations": "3*RAAR", "coarse_iterations": "20*RAAR", "refinement": 0}
    a, b, c = (reconstructed(amplitude, seed=seed, **settings)[0].best.obj for seed in (1, 1, 2))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_parameters_are_part_of_all_parameters():
    with pytest.raises(ValueError, match="at position 4"):
        Parameters().with_phasing(iterations="20*XY")
    changed = Parameters().with_phasing(seed=4)
    assert changed.phasing.seed == 4
    assert Parameters.model_validate_json(changed.model_dump_json()) == changed
    assert changed.fingerprint("all") == Parameters().fingerprint("all")  # peaks do not depend on it


def test_the_measured_gold_pattern():
    """The example of 3D-CDI-NN's authors: as good as the figures of docs/coherent.md say."""
    path = Path(os.environ.get("BRAGGSCOPE_TEST_DATA") or ".") / "cdi" / "3dcdinn_gold_ft_crop_64_amp.npz"
    if not path.exists():
        pytest.skip("needs cdi/3dcdinn_gold_ft_crop_64_amp.npz in the folder BRAGGSCOPE_TEST_DATA")
    with np.load(path) as file:
        stack = file["amplitude"]
    parameters = Phasing(input="amplitude")
    pattern = prepare(stack, parameters)
    np.testing.assert_array_equal(pattern.amplitude, stack)
    outcome, _ = reconstructed(pattern.amplitude, pattern.mask, input="amplitude")
    assert outcome.best.agreement.chi <= 0.036
    assert outcome.best.agreement.R <= 0.085
    assert outcome.refined.agreement.chi <= 0.025
    assert outcome.refined.agreement.R <= 0.055
    assert outcome.best.settings.sigma == 1.0  # its edges are soft: the loose support is the more likely one
