import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from braggscope.models import profiles
from braggscope.models.braggnn.measured import MARGIN, Measured
from braggscope.models.braggnn.simulate import simulate
from braggscope.models.finetune import (
    LABEL_ERROR_PX,
    Distribution,
    Spread,
    good_fits,
    hold_out,
    measure,
    select_labels,
)
from braggscope.models.fitting.peaks import fit_peaks
from braggscope.models.localizer.network import LocalizerConfig, LocalizerNet
from braggscope.models.localizer.train import LocalizerSettings
from braggscope.models.localizer.tune import LocalizerTuner, crowd_like
from braggscope.models.paired import Change, paired_change
from braggscope.models.peaks.patches import cut_patches
from braggscope.models.results import Background, Model, PeakTable, Status
from braggscope.models.tuning import judge

torch.set_num_threads(1)
STEP, GRID = 30, 20  # peaks far apart on a square


def frame_of_peaks(sigma=1.5, ratio=2.0, amplitude=400.0, level=50.0, gain=1.0, read=0.0, seed=0):
    """Image of 400 peaks, their pixels, and what the noise is: variance = read² + gain x counts."""
    random = np.random.default_rng(seed)
    side = STEP * GRID
    image = np.full((side, side), level)
    y, x = np.mgrid[-12:13, -12:13].astype(float)
    rows, cols = (np.ravel(v) for v in np.meshgrid(*[np.arange(GRID) * STEP + STEP // 2] * 2, indexing="ij"))
    for row, col in zip(rows, cols, strict=True):
        shift, angle = random.uniform(-0.5, 0.5, 2), random.uniform(0, np.pi)
        fwhm = profiles.fwhm_from_sigma(sigma)
        form = profiles.form_from_axes(ratio * fwhm, fwhm, angle)
        peak = profiles.profile(profiles.quadratic(x - shift[0], y - shift[1], *form))
        image[row - 12 : row + 13, col - 12 : col + 13] += amplitude * peak
    image = gain * random.poisson(image / gain) + random.normal(0, read, image.shape)
    return image.astype(np.float32), rows, cols


def measured(threshold=None, **options):
    image, rows, cols = frame_of_peaks(**options)
    fits = fit_peaks(image, None, rows, cols, window=11, noise="poisson", background="auto")
    table = PeakTable.blank(
        len(rows), row=rows, col=cols, status=fits.status, x_fit=fits.x, y_fit=fits.y,
        x_fit_err=fits.x_err, y_fit_err=fits.y_err, amplitude=fits.amplitude, background=fits.background,
        fwhm_major=fits.fwhm_major, fwhm_minor=fits.fwhm_minor, angle=fits.angle, chi2=fits.chi2,
        n_components=fits.n_components, window=fits.window, model=Model.GAUSSIAN, slope_x=fits.slope_x,
        slope_y=fits.slope_y,
        background_model=np.where(fits.plane, Background.PLANE, Background.CONSTANT),
    )  # fmt: skip
    patches, valid = cut_patches(image, None, rows, cols, 13)
    return measure(table, patches, valid, threshold), table, patches, valid


def test_the_distribution_is_that_of_the_peaks():
    found, *_ = measured(sigma=1.2, ratio=1.8, amplitude=400.0, level=50.0)
    assert found.peaks > 380
    assert found.sigma.middle == pytest.approx(1.2, rel=0.03)
    assert found.ratio.middle == pytest.approx(1.8, rel=0.03)
    assert found.background.middle == pytest.approx(50 / 400, rel=0.05)
    assert found.snr.middle == pytest.approx(400 / np.sqrt(450), rel=0.06)
    assert found.poisson.middle == pytest.approx(400 / 450, rel=0.06)
    assert found.offset_px == pytest.approx(0.5, abs=0.08)
    assert found.threshold is None
    assert found.eta is None
    assert max(found.edge_share, found.dead_share, found.second_share) < 0.02


@pytest.mark.parametrize(("gain", "read"), [(8.0, 0.0), (1.0, 40.0)])
def test_gain_and_readout_noise_are_told_apart(gain, read):
    found, *_ = measured(amplitude=1500.0, level=100.0, gain=gain, read=read)
    variance = read**2 + gain * 1600
    assert found.snr.middle == pytest.approx(1500 / np.sqrt(variance), rel=0.06)
    assert found.poisson.middle == pytest.approx(1500 * gain / variance, rel=0.12, abs=0.1)


def test_a_threshold_is_seen_in_zeros_and_a_gap_above_them():
    _, table, patches, valid = measured(amplitude=400.0, level=50.0)
    cut = np.where(patches < 110, 0, patches).astype(np.float32)
    found = measure(table, cut, valid)
    assert found.threshold.middle == pytest.approx((110 - 50) / 400, abs=0.02)
    faint = np.random.default_rng(0).poisson(0.4, patches.shape).astype(np.float32)
    assert measure(table, faint, valid).threshold is None  # few photons are no threshold
    assert measure(table, patches, valid, 130.0).threshold.middle == pytest.approx(0.2, abs=0.02)


def test_missing_pixels_are_counted_by_kind():
    _, table, patches, valid = measured()
    valid[:40, :, 0] = False
    valid[40:60, 3, 4] = False
    found = measure(table, patches, valid)
    assert found.edge_share == pytest.approx(0.1, abs=0.01)
    assert found.dead_share == pytest.approx(0.05, abs=0.01)


def test_the_simulation_is_like_the_peaks():
    found, *_ = measured(sigma=1.2, ratio=1.5, amplitude=400.0, level=50.0)
    scene = found.scene(11)
    assert scene.window == 11
    assert scene.sigma[0] < 1.2 < scene.sigma[1] < 1.6
    assert scene.snr[0] < 18 < scene.snr[1] < 30
    drawn = simulate(500, 3, scene)
    assert drawn.image.shape == (500, 11, 11)
    bright = (drawn.image > 0.5).sum(dim=(1, 2)).float().median()
    area = np.pi * 2 * np.log(2) * 1.2**2 * 1.5  # of the ellipse at half maximum
    assert float(bright) == pytest.approx(area, rel=0.3)


def test_nothing_to_measure_is_an_error():
    with pytest.raises(ValueError, match="no fit is good"):
        measure(PeakTable.blank(3), np.zeros((3, 13, 13), np.float32), np.ones((3, 13, 13), bool))


def labels_table(**changes):
    base = {"x_fit": 5.0, "y_fit": 5.0, "col": 5, "row": 5, "x_fit_err": 0.05, "y_fit_err": 0.05}
    base |= {"chi2": 1.0, "n_components": 1, "model": Model.GAUSSIAN, "status": Status.OK}
    return PeakTable.blank(5, **(base | changes))


def first(values, other):
    return np.array([values, *[other] * 4])


@pytest.mark.parametrize(
    "changes",
    [
        {"status": first(Status.SATURATED, Status.OK)},
        {"status": first(Status.EDGE, Status.OK)},
        {"chi2": first(3.5, 1.0)},
        {"chi2": first(np.nan, 1.0)},
        {"x_fit_err": first(LABEL_ERROR_PX, 0.05)},
        {"y_fit_err": first(np.nan, 0.05)},
        {"n_components": first(2, 1)},
        {"x_fit": first(6.8, 5.0)},
    ],
)
def test_doubtful_fits_are_no_labels(changes):
    assert select_labels(labels_table(**changes)).tolist() == [False, True, True, True, True]


def test_fits_of_pairs_are_measured_but_not_learned_from():
    table = labels_table(n_components=2)
    assert good_fits(table).all()
    assert not select_labels(table).any()


@given(st.lists(st.integers(1, 40), min_size=3, max_size=30), st.integers(0, 2**31))
def test_held_out_frames_are_whole_and_some(counts, seed):
    frame = np.repeat(np.arange(len(counts)) * 3, counts)
    held = hold_out(frame, seed)
    assert held.any()
    assert not held.all()
    assert not set(frame[held]) & set(frame[~held])
    if max(counts) < 0.1 * len(frame):
        assert 0.1 < held.mean() < 0.3
    assert np.array_equal(held, hold_out(frame, seed))


def test_two_frames_cannot_be_parted():
    with pytest.raises(ValueError, match="2 frames"):
        hold_out(np.array([0, 0, 4]), 0)


def test_a_real_gain_is_told_from_luck():
    random = np.random.default_rng(1)
    before = random.rayleigh(0.1, 1500)
    group = np.repeat(np.arange(30), 50)
    assert paired_change(before, 0.8 * before, group).better
    same = paired_change(before, random.permutation(before), group)
    assert not same.better
    assert not same.worse
    tail = before.copy()
    tail[np.argsort(tail)[-120:]] *= 3
    assert paired_change(before, 0.9 * tail, group).worse
    with pytest.raises(ValueError, match="one length"):
        paired_change(before, before[:-1])


def test_luck_is_called_better_as_rarely_as_stated():
    random = np.random.default_rng(2)
    lucky = 0
    for k in range(60):
        before, after = random.rayleigh(0.1, (2, 200))
        lucky += paired_change(before, after, seed=k).better
    assert lucky <= 6  # 2.5 % of 60 is 1.5


def test_frames_that_agree_with_themselves_count_once():
    """Errors shared by a whole frame make the interval as wide as the few frames allow."""
    random = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 100)
    before = random.rayleigh(0.1, 1200)
    after = before * np.exp(random.normal(-0.05, 0.3, 12))[group]
    alone, together = paired_change(before, after), paired_change(before, after, group)
    width = [c.median_range[1] - c.median_range[0] for c in (alone, together)]
    assert width[1] > 2 * width[0]


def change(median=(-0.02, -0.01), p95=(-0.05, -0.01)):
    return Change(100, (0.1, 0.3), (0.08, 0.25), median, p95)


def test_the_rule_that_decides():
    good = change()
    assert judge(good, good).accepted
    assert judge(good, change((-0.01, 0.01), (-0.1, 0.1))).accepted
    refused = {
        "old weights are better on the held-out": (change((0.01, 0.02)), good),
        "no gain beyond chance": (change((-0.02, 0.001)), good),
        "large errors grew": (change(p95=(0.01, 0.02)), good),
        "better on simulated peaks": (good, change((0.001, 0.002))),
    }
    for words, changes in refused.items():
        verdict = judge(*changes)
        assert not verdict.accepted
        assert verdict.sentence.startswith("Refused: ")
        assert words in verdict.sentence


LIKE = Distribution(
    500, Spread(1.0, 1.2, 1.5), Spread(1.0, 1.4, 2.0), Spread(1.0, 1.2, 1.5), None, Spread(5, 12, 40),
    Spread(0.2, 0.6, 0.9), Spread(0.0, 0.5, 2.0), Spread(0.0, 0.01, 0.05), 0.4, 0.02, 0.05, 0.02, None, 0.6,
)  # fmt: skip


def test_the_localiser_learns_from_fits_too():
    large = simulate(64, 5, LIKE.scene(11 + 2 * MARGIN))
    patches = Measured(large.image, torch.ones_like(large.image, dtype=torch.bool), large.centre)
    config = LocalizerConfig(channels=(4, 4, 4, 4), hidden=(8, 8))
    settings_ = LocalizerSettings(
        30, 0, config, batch=64, rate=3e-3, mixture=((1.0, crowd_like(LIKE.scene(11))),)
    )
    network = LocalizerNet(config)
    tuner = LocalizerTuner(settings_, network, patches, 0.5)
    tuner.advance()
    state = copy.deepcopy(tuner.state())
    went_on = [tuner.advance() for _ in range(3)]
    again = LocalizerTuner(settings_, network, patches, 0.5)
    again.restore(state)
    assert [again.advance() for _ in range(3)] == went_on
    moved = patches._replace(centre=patches.centre + 1.0)
    other = LocalizerTuner(settings_, network, moved, 0.5)
    same = LocalizerTuner(settings_, network, patches, 0.5)
    assert float(other.loss(3).detach()) > float(same.loss(3).detach())


def test_what_was_not_measured_stays_broad():
    scene = LIKE.scene(15)
    assert scene.lorentz == (0.0, 1.0)
    assert scene.threshold_share == 0
    known = replace(LIKE, eta=Spread(0.2, 0.4, 0.6), threshold=Spread(0.1, 0.2, 0.3), slope=None).scene(15)
    assert known.lorentz == (0.2, 0.6)
    assert known.gauss_share == 0
    assert known.threshold == (0.1, 0.3)
    assert known.threshold_share == 1
