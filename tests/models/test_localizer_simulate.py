from dataclasses import replace

import pytest
import torch

from braggscope.models.braggnn.simulate import benchmark_scenes
from braggscope.models.localizer.evaluate import plain_crowd
from braggscope.models.localizer.simulate import BROAD, MIXTURE, REGIMES, simulate, simulate_mixture

torch.set_num_threads(1)


def test_patches_are_reproducible_and_whole():
    a, b = simulate_mixture(400, 3), simulate_mixture(400, 3)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a.counts, simulate_mixture(400, 4).counts)
    assert a.counts.shape == a.valid.shape == (400, 11, 11)
    assert torch.isfinite(a.counts).all()
    assert (a.counts[~a.valid] == 0).all()
    assert a.centre.abs().max() <= 4.5
    nearer = a.centre.norm(dim=1) <= a.second.norm(dim=1) + 1e-6
    assert nearer[a.paired].all()
    assert (a.second[a.paired].abs() <= 5.5).all()


@pytest.mark.parametrize("mixture", [MIXTURE, REGIMES])
def test_shares_of_a_mixture_add_up(mixture):
    assert sum(share for share, _ in mixture) == pytest.approx(1.0)
    assert len(simulate_mixture(101, 0, mixture).counts) == 101


def test_the_truth_is_where_the_peak_is():
    scene = replace(
        benchmark_scenes()["round, SNR 100"], snr=(1e7, 1e7), sigma=(1.0, 1.0), pedestal=(0.0, 0.0)
    )
    patches = simulate(200, 0, plain_crowd(scene, 0.0))
    axis = torch.arange(-5.0, 6.0)
    total = patches.counts.sum((1, 2))
    x = (patches.counts.sum(1) * axis).sum(1) / total
    y = (patches.counts.sum(2) * axis).sum(1) / total
    torch.testing.assert_close(torch.stack([x, y], 1), patches.centre, rtol=0, atol=2e-3)
    assert not patches.paired.any()


def test_second_peaks_and_strangers_lie_where_they_are_said_to():
    pair = replace(
        benchmark_scenes()["second peak 2.5-5 px, SNR 100"],
        snr=(1e6, 1e6), second_amplitude=(1.5, 1.5), pedestal=(0.0, 0.0), sigma=(0.8, 0.8), round_share=1.0,
    )  # fmt: skip
    crowd = plain_crowd(pair, 0.0)
    for scene in (crowd, replace(crowd, second_share=0.0, stranger_share=1.0, stranger_amplitude=(1.5, 1.5),
                                 stranger_distance=(2.5, 5.0))):  # fmt: skip
        drawn = simulate(300, 1, scene)
        assert drawn.paired.float().mean() > 0.9
        rows = torch.nonzero(drawn.paired & (drawn.second.abs().amax(1) < 4.5))[:, 0]
        at = torch.round(drawn.second[rows]).long() + 5
        found = drawn.counts[rows].flatten(1).argmax(1)
        away = torch.maximum((found % 11 - at[:, 0]).abs(), (found // 11 - at[:, 1]).abs())
        assert (away <= 1).float().mean() > 0.95


def test_found_patches_have_their_highest_pixel_in_the_middle():
    faint = replace(benchmark_scenes()["round, SNR 5"], sigma=(2.0, 2.0))
    crowd = replace(plain_crowd(faint, 0.0), found_share=1.0)
    drawn = simulate(400, 2, crowd)
    near = drawn.counts[:, 4:7, 4:7].flatten(1)
    assert (near.argmax(1) == 4).float().mean() > 0.85
    wandered = drawn.centre.abs().max(1).values
    assert 0.1 < (wandered > 1.0).float().mean() < 0.7


def test_ridges_raise_whole_lines():
    plain = plain_crowd(benchmark_scenes()["round, SNR 100"], 0.0)
    ridge = replace(plain, ridge_share=1.0, ridge_height=(2.0, 2.0), pedestal=(0.0, 0.0), snr=(1e4, 1e4))
    spread = simulate(300, 1, replace(ridge, ridge_width=(1.0, 1.0), ridge_distance=(3.0, 3.0))).counts
    assert (spread > 1.0).sum((1, 2)).float().median() > 11


def test_gaps_dead_pixels_and_saturation_occur():
    crowd = plain_crowd(benchmark_scenes()["round, SNR 100"], 0.0)
    gaps = simulate(300, 0, replace(crowd, gap_share=1.0, gap=(2, 2))).valid
    lost = 11 - torch.maximum(gaps.all(2).sum(1), gaps.all(1).sum(1))
    assert set(lost.tolist()) <= {1, 2}
    assert gaps[:, 5, 5].all()
    saturated = simulate(400, 0, replace(crowd, saturated_share=1.0, saturated_level=(0.5, 0.5)))
    masked = ~saturated.valid[:, 5, 5]
    assert 0.3 < masked.float().mean() < 0.7
    top = saturated.counts[~masked].flatten(1)
    assert (top == top.amax(1, keepdim=True)).sum(1).float().mean() > 3  # clipped, so flat


def test_the_broad_scene_is_as_crowded_as_it_should_be():
    drawn = simulate(4000, 5, BROAD)
    assert 0.2 < drawn.paired.float().mean() < 0.4
    assert 0.05 < (~drawn.valid).any(2).any(1).float().mean() < 0.35


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_noise_follows_the_share_that_the_scene_asks_for(share):
    """Under pure counting noise the background has none, under uniform noise as much as the peak."""
    scene = replace(
        plain_crowd(benchmark_scenes()["round, SNR 10"], 0.0),
        poisson=(1.0, 1.0), poisson_share=share, pedestal=(0.0, 0.0), slope_share=0.0,
    )  # fmt: skip
    corner = simulate(400, 0, scene).counts[:, 0, 0]
    assert bool(corner.std() < 0.01) == (share == 1.0)  # uniform: 0.1
