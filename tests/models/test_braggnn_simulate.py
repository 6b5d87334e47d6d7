import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from braggscope.models.braggnn.evaluate import HELD_OUT_SEED, accuracy_table, errors
from braggscope.models.braggnn.measured import Measured
from braggscope.models.braggnn.simulate import Scene, benchmark_scenes, normalise, simulate

torch.set_num_threads(1)


@pytest.mark.parametrize("window", [11, 15])
def test_patches_are_normalised_and_reproducible(window):
    scene = Scene(window)
    patches = simulate(500, 3, scene)
    assert patches.image.shape == (500, window, window)
    assert patches.image.dtype == torch.float32
    assert patches.image.flatten(1).amin(1).abs().max() == 0
    torch.testing.assert_close(patches.image.flatten(1).amax(1), torch.ones(500))
    assert (patches.centre - window // 2).abs().max() <= 2.5
    again = simulate(500, 3, scene)
    assert torch.equal(patches.image, again.image)
    assert not torch.equal(patches.image, simulate(500, 4, scene).image)


def test_the_truth_is_where_the_peak_is():
    """Without noise the centroid of a small round peak on nothing is its centre: x = column, y = row."""
    scene = replace(
        benchmark_scenes()["round, SNR 100"], snr=(1e7, 1e7), sigma=(1.0, 1.0), pedestal=(0.0, 0.0)
    )
    patches = simulate(200, 0, scene)
    axis = torch.arange(11.0)
    total = patches.image.sum((1, 2))
    x = (patches.image.sum(1) * axis).sum(1) / total
    y = (patches.image.sum(2) * axis).sum(1) / total
    torch.testing.assert_close(torch.stack([x, y], 1), patches.centre, rtol=0, atol=2e-3)


def test_noise_is_what_was_asked_for():
    scene = replace(benchmark_scenes()["round, SNR 10"], sigma=(1.0, 1.0), offset=0.0)
    noisy = simulate(2000, 0, scene).image
    corner = noisy[:, :2, :2]  # background only
    span = 1.0 / (noisy[:, 5, 5] - corner.mean((1, 2)))  # amplitude in normalised units
    assert 0.085 < float((corner.std((1, 2)) * span).mean()) < 0.115


def test_thresholded_patches_have_an_exactly_empty_background():
    scene = benchmark_scenes()["round, SNR 100"]
    raw = simulate(300, 0, scene).image
    cut = simulate(300, 0, replace(scene, threshold_share=1.0)).image
    assert (raw == 0).float().mean() < 0.02
    assert (cut == 0).float().mean() > 0.4


def test_missing_columns_are_zero_and_do_not_shift_the_scale():
    image = torch.full((1, 11, 11), 100.0)
    image[0, 5, 5] = 300
    missing = torch.zeros(1, 11, 11, dtype=torch.bool)
    missing[0, :, :3] = True
    image[missing] = 0.0
    result = normalise(image, missing)
    assert result[0, 5, 5] == 1
    assert result.sum() == 1


def test_simulating_is_much_cheaper_than_training():
    simulate(256, 0)
    start = time.perf_counter()
    for seed in range(5):
        simulate(256, seed)
    assert (time.perf_counter() - start) / (5 * 256) < 40e-6


def test_the_table_knows_a_perfect_localiser_and_a_lazy_one():
    truth = {}

    def perfect(images):
        return truth[len(images)]

    drawn = simulate(100, HELD_OUT_SEED, benchmark_scenes()["round, SNR 100"])
    truth[100] = drawn.centre
    assert errors(perfect(drawn.image), drawn.centre) == (0.0, 0.0, 100)
    rows = list(accuracy_table(lambda images: torch.full((len(images), 2), 5.0), count=100))
    assert len(rows) == 2 * len(benchmark_scenes())
    assert all(0.3 < found.median_px < 0.5 for _, _, found in rows)  # centres are uniform within +-0.5 px


def test_measured_patches_keep_their_truth_when_shifted_and_turned():
    scene = replace(
        benchmark_scenes(13)["round, SNR 100"], snr=(1e7, 1e7), sigma=(0.8, 1.0), pedestal=(0.0, 0.0)
    )
    large = simulate(40, 0, scene)
    measured = Measured(large.image, torch.ones_like(large.image, dtype=torch.bool), large.centre)
    assert measured.window == 11
    for image, centre in (measured.middle(), measured.draw(200, 1)):
        axis = torch.arange(11.0)
        total = image.sum((1, 2))
        found = torch.stack([(image.sum(1) * axis).sum(1), (image.sum(2) * axis).sum(1)], 1) / total[:, None]
        torch.testing.assert_close(found, centre, rtol=0, atol=5e-3)
    assert np.ptp(measured.draw(200, 1)[1][:, 0].numpy()) > 2  # shifts by -1 to 1 px do happen
